"""An engine in a test: documents as text, an action that does as its inputs say, a clock moved by hand."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.automation import parsing, validation
from localcloud.automation.actions.protocol import ActionFailed, Again, Finished, StepCall, Turn
from localcloud.automation.document import Runbook
from localcloud.automation.engine import Engine
from localcloud.automation.errors import DocumentNotFound
from localcloud.automation.ports import FoundDocument, Limits, Setting, StartRequest
from localcloud.automation.records import AutomationExecution, StepExecution
from localcloud.clock import Clock, SteppedClock

START = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
LIMIT = 60.0  # seconds (real) for anything in these tests


@dataclass(frozen=True)
class Around:
    """The surroundings of one execution, without any cloud."""

    execution_id: str
    clock: Clock
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    account: str = "123456789012"
    region: str = "eu-west-1"
    partition: str = "aws"
    script_environment: Mapping[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        raise AssertionError(f"no test asked for a client of {service}")


@dataclass
class Shelf:
    """Documents by name; also makes surroundings and finds targets."""

    clock: Clock
    texts: dict[str, str] = field(default_factory=dict)
    runbooks: dict[str, Runbook] = field(default_factory=dict)
    settings: list[Setting] = field(default_factory=list)
    tagged: dict[str, list[str]] = field(default_factory=dict)

    def find(self, name: str, version: str) -> FoundDocument:
        if name in self.runbooks:
            return FoundDocument(name=name, version="1", runbook=self.runbooks[name])
        if name not in self.texts:
            raise DocumentNotFound(name)
        runbook = validation.runbook(parsing.load(self.texts[name]))
        return FoundDocument(name=name, version=version or "1", runbook=runbook)

    def surroundings(self, setting: Setting) -> Around:
        self.settings.append(setting)
        return Around(execution_id=setting.execution_id, clock=self.clock)

    def resolve(self, key: str, values: Sequence[str]) -> list[str]:
        return [one for value in values for one in self.tagged.get(f"{key}={value}", [])]


class Obedient:
    """Stands in for API calls. `Api` says what to do: ok, fail, fail-once, again (after 10 s), block, wrong (our bug).

    Other inputs are answered as the root. `calls` are the names of steps as they were asked, `cancelled` those stopped.
    """

    name = "aws:executeAwsApi"
    default_timeout: timedelta | None = None

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.cancelled: list[tuple[str, Any]] = []
        self.running = 0
        self.most_running = 0
        self.blocked = threading.Event()  # somebody blocks
        self.release = threading.Event()
        self.undone = threading.Event()  # what a blocked step began after all was stopped
        self._lock = threading.Lock()

    def check(self, inputs: Mapping[str, Any]) -> None:
        pass

    def begin(self, call: StepCall) -> Turn:
        with self._lock:
            self.calls.append(call.step.name)
        wanted = str(call.inputs["Api"])
        if wanted == "fail" or (wanted == "fail-once" and call.attempt == 1):
            raise ActionFailed(f"{call.step.name} was told to fail", root={"Status": "Failed"})
        if wanted == "again":
            return Again(after=timedelta(seconds=10), state="begun")
        if wanted == "block":
            self.blocked.set()
            if not self.release.wait(LIMIT):
                raise AssertionError("nobody released the step")
            return Again(after=timedelta(seconds=1), state="late")
        if wanted == "wrong":
            raise ZeroDivisionError("a bug")
        return Finished(root=dict(call.inputs))

    def resume(self, call: StepCall, state: Any) -> Turn:
        return Finished(root=dict(call.inputs))

    def cancel(self, call: StepCall, state: Any) -> None:
        with self._lock:
            self.cancelled.append((call.step.name, state))
        if state == "late":
            self.undone.set()


class Stand:
    """One engine with its clock."""

    def __init__(self, *, clock: Clock | None = None, workers: int = 4, limits: Limits | None = None) -> None:
        self.clock = clock or SteppedClock(START)
        self.shelf = Shelf(self.clock)
        self.action = Obedient()
        self.engine = Engine(
            clock=self.clock,
            actions={self.action.name: self.action},
            documents=self.shelf,
            surrounder=self.shelf,
            target_source=self.shelf,
            workers=workers,
            limits=limits,
        )

    def start(self, text: str, parameters: Mapping[str, Any] | None = None, **options: Any) -> str:
        """Start a document of that text (the steps alone, or everything)."""
        self.document("Doc", text)
        return self.engine.start(StartRequest(document_name="Doc", parameters=parameters or {}, **options))

    def document(self, name: str, text: str) -> None:
        """Put a document on the shelf."""
        whole = text if "mainSteps" in text else f"mainSteps:\n{text}"
        self.shelf.texts[name] = f"schemaVersion: '0.3'\n{whole}"

    def run(self, text: str, parameters: Mapping[str, Any] | None = None, **options: Any) -> AutomationExecution:
        """Start a document, and step the clock from timer to timer until it is over."""
        return self.finish(self.start(text, parameters, **options))

    def finish(self, execution_id: str, *, steps: int = 10_000) -> AutomationExecution:
        """Step the clock from timer to timer until the execution is over, or waits for somebody."""
        assert isinstance(self.clock, SteppedClock)
        self.engine.settle(LIMIT)
        while not self.engine.get(execution_id).status.over and steps:
            due = self.engine.scheduler.next_due()
            if due is None:
                break
            self.clock.step(max(due - self.clock.now(), timedelta(0)))
            self.engine.settle(LIMIT)
            steps -= 1
        return self.engine.get(execution_id)

    def advance(self, seconds: float) -> None:
        """Let that much time pass, and everything happen that it brings."""
        assert isinstance(self.clock, SteppedClock)
        self.clock.step(timedelta(seconds=seconds))
        self.engine.settle(LIMIT)

    def step(self, execution_id: str, name: str) -> StepExecution:
        """The last run of a step."""
        return [one for one in self.engine.steps(execution_id) if one.name == name][-1]

    def statuses(self, execution_id: str) -> dict[str, str]:
        """Step → status of its last run."""
        return {one.name: one.status.value for one in self.engine.steps(execution_id)}


def api(name: str, does: str = "ok", *, indent: int = 0, **properties: Any) -> str:
    """A step that does as it is told; properties as in a document."""
    lines = [f"- name: {name}", "  action: aws:executeAwsApi"]
    lines += [f"  {key}: {value}" for key, value in properties.items()]
    lines += [f"  inputs: {{Service: test, Api: {does}}}", ""]
    return "\n".join(" " * indent + line if line else "" for line in lines)
