"""The way of one execution through its runbook: which step runs, what becomes of it, where the flow goes.

The rules are in `flow` and `loops`; here they are carried out. Everything happens under the execution's lock, on
whatever thread brings the news (a worker, a timer, a caller of the API); `drive` goes on until the flow waits.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from localcloud.automation import choices, conditions, flow, loops, results, variables
from localcloud.automation.action_inputs import SCRIPT
from localcloud.automation.actions.protocol import ActionFailed, FailureStage, Finished, Held, StepCall, Surroundings
from localcloud.automation.attempt import Attempt, Ended
from localcloud.automation.document import Step
from localcloud.automation.journal import Journal
from localcloud.automation.library import LOOP, Library, deadline
from localcloud.automation.passes import Frame
from localcloud.automation.ports import FoundDocument, Limits, Starter
from localcloud.automation.records import AutomationExecution, Failure, Mode, Status
from localcloud.automation.scheduler import Scheduler, Timer
from localcloud.automation.scope import ParameterScope, RunScope, SystemScope
from localcloud.clock import Clock

_ENGINE_INPUTS = frozenset({"Steps", "LoopCondition"})  # of a loop: resolved pass by pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What an execution is begun with."""

    id: str
    document: FoundDocument
    parameters: Mapping[str, Any]  # every one, typed
    given: frozenset[str]  # names of those that were not left to their defaults
    starter: Starter
    mode: Mode = Mode.AUTO
    parent_id: str = ""
    depth: int = 0  # nested below how many others
    target: str = ""
    tags: tuple[tuple[str, str], ...] = ()

    def pending(self, now: datetime) -> AutomationExecution:
        """The execution before its first step."""
        return AutomationExecution(
            id=self.id,
            document_name=self.document.name,
            document_version=self.document.version,
            status=Status.PENDING,
            mode=self.mode,
            executed_by=self.starter.arn,
            started_at=now,
            parameters=self.parameters,
            parent_id=self.parent_id,
            target=self.target,
            tags=self.tags,
        )


class Host(Protocol):
    """What an execution needs of its engine. Called with the execution's lock held."""

    clock: Clock
    scheduler: Scheduler
    library: Library
    limits: Limits

    def blocked(self, execution_id: str, *, blocked: bool) -> None:
        """The execution waits (or does no longer): somebody else may run."""

    def over(self, execution_id: str) -> None:
        """The execution has ended."""


