"""One fleet that is patched under rate control: what happened, counted from the cloud's own records."""

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

# Of the cloud's own durations. Not smaller: the service cuts a function's step off after a minute of its time, and a
# function that starts on a busy computer takes seconds of ours.
SCALE = 0.1
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
    concurrency: int = 20
    errors: int = 0
    bad: tuple[int, ...] = ()
    scan: bool = False  # Scan in place of Install; bad nodes are offline then
    parent_size: int = fleets.MOST_NODES


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened."""

    fleet: Fleet
    seconds: float
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
    def seconds_each(self) -> float:
        """Seconds a node."""
        return self.seconds / self.fleet.nodes

    @property
    def kib_each(self) -> float:
        """Memory that each node took."""
        return (self.peak_kib - self.base_kib) / self.fleet.nodes


def run(fleet: Fleet) -> Outcome:
    """Patch a fleet on a cloud of its own."""
    with standing(scale=SCALE) as stand, _functions(stand, fleet), _parents_of(fleet.parent_size):
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
            base_kib=memory.base_kib,
            peak_kib=memory.peak_kib,
            as_planted=all(_as_planted(node, each, fleet) for node, each in zip(nodes, view.nodes, strict=True)),
            most_updates=_most_updates(stand, arm_since),
            **_told(stand, view),
            **_counted(stand, since, arm_since),
        )


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
        "outcomes": Counter(each.outcome or each.status for each in view.nodes),
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
        "calls": Counter(f"{each.service}:{each.operation}" for each in records if not each.error),
        "arm": Counter(f"{each.method} {each.action}" for each in arm if each.status != 429),
        "throttled": throttled,
    }


def _most_updates(stand: PatchStand, since: int) -> int:
    """The most updates of one VM within any minute of Azure's time, refused ones too."""
    minute = stand.cloud.world.clock.scaled(timedelta(minutes=1))
    times: dict[str, list[Any]] = {}
    for call in stand.cloud.azure.calls.since(since):
        if call.operation in UPDATES:
            times.setdefault(call.resource.lower().partition("/poweroff")[0].partition("/start")[0], []).append(call.at)
    return max((sum(at <= one <= at + minute for one in each) for each in times.values() for at in each), default=0)


def budget_fleet(nodes: int, *, concurrency: int, parent_size: int) -> tuple[Fleet, int]:
    """A fleet with three bad nodes, one in each of its first three parents, of which two are allowed; and the place of
    the one that stops it."""
    middle = parent_size // 3
    bad = (middle, parent_size + middle, 2 * parent_size + middle)
    if bad[-1] >= nodes - 1:
        raise ValueError(f"{nodes} nodes are too few for three parents of {parent_size}, and nodes left over")
    fleet = Fleet(
        nodes=nodes, concurrency=concurrency, errors=2, bad=bad, scan=True, parent_size=parent_size
    )
    return fleet, bad[-1]


def over_budget(outcome: Outcome, stops: int) -> list[str]:
    """What is wrong with how the budget of errors stopped a run; `stops` is the place of the node that should."""
    fleet, found = outcome.fleet, []
    before = [sum(place < at for place in fleet.bad) for at in range(0, stops + 1, fleet.parent_size)]
    if outcome.budgets != tuple(fleet.errors - errors for errors in before):
        found.append(f"parents were allowed {outcome.budgets}, not what was left of {fleet.errors}")
    if outcome.errors != fleet.errors + 1:
        found.append(f"{outcome.errors} errors in place of {fleet.errors + 1}")
    # In order, and beside the last one at most those that were under way already.
    last = stops + fleet.concurrency - 1
    if outcome.begun != tuple(range(len(outcome.begun))) or not stops < len(outcome.begun) <= last + 1:
        found.append(f"{len(outcome.begun)} nodes were begun; the error too many is node {stops + 1}")
    if not outcome.stopped:
        found.append("nothing says that the run was stopped")
    return found


def small_budget() -> tuple[Fleet, int]:
    """One node at a time in parents of eight: not one node more is begun."""
    fleet, stops = budget_fleet(28, concurrency=1, parent_size=8)
    return replace(fleet), stops
