"""Real kills in patching: the deployed function, and the keeper, die at every call to AWS and to Azure, on every path.

Exhaustive by counting: a process is killed at its n-th call, for n = 1, 2, …, until a run comes through untouched.
After a call is before the next one, unless `both` is asked: nothing outside the process changes in between. Paths that
begin alike are killed from where they part, so that no point is met twice.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from bench.stand.kills import Report, When, side_by_side
from bench.stand.patch_trial import Trial
from bench.stand.patching import BRIEF, PatchStand, standing, without_keeper

from localcloud.errors import ConnectionLost
from moorings.patching.model import Outcome

# A function's step is cut off after a minute of the cloud's time: 3 s, for the start of a process after each kill.
SCALE = 0.05
_When = datetime | None
ENOUGH = 10  # failures, of one path: more tell nothing new
TAKES = {"look": timedelta(seconds=1), "patch": timedelta(seconds=2)}
VM_WRITE = "Microsoft.Compute/virtualMachines/write"


def _nothing(_trial: Trial) -> None:
    """All goes well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A way through the runbook. `cancel_when` a run is so far, it is cancelled; then, with `kills_keeper`, the keeper
    is what dies. `parts_at`: the step from whose end on this path is its own; empty, from the beginning."""

    name: str
    outcome: Outcome
    arrange: Callable[[Trial], None] = _nothing
    cancel_when: Callable[[Trial], bool] | None = None
    kills_keeper: bool = False
    parts_at: str = ""


def _breaks(trial: Trial) -> None:
    trial.node.breaks = True


def _update_fails_once(trial: Trial) -> None:
    trial.node.breaks = True
    trial.stand.cloud.azure.faults.update_fails(resource=trial.node.vm.id)


def _restore_impossible(trial: Trial) -> None:
    trial.node.breaks = True
    trial.stand.cloud.azure.faults.error(
        VM_WRITE, status=400, code="InvalidParameter", message="no", count=None, resource=trial.node.vm.id
    )


def _stopped(trial: Trial) -> bool:
    """Azure has accepted the VM's power-off."""
    return trial.node.vm.power != "running"


PATHS = (
    Path(name="patched", outcome=Outcome.PATCHED),
    Path(name="rolled back", outcome=Outcome.ROLLED_BACK, arrange=_breaks, parts_at="Judge"),
    Path(name="update fails once", outcome=Outcome.ROLLED_BACK, arrange=_update_fails_once, parts_at="Judge"),
    Path(name="restore impossible", outcome=Outcome.ROLLBACK_FAILED, arrange=_restore_impossible, parts_at="Judge"),
    Path(
        name="cancelled while restoring",
        outcome=Outcome.ROLLED_BACK,
        arrange=_breaks,
        cancel_when=_stopped,
        parts_at="Judge",
    ),
    Path(
        name="cancelled, and the keeper dies",
        outcome=Outcome.ROLLED_BACK,
        arrange=_breaks,
        cancel_when=_stopped,
        kills_keeper=True,
    ),
)


class Assassin:
    """Kills a function's process at its n-th call to Resource Manager. `fired` once it has."""

    def __init__(self, stand: PatchStand, function: str, *, at: int, when: When) -> None:
        self.fired = False
        self._functions = stand.cloud.functions
        self._function = function
        self._at = at
        self._when = when
        self._seen = 0

    def __call__(self, stage: str, _action: str, _resource: str) -> None:
        """A watcher of Azure's calls."""
        busy = [one for one in self._functions.sessions(self._function) if self._functions.current_invocation(one)]
        if not busy or self.fired:
            return
        self._seen += stage == "before"
        if self._seen == self._at and stage == self._when:
            self.fired = True
            for session in busy:
                self._functions.kill(session)
            raise ConnectionLost(f"{self._function} was killed")


