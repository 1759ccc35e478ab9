"""Real kills: the deployed functions' processes die at every cloud call of every path, and nobody has to clean up.

Of enrolment, paths and checks are those of tests/enrolment/crash_paths.py; of patching, see stand/patch_crash.py. The
built zips run under AWS's runtime client, and the local cloud kills the process as a call arrives, or once it has had
its effect.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path as File
from typing import Any

sys.path.insert(0, str(File(__file__).resolve().parents[1]))

from bench.stand import patch_crash
from bench.stand.deployment import Stand, standing
from bench.stand.kills import Report, When, side_by_side
from bench.stand.mortal import Died, MortalRig, new_account, parameters, settle_in, sweep
from tests.enrolment.crash_paths import (
    PATHS,
    Path,
    all_is_known_after_one_keeper_run,
    nothing_granted_twice,
    works_within_the_lease,
)

JOBS = 3  # clouds side by side: most of the time one waits for a dead function's lease to end
ENROLMENT, PATCHING = ROOMS = ("enrolment", "patching")
SLACK = timedelta(seconds=4)  # beside the lease: the start of a process, and this computer's other work


def crash(stand: Stand, path: Path, *, both: bool) -> Report:
    """Count the path's calls, then kill its function at each of them."""
    report = Report(path=path.name)
    function = stand.keeper_function if path.name.startswith("keeper") else stand.api_function
    with report.point("unharmed"):
        since = _arranged(stand, path, act=lambda rig: _unharmed(rig, path))
        report.calls = len(stand.calls_of(function, since=since))
        assert report.calls, "it makes no cloud call"
    for at, when in _points(report.calls, both=both):
        with report.point(f"{when} call {at}"):
            _arranged(stand, path, act=lambda rig, at=at, when=when: _killed(rig, path, function, at, when))  # type: ignore[misc]
            report.kills += 1
    return report


def _points(calls: int, *, both: bool) -> Iterator[tuple[int, When]]:
    """Nothing outside the process changes between two calls: after one is before the next, unless `both` is asked."""
    for at in range(1, calls + 1):
        if at == 1 or both:
            yield at, "before"
        yield at, "after"


def _arranged(stand: Stand, path: Path, *, act: Callable[[MortalRig], None]) -> int:
    """Bring the stack to the path's start, act, check; the number of the world's calls before the act."""
    sweep(stand)
    rig = MortalRig(stand)
    path.arrange(rig)
    rig.cold()
    since = len(stand.cloud.world.calls)
    act(rig)
    return since


def _unharmed(rig: MortalRig, path: Path) -> None:
    with rig.deployed():
        path.act(rig)


def _killed(rig: MortalRig, path: Path, function: str, at: int, when: When) -> None:
    rig.cloud.faults.kill_function(function, at_call=at, when=when)
    with rig.deployed():
        try:
            path.act(rig)
        except Died:
            pass
        else:
            raise AssertionError("the function survived")
        works_within_the_lease(rig, slack=SLACK)
        nothing_granted_twice(rig)
        rig.settle()
        all_is_known_after_one_keeper_run(rig)


def run(paths: Sequence[Path], *, jobs: int, both: bool, done: Callable[[Report], None]) -> list[Report]:
    """All paths, on so many clouds side by side."""
    return side_by_side(
        paths, jobs=jobs, stand=_settled, crash=lambda stand, path: crash(stand, path, both=both), done=done
    )


@contextmanager
def _settled() -> Iterator[Stand]:
    account = new_account()
    with standing(parameters=parameters(account), account=account) as stand:
        settle_in(stand)
        yield stand


def show(report: Report) -> None:
    """One path as a line, and a line for each failure."""
    verdict = "FAILED" if report.failures else "ok"
    print(f"{verdict:<6} {report.path:<46} {report.calls:>3} calls, {report.kills:>3} kills", flush=True)
    for failure in report.failures:
        print(f"         {failure}", flush=True)


def as_json(reports: Sequence[Report]) -> dict[str, Any]:
    """All paths as one object."""
    return {
        "paths": [
            {"path": each.path, "calls": each.calls, "kills": each.kills, "failures": each.failures} for each in reports
        ],
        "kills": sum(each.kills for each in reports),
        "failures": sum(len(each.failures) for each in reports),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if any point failed, or a path was not run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--room", choices=ROOMS, action="append", help="only this room's functions (default: all)")
    parser.add_argument("--path", default="", help="only paths whose name holds this text")
    parser.add_argument("--jobs", type=int, default=JOBS, help="clouds side by side (default: %(default)s)")
    parser.add_argument("--both", action="store_true", help="before each call too, not only after the one before it")
    parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")
    options = parser.parse_args(arguments)
    rooms = options.room or ROOMS
    enrolment = [path for path in PATHS if options.path in path.name and ENROLMENT in rooms]
    patching = [path for path in patch_crash.PATHS if options.path in path.name and PATCHING in rooms]
    began = time.monotonic()
    done: Callable[[Report], None] = (lambda _: None) if options.json else show
    reports = run(enrolment, jobs=options.jobs, both=options.both, done=done)
    reports += patch_crash.run(patching, jobs=options.jobs, both=options.both, done=done)
    paths = len(enrolment) + len(patching)
    if options.json:
        print(json.dumps(as_json(reports)))
    else:
        total, failures = sum(each.kills for each in reports), sum(len(each.failures) for each in reports)
        print(f"{len(reports)} paths, {total} kills, {failures} failures, {time.monotonic() - began:.0f} s")
    return 1 if len(reports) < paths or not paths or any(each.failures for each in reports) else 0


if __name__ == "__main__":
    # What the paths arrange in this process would write its audit records between the results.
    logging.disable(logging.INFO)
    sys.exit(main())
