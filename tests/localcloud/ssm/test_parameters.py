"""What Parameter Store refuses, and moto would take."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"Value": "x" * 4097}, "ValidationException"),
        ({"Value": "x" * 8193, "Tier": "Advanced"}, "ValidationException"),
        ({"Name": "/codes/with space"}, "ValidationException"),
        ({"Name": "/codes//twice"}, "ValidationException"),
        ({"Name": "/" + "/".join("abcdefghijklmnop")}, "HierarchyLevelLimitExceededException"),
        ({"Type": "SecureString", "KeyId": "alias/none"}, "InvalidKeyId"),
        ({"KeyId": "alias/aws/ssm"}, "ValidationException"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_the_service_does_not_store_is_refused(ssm: Any, changed: dict[str, str], code: str) -> None:
    with pytest.raises(ClientError) as refused:
        ssm.put_parameter(**{"Name": "/codes/one", "Value": "x", "Type": "String"} | changed)

    assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("name", ["/codes/one", "/one", "one"])
def test_a_parameter_keeps_its_type(ssm: Any, name: str) -> None:
    """CloudFormation cannot make a SecureString, and a String never becomes one."""
    ssm.put_parameter(Name=name, Value="blank", Type="String")

    with pytest.raises(ssm.exceptions.HierarchyTypeMismatchException):
        ssm.put_parameter(Name=name, Value="secret", Type="SecureString", Overwrite=True)

    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == "blank"


def test_a_secret_is_kept_under_a_key_of_the_account(ssm: Any, client: Callable[..., Any]) -> None:
    key = client("kms").create_key()["KeyMetadata"]

    for number, name in enumerate((key["KeyId"], key["Arn"], "alias/aws/ssm")):
        ssm.put_parameter(Name=f"/codes/{number}", Value="x" * 4096, Type="SecureString", KeyId=name)

    assert len(ssm.get_parameters_by_path(Path="/codes")["Parameters"]) == 3


@pytest.mark.parametrize(
    ("state", "told"), [("schedule_key_deletion", "is pending deletion"), ("disable_key", "is disabled")]
)
def test_what_a_key_out_of_use_encrypted_can_neither_be_read_nor_written(
    ssm: Any, client: Callable[..., Any], state: str, told: str
) -> None:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    ssm.put_parameter(Name="/codes/secret", Value="x", Type="SecureString", KeyId=key)
    getattr(kms, state)(KeyId=key)

    for call, asked in (
        ("get_parameter", {"Name": "/codes/secret", "WithDecryption": True}),
        ("put_parameter", {"Name": "/codes/other", "Value": "x", "Type": "SecureString", "KeyId": key}),
    ):
        with pytest.raises(ssm.exceptions.InvalidKeyId, match=told):
            getattr(ssm, call)(**asked)
    assert ssm.get_parameter(Name="/codes/secret")["Parameter"]["Type"] == "SecureString"
