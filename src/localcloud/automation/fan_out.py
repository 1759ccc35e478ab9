"""An execution under rate control: the parent of one child for each target. The rules are in `rate_control`."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from localcloud.automation import rate_control
from localcloud.automation.actions.execute_automation import ExecuteAutomation
from localcloud.automation.actions.protocol import FailureStage, FailureType
from localcloud.automation.course import Host, Setup
from localcloud.automation.document import Step
from localcloud.automation.errors import AutomationError, CannotStop, SignalRefused
from localcloud.automation.ports import TargetRequest
from localcloud.automation.rate_control import Budget, Progress
from localcloud.automation.records import (
    AutomationExecution,
    Failure,
    Status,
    StepExecution,
    TargetCounts,
    Targeting,
)
from localcloud.automation.refusals import InvalidParameters
from localcloud.automation.signals import ChildOver, Message, Signal, StopType
from localcloud.automation.targets import Target

StartTarget = Callable[[Setup, Target], str]
_COUNTED_FAILED = frozenset({Status.FAILED, Status.TIMED_OUT})


class FanOut:
    """A parent under way. Threads may share it."""

    def __init__(
        self,
        setup: Setup,
        *,
        rate: TargetRequest,
        targets: Sequence[Target],
        host: Host,
        start: StartTarget,
        stop: Callable[[str], None],
    ) -> None:
        self.id = setup.id
        self.setup = setup
        self.lock = threading.RLock()
        self._host = host
        self._start_target = start
        self._stop_child = stop
        self._targets = targets
        self._records = [_pending(setup, target) for target in targets]
        self._places: dict[str, int] = {}  # child → its place among the targets
        self._early: dict[str, AutomationExecution] = {}  # children that were over before we knew their ids
        self._budget = _budget(rate, len(targets), host)
        self._progress = Progress()
        self._timed_out = 0
        self._cancelled = False
        self._summary = replace(
            setup.pending(host.clock.now()),
            targeting=Targeting(
                parameter_name=rate.parameter_name,
                targets=tuple(rate.targets),
                target_maps=tuple(rate.target_maps),
                max_concurrency=rate.max_concurrency or host.limits.max_concurrency,
                max_errors=rate.max_errors or host.limits.max_errors,
                resolved=tuple(target.name for target in targets),
                counts=self._counts(),
            ),
        )

    @property
    def summary(self) -> AutomationExecution:
        """The execution as it is now."""
        return self._summary

    def steps(self) -> list[StepExecution]:
        """One step for each target."""
        with self.lock:
            return list(self._records)

    def begin(self) -> None:
        """Start the first child. Called once, in a worker."""
        with self.lock:
            if self._summary.status is not Status.PENDING:
                return  # stopped while it was queued
            self._show(status=Status.IN_PROGRESS)
            self._go_on()

    def stop(self, kind: StopType) -> None:
        """Start no further child; CANCEL stops those that run, too. Raises CannotStop if it is over or stopping."""
        with self.lock:
            if self._summary.status.over or self._cancelled:
                raise CannotStop(f"Automation execution {self.id} is {self._summary.status.value}.")
            # No further target: what is left of the budget is what has started.
            self._budget = replace(self._budget, targets=self._progress.started)
            if kind is StopType.CANCEL:
                self._cancelled = True
                self._show(status=Status.CANCELLING)
                for child, place in self._places.items():
                    if not self._records[place].status.over:
                        self._stop_child(child)
            self._go_on()

    def signal(self, signal: Signal) -> None:
        """A parent waits for its children only."""
        raise SignalRefused(f"Automation execution {self.id} does not wait for {signal.type.value}.")

    def tell(self, message: Message) -> None:
        """A child is over."""
        if isinstance(message, ChildOver):
            with self.lock:
                if message.child.id in self._places:
                    self._child_over(message.child)
                    self._go_on()
                else:
                    self._early[message.child.id] = message.child

    def _go_on(self) -> None:
        while not self._summary.status.over:
            count = rate_control.may_start(self._budget, self._progress)
            if not count:
                break
            for _ in range(count):
                self._start_next()
        if rate_control.done(self._budget, self._progress):
            self._finish()

    def _start_next(self) -> None:
        place = self._progress.started
        self._progress = rate_control.started(self._progress, 1)
        self._records[place] = replace(
            self._records[place], status=Status.IN_PROGRESS, started_at=self._host.clock.now(), attempts=1
        )
        self._show(current_step=self._targets[place].name, current_action=ExecuteAutomation.name)
        try:
            child = self._start_target(self.setup, self._targets[place])
        except (AutomationError, InvalidParameters) as refused:
            self._target_over(place, Status.FAILED, message=str(refused))
            return
        self._places[child] = place
        self._records[place] = replace(self._records[place], outputs={"ExecutionId": child})
        early = self._early.pop(child, None)
        if early is not None:
            self._child_over(early)

    def _child_over(self, child: AutomationExecution) -> None:
        self._target_over(self._places[child.id], child.status, message=child.failure_message)

    def _target_over(self, place: int, status: Status, *, message: str = "") -> None:
        record = self._records[place]
        if record.status.over:
            return
        failed = status in _COUNTED_FAILED
        failure = Failure(message=message, stage=FailureStage.INVOCATION, kind=FailureType.ACTION) if failed else None
        self._records[place] = replace(
            record,
            status=status,
            ended_at=self._host.clock.now(),
            failure=failure,
            outputs={**record.outputs, "Status": status.value},
        )
        self._timed_out += status is Status.TIMED_OUT
        self._progress = rate_control.completed(
            self._budget, self._progress, succeeded=not failed, cancelled=status is Status.CANCELLED
        )
        self._show()

    def _finish(self) -> None:
        if self._summary.status.over:
            return
        status, message = Status.SUCCESS, ""
        if self._cancelled:
            status = Status.CANCELLED
        elif not self._targets:
            status, message = Status.FAILED, "No resource matches the targets."
        elif rate_control.exceeded(self._budget, self._progress):
            status = Status.FAILED
            message = f"{self._progress.failed} targets failed; MaxErrors allows {self._budget.errors}."
        self._show(
            status=status,
            ended_at=self._host.clock.now(),
            failure_message=message,
            current_step="",
            current_action="",
        )
        self._host.over(self.id)

    def _counts(self) -> TargetCounts:
        return TargetCounts(
            total=len(self._targets),
            started=self._progress.started,
            succeeded=self._progress.succeeded,
            failed=self._progress.failed,
            cancelled=self._progress.cancelled,
            timed_out=self._timed_out,
        )

    def _show(self, **changes: Any) -> None:
        targeting = self._summary.targeting
        counted = replace(targeting, counts=self._counts()) if targeting else None
        self._summary = replace(self._summary, targeting=counted, **changes)


def _budget(rate: TargetRequest, targets: int, host: Host) -> Budget:
    return rate_control.budget(
        targets,
        max_concurrency=rate.max_concurrency or host.limits.max_concurrency,
        max_errors=rate.max_errors or host.limits.max_errors,
    )


def _pending(setup: Setup, target: Target) -> StepExecution:
    inputs = {"DocumentName": setup.document.name, "DocumentVersion": setup.document.version}
    return StepExecution(
        id=str(uuid4()),
        step=Step(name=target.name, action=ExecuteAutomation.name),
        inputs={**inputs, "RuntimeParameters": dict(target.parameters)},
        plain_inputs=True,
    )
