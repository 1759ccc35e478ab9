"""The keeper's work: what it reports, what it tidies up, what it leaves alone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.contracts.fakes import (
    FakeActivations,
    FakeCodes,
    FakeConfigurations,
    FakeFleet,
    FakeJournal,
    FakeLedger,
    Now,
)
from tests.enrolment.audit import Audit, listening, metrics, totals
from tests.enrolment.crash_paths import new_public_key
from tests.enrolment.rig import NODE_ROLE, Crash, Rig, Wire, client_of, configuration, new_rig

from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from localcloud.wire import Request, Response
from moorings.enrolment import configuration as documents
from moorings.enrolment.keeper import keep
from moorings.enrolment.making import Maker
from moorings.enrolment.model import LEASE, STACK_TAG
from moorings.enrolment.upkeep import MOST_DEREGISTERED, Upkeep
from moorings.errors import Busy, CloudFault, MooringsError
from moorings.nodes.model import ManagedNode

KEY = "5a0c7e9e-8a44-4d0b-8f4b-0d6f7f1f2c11"
CLAIM_WINDOW = timedelta(hours=1)
STACK = "stack-1"
SECOND = timedelta(seconds=1)
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Bench:
    """The keeper over fakes."""

    def __init__(self, document: dict[str, Any] | None = None) -> None:
        self.clock = Now(START)
        self.ledger = FakeLedger()
        self.activations = FakeActivations(self.clock)
        self.codes = FakeCodes(self.clock)
        self.fleet = FakeFleet()
        self.journal = FakeJournal()
        self.stored = [documents.parse(document or configuration(), version=0)]

    def keeper(self, **ports: Any) -> Upkeep:
        """The keeper; `ports` take the place of the fakes."""
        ledger, codes = ports.get("ledger", self.ledger), ports.get("codes", self.codes)
        activations = ports.get("activations", self.activations)
        maker = Maker(ledger=ledger, activations=activations, codes=codes, journal=self.journal, clock=self.clock)
        return Upkeep(
            configurations=FakeConfigurations(self.stored, self.clock),
            ledger=ledger,
            activations=activations,
            codes=codes,
            maker=maker,
            fleet=ports.get("fleet", self.fleet),
            stack=STACK,
            journal=self.journal,
            clock=self.clock,
        )

    def configure(self, document: dict[str, Any]) -> None:
        self.stored.append(documents.parse(document, version=len(self.stored)))

    def current(self) -> str:
        current = self.ledger.state("default").current
        assert current
        return current.id

    def registered(self, activation_id: str, count: int) -> None:
        """So many nodes have registered with an activation."""
        live = self.activations.live
        live[activation_id] = replace(live[activation_id], registrations=count)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def audit() -> Iterator[Audit]:
    with listening() as heard:
        yield heard


# -- activations ---------------------------------------------------------------------------------------------------


def test_a_run_leaves_a_current_and_a_standby_and_the_next_run_nothing_to_do(bench: Bench) -> None:
    bench.keeper().run()
    first = bench.ledger.state("default")
    bench.keeper().run()

    assert first.current
    assert first.standby
    assert bench.ledger.state("default") == first
    assert set(bench.activations.live) == first.known() == set(bench.codes.codes)


def test_an_activation_is_deleted_when_it_has_drained_and_no_sooner(bench: Bench) -> None:
    bench.keeper().run()
    old = bench.current()
    bench.configure(configuration(tags={"Env": "new"}))
    bench.keeper().run()

    bench.clock.wait(CLAIM_WINDOW - SECOND)
    bench.keeper().run()
    assert old in bench.activations.live
    bench.clock.wait(2 * SECOND)
    bench.keeper().run()

    assert old not in bench.activations.live
    assert old not in bench.codes.codes
    assert bench.ledger.state("default").draining == ()
    assert old in {record["activation_id"] for record in bench.journal.of("activation_deleted")}


def test_draining_counts_from_the_write_not_from_the_runs_begin(rig: Rig) -> None:
    """A keeper may be slow: whoever got the last slot still has a whole claim window."""
    environment = rig.environment()
    rig.vend(environment)
    rig.prepare()
    rig.vend(environment)

    def slow(wire: Wire) -> Wire:
        def call(request: Request) -> Response:
            if b"REMOVE #lease" not in request.body and b"DescribeActivations" in str(request.headers).encode():
                rig.clock.step(timedelta(minutes=4))
            return wire(request)

        return call

    with rig.wired(slow):
        rig.keep()

    (drained,) = rig.state().draining
    assert drained.until >= rig.clock.now() + CLAIM_WINDOW - SECOND


def test_a_removed_pool_drains_and_disappears(bench: Bench) -> None:
    bench.keeper().run()
    known = bench.ledger.state("default").known()
    document = configuration()
    document["pool"], document["rule"][0]["pools"] = [document["pool"][1]], ["one"]
    bench.configure(document)

    bench.keeper().run()
    state = bench.ledger.state("default")
    assert (state.current, state.standby) == (None, None)
    assert state.known() == known
    bench.clock.wait(timedelta(days=1, seconds=1))
    bench.keeper().run()

    assert bench.ledger.state("default").known() == set()
    assert bench.activations.live == {}
    assert bench.codes.codes == {}


def test_a_pool_made_single_use_drains_what_it_shared(bench: Bench) -> None:
    bench.keeper().run()
    document = configuration()
    document["pool"][0] = {"name": "default", "mode": "single-use", "node_role": "nodes"}
    bench.configure(document)

    bench.keeper().run()
    bench.clock.wait(CLAIM_WINDOW + SECOND)
    bench.keeper().run()

    assert bench.activations.live == {}


def test_a_woken_keeper_minds_its_pool_alone(bench: Bench) -> None:
    bench.keeper().prepare("default")
    bench.keeper().prepare("no such pool")

    assert set(bench.ledger.pools) == {"default"}
    assert bench.ledger.state("default").standby


def test_a_keeper_woken_late_makes_nothing_while_a_standby_lies_ready(rig: Rig) -> None:
    """The current activation may be used up to the last slot: whoever asks next swaps, and wakes the keeper anew."""
    environment = rig.environment()
    rig.vend(environment)
    rig.prepare()
    rig.vend(environment)
    before = rig.state()

    rig.prepare()

    assert rig.state() == before
    assert len(rig.live_activations()) == 2


def test_a_code_without_its_activation_is_deleted_once_nobody_can_be_at_it(bench: Bench) -> None:
    bench.codes.put("orphan", "code")
    bench.keeper().run()
    assert "orphan" in bench.codes.codes

    bench.clock.wait(CLAIM_WINDOW + LEASE + SECOND)
    bench.keeper().run()

    assert "orphan" not in bench.codes.codes
    assert bench.ledger.state("default").known() == set(bench.codes.codes)


def test_an_activation_of_nobody_is_reaped_once_nobody_can_be_at_it(bench: Bench) -> None:
    pool = bench.stored[0].pools["default"]
    leak = bench.activations.create(pool, lease_id="lost", expires_at=START + pool.life)
    bench.codes.put(leak.id, leak.code)

    bench.keeper().run()
    assert leak.id in bench.activations.live
    bench.clock.wait(CLAIM_WINDOW + LEASE + SECOND)
    bench.keeper().run()

    assert leak.id not in bench.activations.live
    assert leak.id not in bench.codes.codes
    assert bench.journal.counts["LeaksReaped"] == 1


# -- single use ----------------------------------------------------------------------------------------------------


def test_a_single_use_activation_goes_when_it_is_used(rig: Rig) -> None:
    answer = rig.keyed(rig.environment(), KEY, pool="one")
    rig.keep()
    assert answer["ActivationId"] in rig.live_activations()

    rig.clock.step(timedelta(hours=1, seconds=1))
    rig.keep()

    assert answer["ActivationId"] not in rig.live_activations()
    assert answer["ActivationId"] not in rig.stored_codes()


def test_a_used_single_use_activation_goes_before_its_time(bench: Bench) -> None:
    from moorings.enrolment.model import Grant, single_use_lease

    pool = bench.stored[0].pools["one"]
    made = bench.activations.create(pool, lease_id=single_use_lease("k", "1"), expires_at=START + pool.life)
    bench.codes.put(made.id, made.code)
    grant = Grant(
        pool="one", key_hash="k", activation_id=made.id, granted_at=START, expires_at=made.expires_at, attempt="1"
    )
    bench.ledger.put_grant(grant, forget_at=START)
    bench.keeper().run()
    assert made.id in bench.activations.live

    bench.registered(made.id, 1)
    bench.keeper().run()

    assert made.id not in bench.activations.live
    assert made.id not in bench.codes.codes
    assert bench.journal.counts["LeaksReaped"] == 0


# -- counts and metrics --------------------------------------------------------------------------------------------


def test_more_registrations_than_slots_raise_the_alarms_metric(bench: Bench) -> None:
    bench.keeper().run()
    bench.registered(bench.current(), 2)

    bench.keeper().run()

    assert bench.journal.counts["SurplusRegistrations"] == 2
    (record,) = bench.journal.of("surplus_registrations")
    assert (record["registrations"], record["issued"]) == (2, 0)


def test_a_run_reports_stock_and_stale_nodes(bench: Bench) -> None:
    bench.keeper().run()

    assert bench.journal.gauges["SlotsLeft"] == 4
    assert bench.journal.gauges["StaleNodes"] == 0
    assert 28 * 24 < bench.journal.gauges["HoursToExpiry"] <= 29 * 24


def test_metrics_are_written_in_the_embedded_format(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """One record each, under the namespace that the alarms watch, with the stack as its dimension."""
    environment = rig.environment()
    rig.vend(environment)
    rig.ask(environment)
    rig.ask(environment)
    environment.journal.flush()
    rig.keep(environment)
    environment.journal.flush()

    printed = capsys.readouterr().out
    found = totals(printed)
    assert found["Granted"] == 3
    assert found["ActivationsCreated"] >= 2
    assert found["Rotations"] >= 2
    assert {"SlotsLeft", "HoursToExpiry", "StaleNodes"} <= set(found)
    for record in metrics(printed):
        (directive,) = record["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "Moorings"
        assert any("stack" in dimensions for dimensions in directive["Dimensions"])
        assert record["stack"] == rig.settings.stack


@pytest.mark.parametrize(
    ("event", "counted"),
    [({"source": "aws.events"}, 1), ({"pool": "default"}, 0), ({"pool": "no such pool"}, 0), ({}, 0)],
)
def test_runs_of_the_schedule_alone_are_counted_as_such(
    rig: Rig, capsys: pytest.CaptureFixture[str], event: dict[str, str], counted: int
) -> None:
    """Wakes may come all the time: they must not hide from the alarm that the schedule is off."""
    environment = rig.environment()
    keep(event, enrolment=environment)
    environment.journal.flush()

    assert totals(capsys.readouterr().out).get("ScheduledRuns", 0) == counted


def test_a_scheduled_run_that_fails_or_is_cut_off_has_been_made_by_the_schedule(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    """There are other alarms for it; nobody flushes anything for a function that has run into its timeout."""

    def cut_off(wire: Wire) -> Wire:
        def gone(request: Request) -> Response:
            raise Crash

        return gone

    environment = rig.environment()
    with rig.wired(cut_off), pytest.raises(Crash):
        keep({"source": "aws.events"}, enrolment=environment)

    assert totals(capsys.readouterr().out) == {"ScheduledRuns": 1}


def test_every_grant_has_one_audit_record(rig: Rig, audit: Audit) -> None:
    environment = rig.environment()
    rig.vend(environment)
    rig.keyed(environment, KEY)
    rig.keyed(environment, KEY)

    records = audit.of("granted")
    assert [record["repeated"] for record in records] == [False, False, True]
    assert [record["keyed"] for record in records] == [False, True, True]
    for record in records:
        assert (record["rule"], record["proof"], record["pool"]) == ("dc", "network", "default")
        assert record["source_ip"] == "10.0.0.5"
        assert record["activation_id"] in rig.live_activations()


# -- stale nodes ---------------------------------------------------------------------------------------------------


def _node(number: int, *, silent: timedelta, online: bool = False) -> ManagedNode:
    return ManagedNode(
        id=f"mi-{number:017d}",
        name="",
        computer_name=f"web-{number}",
        platform="Debian GNU/Linux 12",
        address="10.0.0.5",
        online=online,
        last_ping=START - silent,
        registered_at=START - timedelta(days=400),
        activation_id="a-1",
        role="nodes",
        agent_version="3.3.0.0",
    )


LONG, SHORT = timedelta(days=31), timedelta(days=29)


def _mine(bench: Bench, *nodes: ManagedNode) -> list[ManagedNode]:
    """Nodes that registered with activations of the bench's stack."""
    bench.fleet.tags |= {node.id: (STACK_TAG, STACK) for node in nodes}
    return list(nodes)


