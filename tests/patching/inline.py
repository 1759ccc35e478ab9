"""A scheduler without threads, for tests that walk thousands of runs: one task after another, in one fixed order."""

import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from tests.patching.stage import LIMIT, START, ApiStep, CommandStep, FunctionStep, Stage, Table

from localcloud.automation.actions.protocol import ActionFailed, Finished, StepCall, Turn
from localcloud.automation.engine import Engine
from localcloud.automation.scheduler import Scheduler, Task, Timer, Work
from localcloud.clock import Clock
from moorings.patching.model import Run
from moorings.patching.ports import Overtaken
from moorings.patching.service import Patching
from moorings.patching.upkeep import Upkeep

_NOBODY = threading.Thread()  # in the place of the thread that a timer would start


class Inline(Scheduler):
    """The engine's scheduler, on the thread that steps the clock. `work_done` counts tasks and timers."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, workers=1)
        self._waiting: list[Task] = []

    def at(self, when: object, work: Work) -> Timer:
        self._ticker = _NOBODY
        return super().at(when, work)  # type: ignore[arg-type]

    def soon(self, work: Work) -> Task:
        task = Task(work=work)
        self._waiting.append(task)
        return task

    def abandon(self, task: Task) -> None:
        task.abandoned = True

    def one(self) -> bool:
        """Do the next piece of work that is due; False if everything waits for the clock."""
        while self._waiting:
            task = self._waiting.pop(0)
            if not task.abandoned:
                self._guarded(task.work)
                return True
        timer = self._take_due()
        if timer is None:
            return False
        work, timer.work = timer.work, None
        if work is not None:
            self._guarded(work)
        return True

    def settle(self, timeout: float = LIMIT) -> bool:
        del timeout
        while self.one():
            pass
        return True

    def close(self) -> None:
        self._closed = True


class _Script:
    """`aws:executeScript` for the one script of the runbook, which always raises; without a process."""

    name = "aws:executeScript"
    default_timeout: timedelta | None = None

    def check(self, inputs: object) -> None:
        del inputs

    def begin(self, call: StepCall) -> Turn:
        raise ActionFailed(f"{call.inputs['InputPayload']['outcome']}")

    def resume(self, call: StepCall, state: object) -> Turn:
        del call, state
        return Finished()

    def cancel(self, call: StepCall, state: object) -> None:
        del call, state


class Shelf(Table):
    """A table that keeps records as they are: what the codec makes of them is tested elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, Run] = {}

    def load(self, execution: str) -> Run | None:
        return self.runs.get(execution)

    def save(self, run: Run) -> Run:
        there = self.runs.get(run.execution)
        if (there.version if there else 0) != run.version:
            raise Overtaken("somebody else")
        self.runs[run.execution] = replace(run, version=run.version + 1)
        return self.runs[run.execution]

    def postpone(self, run: Run, until: datetime) -> None:
        there = self.runs[run.execution]
        if there.version == run.version and there.look_at is not None:
            self.runs[run.execution] = replace(there, look_at=until)

    def due(self, now: datetime, *, limit: int) -> list[str]:
        waiting = [run for run in self.runs.values() if run.look_at is not None and run.look_at <= now]
        return [run.execution for run in sorted(waiting, key=lambda run: run.look_at or now)][:limit]


class SwiftStage(Stage):
    """A stage whose engine has neither threads nor processes: some ten times as fast, and always the same."""

    def __init__(self, *, data: Iterable[int] = (), start: datetime = START) -> None:
        super().__init__(data=data, start=start)
        self.engine.close()
        self.shelf = Shelf()
        self.table = self.shelf
        self.outside = replace(self.outside, guards=self.shelf, records=self.shelf)
        self.patching, self.upkeep = Patching(self.outside), Upkeep(self.outside)
        actions = (FunctionStep(self), CommandStep(self), ApiStep(self), _Script())
        self.engine = Engine(
            clock=self.clock, actions={one.name: one for one in actions}, documents=self, surrounder=self, workers=1
        )
        self.steps = Inline(self.clock)
        self.engine.scheduler = self.steps

    def record(self, execution: str) -> Run:
        """See `Stage.record`."""
        return self.shelf.runs[execution]
