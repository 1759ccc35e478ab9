"""Answers and refusals in every protocol, read back by botocore's own parsers."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.parsers import create_parser

from localcloud.aws import rendering
from localcloud.aws.catalogue import Target, operation_model
from localcloud.errors import ServiceError
from localcloud.wire import Headers, Response

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("service", "operation", "protocol", "output"),
    [
        ("ssm", "DescribeActivations", "json", {"ActivationList": [{"ActivationId": "a", "ExpirationDate": NOW}]}),
        ("iam", "GetRole", "query", {"Role": {"RoleName": "r", "Path": "/", "CreateDate": NOW}}),
        ("ec2", "DescribeVpcs", "ec2", {"Vpcs": [{"VpcId": "vpc-1", "IsDefault": True}]}),
        ("lambda", "GetFunctionConcurrency", "rest-json", {"ReservedConcurrentExecutions": 5}),
        ("s3", "ListBuckets", "rest-xml", {"Buckets": [{"Name": "b", "CreationDate": NOW}]}),
    ],
)
def test_an_answer_is_read_back_as_it_was_meant(
    service: str, operation: str, protocol: str, output: dict[str, Any]
) -> None:
    model = operation_model(service, operation)
    assert model is not None
    target = Target(service=service, operation=operation, protocol=protocol, region="us-east-1", model=model)

    parsed = _parsed(rendering.render(output, target, "request-1"), protocol, model.output_shape)

    metadata = parsed.pop("ResponseMetadata")
    assert metadata["HTTPStatusCode"] == 200
    assert parsed == output


@pytest.mark.parametrize("status", [400, 403, 429, 500])
@pytest.mark.parametrize(
    ("service", "protocol"),
    [
        ("ssm", "json"),
        ("iam", "query"),
        ("ec2", "ec2"),
        ("lambda", "rest-json"),
        ("s3", "rest-xml"),
        ("route53", "rest-xml"),
    ],
)
def test_a_refusal_is_read_back_with_its_code_message_and_status(service: str, protocol: str, status: int) -> None:
    error = ServiceError("SomeCode", 'a <message> with "all" & sundry', status=status)

    answer = rendering.render_error(error, service=service, protocol=protocol, request_id="request-1")
    parsed = _parsed(answer, protocol, None)

    assert (parsed["Error"]["Code"], parsed["Error"]["Message"]) == ("SomeCode", 'a <message> with "all" & sundry')
    assert answer.status == status
    assert rendering.error_code(answer) == "SomeCode"


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ((), b'{"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}', ""),
        ((), b"<Error><Code>NoSuchBucket</Code></Error>", "NoSuchBucket"),
        ((("x-amzn-ErrorType", "ResourceNotFoundException"),), b"{}", "ResourceNotFoundException"),
    ],
)
def test_the_code_is_found_in_answers_of_every_kind(
    headers: tuple[tuple[str, str], ...], body: bytes, code: str
) -> None:
    answer = Response(status=400, headers=Headers(headers), body=body)

    assert rendering.error_code(answer) == (code or "ConditionalCheckFailedException")


def _parsed(answer: Response, protocol: str, shape: Any) -> dict[str, Any]:
    wire = {
        "status_code": answer.status,
        "headers": {name.lower(): value for name, value in answer.headers.items},
        "body": answer.body,
    }
    parsed: dict[str, Any] = create_parser(protocol).parse(wire, shape)
    return parsed
