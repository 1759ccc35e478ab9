"""One request through API Gateway: find the API and the method, judge, throttle, invoke, answer, write it down."""

import concurrent.futures
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Protocol

from localcloud.aws.apigateway import proxy, routing
from localcloud.aws.apigateway.apis import Apis
from localcloud.aws.apigateway.journal import Entry, Journal, variables
from localcloud.aws.apigateway.model import Deployment, MethodSetting, RestApi, Stage
from localcloud.aws.apigateway.network import Endpoint
from localcloud.aws.apigateway.proxy import Arrival
from localcloud.aws.apigateway.responses import Refusal, Refused, render
from localcloud.aws.apigateway.routing import Found
from localcloud.aws.apigateway.throttle import Buckets
from localcloud.aws.functions.model import Invocation
from localcloud.aws.functions.service import Functions
from localcloud.aws.iam.policy import Context, Decision, evaluate_endpoint_policy, evaluate_resource_policy
from localcloud.clock import monotonic
from localcloud.errors import ServiceError
from localcloud.wire import Headers, Request, Response
from localcloud.world import World

MAX_BODY = 10 * 1024 * 1024  # bytes
MAX_HEADERS = 8_000  # bytes of request line and headers, for private APIs
# A function that runs past the gateway's timeout goes on in its thread, so there are more threads than environments.
INVOKERS = 1024

FORBIDDEN = Refusal(type="DEFAULT_4XX", message="Forbidden", status=403)
NO_ROUTE = Refusal(type="MISSING_AUTHENTICATION_TOKEN", message="Missing Authentication Token")
# Where no method takes the request, the gateway looks for a signature of its own kind in the header.
NO_SIGNATURE = Refusal(type="INVALID_SIGNATURE", message="Authorization header requires 'Credential' parameter.")
TOO_LARGE = Refusal(type="REQUEST_TOO_LARGE", message="Request Too Long")
THROTTLED = Refusal(type="THROTTLED", message="Too Many Requests")
TIMED_OUT = Refusal(
    type="INTEGRATION_TIMEOUT",
    message="Endpoint request timed out",
    detail="Execution failed due to a timeout error",
)


@dataclass(slots=True, kw_only=True)
class _Progress:
    """How far one request has come; what the logs and the gateway responses need of it."""

    arrival: Arrival
    api: RestApi | None = None
    stage: Stage | None = None
    deployment: Deployment | None = None
    found: Found | None = None
    setting: MethodSetting = field(default_factory=MethodSetting)
    integration_seconds: float | None = None
    integration_request: str = ""


class Invoker(Protocol):
    """What the gateway needs of Lambda."""

    def invoke(self, name_or_arn: str, payload: bytes) -> Invocation:
        """Run a function and wait for it; raises ServiceError if Lambda refuses."""

    def may_invoke(self, function: str, service_principal: str, source_arn: str) -> bool:
        """Whether the function's resource policy lets the service invoke it."""