class Course:
    """The flow of one execution. Every method is called with `lock` held."""

    def __init__(self, setup: Setup, *, surroundings: Surroundings, host: Host) -> None:
        self.id = setup.id
        self.setup = setup
        self.lock = threading.RLock()
        self._host = host
        self._around = surroundings
        self._runbook = setup.document.runbook
        self._steps = {step.name: step for step in self._runbook.steps}
        self._journal = Journal(self._runbook.steps)
        self._variables = variables.initial(self._runbook)
        self._system = SystemScope(surroundings)
        self._values = ParameterScope(setup.parameters, given=setup.given, system=self._system)
        self._scope = RunScope(
            parameters=self._values, system=self._system, variables=self._variables, journal=self._journal
        )
        self._next: Step | None = None
        self._attempt: Attempt | None = None
        self._frame: Frame | None = None
        self._awaited: Step | None = None  # interactive: the step that StartStep must name
        self._stopping: Attempt | None = None  # whose step is being cancelled
        self._budget: Timer | None = None
        self._failure: Status | None = None
        self._cancelled = False
        self._completing = False
        self._summary = replace(setup.pending(host.clock.now()), variables=dict(self._variables))

    def drive(self) -> None:
        """Go on until the flow waits for something (with the lock)."""
        while self._next is not None and not self._summary.status.over:
            step, self._next = self._next, None
            if self._completing and not self._cancelled:
                self._finish()
            elif self._must_wait_for_start():
                self._awaited = step
                self._show(status=Status.WAITING, current_step=step.name, current_action=step.action)
            else:
                self._enter(step)

    def _must_wait_for_start(self) -> bool:
        return self.setup.mode is Mode.INTERACTIVE and self._frame is None and not self._cancelled

    def _enter(self, step: Step) -> None:
        looped = step.action == LOOP
        inputs = self._scope.resolve(
            {key: value for key, value in step.inputs.items() if not (looped and key in _ENGINE_INPUTS)}
        )
        if step.action == SCRIPT and "Script" in inputs:
            inputs["Script"] = step.inputs["Script"]  # a program's braces are its own
        frame = self._frame
        record = self._journal.begin(
            step,
            following=self._following(step),
            parent=frame.parent() if frame else None,
            status=Status.IN_PROGRESS,
            started_at=self._host.clock.now(),
            inputs=inputs,
            attempts=0 if looped else 1,
        )
        self._show(current_step=step.name, current_action=step.action)
        if looped:
            self._enter_loop(step, record, inputs)
        else:
            self._host.blocked(self.id, blocked=self._host.library.blocks(step))
            self._try(step, record, inputs, number=1)

    def _try(self, step: Step, record: str, inputs: Mapping[str, Any], *, number: int) -> None:
        try:
            action = self._host.library.action(step)
            action.check(inputs)
        except ActionFailed as failure:
            self._step_over(step, record, failure)
            return
        call = StepCall(
            step=step,
            inputs=inputs,
            attempt=number,
            deadline=deadline(step, action, self._host.clock),
            surroundings=self._around,
        )
        self._attempt = Attempt(
            run=self,
            scheduler=self._host.scheduler,
            record=record,
            action=action,
            call=call,
            inline=self._host.library.inline(step),
        )
        self._attempt.begin(delay=choices.RETRY_DELAY if number > 1 else timedelta(0))

    def held(self, attempt: Attempt, turn: Held) -> None:
        """The step waits for somebody (with the lock)."""
        status = Status.WAITING if turn.waiting else Status.IN_PROGRESS
        self._journal.change(attempt.record, status=status, outputs=dict(turn.outputs))
        self._show(status=status if self._summary.status is not Status.CANCELLING else Status.CANCELLING)

    def ended(self, attempt: Attempt, how: Ended) -> None:
        """One attempt of the step is over (with the lock)."""
        self._attempt = None
        step, number = attempt.call.step, attempt.call.attempt
        if self._summary.status is Status.WAITING:
            self._show(status=Status.IN_PROGRESS)
        if isinstance(how, Finished):
            try:
                variables.require_assignable(self._runbook, how.variables)
                outputs = results.outputs_of_success(step, how)
            except ActionFailed as failure:
                how = failure
            else:
                if how.variables:
                    self._variables.update(how.variables)
                    self._show(variables=dict(self._variables))
                self._step_succeeded(step, attempt.record, outputs, chosen=how.next_step)
                return
        if number < step.max_attempts and how.stage is not FailureStage.INPUT_VALIDATION:
            self._journal.change(attempt.record, attempts=number + 1, status=Status.IN_PROGRESS)
            self._try(step, attempt.record, attempt.call.inputs, number=number + 1)
        else:
            self._step_over(step, attempt.record, how)

    def _step_succeeded(self, step: Step, record: str, outputs: Mapping[str, Any], *, chosen: str = "") -> None:
        move = flow.after(step, Status.SUCCESS, following=self._following(step), chosen=chosen)
        self._close_record(record, Status.SUCCESS, outputs=outputs, next_step=chosen or _target(move))
        self._move(move)

    def _step_over(self, step: Step, record: str, failure: ActionFailed) -> None:
        status = Status.TIMED_OUT if failure.timed_out else Status.FAILED
        told = Failure(message=str(failure), stage=failure.stage, kind=failure.kind)
        self._close_record(record, status, failure=told, outputs=results.outputs_of_failure(step, failure))
        self._failed(step, status, str(failure))
        self._move(flow.after(step, status, following=self._following(step)), failed=status)

    def _failed(self, step: Step, status: Status, message: str) -> None:
        before, self._failure = self._failure, flow.verdict(self._failure, step, status)
        if self._failure is not before:
            self._show(failure_message=message)

    def _close_record(self, record: str, status: Status, **changes: Any) -> None:
        self._host.blocked(self.id, blocked=False)
        self._journal.change(record, status=status, ended_at=self._host.clock.now(), **changes)

    def _following(self, step: Step) -> str:
        steps = self._frame.step.steps if self._frame else self._runbook.steps
        names = [one.name for one in steps]
        place = names.index(step.name) if step.name in names else len(names)
        return names[place + 1] if place + 1 < len(names) else ""

    def _move(self, move: flow.Move, *, failed: Status = Status.FAILED) -> None:
        frame = self._frame
        if isinstance(move, flow.Go):
            inner = frame.inner(move.step) if frame else None
            if inner is None and frame is not None:
                self._leave_loop(Status.EXITED, next_step=move.step)
            self._next = inner or self._steps.get(move.step)
            if self._next is None:  # validation lets no such document through
                self._failure = self._failure or Status.FAILED
                self._show(failure_message=f"There is no step {move.step} to go on with.")
                self._finish()
        elif frame is None:
            self._finish()
        elif frame.cancelled:
            self._leave_loop(Status.CANCELLED)
            self._finish()
        elif move is flow.End.REACHED:
            self._pass_over(frame)
        else:
            self._leave_loop(failed)
            self._finish()

    def _enter_loop(self, step: Step, record: str, inputs: Mapping[str, Any]) -> None:
        try:
            if self._frame is not None:
                raise ActionFailed("A loop inside a loop is not supported.", stage=FailureStage.INPUT_VALIDATION)
            plan = loops.planned(inputs)
        except ActionFailed as failure:
            self._step_over(step, record, failure)
            return
        first = loops.first_pass(plan)
        if first is None:
            self._step_succeeded(step, record, {})
            return
        frame = Frame(step=step, record=record, plan=plan, at=first)
        self._frame = frame
        if step.timeout_seconds is not None:
            clock = self._host.clock
            due = clock.now() + clock.scaled(timedelta(seconds=step.timeout_seconds))
            frame.timer = self._host.scheduler.at(due, lambda: self._loop_expired(frame))
        self._begin_pass(frame)

    def _begin_pass(self, frame: Frame) -> None:
        self._journal.change(frame.record, outputs=frame.at.outputs)
        self._next = frame.step.steps[0]

    def _pass_over(self, frame: Frame) -> None:
        condition = frame.step.inputs.get("LoopCondition", {})
        following = loops.next_pass(
            frame.plan, frame.at, again=lambda: conditions.holds(condition, self._scope.resolve)
        )
        if following is not None:
            frame.at = following
            self._begin_pass(frame)
            return
        self._drop_frame(frame)
        self._step_succeeded(frame.step, frame.record, frame.at.outputs)

    def _leave_loop(self, status: Status, *, next_step: str = "") -> None:
        frame = self._frame
        if frame is not None:
            self._drop_frame(frame)
            self._close_record(frame.record, status, next_step=next_step)

    def _drop_frame(self, frame: Frame) -> None:
        if frame.timer is not None:
            frame.timer.cancel()
        self._frame = None

    def _loop_expired(self, frame: Frame) -> None:
        with self.lock:
            if self._frame is not frame or frame.cancelled:
                return
            self._drop_frame(frame)
            attempt, self._attempt, self._stopping = self._attempt, None, None
            if attempt is not None:
                attempt.abort()
                self._close_record(attempt.record, Status.CANCELLED)
            self._step_over(frame.step, frame.record, ActionFailed("Step timed out.", timed_out=True))
            self.drive()

    def _finish(self) -> None:
        if self._budget is not None:
            self._budget.cancel()
        self._next, self._awaited, self._attempt = None, None, None
        if self._frame is not None:
            self._leave_loop(Status.CANCELLED if self._cancelled else Status.EXITED)
        self._show(
            status=flow.overall(self._failure, cancelled=self._cancelled),
            ended_at=self._host.clock.now(),
            outputs=results.document_outputs(self._runbook, self._journal),
            current_step="",
            current_action="",
        )
        self._host.over(self.id)

    def _show(self, **changes: Any) -> None:
        self._summary = replace(self._summary, **changes)


def _target(move: flow.Move) -> str:
    return move.step if isinstance(move, flow.Go) else ""
