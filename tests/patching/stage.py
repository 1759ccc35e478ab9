"""The real runbook on the real engine over the room's real calls, and fakes behind the ports; the clock is stepped.

`Stage.run` walks an execution to its end. `crash_at` stops the function before or after its n-th call to a cloud.
"""

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from tests.patching.azurefake import GROUP, FakeAzure
from tests.patching.nodefake import NODE, FakeNode

from localcloud.automation import parsing, validation
from localcloud.automation.actions.execute_script import ExecuteScript
from localcloud.automation.actions.protocol import ActionFailed, Again, Finished, StepCall, Turn
from localcloud.automation.document import Runbook
from localcloud.automation.engine import Engine
from localcloud.automation.ports import FoundDocument, Setting, StartRequest
from localcloud.automation.records import AutomationExecution, Status
from localcloud.clock import Clock, SteppedClock
from moorings.errors import MooringsError, Refused
from moorings.patching import codec
from moorings.patching.model import Guard, Run, VmRef
from moorings.patching.outside import Deadline, Outside
from moorings.patching.ports import Overtaken
from moorings.patching.service import Patching
from moorings.patching.upkeep import Upkeep

START = datetime(2026, 11, 21, 22, 50, tzinfo=UTC)
RUNBOOK = Path(__file__).parents[2] / "src/moorings/patching/runbooks/Azure-PatchVMWithRollback.yaml"
LIMIT = 20.0
LONGEST_CALL = timedelta(seconds=20)


class Crash(BaseException):
    """The function is dead."""


@cache
def runbook(rounds: int = 100) -> Runbook:
    """The runbook as the engine sees it; its loops with at most so many rounds."""
    text = re.sub(
        r"MaxIterations: (\d+)", lambda found: f"MaxIterations: {min(int(found[1]), rounds)}", RUNBOOK.read_text()
    )
    return validation.runbook(parsing.load(text, format="YAML"))


@lru_cache(maxsize=256)
def decoded(body: str) -> Run:
    """The record in a stored text; records are values, so the same one may be handed out twice."""
    return codec.decode(Run, body)


class Ticker:
    """The product's clock, on the stepped one."""

    def __init__(self, clock: SteppedClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    def wait(self, duration: timedelta) -> None:
        self._clock.step(duration)


@dataclass
class Table:
    """Guards and records in memory, with the real ones' conditions; what is stored goes through the codec."""

    guards: dict[str, Guard] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)
    before_call: Callable[[str], None] = lambda _call: None
    after_call: Callable[[str], None] = lambda _call: None

    def of(self, vm: VmRef) -> Guard | None:
        self.before_call("guard read")
        return self.guards.get(vm.key)

    def take(self, vm: VmRef, *, owner: str, until: datetime, seen: Guard | None) -> Guard | None:
        self.before_call("guard take")
        there = self.guards.get(vm.key)
        if (there.fence if there else None) != (seen.fence if seen else None):
            return None
        guard = Guard(vm=vm.key, owner=owner, fence=(seen.fence if seen else 0) + 1, until=until)
        self.guards[vm.key] = guard
        self.after_call("guard take")
        return guard

    def hold(self, vm: VmRef, *, owner: str, fence: int, until: datetime) -> bool:
        self.before_call("guard hold")
        there = self.guards.get(vm.key)
        if there is None or there.owner != owner or there.fence != fence:
            return False
        self.guards[vm.key] = replace(there, until=until)
        self.after_call("guard hold")
        return True

    def release(self, vm: VmRef, *, owner: str, fence: int) -> None:
        self.before_call("guard release")
        there = self.guards.get(vm.key)
        if there is not None and there.owner == owner and there.fence == fence:
            self.guards[vm.key] = replace(there, owner="")
        self.after_call("guard release")

    def load(self, execution: str) -> Run | None:
        self.before_call("record read")
        body = self.bodies.get(execution)
        return decoded(body) if body else None

    def save(self, run: Run) -> Run:
        self.before_call("record write")
        body = self.bodies.get(run.execution)
        there = decoded(body) if body else None
        if (there.version if there else 0) != run.version:
            raise Overtaken("somebody else")
        body = codec.encode(replace(run, version=run.version + 1))
        self.bodies[run.execution] = body
        self.after_call("record write")
        return decoded(body)

    def postpone(self, run: Run, until: datetime) -> None:
        self.before_call("record write")
        there = decoded(self.bodies[run.execution])
        if there.version == run.version and there.look_at is not None:
            self.bodies[run.execution] = codec.encode(replace(there, look_at=until))
        self.after_call("record write")

    def due(self, now: datetime, *, limit: int) -> list[str]:
        self.before_call("record query")
        runs = [decoded(body) for body in self.bodies.values()]
        waiting = [run for run in runs if run.look_at is not None and run.look_at <= now]
        return [run.execution for run in sorted(waiting, key=lambda run: run.look_at or now)][:limit]


