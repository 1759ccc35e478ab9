"""The deployed functions in the hands of the crash paths: arranged in this process, then run, and killed, as processes.

Time does not pass for a process, so what the paths let pass is taken from everything that the ledger and the service
hold: an hour later is an hour older.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.stand.deployment import Stand
from tests.enrolment.ageing import older
from tests.enrolment.rig import NODE_ROLE, Rig, client_of, configuration, event, shared_key

from localcloud.aws.ssm.activations import Activations
from localcloud.aws.ssm.nodes import ManagedNodes
from moorings.enrolment.assembly import Enrolment
from moorings.settings import enrolment_settings

EVENTS_LIMIT = timedelta(seconds=60)
_accounts = itertools.count(1)


class AgingClock:
    """Real time; a step makes all that exists older."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand

    def now(self) -> datetime:
        return datetime.now(UTC)

    def step(self, duration: timedelta) -> None:
        world, dynamodb = self._stand.cloud.world, self._stand.aws.client("dynamodb")
        for item in self._stand.items():
            dynamodb.put_item(TableName=self._stand.table, Item=older(item, int(duration.total_seconds())))
        world.part(Activations).age(duration)
        nodes = world.part(ManagedNodes)
        for node in nodes.all():
            nodes._put(replace(node, registered_at=node.registered_at - duration))
        with world.moto_lock:
            for versions in world.backend("ssm")._parameters.values():
                for version in versions:
                    version.last_modified_date -= duration


class Died(Exception):
    """The function's process was killed."""


class MortalRig(Rig):
    """A rig on a deployed stack. Inside `deployed()` its requests go to the functions instead of this process."""

    def __init__(self, stand: Stand) -> None:
        super().__init__(cloud=stand.cloud, clock=AgingClock(stand), settings=_settings(stand))  # type: ignore[arg-type]
        self.stand = stand
        self._deployed = False

    @contextmanager
    def deployed(self) -> Iterator[None]:
        """From here on the deployed functions answer; Died is raised where one of them was killed."""
        self._deployed = True
        try:
            yield
        finally:
            self._deployed = False

    def ask(self, environment: Enrolment, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        if not self._deployed:
            return super().ask(environment, request)
        answer = self._invoke(self.stand.api_function, request or event())
        return {"status": answer["statusCode"], "headers": answer["headers"], **json.loads(answer["body"])}

    def script(self, environment: Enrolment) -> int:
        if not self._deployed:
            return super().script(environment)
        return int(self._invoke(self.stand.api_function, event("GET", "/bootstrap/linux"))["statusCode"])

    def keep(self, environment: Enrolment | None = None) -> None:
        if not self._deployed:
            super().keep(environment)
            return
        self._invoke(self.stand.keeper_function, {})

    def prepare(self, pool: str = "default") -> None:
        if not self._deployed:
            super().prepare(pool)
            return
        self._invoke(self.stand.keeper_function, {"pool": pool})

    def settle(self) -> None:
        """Return once a keeper that was woken is done."""
        assert self.cloud.functions.wait_for_events(EVENTS_LIMIT)

    def cold(self) -> None:
        """End all environments: the next request starts one."""
        self.settle()
        self.cloud.functions.retire()

    def _invoke(self, function: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        done = self.cloud.functions.invoke(function, json.dumps(payload).encode())
        found: dict[str, Any] = json.loads(done.payload)
        if done.function_error and found.get("errorType") == "Runtime.ExitError":
            raise Died(function)
        assert not done.function_error, found
        return found


def new_account() -> str:
    """An account number that is known before there is a cloud, and never used again: rigs remember clients by it."""
    return f"{next(_accounts):012d}"


def parameters(account: str) -> dict[str, str]:
    """What the stack of an account must be deployed with, so that its functions may do all that the paths ask."""
    return {"NodeRoleArns": f"arn:aws:iam::{account}:role/{NODE_ROLE}", "AllowDeregistration": "yes"}


def settle_in(stand: Stand) -> None:
    """Make the deployed functions work under the paths' own default configuration."""
    shared_key(stand.cloud)
    functions = stand.aws.client("lambda")
    for name in (stand.api_function, stand.keeper_function):
        variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        variables["MOORINGS_DEFAULT_CONFIGURATION"] = json.dumps(configuration())
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def sweep(stand: Stand) -> None:
    """Leave nothing behind: no item, activation, code, node, environment or fault."""
    stand.cloud.faults.clear()
    assert stand.cloud.functions.wait_for_events(EVENTS_LIMIT)
    stand.cloud.functions.retire()
    dynamodb, world = stand.aws.client("dynamodb"), stand.cloud.world
    for item in stand.items():
        dynamodb.delete_item(TableName=stand.table, Key={"pk": item["pk"]})
    for activation in world.part(Activations).live():
        world.part(Activations).delete(activation.id, region=activation.region)
    for node in world.part(ManagedNodes).all():
        world.part(ManagedNodes).deregister(node.id, region=node.region)
    with world.moto_lock:
        codes = [name for name in world.backend("ssm")._parameters if name.startswith("/moorings/")]
    for name in codes:
        with suppress(client_of(stand.cloud, "ssm").exceptions.ParameterNotFound):
            client_of(stand.cloud, "ssm").delete_parameter(Name=name)


def _settings(stand: Stand) -> Any:
    found = stand.aws.client("lambda").get_function_configuration(FunctionName=stand.api_function)
    return enrolment_settings({**found["Environment"]["Variables"], "AWS_REGION": stand.aws.region})
