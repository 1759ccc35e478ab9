"""Rate control of many executions of one runbook: how many may run, when it stops. Pure rules over numbers.

Source: Systems Manager User Guide, "Run automated operations at scale". Where two of its pages contradict each other
(10 % of 50 targets), the one of the API reference holds: the sixth error stops it.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one parent execution allows."""

    targets: int
    concurrency: int  # children at once, at most
    errors: int  # failed children that are tolerated


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a parent has come. `window` is how many children may run now: it grows as they complete."""

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    window: int = 1
    completed_in_window: int = 0

    @property
    def running(self) -> int:
        """Children that are not over."""
        return self.started - self.succeeded - self.failed - self.cancelled


def budget(targets: int, *, max_concurrency: str, max_errors: str) -> Budget:
    """The budget that MaxConcurrency and MaxErrors (numbers or percentages) mean for this many targets."""
    return Budget(
        targets=targets,
        concurrency=max(1, _share(max_concurrency, targets)),
        errors=_share(max_errors, targets),
    )


def exceeded(budget: Budget, progress: Progress) -> bool:
    """Whether no further child may start: the n+1st error is one too many."""
    return progress.failed > budget.errors


def may_start(budget: Budget, progress: Progress) -> int:
    """How many further children start now."""
    if exceeded(budget, progress):
        return 0
    room = min(progress.window, budget.concurrency) - progress.running
    return max(0, min(room, budget.targets - progress.started))


def started(progress: Progress, count: int) -> Progress:
    """The progress after `count` children have started."""
    return replace(progress, started=progress.started + count)


def completed(budget: Budget, progress: Progress, *, succeeded: bool, cancelled: bool = False) -> Progress:
    """The progress after one child is over. A window of children that are over doubles it, up to the concurrency."""
    over = progress.completed_in_window + 1
    grown = over >= progress.window and progress.window < budget.concurrency
    return replace(
        progress,
        succeeded=progress.succeeded + (succeeded and not cancelled),
        failed=progress.failed + (not succeeded and not cancelled),
        cancelled=progress.cancelled + cancelled,
        window=min(progress.window * 2, budget.concurrency) if grown else progress.window,
        completed_in_window=0 if grown else over,
    )


def done(budget: Budget, progress: Progress) -> bool:
    """Whether nothing runs and nothing will."""
    return progress.running == 0 and may_start(budget, progress) == 0


def _share(text: str, of: int) -> int:
    """A number, or a percentage of `of`, rounded down."""
    return of * int(text.removesuffix("%")) // 100 if text.endswith("%") else int(text)
