"""Gateway responses: what the gateway answers itself, with the API's own status codes, headers and templates.

Source: API Gateway developer guide, "Gateway response types" (status codes; a status code set for DEFAULT_4XX or
DEFAULT_5XX holds for every other response of its class that sets none) and "Gateway responses in API Gateway".
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from localcloud.aws.apigateway.model import GatewayResponse
from localcloud.wire import Headers, Response

DEFAULTS: Mapping[str, int | None] = {
    "ACCESS_DENIED": 403,
    "API_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_FAILURE": 500,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "DEFAULT_4XX": None,
    "DEFAULT_5XX": None,
    "EXPIRED_TOKEN": 403,
    "INTEGRATION_FAILURE": 504,
    "INTEGRATION_TIMEOUT": 504,
    "INVALID_API_KEY": 403,
    "INVALID_SIGNATURE": 403,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "QUOTA_EXCEEDED": 429,
    "REQUEST_TOO_LARGE": 413,
    "RESOURCE_NOT_FOUND": 404,
    "THROTTLED": 429,
    "UNAUTHORIZED": 401,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "WAF_FILTERED": 403,
}
_DEFAULT_TEMPLATE = '{"message":$context.error.messageString}'
_VARIABLE = re.compile(r"\$(?:\{(context\.[\w.]+)\}|(context\.[A-Za-z][\w]*(?:\.[A-Za-z]\w*)*))")
# What the service calls the error in the header x-amzn-ErrorType.
_ERROR_TYPES: Mapping[str, str] = {
    "ACCESS_DENIED": "AccessDeniedException",
    "INTEGRATION_FAILURE": "InternalServerErrorException",
    "INTEGRATION_TIMEOUT": "InternalServerErrorException",
    "MISSING_AUTHENTICATION_TOKEN": "MissingAuthenticationTokenException",
    "REQUEST_TOO_LARGE": "RequestTooLargeException",
    "THROTTLED": "TooManyRequestsException",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The gateway answers itself: the type of its response, the text, and a status that differs from the type's own."""

    type: str
    message: str
    status: int = 0
    label: str = "message"  # the member that holds the text where the API says nothing else
    detail: str = ""  # for the logs


class Refused(Exception):
    """Carries a refusal to where the answer is made."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def effective(kind: str, own: Mapping[str, GatewayResponse]) -> GatewayResponse:
    """The response of a type as an API has it: its own, else that of its class, else the service's."""
    if kind in own:
        return own[kind]
    general = own.get(_class_of(kind), GatewayResponse(type=kind))
    default = DEFAULTS[kind]
    return GatewayResponse(
        type=kind,
        status=general.status or (str(default) if default else ""),
        parameters=general.parameters,
        templates=general.templates or {"application/json": _DEFAULT_TEMPLATE},
    )


def render(
    refusal: Refusal, own: Mapping[str, GatewayResponse], *, request_id: str, variable: Callable[[str], str]
) -> Response:
    """The answer to a refused request; `variable` yields `$context` variables by name (`context.requestId`)."""
    kind = refusal.type
    customised = own.get(kind) or own.get(_class_of(kind))
    status = int((customised.status if customised else "") or refusal.status or DEFAULTS[kind] or 500)
    headers = {
        "Content-Type": "application/json",
        "x-amzn-RequestId": request_id,
        "x-amzn-ErrorType": _ERROR_TYPES.get(
            kind, "ForbiddenException" if status == 403 else "InternalServerErrorException"
        ),
    }
    body = json.dumps({refusal.label: refusal.message}, separators=(",", ":"))
    if customised is not None:
        for name, value in customised.parameters.items():
            headers[name.removeprefix("gatewayresponse.header.")] = value[1:-1]
        if customised.templates:
            media, template = next(iter(customised.templates.items()))
            headers["Content-Type"] = media
            body = filled(template, refusal, variable)
    return Response(status=status, headers=Headers.of(headers), body=body.encode())


def filled(template: str, refusal: Refusal, variable: Callable[[str], str]) -> str:
    """A response template with its variables; gateway responses have no other logic."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        own = {
            "context.error.message": refusal.message,
            "context.error.messageString": json.dumps(refusal.message),
            "context.error.responseType": refusal.type,
        }
        return own[name] if name in own else variable(name)

    return _VARIABLE.sub(value, template)


def _class_of(kind: str) -> str:
    default = DEFAULTS[kind]
    if default is None:
        return kind
    return "DEFAULT_4XX" if default < 500 else "DEFAULT_5XX"
