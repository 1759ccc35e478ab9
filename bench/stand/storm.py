"""One boot storm: what happened, counted from the cloud's own records, and which targets that misses."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from threading import Barrier, Thread

from bench.stand.deployment import Stand, standing
from bench.stand.nodes import Node, boot

from localcloud.aws.call import CallRecord
from localcloud.aws.endpoint import ANONYMOUS
from localcloud.aws.ssm.activations import Activations
from localcloud.faults import Faults
from moorings.enrolment import items
from moorings.enrolment.model import PoolState, key_hash
from moorings.enrolment.policy import WAIT_LONGEST

POOL = "default"
# Seconds that each API takes; the other ones answer at once.
LATENCIES = {
    ("dynamodb", "*"): 0.005,
    ("ssm", "GetParameter"): 0.015,
    ("ssm", "DescribeActivations"): 0.060,
    ("ssm", "CreateActivation"): 0.150,
    ("ssm", "PutParameter"): 0.040,
}
# Calls a second, and as many at once, as `Faults.published_quotas` arms them.
QUOTAS = {"CreateActivation": 2, "PutParameter": 3, "GetParameter": 40}
CALLS_OF_AN_ENVIRONMENT = 2  # configuration and code
CALLS_OF_AN_ACTIVATION = 10
EVENTS_LIMIT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What is asked for."""

    nodes: int
    limit: int
    concurrency: int
    keyed: bool = False
    throttle: float = 0.0  # how likely a cloud call is throttled
    lose: float = 0.0  # how likely an answer is lost, of the cloud to the function and of the API to the node
    warm: bool = False  # all environments started and the standby made beforehand
    seed: int = 0

    @property
    def faulty(self) -> bool:
        return self.throttle > 0 or self.lose > 0

    @property
    def calm(self) -> bool:
        """Nothing fails, and one activation is enough: the throttles of the service are out of reach."""
        return not self.faulty and self.nodes <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened. Times are in seconds."""

    storm: Storm
    registered: int
    over_issued: int
    issued: int  # slots taken, by the ledger's own count
    doubled: int  # keys whose grant is not what their node registered with, or that have none
    activations: int  # created, whether or not the answer arrived
    unpublished: int  # of these: the ledger never knew them, because an answer was lost, throttled or too late
    environments: int  # of the API's function
    calls: Mapping[str, int] = field(default_factory=dict)  # answered with success, by API
    refused: Mapping[str, int] = field(default_factory=dict)  # by API and error
    late_waits: int | None  # requests that waited, or made an activation, while a standby lay ready; None: unknown
    answers: Mapping[int, int] = field(default_factory=dict)  # what nodes were answered, by status; 0: nothing
    latencies: Sequence[float] = ()  # from first ask to code, sorted
    seconds: float = 0.0  # until the last node had its code

    def percentile(self, share: float) -> float:
        """The latency that this share of the nodes did not exceed; 0 if nobody got a code."""
        if not self.latencies:
            return 0.0
        return self.latencies[max(0, ceil(share * len(self.latencies)) - 1)]

    @property
    def lost_slots(self) -> int:
        return max(0, self.issued - self.registered)

    @property
    def allowed_calls(self) -> int:
        """How many successful calls the target allows."""
        each = 2 if self.storm.keyed else 1
        of_environments = CALLS_OF_AN_ENVIRONMENT * self.environments
        return self.storm.nodes * each + of_environments + CALLS_OF_AN_ACTIVATION * self.activations

    @property
    def allowed_activations(self) -> int:
        """How many activations the target allows. Nothing excuses one in vain where nothing failed or was throttled."""
        needed = ceil((self.storm.nodes + self.lost_slots) / self.storm.limit) + 1
        return needed if self.storm.calm else needed + self.unpublished


def best_seconds(storm: Storm) -> float:
    """How soon the last code can be out if the service's throttles were all that takes time."""
    needed = ceil(storm.nodes / storm.limit)
    return max(max(0, needed - rate) / rate for rate in QUOTAS.values())


def run(storm: Storm) -> Outcome:
    """Deploy, let the nodes boot, look at what is left."""
    parameters = {
        "DefaultPoolRegistrationLimit": str(storm.limit),
        "DefaultPoolGrantsPerHour": str(max(2_000, 4 * storm.nodes)),
        "ApiConcurrency": str(storm.concurrency),
    }
    with standing(parameters=parameters) as stand:
        if storm.warm:
            warm_up(stand, storm.concurrency)
        since = len(stand.cloud.world.calls)
        began_at = stand.cloud.world.clock.now() if storm.warm else None
        _arm(stand.cloud.faults, storm)
        nodes = boot(stand, count=storm.nodes, keyed=storm.keyed, losing=storm.lose, seed=storm.seed)
        stand.cloud.functions.wait_for_events(EVENTS_LIMIT)
        stand.cloud.faults.clear()
        return observe(stand, storm, nodes, since=since, standby_since=began_at)


