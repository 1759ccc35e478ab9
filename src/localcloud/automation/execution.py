"""One execution of one runbook, as people and the engine deal with it; its way through the steps is in `course`."""

from localcloud.automation import flow
from localcloud.automation.actions.execute_automation import ExecuteAutomation
from localcloud.automation.actions.protocol import ActionFailed
from localcloud.automation.attempt import Attempt
from localcloud.automation.course import Course
from localcloud.automation.errors import CannotStop, SignalRefused, StepNotFound
from localcloud.automation.records import AutomationExecution, Status, StepExecution
from localcloud.automation.signals import Message, Signal, SignalType, StopType, Told


class Execution(Course):
    """A runbook under way. Threads may share it: every method here takes the lock itself."""

    @property
    def summary(self) -> AutomationExecution:
        """The execution as it is now."""
        return self._summary

    def steps(self) -> list[StepExecution]:
        """Every step's runs as they are now."""
        with self.lock:
            return self._journal.all()

    def begin(self) -> None:
        """Run. Called once, in a worker."""
        unreadable = self._read_stored()
        with self.lock:
            if self._summary.status is not Status.PENDING:
                return  # stopped while it was queued
            self._show(status=Status.IN_PROGRESS)
            if unreadable:
                self._failure = Status.FAILED
                self._show(failure_message=unreadable)
                self._finish()
                return
            self._show(parameters=self._values.values())
            self._next = self._runbook.steps[0]
            self.drive()

    def _read_stored(self) -> str:
        """Read Parameter Store for the defaults, without the lock; why that failed, or ""."""
        try:
            self._system.fetch(self._runbook)
        except ActionFailed as failure:
            return str(failure)
        return ""

    def stop(self, kind: StopType) -> None:
        """Cancel the execution, or let it end after the step that runs; raises CannotStop if it is over or stopping."""
        with self.lock:
            if self._summary.status.over or self._cancelled:
                raise CannotStop(f"Automation execution {self.id} is {self._summary.status.value}.")
            if kind is StopType.COMPLETE:
                self._completing = True
                if self._attempt is None:
                    self._finish()
                return
            self._cancelled = True
            self._cancel_step()
            self.drive()

    def signal(self, signal: Signal) -> None:
        """What somebody sends; raises StepNotFound, or SignalRefused if nothing waits for it."""
        with self.lock:
            if signal.type is SignalType.START_STEP:
                self._start_step(signal.step_name)
            elif signal.type is SignalType.STOP_STEP:
                self._stop_step(signal.step_execution_id)
            else:
                self._tell_step(signal)
            self.drive()

    def tell(self, message: Message) -> None:
        """Hand a message to the step that runs, if one runs children: they may end when their own step is over."""
        with self.lock:
            attempt = self._attempt
            if attempt is not None and self._stopping is None and attempt.call.step.action == ExecuteAutomation.name:
                attempt.tell(message)
                self.drive()

    def _start_step(self, name: str) -> None:
        self._require_step(name)
        awaited = self._awaited
        if awaited is None or awaited.name != name:
            raise SignalRefused(f"Step {name} does not wait to be started.")
        self._awaited = None
        self._show(status=Status.IN_PROGRESS)
        self._enter(awaited)

    def _stop_step(self, record: str) -> None:
        if not any(one.id == record for one in self._journal.all()):
            raise StepNotFound(f"Automation execution {self.id} has no step execution {record}.")
        attempt = self._attempt
        if attempt is None or attempt.record != record or self._stopping is not None:
            raise SignalRefused(f"Step execution {record} does not run.")
        self._stopping = attempt
        self._journal.change(record, status=Status.CANCELLING)
        attempt.abort(lambda: self._step_stopped(attempt))

    def _tell_step(self, signal: Signal) -> None:
        if signal.step_name:
            self._require_step(signal.step_name)
        attempt = self._attempt
        if attempt is None or not attempt.waits or signal.step_name not in ("", attempt.call.step.name):
            raise SignalRefused(f"No step waits for {signal.type.value}.")
        attempt.tell(Told(signal))

    def _require_step(self, name: str) -> None:
        if name not in self._runbook.all_steps():
            raise StepNotFound(f"Automation execution {self.id} has no step {name!r}.")

    def _cancel_step(self) -> None:
        attempt = self._attempt
        if attempt is None:  # queued, or waiting for StartStep
            self._finish()
            return
        if self._frame is not None:
            self._frame.cancelled = True
        clock = self._host.clock
        due = clock.now() + clock.scaled(self._host.limits.cancel_budget)
        self._budget = self._host.scheduler.at(due, self._budget_over)
        self._show(status=Status.CANCELLING)
        if self._stopping is None:
            self._journal.change(attempt.record, status=Status.CANCELLING)
            self._stopping = attempt
            attempt.abort(lambda: self._step_stopped(attempt))

    def _step_stopped(self, attempt: Attempt) -> None:
        if self._stopping is not attempt or self._summary.status.over:
            return  # the two minutes were over first
        self._attempt, self._stopping = None, None
        step = attempt.call.step
        self._close_record(attempt.record, Status.CANCELLED)
        if self._cancelled:
            self._move(flow.after_cancel(step))
        else:
            self._failed(step, Status.CANCELLED, f"Step {step.name} was stopped.")
            self._move(flow.after(step, Status.CANCELLED, following=self._following(step)), failed=Status.CANCELLED)

    def _budget_over(self) -> None:
        with self.lock:
            if self._summary.status.over:
                return
            attempt, self._attempt, self._stopping = self._attempt, None, None
            if attempt is not None:
                attempt.abort()
                self._close_record(attempt.record, Status.CANCELLED)
            self._finish()