def crash(stand: PatchStand, path: Path, *, both: bool) -> Report:
    """Let the path run unharmed, then kill its function at each of its calls to AWS, and to Azure."""
    report = Report(path=f"patching: {path.name}")
    function = stand.keeper if path.kills_keeper else stand.deployed.function
    first = {"AWS": 1, "ARM": 1}
    with report.point("unharmed"):
        since, arm_since = len(stand.cloud.world.calls), len(stand.cloud.azure.calls)
        trial = _walk(stand, path).trial
        run = stand.record(trial.execution)
        assert run is not None, "no record"
        assert run.conclusion is not None, "no conclusion"
        assert run.conclusion.outcome is path.outcome, run.conclusion.reason
        aws, arm = stand.calls_of(function, since=since), stand.arm_calls(since=arm_since)
        report.calls = len(aws) + (0 if path.kills_keeper else len(arm))
        first = _parting(trial, path, [one.at for one in aws], [one.at for one in arm])
    if report.failures:
        return report
    for cloud in ("AWS", "ARM"):
        for at, when in _points(first[cloud], both=both):
            fired = True
            with report.point(f"{when} {cloud} call {at}"):
                fired = _killed(stand, path, function, cloud, at, when)
                report.kills += fired
            if not fired or len(report.failures) >= ENOUGH:
                break
    return report


def _parting(
    trial: Trial, path: Path, aws: Sequence[datetime | None], arm: Sequence[datetime | None]
) -> dict[str, int]:
    """The number of the first call, of each cloud, from which this path is its own."""
    if not path.parts_at:
        return {"AWS": 1, "ARM": 1}
    steps = trial.stand.engine.steps(trial.execution)
    parted = next(one.ended_at for one in steps if one.step.name == path.parts_at and one.ended_at is not None)
    return {
        name: 1 + sum(at is not None and at <= parted for at in times) for name, times in (("AWS", aws), ("ARM", arm))
    }


def _points(first: int, *, both: bool) -> Iterator[tuple[int, When]]:
    at = first
    while True:
        if both or at == first:
            yield at, "before"
        yield at, "after"
        at += 1


def _killed(stand: PatchStand, path: Path, function: str, cloud: str, at: int, when: When) -> bool:
    """One run in which the function dies there; False if it was over before."""
    if cloud == "AWS":
        stand.cloud.faults.clear()

        def arm(_trial: Trial) -> Callable[[], bool]:
            stand.cloud.faults.kill_function(function, at_call=at, when=when)
            return lambda: not stand.cloud.faults._kills
    else:

        def arm(_trial: Trial) -> Callable[[], bool]:
            assassin = Assassin(stand, function, at=at, when=when)
            stand.cloud.azure.faults.watch(assassin)
            return lambda: assassin.fired

    return _walk(stand, path, arm=arm).killed


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """A run that is over, looked after and judged."""

    trial: Trial
    killed: bool


def _walk(
    stand: PatchStand, path: Path, *, arm: Callable[[Trial], Callable[[], bool]] = lambda _trial: lambda: False
) -> Walked:
    stand.cloud.azure.faults.clear()
    stand.cloud.functions.retire()  # what a cold start asks for is a call like any other
    trial = Trial(stand)
    path.arrange(trial)
    fired = arm(trial)
    trial.run(cancel_when=path.cancel_when)
    trial.judge(dying=path.kills_keeper)
    return Walked(trial=trial, killed=fired())


def run(paths: Sequence[Path], *, jobs: int, both: bool, done: Callable[[Report], None]) -> list[Report]:
    """All paths, on so many clouds side by side."""
    return side_by_side(
        paths, jobs=jobs, stand=_quick, crash=lambda stand, path: crash(stand, path, both=both), done=done
    )


@contextmanager
def _quick() -> Iterator[PatchStand]:
    """Without a schedule for the keeper, and with nodes that answer soon."""
    with standing(scale=SCALE, durations=BRIEF) as stand:
        without_keeper(stand)
        stand.nodes.takes = TAKES
        yield stand