def warm_up(stand: Stand, environments: int) -> None:
    """Start so many environments of the API's function, and have the keeper prepare what it prepares."""
    start = Barrier(environments)

    def one() -> None:
        start.wait()
        stand.ask("GET", "/bootstrap/linux", source_ip="10.1.0.1")

    threads = [Thread(target=one) for _ in range(environments)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stand.keep()


def _arm(faults: Faults, storm: Storm) -> None:
    for (service, operation), seconds in LATENCIES.items():
        faults.latency(service, operation, seconds)
    faults.published_quotas()
    for service in ("dynamodb", "ssm", "lambda"):
        if storm.throttle:
            faults.throttle(service, "*", probability=storm.throttle)
        if storm.lose:
            faults.lose_answer(service, "*", probability=storm.lose)


def observe(
    stand: Stand, storm: Storm, nodes: Sequence[Node], *, since: int, standby_since: datetime | None = None
) -> Outcome:
    """The outcome, from the cloud's records, the ledger and the nodes."""
    api = stand.calls_of(stand.api_function, since=since)
    keeper = stand.calls_of(stand.keeper_function, since=since)
    calls = [*api, *keeper]
    granted = Counter(node.activation_id for node in nodes if node.activation_id)
    redemptions = stand.cloud.world.part(Activations).redemptions()
    over = sum(max(0, granted[each.activation_id] - each.registration_limit) for each in redemptions)
    refusals = sum(node.refusal == "RegistrationLimitExceeded" for node in nodes)
    ledger = stand.items()
    named = {f"{record.service}:{record.operation}" for record in calls}
    # An injected refusal comes before anybody is asked who calls, and nobody else calls during a storm.
    nameless = [each for each in stand.cloud.world.calls.since(since) if each.error and each.principal == ANONYMOUS]
    return Outcome(
        storm=storm,
        registered=sum(node.registered for node in nodes),
        over_issued=max(over, refusals),
        issued=_issued(_pool_state(ledger)),
        doubled=_doubled(ledger, nodes) if storm.keyed else 0,
        activations=sum(_made(record) for record in calls),
        unpublished=sum(each.activation_id not in _pool_state(ledger).known() for each in redemptions),
        environments=len(stand.cloud.functions.sessions(stand.api_function)),
        calls={name: count for name in sorted(named) if (count := sum(_is(record, name) for record in calls))},
        refused=Counter(
            f"{record.service}:{record.operation} {record.error}"
            for record in [*calls, *nameless]
            if not _succeeded(record)
        ),
        late_waits=_late_waits(storm, stand, api, standby_since or _standby_since(keeper)),
        answers=sum((node.answers for node in nodes), Counter()),
        latencies=sorted(node.seconds for node in nodes if node.activation_id),
        seconds=max(node.answered_at for node in nodes) - min(node.asked_at for node in nodes),
    )


def _succeeded(record: CallRecord) -> bool:
    return 200 <= record.status < 300


def _is(record: CallRecord, name: str) -> bool:
    return _succeeded(record) and name == f"{record.service}:{record.operation}"


def _made(record: CallRecord) -> bool:
    """Whether this call made an activation: also if its answer was lost, since answers are lost after the effect."""
    return record.operation == "CreateActivation" and (_succeeded(record) or record.status == 0)


def _pool_state(ledger: Sequence[Mapping[str, object]]) -> PoolState:
    return items.pool_state(next((item for item in ledger if item["pk"] == items.pool_key(POOL)["pk"]), None))


def _issued(state: PoolState) -> int:
    return state.issued + sum(drained.issued for drained in state.draining)


def _doubled(ledger: Sequence[Mapping[str, dict[str, str]]], nodes: Sequence[Node]) -> int:
    """How many nodes' keys do not have exactly the grant that the node registered with."""
    held = {item["pk"]["S"]: item["activation_id"]["S"] for item in ledger if item["pk"]["S"].startswith("grant#")}
    wanted = {items.grant_key(POOL, key_hash(node.key))["pk"]["S"]: node.activation_id for node in nodes}
    return len(set(held.items()) ^ set(wanted.items()))


def _standby_since(keeper: Sequence[CallRecord]) -> datetime | None:
    """When the keeper had published its first standby: the write that follows the code it stored."""
    stored = next((each.at for each in keeper if each.operation == "PutParameter" and _succeeded(each)), None)
    if stored is None:
        return None
    writes = (each.at for each in keeper if each.operation == "UpdateItem" and _succeeded(each))
    return next((at for at in writes if at is not None and at > stored), None)


def _late_waits(storm: Storm, stand: Stand, api: Sequence[CallRecord], since: datetime | None) -> int | None:
    """Requests that waited for an activation, or made one, although the next one lay ready since then.

    Only a storm that one activation can bear tells: later, standbys are used up as well, and waiting is right.
    """
    if since is None or not storm.calm:
        return None
    made = sum(each.operation == "CreateActivation" for each in api if each.at is not None and each.at > since)
    # The metric bears the time of the answer: whoever had begun to wait before may need one more look.
    from_then_on = since if storm.warm else since + WAIT_LONGEST + timedelta(seconds=1)
    metrics = (json.loads(line) for line in stand.cloud.functions.logs(stand.api_function) if '"Waits"' in line)
    waited = sum(each["_aws"]["Timestamp"] / 1000 > from_then_on.timestamp() for each in metrics if "_aws" in each)
    return made + waited


@dataclass(frozen=True, slots=True)
class Check:
    """One target, judged; `holds` None: it is not set for this storm."""

    text: str
    holds: bool | None


def checks(outcome: Outcome) -> list[Check]:
    """Every target with its verdict."""
    storm, made, allowed = outcome.storm, outcome.activations, outcome.allowed_activations
    calls, waits = sum(outcome.calls.values()), outcome.late_waits
    return [
        Check(
            f"{outcome.registered} of {storm.nodes} registered with the first code they got",
            outcome.registered == storm.nodes,
        ),
        Check(f"{outcome.over_issued} over-issued", outcome.over_issued == 0),
        Check(f"{made} activations created ({outcome.unpublished} in vain), at most {allowed}", made <= allowed),
        Check(
            f"{calls} successful AWS calls, at most {outcome.allowed_calls}",
            calls <= outcome.allowed_calls if storm.calm else None,
        ),
        Check(f"{outcome.doubled} keys without exactly one grant", outcome.doubled == 0 if storm.keyed else None),
        Check(
            f"{waits if waits is not None else 'no count of'} waits while a standby lay ready",
            None if waits is None else waits == 0,
        ),
    ]
