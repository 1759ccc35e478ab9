"""The AWS endpoint: takes any AWS request as a value and answers it as the service would; every call passes here.

Order of stages: identify (an unknown operation is refused by name) → faults before → who (signature) → parse and
validate → quotas → authorise (IAM) → carry out (an overlay, else moto) → faults after → remember.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from localcloud.aws import catalogue, motobridge, parameters, refusals, rendering, sigv4
from localcloud.aws.agent import caller
from localcloud.aws.authentication import authentication_of
from localcloud.aws.call import Call, CallRecord, Operation, Use
from localcloud.aws.catalogue import Target
from localcloud.aws.functions.service import Functions
from localcloud.aws.iam import enforce
from localcloud.aws.overlays import overlays
from localcloud.clock import monotonic
from localcloud.errors import ConnectionLost, ServiceError, Unsupported
from localcloud.faults import Kill
from localcloud.principals import Kind, Principal
from localcloud.wire import Held, Request, Response, settled
from localcloud.world import World

# Who calls an operation that asks for no proof.
ANONYMOUS = Principal(kind=Kind.NODE, arn="anonymous")
_log = logging.getLogger(__name__)


class AwsEndpoint:
    """All AWS services of one world behind one function. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._overlays: Mapping[tuple[str, str], Operation] = overlays(world)

    def dispatch(self, request: Request) -> Response:
        """Answer one request; refusals are answers too. ConnectionLost: the caller is to see a broken connection.

        Blocks while an operation holds its answer back.
        """
        return settled(self.begin(request))

    def begin(self, request: Request) -> Response | Held:
        """The same without blocking: an answer that is held back comes as `Held`; its `finish` raises as this does."""
        progress = _Progress(request)
        return self._guarded(progress, lambda: self._answer(progress))

    def _guarded(self, progress: "_Progress", answer: Callable[[], Response | Held]) -> Response | Held:
        try:
            response = answer()
        except ConnectionLost:
            self._remember(progress, status=0, error="ConnectionLost")
            raise
        except ServiceError as error:
            return self._refuse(progress, error)
        except (
            Exception
        ) as error:  # the outermost door: a bug of ours or of moto's is an internal failure of the service
            if not self._world.stopping.is_set():  # while a cloud goes down, calls fail in many ways
                _log.exception("%s:%s failed", progress.service, progress.operation)
            text = f"the local cloud failed in {progress.service}:{progress.operation}: {error!r}"
            return self._refuse(progress, ServiceError("InternalFailure", text, status=500))
        if isinstance(response, Held):
            finish = response.finish
            return replace(response, finish=lambda: self._guarded(progress, finish))
        self._remember(progress, status=response.status, error=rendering.error_code(response))
        return response

    def _answer(self, progress: "_Progress") -> Response | Held:
        world = self._world
        target = catalogue.identify(progress.request, account=world.account, region=world.region)
        progress.target = target
        operation = self._overlays.get((target.service, target.operation))
        if operation is None:
            refusals.require_moto(target.service, target.operation)
        world.faults.before(target.service, target.operation)
        progress.principal = self._principal(progress.request, target, operation)
        kill = self._due_kill(progress.principal)
        if kill and not kill.after:
            self._kill(progress.principal)
        try:
            call = self._call(progress, target)
            world.faults.take_quota(target.service, target.operation)
            progress.uses = self._authorise(call, operation)
            response = self._carry_out(lambda: self._result(operation, call, target), call, target)
        finally:
            if kill:
                self._kill(progress.principal)  # also after a call that was refused
        return self._delivered(response, call, target)

    def _delivered(self, response: Response | Held, call: Call, target: Target) -> Response | Held:
        if isinstance(response, Held):
            finish = response.finish

            def finished() -> Response | Held:
                return self._delivered(self._carry_out(finish, call, target), call, target)

            return replace(response, finish=finished)
        self._world.faults.after(target.service, target.operation)
        return response

    def _principal(self, request: Request, target: Target, operation: Operation | None) -> Principal:
        world = self._world
        kind = authentication_of(operation)
        if kind == "none":
            return ANONYMOUS
        if kind == "node-key":
            return caller.authenticate(world, request)
        return sigv4.authenticate(
            request,
            service=target.service,
            protocol=target.protocol,
            credentials=world.credentials,
            clock=world.clock,
        )

    def _call(self, progress: "_Progress", target: Target) -> Call:
        world = self._world
        params = parameters.parse(progress.request, target, account=world.account)
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

    def _authorise(self, call: Call, operation: Operation | None) -> tuple[Use, ...]:
        if authentication_of(operation) != "sigv4":
            return ()  # the operation's own proof is all that it asks for
        return enforce.authorise(call, self._world)

    def _result(self, operation: Operation | None, call: Call, target: Target) -> Mapping[str, Any] | Response | Held:
        if operation is None:
            return motobridge.pass_on(self._world, call, target.moto)
        return operation(call)

    def _carry_out(
        self, work: Callable[[], Mapping[str, Any] | Response | Held], call: Call, target: Target
    ) -> Response | Held:
        try:
            result = work()
            return result if isinstance(result, Response | Held) else rendering.render(result, target, call.id)
        except motobridge.MOTO_ERRORS as error:
            refused = motobridge.as_service_error(error, target.model)
        except Unsupported as error:
            refused = ServiceError(motobridge.NOT_IMPLEMENTED, str(error), status=501)
        except ServiceError as error:
            refused = error
        # Rendered here, so that the answer of a call that was refused can get lost like any other.
        return rendering.render_error(refused, service=call.service, protocol=target.protocol, request_id=call.id)

    def _due_kill(self, principal: Principal) -> Kill | None:
        # Lambda names the session of a function's role after the function.
        name = principal.arn.rsplit("/", 1)[-1] if principal.kind is Kind.ROLE else ""
        return self._world.faults.death(name) if name else None

    def _kill(self, principal: Principal) -> None:
        self._world.part(Functions).kill(principal.session)
        raise ConnectionLost(f"{principal.arn} was killed on purpose")

    def _refuse(self, progress: "_Progress", error: ServiceError) -> Response:
        self._remember(progress, status=error.status, error=error.code)
        return rendering.render_error(
            error, service=progress.service, protocol=progress.protocol, request_id=progress.id
        )

    def _remember(self, progress: "_Progress", *, status: int, error: str) -> None:
        self._world.calls.append(
            CallRecord(
                service=progress.service,
                operation=progress.operation,
                principal=progress.principal,
                status=status,
                error=error,
                actions=tuple(dict.fromkeys(use.action for use in progress.uses)),
                uses=progress.uses,
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
        self.principal = ANONYMOUS
        self.uses: tuple[Use, ...] = ()

    @property
    def service(self) -> str:
        return self.target.service if self.target else ""

    @property
    def operation(self) -> str:
        return self.target.operation if self.target else ""

    @property
    def protocol(self) -> str:
        return self.target.protocol if self.target else catalogue.protocol_of(self.request)
