"""The runbook engine: starts, shows, stops and signals automation executions.

A thousand executions need a handful of threads: an execution is a value with a lock, moved on by whoever brings news,
and only what may block (an API call, a function, a script) runs in a worker. All time is the clock's.

    engine = Engine(clock=SystemClock(), actions=registry.actions(), documents=source, surrounder=surrounder)
    execution_id = engine.start(StartRequest(document_name="Name", parameters={"NodeId": ["mi-…"]}))
    engine.wait(execution_id, timeout=60).status
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from localcloud.automation import interpolation, parameters, targets
from localcloud.automation.actions.protocol import Action
from localcloud.automation.admission import Admission
from localcloud.automation.chronicle import Chronicle, Run
from localcloud.automation.course import Setup
from localcloud.automation.errors import CannotStop, ExecutionNotFound, LimitExceeded, TokenMismatch
from localcloud.automation.execution import Execution
from localcloud.automation.fan_out import FanOut
from localcloud.automation.library import Library
from localcloud.automation.ports import (
    DocumentSource,
    FoundDocument,
    Limits,
    NoTargets,
    Setting,
    StartRequest,
    Surrounder,
    TargetSource,
)
from localcloud.automation.records import AutomationExecution, StepExecution
from localcloud.automation.scheduler import Scheduler
from localcloud.automation.signals import ChildOver, Signal, StopType
from localcloud.automation.targets import Target
from localcloud.clock import Clock, monotonic

WORKERS = 16


class Engine:
    """All executions of one account in one Region. Threads may share it; `close` it."""

    def __init__(
        self,
        *,
        clock: Clock,
        actions: Mapping[str, Action],
        documents: DocumentSource,
        surrounder: Surrounder,
        target_source: TargetSource | None = None,
        workers: int = WORKERS,
        limits: Limits | None = None,
    ) -> None:
        self.clock = clock
        self.limits = limits or Limits()
        self.scheduler = Scheduler(clock, workers=workers)
        self.library = Library(actions, self)
        self._documents = documents
        self._surrounder = surrounder
        self._target_source = target_source or NoTargets()
        self._chronicle = Chronicle()
        self._tokens: dict[str, tuple[StartRequest, str]] = {}
        self._starting = threading.Lock()
        self._ended = threading.Condition()
        self._runs = Admission(
            running=self.limits.concurrent,
            blocked=self.limits.blocked,
            queued=self.limits.queued,
            begin=self._begin,
        )
        self._parents = Admission(
            running=self.limits.parents, blocked=0, queued=self.limits.queued_parents, begin=self._begin
        )

    # -- for callers -----------------------------------------------------------------------------------------------

    def start(self, request: StartRequest) -> str:
        """The id of a new execution, or of the one that the same client token started.

        Raises errors.DocumentNotFound, DocumentVersionNotFound, CannotAssumeRole, InvalidTargets, LimitExceeded,
        TokenMismatch, refusals.InvalidParameters; then nothing was started.
        """
        self._chronicle.forget_before(self.clock.now() - self.limits.history)
        token = request.client_token.lower()
        if not token:
            return self._start(request)
        with self._starting:
            self._forget_tokens()
            known = self._tokens.get(token)
            if known is not None:
                if replace(known[0], client_token=request.client_token) != request:
                    raise TokenMismatch("The client token was used for a request with other parameters.")
                return known[1]
            started = self._start(request)
            self._tokens[token] = (request, started)
            return started

    def get(self, execution_id: str) -> AutomationExecution:
        """An execution as it is now; raises errors.ExecutionNotFound."""
        return self._chronicle.find(execution_id).summary

    def steps(self, execution_id: str) -> list[StepExecution]:
        """All runs of its steps, in the document's order; raises errors.ExecutionNotFound."""
        return self._chronicle.find(execution_id).steps()

    def list(self, *, older_than: str = "") -> Iterator[AutomationExecution]:
        """Every execution (that began before the one of that id), the newest first; each looked at when asked for."""
        return (run.summary for run in self._chronicle.newest_first(older_than=older_than))

    def children(self, execution_id: str) -> Iterator[AutomationExecution]:
        """The children of an execution, the newest first."""
        return (run.summary for run in self._chronicle.children(execution_id))

    def stop(self, execution_id: str, kind: StopType = StopType.CANCEL) -> None:
        """Cancel or complete an execution; raises errors.ExecutionNotFound, errors.CannotStop."""
        self._chronicle.find(execution_id).stop(kind)

    def signal(self, execution_id: str, signal: Signal) -> None:
        """Send a signal; raises errors.ExecutionNotFound, errors.StepNotFound, errors.SignalRefused."""
        self._chronicle.find(execution_id).signal(signal)

    def wait(self, execution_id: str, timeout: float) -> AutomationExecution:
        """The execution once it is over; raises TimeoutError after `timeout` (real) seconds."""
        run = self._chronicle.find(execution_id)
        end = monotonic() + timeout
        with self._ended:
            while not run.summary.status.over:
                if not self._ended.wait(timeout=max(0.0, end - monotonic())) and monotonic() >= end:
                    raise TimeoutError(f"execution {execution_id} is {run.summary.status.value} after {timeout} s")
        return run.summary

    def settle(self, timeout: float = 10.0) -> None:
        """Wait (really) until all executions wait for the clock or for somebody; raises TimeoutError."""
        if not self.scheduler.settle(timeout):
            raise TimeoutError(f"the engine still works after {timeout} s")

    def close(self) -> None:
        """Stop working. What runs stays as it is, but for processes of our own, which end."""
        self.library.close()
        self.scheduler.close()

    # -- for executions and actions --------------------------------------------------------------------------------

    def start_child(self, parent_id: str, request: StartRequest) -> str:
        """The id of a new execution whose end is told to the parent's step; raises as `start` does."""
        parent = self._chronicle.find(parent_id).setup
        if parent.depth >= self.limits.nesting:
            raise LimitExceeded(f"Automation executions can be nested {self.limits.nesting} levels deep.")
        return self._start(replace(request, starter=parent.starter), parent=parent, depth=parent.depth + 1)

    def stop_child(self, execution_id: str) -> None:
        """Cancel an execution unless it is over, without waiting."""
        self.scheduler.soon(lambda: self._stop_quietly(execution_id))

    def blocked(self, execution_id: str, *, blocked: bool) -> None:
        """An execution waits itself, or does no longer."""
        self._runs.block(execution_id, blocked=blocked)

    def over(self, execution_id: str) -> None:
        """An execution has ended."""
        run = self._chronicle.find(execution_id)
        for admission in (self._runs, self._parents):
            admission.leave(execution_id)
        with self._ended:
            self._ended.notify_all()
        if run.setup.parent_id:
            self.scheduler.soon(lambda: self._tell_parent(run))

    def _begin(self, execution_id: str) -> None:
        self.scheduler.soon(self._chronicle.find(execution_id).begin)

    def _tell_parent(self, run: Run) -> None:
        try:
            parent = self._chronicle.find(run.setup.parent_id)
        except ExecutionNotFound:
            return  # forgotten with its history
        parent.tell(ChildOver(run.summary))

    def _stop_quietly(self, execution_id: str) -> None:
        try:
            self.stop(execution_id)
        except CannotStop:
            return  # it was over first

    def _forget_tokens(self) -> None:
        """Forget, oldest first, those of executions that are forgotten."""
        while self._tokens:
            token, (_, execution_id) = next(iter(self._tokens.items()))
            if execution_id in self._chronicle:
                return
            del self._tokens[token]

    # -- starting --------------------------------------------------------------------------------------------------

    def _start(self, request: StartRequest, *, parent: Setup | None = None, depth: int = 0) -> str:
        document = self._documents.find(request.document_name, request.document_version)
        setup = Setup(
            id=str(uuid4()),
            document=document,
            parameters={},
            given=frozenset(request.parameters),
            starter=request.starter,
            mode=request.mode,
            parent_id=parent.id if parent else "",
            depth=depth,
            tags=request.tags,
        )
        if request.rate:
            run: Run = self._fan_out(setup, request)
            return self._enter(run, self._parents)
        return self._enter(self._execution(setup, request.parameters), self._runs)

    def _execution(self, setup: Setup, given: Mapping[str, Any]) -> Execution:
        bound = parameters.bind(setup.document.runbook, given)
        setting = Setting(
            execution_id=setup.id,
            assume_role=_role(setup.document, bound),
            starter=setup.starter,
            attachments=setup.document.attachments,
        )
        around = self._surrounder.surroundings(setting)
        return Execution(replace(setup, parameters=bound), surroundings=around, host=self)

    def _fan_out(self, setup: Setup, request: StartRequest) -> FanOut:
        found = targets.resolved(request.rate, setup.document.runbook, self._target_source)
        if found:  # what is wrong with the parameters is wrong for every target
            parameters.bind(setup.document.runbook, {**request.parameters, **found[0].parameters})
        return FanOut(
            replace(setup, parameters=dict(request.parameters)),
            rate=request.rate,
            targets=found,
            host=self,
            start=self._start_target,
            stop=self.stop_child,
        )

    def _start_target(self, parent: Setup, target: Target) -> str:
        given = {**parent.parameters, **target.parameters}
        setup = replace(
            parent,
            id=str(uuid4()),
            given=frozenset(given),
            parent_id=parent.id,
            target=target.name,
        )
        return self._enter(self._execution(setup, given), self._runs)

    def _enter(self, run: Run, admission: Admission) -> str:
        self._chronicle.add(run)
        try:
            admission.enter(run.id)
        except LimitExceeded:
            self._chronicle.forget(run)
            raise
        return run.id


def _role(document: FoundDocument, bound: Mapping[str, Any]) -> str:
    """The runbook's role; "" if it names none, or a parameter that is empty or not declared."""
    role = interpolation.resolve(document.runbook.assume_role, _Parameters(bound))
    return "" if interpolation.is_unresolved(role) else str(role)


class _Parameters:
    def __init__(self, bound: Mapping[str, Any]) -> None:
        self._bound = bound

    def lookup(self, reference: str) -> Any:
        return self._bound[reference]
