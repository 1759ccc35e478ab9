"""One fleet that is patched under rate control: what happened, counted from the cloud's own records."""

import resource
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from bench.stand.in_process import in_process
from bench.stand.light_nodes import LightNode
from bench.stand.memory import PeakMemory
from bench.stand.patching import PARAMETERS, PatchStand, standing

from localcloud.clock import monotonic
from moorings.clock import SystemClock
from moorings.patching import fleets
from moorings.patching.archive import DynamoArchive
from moorings.patching.automations import SsmAutomations
from moorings.patching.campaign import Campaign, View
from moorings.patching.executions import Runbook

# Of the cloud's own durations. Not smaller: the runbook cuts a function's step off after a minute of the cloud's time,
# and a process that starts on a busy computer takes seconds of ours.
SCALE, SCALE_OF_ZIPS = 0.05, 0.1
PAUSES = {"SleepDuration": ["PT10S"]}
SCAN = {"Operation": ["Scan"]}
# Azure counts these against the VM's bucket of updates.
UPDATES = ("virtualMachines.put", "virtualMachines.patch", "virtualMachines.powerOff", "virtualMachines.start")
BURST = 12  # of that bucket
SERVICES = ("ssm", "lambda", "dynamodb", "events", "sts")
THROTTLED = {"ThrottlingException", "TooManyRequestsException", "ProvisionedThroughputExceededException"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What is asked for. `bad`: places of the nodes that go wrong, from 0."""

    nodes: int
    zips: bool = False  # the function as its zip and layer, in processes; else in this process
    concurrency: int = 40
    errors: int = 0
    bad: tuple[int, ...] = ()
    scan: bool = False  # Scan in place of Install; bad nodes are offline then
    parent_size: int = fleets.MOST_NODES


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened."""

    fleet: Fleet
    seconds: float
    cpu: float  # seconds, of this process and all that it started
    base_kib: int
    peak_kib: int
    outcomes: Mapping[str, int]
    begun: tuple[int, ...]  # places of the nodes that were begun
    budgets: tuple[int, ...]  # errors that each parent was allowed
    errors: int
    stopped: str
    as_planted: bool  # whether each begun node ended as its state lets expect, and its disk is as its outcome says
    calls: Mapping[str, int] = field(default_factory=dict)  # of AWS, answered with success, by API
    arm: Mapping[str, int] = field(default_factory=dict)  # of Azure, by method and action
    throttled: Mapping[str, int] = field(default_factory=dict)  # by API
    most_updates: int = 0  # of one VM, within the bucket's refill at most

    @property
    def each(self) -> Mapping[str, float]:
        """What a node took: seconds, seconds of processor, KiB of memory, calls to AWS and to Azure."""
        whole = {
            "seconds": self.seconds,
            "cpu": self.cpu,
            "kib": self.peak_kib - self.base_kib,
            "aws": sum(self.calls.values()),
            "arm": sum(self.arm.values()),
        }
        return {name: value / self.fleet.nodes for name, value in whole.items()}


def run(fleet: Fleet) -> Outcome:
    """Patch a fleet on a cloud of its own."""
    scale = SCALE_OF_ZIPS if fleet.zips else SCALE
    with standing(scale=scale) as stand:
        cpu = _cpu()
        with _functions(stand, fleet), _parents_of(fleet.parent_size):
            outcome = _patched(stand, fleet)
    # Processes tell what they took once they have ended.
    return replace(outcome, cpu=_cpu() - cpu)


def _patched(stand: PatchStand, fleet: Fleet) -> Outcome:
    stand.cloud.faults.published_quotas()
    with PeakMemory() as memory:
        nodes = [_node(stand, fleet, place) for place in range(fleet.nodes)]
        since, arm_since = len(stand.cloud.world.calls), len(stand.cloud.azure.calls)
        began = monotonic()
        view = _campaign(stand, fleet, [node.id for node in nodes])
        seconds = monotonic() - began
    return Outcome(
        fleet=fleet,
        seconds=seconds,
        cpu=0.0,
        base_kib=memory.base_kib,
        peak_kib=memory.peak_kib,
        as_planted=all(_as_planted(node, each, fleet) for node, each in zip(nodes, view.nodes, strict=True)),
        most_updates=_most_updates(stand, arm_since),
        **_told(stand, view),
        **_counted(stand, since, arm_since),
    )


def _cpu() -> float:
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


@contextmanager
def _parents_of(size: int) -> Iterator[None]:
    """Small fleets need several parents only if these are small."""
    before, fleets.MOST_NODES = fleets.MOST_NODES, size
    try:
        yield
    finally:
        fleets.MOST_NODES = before


def _functions(stand: PatchStand, fleet: Fleet) -> Any:
    # As many at once as two cores can make use of; the others wait.
    return nullcontext() if fleet.zips else in_process(stand, rooms=8)


def _node(stand: PatchStand, fleet: Fleet, place: int) -> LightNode:
    bad = place in fleet.bad
    return stand.nodes.add(f"web-{place:04d}", breaks=bad and not fleet.scan, online=not (bad and fleet.scan))


def _campaign(stand: PatchStand, fleet: Fleet, nodes: Sequence[str]) -> View:
    clock = SystemClock()
    campaign = Campaign(
        automations=SsmAutomations(client=stand.aws.client("ssm")),
        archive=DynamoArchive(client=stand.aws.client("dynamodb"), table=stand.table, clock=clock),
        clock=clock,
        on_view=lambda _view: None,
    )
    runbook = Runbook(
        document=stand.deployed.runbook, parameters={**PARAMETERS, **PAUSES, **(SCAN if fleet.scan else {})}
    )
    wanted = fleets.fleet(nodes, max_concurrency=str(fleet.concurrency), max_errors=str(fleet.errors))
    return campaign.run(runbook, wanted)


def _as_planted(node: LightNode, standing: Any, fleet: Fleet) -> bool:
    """A node that was not begun is as it was; of the others outcome and disk are those of its kind."""
    if standing.execution is None:
        return node.installs == 0
    if fleet.scan:
        return bool(standing.outcome == "UNCHANGED" and standing.wrong is (not node.online) and node.installs == 0)
    patched = node.files["version"] != "1\n" and "broken" not in node.files
    wanted = "ROLLED_BACK" if node.breaks else "PATCHED"
    return bool(standing.outcome == wanted and patched is (not node.breaks) and node.installs == 1)


def _told(stand: PatchStand, view: View) -> dict[str, Any]:
    parents = [stand.engine.get(execution) for execution in view.executions]
    return {
        "outcomes": dict(Counter(each.outcome or each.status for each in view.nodes)),
        "begun": tuple(place for place, each in enumerate(view.nodes) if each.execution is not None),
        "budgets": tuple(int(parent.targeting.max_errors) for parent in parents if parent.targeting),
        "errors": view.errors,
        "stopped": view.stopped,
    }


def _counted(stand: PatchStand, since: int, arm_since: int) -> dict[str, Any]:
    records = [record for record in stand.cloud.world.calls.since(since) if record.service in SERVICES]
    arm = stand.cloud.azure.calls.since(arm_since)
    throttled = Counter(f"{each.service}:{each.operation}" for each in records if each.error in THROTTLED)
    throttled.update(f"{each.method} {each.action}" for each in arm if each.status == 429)
    return {
        "calls": dict(Counter(f"{each.service}:{each.operation}" for each in records if not each.error)),
        "arm": dict(Counter(f"{each.method} {each.action}" for each in arm if each.status != 429)),
        "throttled": dict(throttled),
    }


def _most_updates(stand: PatchStand, since: int) -> int:
    """The most updates of one VM within any minute of Azure's time, refused ones too."""
    minute = stand.cloud.world.clock.scaled(timedelta(minutes=1))
    times: dict[str, list[Any]] = {}
    for call in stand.cloud.azure.calls.since(since):
        if call.operation in UPDATES:
            times.setdefault(call.resource.lower(), []).append(call.at)
    return max((sum(at <= one <= at + minute for one in each) for each in times.values() for at in each), default=0)


def budget_fleet(nodes: int, *, concurrency: int, parent_size: int) -> Fleet:
    """A fleet with a bad node in each of its first three parents, of which two are allowed: the third stops it."""
    bad = tuple(parent * parent_size + parent_size // 3 for parent in range(3))
    if bad[-1] >= nodes - concurrency:
        raise ValueError(f"{nodes} nodes are too few for three parents of {parent_size} with nodes left over")
    return Fleet(nodes=nodes, concurrency=concurrency, errors=len(bad) - 1, bad=bad, scan=True, parent_size=parent_size)


def wrong_with_budget(outcome: Outcome) -> list[str]:
    """What is wrong with how the budget of errors stopped a `budget_fleet`."""
    fleet, found = outcome.fleet, []
    stops = fleet.bad[-1]
    left = tuple(fleet.errors - parent for parent in range(len(fleet.bad)))
    if outcome.budgets != left:
        found.append(f"parents were allowed {outcome.budgets} errors, not what was left: {left}")
    if outcome.errors != fleet.errors + 1:
        found.append(f"{outcome.errors} errors in place of {fleet.errors + 1}")
    # In order; beside the last one at most those that were under way already.
    if outcome.begun != tuple(range(len(outcome.begun))):
        found.append("nodes were left out")
    if not stops < len(outcome.begun) <= stops + fleet.concurrency:
        found.append(f"{len(outcome.begun)} nodes were begun; node {stops + 1} is the error too many")
    if not outcome.stopped:
        found.append("nothing says that the run was stopped")
    return found
