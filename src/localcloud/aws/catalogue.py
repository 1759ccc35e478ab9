"""Which service and operation a request means: for every protocol of botocore's models and the agent's own calls."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from botocore.exceptions import UnknownServiceError
from moto.core.model import OperationModel, ServiceModel
from moto.core.request import Request as MotoRequest
from moto.core.routing import ServiceOperationRouter, get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound

from localcloud.aws.agent import shapes
from localcloud.aws.motobridge import NOT_IMPLEMENTED, moto_request
from localcloud.errors import ServiceError
from localcloud.wire import Request

# Prefixes of X-Amz-Target that name a service by themselves, also on unsigned requests.
TARGETS = {
    "AmazonSSM": "ssm",
    "EC2WindowsMessageDeliveryService": "ec2messages",
    "DynamoDB_20120810": "dynamodb",
    "DynamoDBStreams_20120810": "dynamodbstreams",
    "GraniteServiceVersion20100801": "cloudwatch",
}
# SigV4 scopes that are not botocore's service name.
SIGNING_NAMES = {
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
    "elasticloadbalancing": "elbv2",
    "email": "sesv2",
}
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a request asks for."""

    service: str
    operation: str
    protocol: str
    region: str
    model: OperationModel
    moto: MotoRequest | None = None  # made for routing already, used again for parsing and for moto
    uri_params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The credential scope of a SigV4 request."""

    access_key: str
    date: str
    region: str
    service: str


def scope_of(request: Request) -> Scope | None:
    """The credential scope in the Authorization header or in a presigned query; None for an unsigned request."""
    found = _CREDENTIAL.search(request.headers.get("Authorization"))
    if found is None and "X-Amz-Credential=" in request.query:
        value = parse_qs(request.query).get("X-Amz-Credential", [""])[0]
        found = _CREDENTIAL.search(f"Credential={value}")
    if found is None:
        return None
    access_key, date, region, service = found.groups()
    return Scope(access_key=access_key, date=date, region=region, service=service)


def identify(request: Request, *, account: str, region: str) -> Target:
    """The service and operation of a request; ServiceError 501 that names it if no such operation exists.

    `region` is what an unsigned request means; a signed one carries its own.
    """
    scope = scope_of(request)
    region = scope.region if scope else _region_of_host(request) or region
    header = request.headers.get("X-Amz-Target")
    if header:
        return _by_target(header, scope, region)
    model = _model_for(request, scope)
    if model is None:
        raise ServiceError(
            NOT_IMPLEMENTED, f"the local cloud does not know what {request.method} {request.path} asks for", status=501
        )
    return _by_route(request, model, account=account, region=region)


@cache
def model_of(service: str) -> ServiceModel | None:
    """botocore's model of a service, or None if there is no such service."""
    try:
        return get_service_model(service)
    except UnknownServiceError:
        return None


def operation_model(service: str, operation: str) -> OperationModel | None:
    """The model of an operation, botocore's or that of the agent's own calls; None if there is no such operation."""
    model = model_of(service)
    if model is not None and operation in model.operation_names:
        found: OperationModel = model.operation_model(operation)
        return found
    return shapes.operation_model(service, operation)


def protocol_of(request: Request) -> str:
    """The protocol in which a request that cannot be identified expects its refusal."""
    if request.headers.get("X-Amz-Target"):
        return "json"
    model = _model_for(request, scope_of(request))
    return "query" if model is None else str(model.protocol)


def _model_for(request: Request, scope: Scope | None) -> ServiceModel | None:
    agents = shapes.service_of_path(request.method, request.path)
    if agents is not None:
        return shapes.service_model(agents[0])
    service = _service_name(scope, request)
    return model_of(service) if service else None


def _by_target(header: str, scope: Scope | None, region: str) -> Target:
    prefix, _, operation = header.rpartition(".")
    service = TARGETS.get(prefix) or _service_name(scope, None)
    model = model_of(service) if service else None
    belongs = prefix in TARGETS or (model is not None and model.metadata.get("targetPrefix") == prefix)
    known = operation_model(service, operation) if belongs else None
    if known is None:
        named = f"{service}:{operation}" if belongs else header
        raise ServiceError(NOT_IMPLEMENTED, f"the local cloud does not implement {named}", status=501)
    return Target(service=service, operation=operation, protocol="json", region=region, model=known)


def _by_route(request: Request, model: ServiceModel, *, account: str, region: str) -> Target:
    service = model.service_name
    routed = moto_request(request, service=service, account=account, region=region)
    try:
        operation, uri_params = _router(service).match(routed)
    except (NotFound, NotImplementedError) as error:
        asked = routed.values.get("Action") or f"{request.method} {request.path}"
        raise ServiceError(
            NOT_IMPLEMENTED, f"the local cloud does not implement {service}:{asked}", status=501
        ) from error
    protocol = str(model.protocol)
    if routed.values.get("Action") and protocol not in {"ec2", "query"}:
        protocol = "query"
    return Target(
        service=service,
        operation=str(operation.name),
        protocol=protocol,
        region=region,
        model=operation,
        moto=routed,
        uri_params=uri_params,
    )


@cache
def _router(service: str) -> ServiceOperationRouter:
    model = model_of(service)
    return ServiceOperationRouter(shapes.service_model(service)) if model is None else get_service_router(service)


def _service_name(scope: Scope | None, request: Request | None) -> str:
    if scope is not None:
        return SIGNING_NAMES.get(scope.service, scope.service)
    host = request.headers.get("Host") if request else ""
    found = re.match(r"(?:[^.]+\.)*?([a-z0-9-]+)(?:\.[a-z]{2}-[a-z]+-\d)?\.amazonaws\.com", host)
    return SIGNING_NAMES.get(found[1], found[1]) if found else ""


def _region_of_host(request: Request) -> str:
    found = re.search(r"\.([a-z]{2}-[a-z]+-\d)\.amazonaws\.com", request.headers.get("Host"))
    return found[1] if found else ""
