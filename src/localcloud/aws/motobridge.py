"""The way into moto: one request in, one response out, always in the account of the calling world.

moto finds the account by the header X-Moto-Account-Id before it looks at anything else, and keeps its backends in
process-wide dictionaries by account and Region. Its URL handlers are called directly, without its web server: they get
a request for the real host name of the service, from which moto reads the Region.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import moto.core.errors
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel, ServiceModel
from moto.core.request import Request as MotoRequest
from werkzeug.exceptions import HTTPException

from localcloud.aws import backends, remembered
from localcloud.aws.call import Call
from localcloud.errors import ServiceError
from localcloud.wire import Headers, Request, Response
from localcloud.world import World

NOT_IMPLEMENTED = "NotImplementedByLocalCloud"
ACCOUNT_HEADER = "X-Moto-Account-Id"
# Services whose host name has no Region.
_GLOBAL_HOSTS = {"iam": "iam.amazonaws.com", "cloudfront": "cloudfront.amazonaws.com"}
# Host names that are not botocore's service name.
_HOST_NAMES = {"cloudwatch": "monitoring", "stepfunctions": "states", "resourcegroupstaggingapi": "tagging"}

# What moto's backends raise when they refuse.
MOTO_ERRORS = (ServiceException, HTTPException)

Handler = Callable[[MotoRequest, str, Any], Any]


def _silent(*_: Any, **__: Any) -> None:
    """Stands in for the warning with which moto comments its own table of errors."""


# moto warns whenever one of its errors is not in botocore's model; a caller of the local cloud can do nothing about it.
moto.core.errors.warn = _silent  # type: ignore[attr-defined]
remembered.install()


def host_of(service: str, region: str) -> str:
    """The real host name of a service in a Region."""
    return _GLOBAL_HOSTS.get(service) or f"{_HOST_NAMES.get(service, service)}.{region}.amazonaws.com"


def moto_request(request: Request, *, service: str, account: str, region: str) -> MotoRequest:
    """The request as moto wants it; parsers and routers of moto take it too."""
    dropped = {"host", "content-length", "transfer-encoding", ACCOUNT_HEADER.lower(), "expect"}
    headers = {name: value for name, value in request.headers.items if name.lower() not in dropped}
    headers[ACCOUNT_HEADER] = account
    query = f"?{request.query}" if request.query else ""
    sent_to = request.headers.get("Host")
    # A bucket may be named by the host alone.
    host = sent_to if service == "s3" and sent_to.endswith(".amazonaws.com") else host_of(service, region)
    url = f"https://{host}{request.path}{query}"
    return MotoRequest.from_primitives(request.method, url, headers, request.body)


def carry_out(request: MotoRequest, *, service: str, operation: str) -> Response:
    """Let moto carry out an operation; raises ServiceError 501 with its name if moto does not know it."""
    handler = _find_handler(service, request.raw_path)
    if handler is None:
        raise not_implemented(service, operation)
    try:
        status, headers, body = handler(request, request.raw_url, request.headers)
    except NotImplementedError as error:
        raise not_implemented(service, operation) from error
    except HTTPException as error:
        status, headers, body = error.code, dict(error.get_headers()), error.get_body()
    return Response(
        status=int(status), headers=_headers(headers), body=body.encode() if isinstance(body, str) else body
    )


def pass_on(world: World, call: Call, prepared: MotoRequest | None = None) -> Response:
    """moto's own answer to a call, under the lock; for overlays that only check before or complete afterwards.

    `prepared` is the request as `moto_request` made it, if it was made already.
    """
    request = prepared or moto_request(call.request, service=call.service, account=call.account, region=call.region)
    with world.moto_lock:
        return carry_out(request, service=call.service, operation=call.operation)


def not_implemented(service: str, operation: str) -> ServiceError:
    """The loud answer to an operation that nobody implements."""
    return ServiceError(NOT_IMPLEMENTED, f"the local cloud does not implement {service}:{operation}", status=501)


def as_service_error(error: ServiceException | HTTPException, model: OperationModel) -> ServiceError:
    """A refusal of moto's (raised by a backend that an overlay calls) as ours."""
    if isinstance(error, ServiceException):
        return ServiceError(error.code, error.message, status=_status_of(error.code, model.service_model))
    code = getattr(error, "error_type", "") or error.name
    return ServiceError(str(code), str(getattr(error, "message", "")), status=error.code or 400)


def _status_of(code: str, model: ServiceModel) -> int:
    shapes = [shape for shape in model.error_shapes if code in {shape.name, shape.error_code}]
    return next((int(shape.metadata.get("error", {}).get("httpStatusCode", 400)) for shape in shapes), 400)


def _headers(source: Any) -> Headers:
    return Headers(
        tuple(
            (str(name), str(one))
            for name, value in dict(source).items()
            if str(name).lower() not in {"status", "server"}
            for one in (value if isinstance(value, list) else [value])
        )
    )


def _find_handler(service: str, path: str) -> Handler | None:
    return next((handler for pattern, handler in _handlers(service) if pattern.match(path)), None)


@cache
def _handlers(service: str) -> tuple[tuple[re.Pattern[str], Handler], ...]:
    urls = backends.load(service)
    if urls is None:
        return ()
    return tuple((re.compile(path.format("")), handler) for path, handler in urls.url_paths.items())