class Gateway:
    """Serves the deployed REST APIs of a world. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._apis = world.part(Apis)
        self.functions: Invoker = world.part(Functions)  # assign another one to stand in for Lambda
        self._buckets = Buckets()
        self._journal = Journal(world)
        self._pool = concurrent.futures.ThreadPoolExecutor(max_workers=INVOKERS, thread_name_prefix="apigateway")

    def close(self) -> None:
        """Let go of the threads; what still runs ends with its function."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def answer(self, request: Request, *, via: Endpoint | None, source_ip: str) -> Response:
        """Answer one request that came through a VPC endpoint, or (None) from anywhere else."""
        began = monotonic()
        arrival = Arrival(
            request=request,
            id=str(uuid.uuid4()),
            extended_id=secrets.token_urlsafe(11) + "=",
            source_ip=source_ip,
            vpce_id=via.id if via else "",
            vpc_id=via.vpc_id if via else "",
            at=self._world.clock.now(),
            account=self._world.account,
        )
        progress = _Progress(arrival=arrival)
        refusal: Refusal | None = None
        try:
            response = self._served(progress, via)
        except Refused as raised:
            refusal = raised.refusal
            response = _refused(progress, refusal)
        if progress.api is not None and progress.stage is not None:
            self._journal.record(
                Entry(
                    arrival=arrival,
                    api=progress.api,
                    stage=progress.stage,
                    found=progress.found,
                    setting=progress.setting,
                    response=response,
                    refusal=refusal,
                    seconds=monotonic() - began,
                    integration_seconds=progress.integration_seconds,
                    integration_request=progress.integration_request,
                )
            )
        return response

    def _served(self, progress: _Progress, via: Endpoint | None) -> Response:
        request = progress.arrival.request
        api = self._api(request, via)
        name, path = routing.stage_and_path(request.path)
        stage = api.stages.get(name)
        if stage is None:
            raise Refused(FORBIDDEN)
        progress.api, progress.stage = api, stage
        deployment = progress.deployment = api.deployments[stage.deployment_id]
        found = routing.find(deployment, request.method, path)
        if found is None:
            raise Refused(NO_SIGNATURE if request.headers.get("Authorization") else NO_ROUTE)
        progress.found, progress.setting = found, routing.setting_of(stage, found)
        self._authorise(progress, api, stage, via, path)
        key = (api.id, stage.name, found.route.path, found.method.http_method)
        if not self._buckets.take(key, progress.setting, now=progress.arrival.at):
            raise Refused(THROTTLED)
        _check_size(request)
        event = proxy.event(
            progress.arrival, api=api, stage=stage, found=found, path=path, binary=deployment.binary_types
        )
        payload = self._invoke(progress, api, event)
        return proxy.answer(payload, progress.arrival, binary=deployment.binary_types)

    def _api(self, request: Request, via: Endpoint | None) -> RestApi:
        named = routing.named(request)
        if named is None:
            raise Refused(FORBIDDEN)
        api = self._apis.served(named.region, named.api_id)
        if api is None or api.endpoint_disabled or api.is_private != (via is not None):
            raise Refused(FORBIDDEN)
        if via is not None and named.region != via.region:
            raise Refused(FORBIDDEN)
        if named.vpce_id and via is not None and named.vpce_id != via.id:
            raise Refused(FORBIDDEN)
        # The name with both ids exists only for endpoints that the API is associated with.
        by_alias = named.vpce_id and request.headers.get("Host").startswith(f"{api.id}-")
        if by_alias and named.vpce_id not in api.vpc_endpoint_ids:
            raise Refused(FORBIDDEN)
        return api

    def _authorise(self, progress: _Progress, api: RestApi, stage: Stage, via: Endpoint | None, path: str) -> None:
        arrival = progress.arrival
        tail = f"{api.id}/{stage.name}/{arrival.request.method}{path}"
        keys = {"aws:SecureTransport": "true"}
        if agent := arrival.request.headers.get("User-Agent"):
            keys["aws:UserAgent"] = agent
        if via is None:
            keys["aws:SourceIp"] = arrival.source_ip
        else:
            # Behind an endpoint aws:SourceIp is absent: conditions on it must not match.
            keys |= {"aws:SourceVpce": via.id, "aws:SourceVpc": via.vpc_id, "aws:VpcSourceIp": arrival.source_ip}
        context = Context(
            action="execute-api:Invoke",
            resource=f"arn:aws:execute-api:{api.region}:{arrival.account}:{tail}",
            keys=keys,
        )
        if via is not None:
            _require(evaluate_endpoint_policy(via.policy, context), api, arrival, tail)
        policy = progress.deployment.policy if progress.deployment else None
        if via is not None or policy:
            _require(evaluate_resource_policy(policy, context), api, arrival, tail)

    def _invoke(self, progress: _Progress, api: RestApi, event: bytes) -> bytes:
        found = progress.found
        assert found is not None
        assert found.method.integration is not None
        integration = found.method.integration
        source = (
            f"arn:aws:execute-api:{api.region}:{progress.arrival.account}:{api.id}/"
            f"{progress.stage.name if progress.stage else ''}/{found.method.http_method}{found.route.path}"
        )
        began = monotonic()
        try:
            if not self.functions.may_invoke(integration.function, "apigateway.amazonaws.com", source):
                raise Refused(_misconfigured("Invalid permissions on Lambda function"))
            work = self._pool.submit(self.functions.invoke, integration.function, event)
            result = work.result(timeout=integration.timeout / 1000)
        except concurrent.futures.TimeoutError:
            progress.integration_seconds = monotonic() - began
            raise Refused(TIMED_OUT) from None
        except ServiceError as error:
            raise Refused(_lambda_refusal(error)) from error
        progress.integration_seconds = monotonic() - began
        progress.integration_request = result.request_id
        if result.function_error:
            raise Refused(
                Refusal(
                    type="DEFAULT_5XX",
                    message="Internal server error",
                    status=502,
                    detail="Lambda execution failed with status 200 due to customer function error: "
                    + result.payload.decode("utf-8", "replace")[:1000],
                )
            )
        return bytes(result.payload)


