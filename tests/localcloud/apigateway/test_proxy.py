"""Lambda proxy integration: the event that the function gets, and what its answer becomes."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from localcloud.errors import ServiceError


def test_the_event_is_that_of_a_private_rest_api(make_api: Callable[..., Any], function: Any, clock: Any) -> None:
    """Every member that the developer guide lists, with the endpoint's word on the caller."""
    api = make_api(routes=("POST /pools/{pool}/activations",))
    api.client.update_stage(
        restApiId=api.id,
        stageName="live",
        patchOperations=[{"op": "replace", "path": "/variables/colour", "value": "blue"}],
    )

    api.call(
        "POST",
        "/live/pools/web%20servers/activations",
        query="a=1&b=2&a=3&empty=",
        headers={"User-Agent": "curl/8", "Content-Type": "application/json"},
        body=b'{"key": "1"}',
        source_ip="10.0.0.7",
    )

    (event,) = function.events
    context = event.pop("requestContext")
    headers = event.pop("headers")
    multiple = event.pop("multiValueHeaders")
    assert event == {
        "resource": "/pools/{pool}/activations",
        "path": "/pools/web%20servers/activations",
        "httpMethod": "POST",
        "queryStringParameters": {"a": "3", "b": "2", "empty": ""},
        "multiValueQueryStringParameters": {"a": ["1", "3"], "b": ["2"], "empty": [""]},
        "pathParameters": {"pool": "web servers"},
        "stageVariables": {"colour": "blue"},
        "body": '{"key": "1"}',
        "isBase64Encoded": False,
    }
    assert headers["X-Forwarded-For"] == "10.0.0.7"
    assert multiple["User-Agent"] == ["curl/8"]
    identity = context.pop("identity")
    assert {key: value for key, value in identity.items() if value is not None} == {
        "sourceIp": "10.0.0.7",
        "userAgent": "curl/8",
        "vpceId": api.network.vpce_id,
        "vpcId": api.network.vpc_id,
    }
    assert context["path"] == "/live/pools/web%20servers/activations"
    assert context["requestTimeEpoch"] == int(clock.now().timestamp() * 1000)
    assert context["domainName"] == api.host
    assert (context["stage"], context["apiId"], context["domainPrefix"]) == ("live", api.id, api.id)
    assert set(context) == {
        "resourceId", "resourcePath", "httpMethod", "extendedRequestId", "requestTime", "path", "accountId", "protocol",
        "stage", "domainPrefix", "requestTimeEpoch", "requestId", "domainName", "deploymentId", "apiId",
    }  # fmt: skip