def test_stale_nodes_are_reported_and_left_alone(bench: Bench) -> None:
    bench.fleet.all = _mine(bench, _node(1, silent=LONG), _node(2, silent=SHORT), _node(3, silent=LONG, online=True))

    bench.keeper().run()

    assert bench.journal.gauges["StaleNodes"] == 1
    assert len(bench.fleet.all) == 3


def _deregistering() -> Bench:
    return Bench({**configuration(), "stale_nodes": {"after": "30d", "deregister": True}})


def test_stale_nodes_of_this_stack_are_deregistered_if_asked_for_and_nobody_elses() -> None:
    """Whatever their role: another stack, or a person, may register nodes under the very same one."""
    bench = _deregistering()
    sisters, strangers = _node(3, silent=LONG), _node(4, silent=LONG)
    bench.fleet.tags[sisters.id] = (STACK_TAG, "stack-2")
    others = [sisters, strangers, *_mine(bench, _node(5, silent=SHORT), _node(6, silent=LONG, online=True))]
    bench.fleet.all = [*_mine(bench, _node(1, silent=LONG)), *others]

    bench.keeper().run()

    assert bench.fleet.all == others
    assert bench.journal.counts["NodesDeregistered"] == 1
    assert bench.journal.of("stale_node_deregistered")[0]["node"] == "mi-00000000000000001"


