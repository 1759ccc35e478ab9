"""The AWS endpoint checks input as the services do: types, required members, enums, patterns, lengths, ranges."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.aws import parameters
from localcloud.aws.catalogue import Target, operation_model
from localcloud.cloud import LocalCloud
from localcloud.errors import ServiceError
from localcloud.wire import Request


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(in_process=True) as running:
        yield running


def test_a_value_out_of_range_is_refused_in_the_services_own_sentence() -> None:
    refused = _refused("ssm", "CreateActivation", {"IamRole": "r", "RegistrationLimit": 1001})

    assert refused.code == "ValidationException"
    assert refused.message == (
        "1 validation error detected: Value '1001' at 'registrationLimit' failed to satisfy constraint: "
        "Member must have value less than or equal to 1000"
    )


@pytest.mark.parametrize(
    ("service", "operation", "params", "sentence"),
    [
        (
            "ssm",
            "CreateActivation",
            {},
            "Value null at 'iamRole' failed to satisfy constraint: Member must not be null",
        ),
        (
            "ssm",
            "PutParameter",
            {"Name": "/a", "Value": "v", "Type": "Secret"},
            "Member must satisfy enum value set: [String, StringList, SecureString]",
        ),
        (
            "ssm",
            "DeleteActivation",
            {"ActivationId": "x"},
            "Value 'x' at 'activationId' failed to satisfy constraint: Member must satisfy regular expression pattern:",
        ),
        (
            "ssm",
            "CreateActivation",
            {"IamRole": "r", "Tags": [{"Key": "k" * 129, "Value": "v"}]},
            "at 'tags.1.member.key' failed to satisfy constraint: Member must have length less than or equal to 128",
        ),
        (
            "ssm",
            "CreateActivation",
            {"IamRole": "r", "Tags": [{"Key": "bad!", "Value": "v"}]},
            "Member must satisfy regular expression pattern: ^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$",
        ),
        ("dynamodb", "GetItem", {"Key": {"pk": {"S": "x"}}}, "Value null at 'tableName' failed"),
    ],
)
def test_each_constraint_of_the_model_binds(
    service: str, operation: str, params: dict[str, Any], sentence: str
) -> None:
    refused = _refused(service, operation, params)

    assert sentence in refused.message


def test_letters_of_any_script_pass_where_the_pattern_says_letters() -> None:
    _check("ssm", "CreateActivation", {"IamRole": "r", "Tags": [{"Key": "Größe", "Value": "東京 1"}]})


def test_all_faults_are_listed_at_once() -> None:
    refused = _refused("ssm", "CreateActivation", {"IamRole": "r", "RegistrationLimit": 0, "Description": "d" * 257})

    assert refused.message.startswith("2 validation errors detected: ")


def test_a_secret_value_is_not_repeated_in_the_refusal() -> None:
    refused = _refused("kms", "Encrypt", {"KeyId": "k", "Plaintext": "c2VjcmV0" * 1000})

    assert "c2VjcmV0" not in refused.message
    assert "secret" not in refused.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the body is not valid JSON"),
        (b"[]", "Start of structure or map found where not expected."),
        (b'{"IamRole": 5}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"IamRole": "r", "RegistrationLimit": "5"}', "STRING_VALUE can not be converted to an Integer"),
        (b'{"IamRole": "r", "RegistrationLimit": true}', "TRUE_VALUE can not be converted to an Integer"),
        (b'{"IamRole": "r", "Tags": {}}', "START_OBJECT can not be converted to a List"),
    ],
)
def test_wrong_types_and_broken_syntax_are_a_serialization_exception(body: bytes, message: str) -> None:
    target = _target("ssm", "CreateActivation")

    with pytest.raises(ServiceError) as refused:
        parameters.parse(Request(method="POST", path="/", body=body), target, account="1" * 12)

    assert (refused.value.code, refused.value.message) == ("SerializationException", message)


def test_the_refusal_reaches_the_sdk_as_a_client_error(cloud: LocalCloud) -> None:
    """botocore's own validation is switched off here: other SDKs have none."""
    client = cloud.session().client("ssm", config=_unchecked())

    with pytest.raises(ClientError, match="Member must have value less than or equal to 1000"):
        client.create_activation(IamRole="r", RegistrationLimit=1001)


def test_timestamps_arrive_aware_and_blobs_as_bytes() -> None:
    params = _check("ssm", "CreateActivation", {"IamRole": "r", "ExpirationDate": 1795000000})
    plain = _check("kms", "Encrypt", {"KeyId": "k", "Plaintext": "aGk="})

    assert params["ExpirationDate"].isoformat() == "2026-11-18T11:06:40+00:00"
    assert plain["Plaintext"] == b"hi"


def _unchecked() -> Any:
    from botocore.config import Config

    return Config(parameter_validation=False)


def _target(service: str, operation: str) -> Target:
    model = operation_model(service, operation)
    assert model is not None
    return Target(service=service, operation=operation, protocol="json", region="us-east-1", model=model)


def _check(service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
    target = _target(service, operation)
    request = Request(method="POST", path="/", body=json.dumps(params).encode())
    parsed = parameters.parse(request, target, account="1" * 12)
    parameters.validate(parsed, target)
    return parsed


def _refused(service: str, operation: str, params: dict[str, Any]) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        _check(service, operation, params)
    return refused.value
