"""Functions as everybody in the local cloud uses them: `world.part(Functions)` invokes, kills and shows logs."""

import json
import time
from datetime import timedelta
from uuid import uuid4

from localcloud.aws.functions import metrics
from localcloud.aws.functions.catalogue import Catalogue
from localcloud.aws.functions.delivery import Kept
from localcloud.aws.functions.events import Event, Events
from localcloud.aws.functions.fleet import Fleet
from localcloud.aws.functions.model import (
    EVENT_PAYLOAD,
    SYNCHRONOUS_PAYLOAD,
    DeadEvent,
    Deployed,
    Invocation,
    Kind,
    Limits,
    Work,
)
from localcloud.errors import ServiceError
from localcloud.world import World


class Functions:
    """The functions of one local cloud, in all its Regions. Threads may share it.

    A method that takes the name of a function looks in `region`; without one a full ARN says where, else the home
    Region is meant.
    """

    def __init__(self, world: World) -> None:
        self.limits = Limits()  # assign another one to adjust them; it counts at once, but for `starts_at_once`
        self._world = world
        self._catalogue = Catalogue(world)
        self._kept = Kept()
        self._fleet = Fleet(world, catalogue=self._catalogue, kept=self._kept, limits=lambda: self.limits)
        self._events = Events(world, catalogue=self._catalogue, attempt=self._attempt)
        if world.stopping.is_set():  # a late call must not start processes that nobody would end
            self.close()

    def invoke(
        self,
        name_or_arn: str,
        payload: bytes = b"",
        *,
        kind: Kind = "RequestResponse",
        qualifier: str | None = None,
        client_context: str = "",
        region: str | None = None,
    ) -> Invocation:
        """Invoke a function as the Invoke API does; `client_context` is JSON.

        A failing function is an answer with `function_error`. Raises ServiceError: ResourceNotFoundException,
        TooManyRequestsException (429), RequestEntityTooLargeException, InvalidRequestContentException.
        """
        function = self._catalogue.find(name_or_arn, qualifier, region=region)
        _check(payload, kind)
        request_id = str(uuid4())
        if kind == "DryRun":
            return Invocation(status=204, executed_version=function.version, request_id=request_id)
        if kind == "Event":
            self._events.put(
                Event(
                    function_name=function.name,
                    region=function.region,
                    qualifier=_qualifier(function),
                    payload=payload,
                    request_id=request_id,
                    queued_at=self._world.clock.now(),
                )
            )
            return Invocation(status=202, executed_version=function.version, request_id=request_id)
        work = Work(request_id=request_id, payload=payload or b"{}", arn=function.arn, client_context=client_context)
        return self._run(function, work)

    def may_invoke(self, function: str, service_principal: str, source_arn: str, *, region: str | None = None) -> bool:
        """Does the function's resource policy let a service (`events.amazonaws.com`) invoke it for `source_arn`?"""
        return self._catalogue.may_invoke(function, service_principal, source_arn, region=region)

    def kill(self, session: str) -> None:
        """Kill the environment of a session at once; its caller sees Runtime.ExitError. Unknown ones are ignored."""
        environment = self._fleet.session(session)
        if environment is not None:
            environment.kill()

    def current_invocation(self, session: str) -> str:
        """The request id of what an environment works on; empty between invocations."""
        environment = self._fleet.session(session)
        return environment.request_id if environment else ""

    def sessions(self, function_name: str, *, region: str | None = None) -> list[str]:
        """The sessions of a function's environments, idle or busy, in the order of their starts."""
        return self._fleet.sessions((region or self._world.region, function_name))

    def retire(self, function_name: str | None = None, *, region: str | None = None) -> None:
        """End idle environments (of one function, or all), so that the next invocations start cold."""
        self._fleet.retire((region or self._world.region, function_name) if function_name else None)

    def logs(self, function_name: str, *, region: str | None = None) -> list[str]:
        """The newest log lines of a function, whether or not its role may write them to CloudWatch Logs."""
        return self._kept.of((region or self._world.region, function_name))

    @property
    def dead(self) -> list[DeadEvent]:
        """Asynchronous events that were given up."""
        return self._events.dead

    def wait_for_events(self, timeout: timedelta) -> bool:
        """Wait (real time) until every queued event is done or dead; False if some are still on their way."""
        return self._events.wait_until_empty(timeout)

    def close(self) -> None:
        """Kill every environment and forget the queue; nothing is left behind."""
        self._events.stop()
        self._fleet.close()
        self._events.join()

    def _attempt(self, event: Event) -> Invocation:
        function = self._catalogue.find(event.function_name, event.qualifier, region=event.region)
        work = Work(request_id=event.request_id, payload=event.payload or b"{}", arn=function.arn)
        return self._run(function, work)

    def _run(self, function: Deployed, work: Work) -> Invocation:
        began = time.monotonic()
        try:
            outcome = self._fleet.run(function, work)
        except ServiceError as error:
            if error.code == "TooManyRequestsException":
                self._count(function, {"Throttles": 1})
            raise
        seconds = time.monotonic() - began
        self._count(function, {"Invocations": 1, "Errors": int(outcome.error), "Duration": seconds * 1000})
        return Invocation(
            status=200,
            payload=outcome.payload,
            function_error="Unhandled" if outcome.error else "",
            log_tail=outcome.log_tail,
            executed_version=function.version,
            request_id=work.request_id,
        )

    def _count(self, function: Deployed, values: dict[str, float]) -> None:
        found = metrics.of_lambda(function.name, values, at=self._world.clock.now())
        metrics.put(self._world, found, region=function.region)


def _check(payload: bytes, kind: Kind) -> None:
    limit = EVENT_PAYLOAD if kind == "Event" else SYNCHRONOUS_PAYLOAD
    if len(payload) > limit:
        raise ServiceError(
            "RequestEntityTooLargeException",
            f"Request must be smaller than {limit} bytes for the InvokeFunction operation",
            status=413,
            fields={"Type": "User"},
        )
    try:
        json.loads(payload or b"{}")
    except ValueError as error:
        raise ServiceError(
            "InvalidRequestContentException",
            f"Could not parse request body into json: {error}",
            fields={"Type": "User"},
        ) from error


def _qualifier(function: Deployed) -> str | None:
    parts = function.arn.split(":")
    return parts[7] if len(parts) > 7 else None