def test_no_more_than_fifty_are_deregistered_in_one_run_the_longest_silent_first() -> None:
    bench = _deregistering()
    bench.fleet.all = _mine(bench, *(_node(number, silent=LONG + timedelta(hours=number)) for number in range(60)))

    bench.keeper().run()

    assert MOST_DEREGISTERED == 50
    assert {node.id for node in bench.fleet.all} == {_node(number, silent=LONG).id for number in range(10)}


def test_a_node_bears_its_stacks_mark_and_a_stranger_with_the_same_role_is_left_alone(rig: Rig) -> None:
    """Registered as agents do, on the emulated service: ours with a granted code, the stranger by hand."""
    environment = rig.environment()
    environment.configurations.apply(
        {**configuration(), "stale_nodes": {"after": "30d", "deregister": True}}, replacing=0
    )
    granted = rig.ask(environment)
    ssm, nodes = client_of(rig.cloud, "ssm"), rig.cloud.world.part(ManagedNodes)
    by_hand = ssm.create_activation(IamRole=NODE_ROLE, RegistrationLimit=1)
    mine, stranger = (
        nodes.register(
            activation_id=each["ActivationId"], code=each["ActivationCode"], fingerprint=print_, public_key=key
        )
        for each, print_, key in ((granted, "f-1", new_public_key()), (by_hand, "f-2", new_public_key()))
    )
    assert (STACK_TAG, rig.settings.stack) in mine.tags

    rig.clock.step(timedelta(days=31))
    rig.keep()

    assert nodes.find(mine.id) is None
    assert nodes.find(stranger.id)