def test_what_is_absent_is_null(api: Any, function: Any) -> None:
    """A bare GET has no query, no path parameters, no stage variables, no body."""
    api.call()

    (event,) = function.events
    absent = ("queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "stageVariables", "body")
    assert [event[name] for name in absent] == [None] * 5


def test_a_caller_cannot_speak_for_the_endpoint(api: Any, function: Any) -> None:
    """Headers that the endpoint sets are the endpoint's; a forwarded address only precedes the real one."""
    api.call(headers={"X-Amzn-Vpce-Id": "vpce-forged", "X-Forwarded-For": "10.9.9.9"})

    (event,) = function.events
    assert event["multiValueHeaders"]["x-amzn-vpce-id"] == [api.network.vpce_id]
    assert "X-Amzn-Vpce-Id" not in event["headers"]
    assert event["headers"]["X-Forwarded-For"] == "10.9.9.9, 10.0.0.10"
    assert event["requestContext"]["identity"]["sourceIp"] == "10.0.0.10"


def test_binary_media_types_are_encoded_both_ways(make_api: Callable[..., Any], function: Any) -> None:
    """The body arrives in base64, and an encoded answer is decoded for who accepts it."""
    api = make_api(routes=("POST /",), binaryMediaTypes=["application/octet-stream"])
    answer = {"statusCode": 200, "isBase64Encoded": True, "body": base64.b64encode(b"\xff\x00").decode()}
    function.reply = lambda _: answer
    octets = {"Content-Type": "application/octet-stream", "Accept": "application/octet-stream"}

    decoded = api.call("POST", headers=octets, body=b"\x00\xfe")
    kept = api.call("POST", headers={**octets, "Accept": "text/plain"}, body=b"\x00\xfe")

    assert function.events[0]["isBase64Encoded"] is True
    assert base64.b64decode(function.events[0]["body"]) == b"\x00\xfe"
    assert (decoded.body, kept.body) == (b"\xff\x00", answer["body"].encode())


def test_static_paths_win_over_parameters_and_these_over_the_rest(make_api: Callable[..., Any], function: Any) -> None:
    """As API Gateway chooses among overlapping resources."""
    api = make_api(routes=("GET /a/b", "GET /a/{x}", "ANY /{proxy+}"))

    for path in ("/live/a/b", "/live/a/c", "/live/q/r/s"):
        api.call("GET", path)

    chosen = [(event["resource"], event["pathParameters"]) for event in function.events]
    assert chosen == [("/a/b", None), ("/a/{x}", {"x": "c"}), ("/{proxy+}", {"proxy": "q/r/s"})]


def test_status_headers_and_body_come_from_the_function(api: Any, function: Any) -> None:
    """Several values of a header stay several; headers that the gateway owns are renamed."""
    function.reply = lambda _: {
        "statusCode": "201",
        "headers": {"Retry-After": 3, "Server": "mine"},
        "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
        "body": "{}",
    }

    response = api.call()

    assert (response.status, response.body) == (201, b"{}")
    assert response.headers.get("Retry-After") == "3"
    assert response.headers.all("Set-Cookie") == ["a=1", "b=2"]
    assert response.headers.get("x-amzn-Remapped-Server") == "mine"
    assert response.headers.get("Content-Type") == "application/json"
    assert response.headers.get("x-amzn-RequestId")


@pytest.mark.parametrize(
    "reply",
    [
        "text",
        None,
        b"not json",
        {"statusCode": "many"},
        {"statusCode": True},
        {"statusCode": 42},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"a": {}}},
        {"statusCode": 200, "multiValueHeaders": {"a": "b"}},
        {"statusCode": 200, "status": 200},
    ],
    ids=repr,
)
def test_a_malformed_answer_is_a_502(api: Any, function: Any, reply: Any) -> None:
    """Whatever has not the proxy format becomes Internal server error."""
    function.reply = lambda _: reply

    response = api.call()

    assert (response.status, response.body) == (502, b'{"message":"Internal server error"}')


def test_a_failing_function_is_a_502(api: Any, function: Any) -> None:
    """An exception in the function reaches nobody but the log."""
    function.function_error = "Unhandled"
    function.reply = lambda _: {"errorMessage": "secret"}

    response = api.call()

    assert (response.status, response.body) == (502, b'{"message":"Internal server error"}')


def test_a_throttled_function_is_a_500(api: Any, function: Any) -> None:
    """API Gateway does not pass Lambda's 429 on."""
    function.refusal = ServiceError("TooManyRequestsException", "Rate Exceeded.", status=429)

    response = api.call()

    assert (response.status, response.body) == (500, b'{"message":"Internal server error"}')


def test_sizes_are_limited(make_api: Callable[..., Any], function: Any) -> None:
    """10 MB of body, 8,000 bytes of request line and headers."""
    api = make_api(routes=("POST /",))

    answers = [
        api.call("POST", body=b"x" * (10 * 1024 * 1024 + 1)),
        api.call("POST", headers={"X-Long": "x" * 8000}),
        api.call("POST", body=b"x" * 1000),
    ]

    assert [one.status for one in answers] == [413, 413, 200]
    assert json.loads(answers[0].body) == {"message": "Request Too Long"}