def _misconfigured(detail: str) -> Refusal:
    return Refusal(
        type="API_CONFIGURATION_ERROR",
        message="Internal server error",
        detail=f"Execution failed due to configuration error: {detail}",
    )


def _lambda_refusal(error: ServiceError) -> Refusal:
    """What the caller gets if Lambda refuses the invocation: a throttled function is a 500, never a 429.

    Source: AWS re:Post, "API Gateway proxy integration does not forward Lambda throttling (HTTP 429) to client", and
    knowledge centre, "How do I troubleshoot issues for API Gateway endpoints that integrate with Lambda".
    """
    if error.status == 413:
        return TOO_LARGE
    if error.code == "TooManyRequestsException":
        return _misconfigured(f"Lambda invocation failed with status: 429. {error.message}")
    if error.code == "ResourceNotFoundException":
        return _misconfigured("Invalid permissions on Lambda function")
    return _misconfigured(f"Lambda invocation failed with status: {error.status}. {error.message}")


def _require(decision: Decision, api: RestApi, arrival: Arrival, tail: str) -> None:
    if decision.allowed:
        return
    # The account number is masked in what an anonymous caller is told.
    resource = f"arn:aws:execute-api:{api.region}:{'*' * 8}{arrival.account[-4:]}:{tail}"
    suffix = " with an explicit deny" if decision.explicit_deny else ""
    raise Refused(
        Refusal(
            type="ACCESS_DENIED",
            message=f"User: anonymous is not authorized to perform: execute-api:Invoke on resource: {resource}{suffix}",
            label="Message",
            detail="",
        )
    )


def _check_size(request: Request) -> None:
    line = len(request.method) + len(request.path) + len(request.query) + len(" HTTP/1.1")
    if line + sum(len(name) + len(value) for name, value in request.headers.items) > MAX_HEADERS:
        raise Refused(TOO_LARGE)
    if len(request.body) > MAX_BODY:
        raise Refused(TOO_LARGE)


def _refused(progress: _Progress, refusal: Refusal) -> Response:
    arrival = progress.arrival
    if progress.api is None or progress.deployment is None:
        # No API stands behind the request, so nobody's own responses apply.
        headers = Headers.of(
            {
                "Content-Type": "application/json",
                "x-amzn-RequestId": arrival.id,
                "x-amzn-ErrorType": "ForbiddenException",
            }
        )
        return Response(status=403, headers=headers, body=b'{"message":"Forbidden"}')
    name = progress.stage.name if progress.stage else ""
    known = variables(arrival, progress.api, name, progress.found)
    return render(refusal, progress.deployment.responses, request_id=arrival.id, variable=known)