# -- failures ------------------------------------------------------------------------------------------------------


class _Failing:
    """A port of which some calls fail."""

    def __init__(self, port: Any, error: MooringsError, *names: str, when: Any = lambda *_: True) -> None:
        self._port, self._error, self._names, self._when = port, error, names, when

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if name in self._names and self._when(*args):
                raise self._error
            return method(*args, **kwargs)

        return call


FAULT = CloudFault("it failed", call="x:Y")
THROTTLED = Busy("x:Y is throttled", retry_after=SECOND)


def _two_pools() -> dict[str, Any]:
    document = configuration()
    document["pool"].insert(0, {"name": "another", "node_role": "nodes"})
    return document


def test_a_pool_that_fails_does_not_stop_the_others_and_is_raised_at_the_end() -> None:
    bench = Bench(_two_pools())
    bench.codes.put("orphan", "code")
    bench.clock.wait(CLAIM_WINDOW * 2)
    failing = _Failing(bench.ledger, FAULT, "state", when=lambda name: name == "another")

    with pytest.raises(CloudFault):
        bench.keeper(ledger=failing).run()

    assert bench.ledger.state("default").standby
    assert "orphan" not in bench.codes.codes
    assert "SlotsLeft" in bench.journal.gauges
    assert bench.journal.of("chore_failed")


