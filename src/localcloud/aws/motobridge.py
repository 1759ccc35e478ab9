"""The way into moto: one request in, one response out, always in the account of the calling world.

moto finds the account by the header X-Moto-Account-Id before it looks at anything else, and keeps its backends in
process-wide dictionaries by account and Region. Its URL handlers are called directly, without its web server: they get
a request for the real host name of the service, from which moto reads the Region.
"""

import importlib
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import moto.core.errors
import moto.core.responses
from moto import backends
from moto.core.base_backend import BackendDict, backend_lock
from moto.core.common_models import BaseModel
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel, ServiceModel
from moto.core.request import Request as MotoRequest
from moto.core.utils import method_names_from_class
from werkzeug.exceptions import HTTPException

from localcloud.aws import bucket_policies
from localcloud.aws.call import Call
from localcloud.errors import ServiceError, Unsupported
from localcloud.wire import Headers, Request, Response

if TYPE_CHECKING:
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


def _untracked(cls: type[BaseModel], *_: Any, **__: Any) -> BaseModel:
    """Makes a model without entering it in moto's list of all that it ever made, which nothing here reads."""
    return object.__new__(cls)


def _dispose(key: Any) -> None:
    """Closes the file of an S3 object that was overwritten, without moto's warning that nobody did so before."""
    key.dispose()


def _own_buckets_only() -> bool:
    """Buckets of another local cloud are another owner's: their names are taken, their objects are forbidden."""
    return False


# moto warns whenever one of its errors is not in botocore's model; a caller of the local cloud can do nothing about it.
moto.core.errors.warn = _silent  # type: ignore[attr-defined]
# Without this every version of every item would stay in memory, for as long as the process runs.
BaseModel.__new__ = _untracked  # type: ignore[method-assign]
# Asked for every call, and costly to find out.
moto.core.responses.method_names_from_class = cache(method_names_from_class)  # type: ignore[attr-defined]


def backend(service: str, *, account: str, region: str) -> Any:
    """moto's backend of `service` for an account, in `region` or, for a global service, for the whole partition."""
    try:
        by_region = backends.get_backend(service)[account]  # type: ignore[call-overload]
    except ImportError as error:
        raise Unsupported(f"the local cloud has no service {service}") from error
    return by_region[region if region in by_region else "aws"]


def regions(service: str, *, account: str) -> list[str]:
    """The Regions in which moto holds something of `service` for an account."""
    return sorted(backends.get_backend(service)[account].keys())  # type: ignore[call-overload]


def forget_account(account: str) -> None:
    """Drop everything that moto holds for an account, and the files of its S3 objects."""
    with backend_lock:
        for service in list(BackendDict._instances):  # type: ignore[misc]
            if account not in list(service.keys()):
                continue
            if service.service_name == "s3":
                _forget_buckets(service, account)
            del service[account]


def _forget_buckets(service: Any, account: str) -> None:
    for regional in service[account].values():
        for bucket in regional.buckets.values():
            for _, versions in bucket.keys._iterlists():
                for version in versions:
                    version.dispose()
            for upload in bucket.multiparts.values():
                upload.dispose()
    for name, (_, owner) in list(service.bucket_accounts.items()):
        if owner == account:
            service.bucket_accounts.pop(name, None)


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


def pass_on(world: "World", call: Call, prepared: MotoRequest | None = None) -> Response:
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
    safe = service.replace("-", "")
    package = {"lambda": "awslambda"}.get(safe, safe)
    try:
        urls = importlib.import_module(f"moto.{package}.urls")
    except ImportError:
        return ()
    if service == "s3":
        models = importlib.import_module("moto.s3.models")
        vars(models)["s3_allow_crossdomain_access"] = _own_buckets_only
        models.FakeKey.__del__ = _dispose
        models.FakeBucket.get_permission = bucket_policies.permission
    return tuple((re.compile(path.format("")), handler) for path, handler in urls.url_paths.items())
