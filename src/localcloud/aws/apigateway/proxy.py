"""Lambda proxy integration: the event that a function gets, and what its answer becomes.

Source: API Gateway developer guide, "Lambda proxy integrations in API Gateway" (input and output format).
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from localcloud.aws.apigateway.model import RestApi, Stage
from localcloud.aws.apigateway.responses import Refusal, Refused
from localcloud.aws.apigateway.routing import Found
from localcloud.wire import Headers, Request, Response

_MEMBERS = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}
# Headers that API Gateway owns: a function's own arrive under another name.
_REMAPPED = {"connection", "content-length", "date", "host", "server", "transfer-encoding", "www-authenticate"}
# What the VPC endpoint says of the caller; what a caller says itself under these names is not passed on.
_ENDPOINT_HEADERS = ("x-amzn-vpc-id", "x-amzn-vpce-id", "x-amzn-vpce-config")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One request as the gateway took it in. `vpce_id` and `vpc_id` are empty if no VPC endpoint stood in between."""

    request: Request
    id: str
    extended_id: str
    source_ip: str
    vpce_id: str
    vpc_id: str
    at: datetime
    account: str

    @property
    def domain(self) -> str:
        return self.request.headers.get("Host").partition(":")[0]


def event(arrival: Arrival, *, api: RestApi, stage: Stage, found: Found, path: str, binary: Sequence[str]) -> bytes:
    """The event for a request, as JSON."""
    request = arrival.request
    headers = _passed(arrival)
    query = parse_qsl(request.query, keep_blank_values=True)
    encoded = bool(request.body) and _matches(request.headers.get("Content-Type"), binary)
    body = base64.b64encode(request.body).decode() if encoded else request.body.decode("utf-8", "replace")
    made = {
        "resource": found.route.path,
        "path": path,
        "httpMethod": request.method,
        "headers": dict(headers),
        "multiValueHeaders": _grouped(headers),
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": _grouped(query) or None,
        "pathParameters": dict(found.parameters) or None,
        "stageVariables": dict(stage.variables) or None,
        "requestContext": _context(arrival, api=api, stage=stage, found=found),
        "body": body or None,
        "isBase64Encoded": encoded,
    }
    return json.dumps(made).encode()


def _passed(arrival: Arrival) -> list[tuple[str, str]]:
    request = arrival.request
    owned = {*_ENDPOINT_HEADERS, "x-forwarded-for", "connection", "transfer-encoding", "content-length"}
    headers = [(name, value) for name, value in request.headers.items if name.lower() not in owned]
    if arrival.vpce_id:
        headers += [("x-amzn-vpc-id", arrival.vpc_id), ("x-amzn-vpce-id", arrival.vpce_id), ("x-amzn-vpce-config", "1")]
    forwarded = [*request.headers.all("X-Forwarded-For"), arrival.source_ip]
    return [*headers, ("X-Forwarded-For", ", ".join(forwarded))]


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _context(arrival: Arrival, *, api: RestApi, stage: Stage, found: Found) -> dict[str, Any]:
    identity: dict[str, Any] = dict.fromkeys(
        (
            "cognitoIdentityPoolId",
            "cognitoIdentityId",
            "principalOrgId",
            "cognitoAuthenticationType",
            "userArn",
            "accountId",
            "caller",
            "accessKey",
            "cognitoAuthenticationProvider",
            "user",
        )
    )
    identity["userAgent"] = arrival.request.headers.get("User-Agent") or None
    identity["sourceIp"] = arrival.source_ip
    if arrival.vpce_id:
        identity |= {"vpceId": arrival.vpce_id, "vpcId": arrival.vpc_id}
    return {
        "resourceId": found.route.resource_id,
        "resourcePath": found.route.path,
        "httpMethod": arrival.request.method,
        "extendedRequestId": arrival.extended_id,
        "requestTime": arrival.at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "path": arrival.request.path,
        "accountId": arrival.account,
        "protocol": "HTTP/1.1",
        "stage": stage.name,
        "domainPrefix": arrival.domain.partition(".")[0],
        "requestTimeEpoch": int(arrival.at.timestamp() * 1000),
        "requestId": arrival.id,
        "identity": identity,
        "domainName": arrival.domain,
        "deploymentId": stage.deployment_id,
        "apiId": api.id,
    }


def answer(payload: bytes, arrival: Arrival, *, binary: Sequence[str]) -> Response:
    """The HTTP answer that a function's result stands for. Raises Refused for a result that has not the format."""
    try:
        result = json.loads(payload)
    except ValueError:
        raise malformed("not JSON") from None
    if not isinstance(result, dict) or not set(result) <= _MEMBERS:
        raise malformed("not an object with statusCode, headers, multiValueHeaders, body, isBase64Encoded")
    body = result.get("body")
    if body is not None and not isinstance(body, str):
        raise malformed("body is not a string")
    content = (body or "").encode()
    if result.get("isBase64Encoded") and _matches(arrival.request.headers.get("Accept").split(",")[0], binary):
        content = _decoded(body or "")
    return Response(status=_status(result.get("statusCode", 200)), headers=_headers(result, arrival), body=content)


def malformed(detail: str) -> Refused:
    """The answer to a function's result that has not the proxy format: 502."""
    return Refused(
        Refusal(
            type="DEFAULT_5XX",
            message="Internal server error",
            status=502,
            detail=f"Execution failed due to configuration error: Malformed Lambda proxy response: {detail}",
        )
    )


def _status(value: Any) -> int:
    try:
        status = int(value)
    except (TypeError, ValueError):
        raise malformed(f"statusCode {value!r}") from None
    if isinstance(value, bool) or not 100 <= status <= 599:
        raise malformed(f"statusCode {value!r}")
    return status


def _headers(result: Mapping[str, Any], arrival: Arrival) -> Headers:
    single, multiple = result.get("headers") or {}, result.get("multiValueHeaders") or {}
    if not isinstance(single, dict) or not isinstance(multiple, dict):
        raise malformed("headers are not an object")
    found: list[tuple[str, str]] = []
    for name, value in single.items():
        if isinstance(value, dict | list):
            raise malformed(f"header {name} is not a string")
        if name not in multiple:
            found.append((name, _text(value)))
    for name, values in multiple.items():
        if not isinstance(values, list):
            raise malformed(f"multiValueHeaders {name} is not a list")
        found += [(name, _text(value)) for value in values]
    if not any(name.lower() == "content-type" for name, _ in found):
        found.append(("Content-Type", "application/json"))
    owned = [(f"x-amzn-Remapped-{name}" if name.lower() in _REMAPPED else name, value) for name, value in found]
    return Headers.of([("x-amzn-RequestId", arrival.id), ("x-amz-apigw-id", arrival.extended_id), *owned])


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else "" if value is None else str(value)


def _decoded(body: str) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(
            Refusal(
                type="API_CONFIGURATION_ERROR",
                message="Internal server error",
                detail="Execution failed due to configuration error: Unable to base64 decode the body.",
            )
        ) from None


def _matches(media: str, binary: Sequence[str]) -> bool:
    plain = media.partition(";")[0].strip().lower()
    return "*/*" in binary or (bool(plain) and plain in {one.lower() for one in binary})