@pytest.mark.parametrize("name", ["stored", "nodes"])
def test_a_chore_that_fails_does_not_stop_the_others(bench: Bench, name: str) -> None:
    ports = {"codes": _Failing(bench.codes, FAULT, name), "fleet": _Failing(bench.fleet, FAULT, name)}

    with pytest.raises(CloudFault):
        bench.keeper(**ports).run()

    assert bench.ledger.state("default").standby
    assert "SlotsLeft" in bench.journal.gauges


def test_throttled_creation_is_no_failure(bench: Bench) -> None:
    bench.keeper(activations=_Failing(bench.activations, THROTTLED, "create")).run()

    assert bench.journal.of("throttled")
    state = bench.ledger.state("default")
    assert (state.current, state.lease_id) == (None, "")
    bench.keeper().run()
    assert bench.ledger.state("default").standby


def test_a_service_that_does_not_list_its_activations_does_not_stop_the_next_standby(bench: Bench) -> None:
    """Servers wait for activations; only the tidying up needs the list."""
    with pytest.raises(CloudFault):
        bench.keeper(activations=_Failing(bench.activations, FAULT, "described")).run()

    assert bench.ledger.state("default").current
    assert bench.ledger.state("default").standby


def test_a_discard_that_fails_is_left_to_the_next_runs(bench: Bench) -> None:
    both = _Failing(bench.activations, FAULT, "delete")
    with pytest.raises(CloudFault):
        bench.keeper(activations=both, codes=_Failing(bench.codes, FAULT, "put")).run()
    assert len(bench.activations.live) == 1
    assert bench.journal.of("discard_failed")

    bench.keeper().run()
    bench.clock.wait(CLAIM_WINDOW + LEASE + SECOND)
    bench.keeper().run()

    assert set(bench.activations.live) == bench.ledger.state("default").known()


def test_a_keeper_behind_a_newer_configuration_does_not_rotate_back(
    stepped_cloud: LocalCloud, stepped_clock: SteppedClock
) -> None:
    """The operator applies another configuration while the keeper runs, and the pool has moved on to it."""
    rig = new_rig(stepped_cloud, stepped_clock, configuration(registration_limit=10))
    rig.vend(rig.environment())
    moved: list[int] = []

    def meanwhile(wire: Wire) -> Wire:
        def call(request: Request) -> Response:
            response = wire(request)
            if request.headers.get("X-Amz-Target").endswith("DescribeActivations") and not moved:
                moved.append(1)
                document = configuration(registration_limit=10, tags={"Env": "new"})
                rig.environment().configurations.apply(document, replacing=0)
                rig.vend(rig.environment())
            return response

        return call

    with rig.wired(meanwhile):
        rig.keep()

    state = rig.state()
    assert state.version == 1
    assert state.generation == 2
    assert state.standby is None or state.standby.settings == state.current.settings


def test_a_stack_leaves_another_stacks_activations_alone(rig: Rig) -> None:
    ssm = client_of(rig.cloud, "ssm")
    expires = rig.clock.now() + timedelta(days=20)
    foreign = [
        ssm.create_activation(IamRole="nodes", ExpirationDate=expires, Description=text)["ActivationId"]
        for text in (
            "moorings stack=other pool=default lease=x",
            f"moorings stack={rig.settings.stack}x pool=default lease=x",
            f"by hand: moorings stack={rig.settings.stack} pool=default lease=x",
            "",
        )
    ]

    rig.clock.step(timedelta(days=1))
    rig.keep()

    listed = ssm.get_paginator("describe_activations").paginate().build_full_result()["ActivationList"]
    assert set(foreign) <= {each["ActivationId"] for each in listed}
