"""The AWS endpoint: takes any AWS request as a value and answers it as the service would. All calls of a cloud pass here.

Order of stages: identify (an unknown operation is refused by name) → faults before → who (signature) → parse and validate →
quotas → authorise (IAM) → carry out (an overlay, else moto) → faults after → remember. Source of the refusals' wording: the
services' own API references, "Common Errors".
"""

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localcloud.aws import catalogue, motobridge, parameters, rendering, sigv4
from localcloud.aws.agent import caller
from localcloud.aws.call import Call, CallRecord, Operation
from localcloud.aws.catalogue import Target
from localcloud.aws.overlays import authentication_of, overlays
from localcloud.clock import monotonic
from localcloud.errors import ConnectionLost, ServiceError, Unsupported
from localcloud.principals import Kind, Principal
from localcloud.wire import Request, Response

if TYPE_CHECKING:
    from localcloud.world import World

NOBODY = Principal(kind=Kind.NODE, arn="anonymous")


class AwsEndpoint:
    """All AWS services of one world behind one function. Threads may share it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._overlays: Mapping[tuple[str, str], Operation] = overlays(world)

    def dispatch(self, request: Request) -> Response:
        """Answer one request; refusals are answers too. Raises ConnectionLost if the answer is to get lost."""
        progress = _Progress(request)
        try:
            response = self._answer(progress)
        except ConnectionLost:
            self._remember(progress, status=0, error="ConnectionLost")
            raise
        except ServiceError as error:
            response = self._refuse(progress, error)
        return response

    def _answer(self, progress: "_Progress") -> Response:
        world, request = self._world, progress.request
        target = catalogue.identify(request, account=world.account, region=world.region)
        progress.target = target
        operation = self._overlays.get((target.service, target.operation))
        if operation is None and target.model is None:
            raise motobridge.not_implemented(target.service, target.operation)
        world.faults.before(target.service, target.operation)
        progress.principal = self._principal(request, target, operation)
        call = self._call(progress, target, validated=operation is not None)
        world.faults.take_quota(target.service, target.operation)
        response = self._carry_out(operation, call, target)
        world.faults.after(target.service, target.operation)
        self._remember(progress, status=response.status)
        return response

    def _principal(self, request: Request, target: Target, operation: Operation | None) -> Principal:
        kind = authentication_of(operation)
        if kind == "none":
            return NOBODY
        world = self._world
        if kind == "node-key":
            return caller.authenticate(world, request)
        return sigv4.authenticate(
            request,
            service=target.service,
            protocol=target.protocol,
            credentials=world.credentials,
            clock=world.clock,
        )

    def _call(self, progress: "_Progress", target: Target, *, validated: bool) -> Call:
        world = self._world
        params = parameters.parse(progress.request, target, account=world.account)
        if validated:
            parameters.validate(params, target)
        return Call(
            id=progress.id,
            service=target.service,
            operation=target.operation,
            params=params,
            principal=progress.principal,
            account=world.account,
            region=target.region,
            now=world.clock.now(),
            request=progress.request,
        )

    def _carry_out(self, operation: Operation | None, call: Call, target: Target) -> Response:
        try:
            if operation is None:
                return self._by_moto(call, target)
            result = operation(call)
        except Unsupported as error:
            raise ServiceError(motobridge.NOT_IMPLEMENTED, str(error), status=501) from error
        except Exception as error:
            known = motobridge.as_service_error(error)
            if known is None:
                raise
            raise known from error
        return result if isinstance(result, Response) else rendering.render(result, target, call.id)

    def _by_moto(self, call: Call, target: Target) -> Response:
        request = target.moto or motobridge.moto_request(
            call.request, service=call.service, account=call.account, region=call.region
        )
        with self._world.moto_lock:
            return motobridge.call(request, service=call.service, operation=call.operation)

    def _refuse(self, progress: "_Progress", error: ServiceError) -> Response:
        self._remember(progress, status=error.status, error=error.code)
        return rendering.render_error(
            error, service=progress.service, protocol=progress.protocol, request_id=progress.id
        )

    def _remember(self, progress: "_Progress", *, status: int, error: str = "", actions: Any = ()) -> None:
        self._world.calls.append(
            CallRecord(
                service=progress.service,
                operation=progress.target.operation if progress.target else "",
                principal=progress.principal,
                status=status,
                error=error,
                actions=tuple(actions),
                seconds=monotonic() - progress.started,
                at=self._world.clock.now(),
            )
        )


class _Progress:
    """How far one request has come."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.id = str(uuid.uuid4())
        self.started = monotonic()
        self.target: Target | None = None
        self.principal = NOBODY

    @property
    def service(self) -> str:
        return self.target.service if self.target else ""

    @property
    def protocol(self) -> str:
        if self.target:
            return self.target.protocol
        return "json" if self.request.headers.get("X-Amz-Target") else "query"