class Notebook:
    """The journal and the news."""

    def __init__(self) -> None:
        self.records: list[tuple[str, Mapping[str, object]]] = []
        self.metrics: list[str] = []
        self.announced: list[Run] = []

    def record(self, event: str, **facts: object) -> None:
        self.records.append((event, facts))

    def count(self, metric: str, value: float = 1) -> None:
        del value
        self.metrics.append(metric)

    def announce(self, run: Run) -> None:
        self.announced.append(run)


class Verifier:
    """Takes `subscription|guid|nonce` for a signed document."""

    def verify(self, encoded: str, *, nonce: str, now: datetime) -> tuple[str, str]:
        del now
        subscription, guid, told = encoded.split("|")
        if told != nonce:
            raise Refused("it answers another challenge", remedy="ask anew")
        return subscription, guid


class Stage:
    """One VM, one node, one stack, one engine."""

    def __init__(self, *, data: Iterable[int] = (), start: datetime = START) -> None:
        self.clock = SteppedClock(start)
        self.azure = FakeAzure(now=self.clock.now)
        self.vm = self.azure.add_vm(data=data)
        self.node = FakeNode(azure=self.azure, vm=self.vm, now=self.clock.now)
        self.table = Table()
        self.notebook = Notebook()
        self.ended: set[str] = set()
        self.failing_calls: dict[str, int] = {}
        self.seen_calls: list[str] = []
        self.lock = threading.RLock()
        self.rounds = 100
        self.on_step: Callable[[str, str], None] = lambda _execution, _step: None
        self.outside = Outside(
            clouds=self.azure, documents=Verifier(), nodes=self.node, executions=self, guards=self.table,
            records=self.table, news=self.notebook, journal=self.notebook, clock=Ticker(self.clock), scopes=(GROUP,),
            stack="test", environment="AzurePublicCloud",
        )  # fmt: skip
        self.patching = Patching(self.outside)
        self.upkeep = Upkeep(self.outside)
        actions = (FunctionStep(self), CommandStep(self), ApiStep(self), ExecuteScript())
        self.engine = Engine(
            clock=self.clock, actions={one.name: one for one in actions}, documents=self, surrounder=self, workers=2
        )

    # -- the engine's surroundings

    def find(self, name: str, version: str) -> FoundDocument:
        return FoundDocument(name=name, version=version or "1", runbook=runbook(self.rounds))

    def surroundings(self, setting: Setting) -> Any:
        return _Around(execution_id=setting.execution_id, clock=self.clock)

    # -- the Executions port

    def over(self, execution: str) -> bool:
        return execution in self.ended or self.engine.get(execution).status.over

    def listens(self, execution: str) -> bool:
        return not self.over(execution) and self.engine.get(execution).status is not Status.CANCELLING

    def began(self, execution: str, steps: Iterable[str]) -> bool:
        wanted = set(steps)
        return any(step.step.name in wanted and step.started_at is not None for step in self.engine.steps(execution))

    # -- runs

    def start(self, **parameters: Any) -> str:
        given = {"InstanceId": NODE, "HealthCheckCommands": ["true", "curl -fsS localhost"], **parameters}
        return self.engine.start(StartRequest(document_name="Azure-PatchVMWithRollback", parameters=given))

    def run(self, **parameters: Any) -> AutomationExecution:
        """Start a run and walk it to its end."""
        return self.finish(self.start(**parameters))

    def finish(
        self, execution: str, *, steps: int = 20_000, until: Callable[[], bool] = lambda: False
    ) -> AutomationExecution:
        """Step from timer to timer until the execution is over, or `until` says so."""
        self.engine.settle(LIMIT)
        while not self.engine.get(execution).status.over and steps and not until():
            due = self.engine.scheduler.next_due()
            if due is None:
                break
            self.clock.step(max(due - self.clock.now(), timedelta(0)))
            self.engine.settle(LIMIT)
            steps -= 1
        return self.engine.get(execution)

    def keep(self, times: int = 1, every: timedelta = timedelta(minutes=1)) -> None:
        """Run the keeper, once a minute."""
        for _ in range(times):
            self.clock.step(every)
            with self.lock:
                self.azure.settle()
                self.node.settle()
                self.upkeep.run(Deadline(self.outside.clock, timedelta(seconds=50)))

    def record(self, execution: str) -> Run:
        """The run's record."""
        return decoded(self.table.bodies[execution])

    def close(self) -> None:
        self.engine.close()

    def watch_calls(self, before: Callable[[str], None], after: Callable[[str], None]) -> None:
        """See every call of the function to Azure and to the table; either may raise Crash."""
        for part in (self.azure, self.table):
            part.before_call, part.after_call = before, after


