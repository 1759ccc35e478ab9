"""The agent's shapes, held to everything that the real agent was recorded to send and to accept."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator
from tests.localcloud.ssm.recordings import Exchange, everything, needs_recordings

from localcloud.aws.agent import shapes

SERVICES = {"AmazonSSM": "ssm", "EC2WindowsMessageDeliveryService": "ec2messages"}
JSON_CALLS = [exchange for exchange in everything() if exchange.channel in {"ssm", "ec2messages"}]
PYTHON_TYPES = {"string": str, "boolean": bool, "integer": int, "list": list, "structure": dict, "timestamp": float}


def model_of(exchange: Exchange) -> OperationModel | None:
    prefix, _, operation = exchange.request.headers.get("X-Amz-Target").partition(".")
    return shapes.operation_model(SERVICES[prefix], operation)


def unknown_members(shape: Shape, value: Any) -> set[str]:
    return set(value) - set(shape.members)  # type: ignore[attr-defined]


@needs_recordings
def test_every_recorded_call_is_either_public_or_has_a_shape() -> None:
    without = {exchange.target for exchange in JSON_CALLS if model_of(exchange) is None}

    assert without == {"GetParameters", "ListAssociations"}


@needs_recordings
def test_every_recorded_request_fits_its_shape() -> None:
    for exchange in JSON_CALLS:
        model = model_of(exchange)
        if model is None:
            continue
        assert not unknown_members(model.input_shape, exchange.body), exchange
        assert not ParamValidator().validate(exchange.body, model.input_shape).has_errors(), exchange


@needs_recordings
def test_every_answer_that_contented_the_agent_fits_its_shape() -> None:
    for exchange in JSON_CALLS:
        model = model_of(exchange)
        if model is None or exchange.status != 200:
            continue
        assert not unknown_members(model.output_shape, exchange.answer), exchange
        for name, value in exchange.answer.items():
            kind = PYTHON_TYPES[model.output_shape.members[name].type_name]
            assert isinstance(value, kind), (exchange, name)


@needs_recordings
def test_a_recorded_timestamp_is_epoch_seconds() -> None:
    tokens = [it.answer for it in JSON_CALLS if it.target == "RequestManagedInstanceRoleToken" and it.status == 200]

    assert all(datetime.fromtimestamp(token["TokenExpirationDate"], UTC).year == 2026 for token in tokens)


def test_all_five_fields_of_a_role_token_are_required() -> None:
    model = shapes.operation_model("ssm", "RequestManagedInstanceRoleToken")
    assert model is not None

    assert set(model.output_shape.required_members) == {
        "AccessKeyId",
        "SecretAccessKey",
        "SessionToken",
        "TokenExpirationDate",
        "UpdateKeyPair",
    }


@pytest.mark.parametrize(
    ("method", "path", "named"),
    [
        ("POST", "/v1/control-channel/mi-0", ("ssmmessages", "CreateControlChannel")),
        ("GET", "/v1/control-channel/mi-0", ("ssmmessages", "OpenControlChannel")),
        ("PUT", "/v1/control-channel/mi-0", None),
        ("POST", "/v1/data-channel/x", None),
    ],
)
def test_the_control_channel_is_known_by_its_path(method: str, path: str, named: tuple[str, str] | None) -> None:
    assert shapes.service_of_path(method, path) == named
