"""What a run asks of Azure: requests by API on each path, and what happens while the VM is down.

Runbook, function (in this process) and Azure's compute API are real; durations are Azure's rough ones, pauses the
runbook's own defaults, both a twentieth as long. Nodes stand on plain directories. Beside: the public sample's counts.
"""

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path as File

sys.path.insert(0, str(File(__file__).resolve().parents[1]))

from bench.stand.fleet_run import BURST, UPDATES
from bench.stand.in_process import in_process
from bench.stand.patch_crash import PATHS, Path
from bench.stand.patch_trial import Trial
from bench.stand.patching import PatchStand, standing, without_keeper

from localcloud.azure.calls import ArmCall
from localcloud.azure.ids import key

SCALE = 0.05
WANTED = ("patched", "rolled back", "update fails once", "restore impossible")
# Counted once on the sample's own code; not measured here.
SAMPLE = {"patched": 8, "rolled back": 22}
DEFAULTS = {"SleepDuration": ["PT30S"], "NodeBootTime": ["PT15M"], "HealthSettleTime": ["PT0S"]}
# What putting a disk back takes while the VM is down; the new disk is made before.
NEEDED = ("virtualMachines.powerOff", "virtualMachines.put", "virtualMachines.start")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One path. `down`: the operations, ours, from the power-off to the accepted start; reads among them as `GET`."""

    path: str
    outcome: str
    requests: int
    writes: int
    by_api: Mapping[str, int]
    down: tuple[str, ...]
    down_seconds: float  # of the cloud's time, until Azure says that it runs
    updates: int  # of the VM, against Azure's burst


def count(stand: PatchStand, path: Path) -> Counted:
    """Let one path run to its end."""
    stand.cloud.azure.faults.clear()
    trial = Trial(stand, parameters=DEFAULTS)
    path.arrange(trial)
    since = len(stand.cloud.azure.calls)
    power = _PowerLog(stand, trial)
    trial.run()
    calls = stand.arm_calls(since=since)
    trial.judge()
    run = stand.record(trial.execution)
    assert run is not None, "a run that was described has a record"
    assert run.conclusion is not None, "and once it is over, a conclusion"
    return Counted(
        path=path.name,
        outcome=run.conclusion.outcome.value,
        requests=len(calls),
        writes=sum(call.method != "GET" for call in calls),
        by_api=dict(Counter(f"{call.method} {call.action.removeprefix('Microsoft.')}" for call in calls)),
        down=_while_down(calls),
        down_seconds=power.down / SCALE,
        updates=sum(call.operation in UPDATES and key(call.resource) == key(trial.node.vm.id) for call in calls),
    )


class _PowerLog:
    """How long a VM was down, by the operations that Azure carried out on it."""

    def __init__(self, stand: PatchStand, trial: Trial) -> None:
        self._state = stand.cloud.azure.state
        self._vm = key(trial.node.vm.id)

    @property
    def down(self) -> float:
        """Real seconds from the first accepted power-off to the end of the last start; 0 if it was never stopped."""
        with self._state.lock:
            on_it = [one for one in self._state.operations._all.values() if self._vm in one.holds]
        stops = [one.started_at for one in on_it if one.route == NEEDED[0]]
        starts = [one.ended_at for one in on_it if one.route == NEEDED[2] and one.ended_at is not None]
        return (max(starts) - min(stops)).total_seconds() if stops and starts else 0.0


def _while_down(calls: Sequence[ArmCall]) -> tuple[str, ...]:
    accepted = [call.operation in {NEEDED[0], NEEDED[2]} and call.status < 400 for call in calls]
    if True not in accepted:
        return ()
    first, last = accepted.index(True), len(accepted) - 1 - accepted[::-1].index(True)
    return tuple("GET" if call.method == "GET" else call.operation for call in calls[first : last + 1])


def missed(counted: Sequence[Counted]) -> list[str]:
    """The targets that were missed, in words."""
    found = []
    for one in counted:
        if one.updates > BURST:
            found.append(f"{one.path}: {one.updates} updates of the VM; Azure's burst is {BURST}")
        done = tuple(each for each in one.down if each != "GET")
        if one.path == "patched" and done:
            found.append(f"{one.path}: the VM was stopped")
        if one.path == "rolled back" and done != NEEDED:
            found.append(f"{one.path}: while the VM is down: {', '.join(done)}; it needs {', '.join(NEEDED)}")
    return found


def show(counted: Counted) -> None:
    """One path as text."""
    sample = f"; the public sample: {SAMPLE[counted.path]}" if counted.path in SAMPLE else ""
    print(f"\n{counted.path} ({counted.outcome}): {counted.requests} requests, {counted.writes} of them writes{sample}")
    for name, number in sorted(counted.by_api.items(), key=lambda each: -each[1]):
        print(f"  {number:>3}  {name}")
    if counted.down:
        print(f"  down for {counted.down_seconds:.0f} s of the cloud's time: {_folded(counted.down)}")
    print(f"  {counted.updates} updates of the VM; Azure takes {BURST} in a burst")


def _folded(operations: Sequence[str]) -> str:
    """A sequence in which reads in a row are counted."""
    told: list[str] = []
    reads = 0
    for each in (*operations, ""):
        if each == "GET":
            reads += 1
            continue
        if reads:
            told.append(f"{reads} GET")
            reads = 0
        told.append(each.removeprefix("virtualMachines."))
    return " → ".join(one for one in told if one)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", action="append", choices=WANTED, help="only this path (default: all)")
    parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")
    options = parser.parse_args(arguments)
    wanted = options.path or WANTED
    counted = []
    with standing(scale=SCALE) as stand, in_process(stand, rooms=2):
        without_keeper(stand)
        for path in PATHS:
            if path.name in wanted:
                counted.append(count(stand, path))
                if not options.json:
                    show(counted[-1])
    misses = missed(counted)
    if options.json:
        print(json.dumps({"paths": [asdict(one) for one in counted], "sample": SAMPLE, "missed": misses}))
    else:
        for text in misses:
            print(f"MISSED  {text}")
    return 1 if misses else 0


if __name__ == "__main__":
    # What answers in this process would write its records between the results.
    logging.disable(logging.INFO)
    sys.exit(main())