@dataclass(frozen=True)
class _Around:
    execution_id: str
    clock: Clock
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    account: str = "123456789012"
    region: str = "eu-west-1"
    partition: str = "aws"
    script_environment: Mapping[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        raise AssertionError(f"no step asks for a client of {service}")


class _Acting:
    name = ""
    default_timeout: timedelta | None = None

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def check(self, inputs: Mapping[str, Any]) -> None:
        pass

    def resume(self, call: StepCall, state: Any) -> Turn:
        raise AssertionError("over at once")

    def cancel(self, call: StepCall, state: Any) -> None:
        pass


class FunctionStep(_Acting):
    """Lambda: the room's calls in process."""

    name = "aws:invokeLambdaFunction"

    def begin(self, call: StepCall) -> Turn:
        stage, event = self.stage, call.inputs["InputPayload"]
        stage.on_step(event["execution"], call.step.name)
        with stage.lock:
            stage.seen_calls.append(event["call"])
            if stage.failing_calls.get(event["call"], 0) > 0:
                stage.failing_calls[event["call"]] -= 1
                raise ActionFailed("the function is throttled")
            try:
                answer = stage.patching.answer(event, Deadline(stage.outside.clock, LONGEST_CALL))
            except (MooringsError, Crash) as error:
                raise ActionFailed(f"FunctionError: {error}") from error
        return Finished(root=answer, outputs={"Payload": answer})


class CommandStep(_Acting):
    """Run Command, blocking as aws:runCommand does."""

    name = "aws:runCommand"

    def begin(self, call: StepCall) -> Turn:
        self.stage.on_step(call.surroundings.execution_id, call.step.name)
        with self.stage.lock:
            command = self.stage.node.send(
                call.inputs["DocumentName"], dict(call.inputs["Parameters"]), call.inputs.get("Comment", "")
            )
        return Again(after=timedelta(seconds=5), state=command)

    def resume(self, call: StepCall, state: Any) -> Turn:
        with self.stage.lock:
            result = self.stage.node.result(state)
        outputs = {"CommandId": state, "Status": result.state.value, "Output": result.output[:2500]}
        if result.state.value == "waiting":
            return Again(after=timedelta(seconds=5), state=state)
        if result.state.value != "success":
            raise ActionFailed(f"command {state} returned {result.detail}", root=outputs, outputs=outputs)
        return Finished(root=outputs, outputs=outputs)


class ApiStep(_Acting):
    """The API calls that the runbook makes."""

    name = "aws:executeAwsApi"

    def begin(self, call: StepCall) -> Turn:
        stage, inputs = self.stage, call.inputs
        stage.on_step(call.surroundings.execution_id, call.step.name)
        with stage.lock:
            if inputs["Api"] == "SendCommand":
                command = stage.node.send(inputs["DocumentName"], dict(inputs["Parameters"]), inputs["Comment"])
                return Finished(root={"Command": {"CommandId": command}})
            if inputs["Api"] == "CancelCommand":
                stage.node.cancelled.append(inputs["CommandId"])
                return Finished(root={})
            found = stage.node.node(inputs["Filters"][0]["Values"][0])
        if found is None:
            raise ActionFailed("InvalidInstanceId")
        status = "Online" if found.online else "ConnectionLost"
        return Finished(root={"InstanceInformationList": [{"PlatformType": found.platform, "PingStatus": status}]})
