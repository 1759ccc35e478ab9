"""The interleavings that the design names, each by name, on the real adapters at the HTTP seam."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from tests.enrolment.audit import listening
from tests.enrolment.rig import Crash, Rig, Wire, client_of, configuration, new_rig

from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from localcloud.errors import ConnectionLost
from localcloud.wire import Request, Response
from moorings.enrolment.assembly import Enrolment
from moorings.enrolment.model import LEASE, PoolState, Slot, key_hash
from moorings.errors import Conflict

KEY = "5a0c7e9e-8a44-4d0b-8f4b-0d6f7f1f2c11"
OTHER_KEY = "0d6f7f1f-8a44-4d0b-8f4b-5a0c7e9e2c11"
CLAIM_WINDOW = timedelta(hours=1)
SECOND = timedelta(seconds=1)


# -- between the adapters and the cloud ----------------------------------------------------------------------------


def _operation(request: Request) -> str:
    return request.headers.get("X-Amz-Target").rpartition(".")[2] or "Invoke"


@contextmanager
def _at(
    rig: Rig, wanted: Callable[[Request], bool], do: Callable[[Request, Wire], Response]
) -> Iterator[list[Request]]:
    """Carry out the first wanted request as `do` says; yields the requests that were met."""
    met: list[Request] = []

    def wrap(wire: Wire) -> Wire:
        def call(request: Request) -> Response:
            if not met and wanted(request):
                met.append(request)
                return do(request, wire)
            return wire(request)

        return call

    with rig.wired(wrap):
        yield met


def _is(operation: str, text: str = "") -> Callable[[Request], bool]:
    return lambda request: _operation(request) == operation and text in request.body.decode()


def _lost(request: Request, wire: Wire) -> Response:
    """The call takes effect, its answer does not arrive."""
    wire(request)
    raise ConnectionLost("on purpose")


def _after(act: Callable[[], object]) -> Callable[[Request, Wire], Response]:
    """`act` happens before the call does."""

    def do(request: Request, wire: Wire) -> Response:
        act()
        return wire(request)

    return do


def _crash_after(request: Request, wire: Wire) -> Response:
    wire(request)
    raise Crash


@contextmanager
def _counting(rig: Rig) -> Iterator[list[str]]:
    calls: list[str] = []

    def wrap(wire: Wire) -> Wire:
        def call(request: Request) -> Response:
            calls.append(_operation(request))
            return wire(request)

        return call

    with rig.wired(wrap):
        yield calls


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore repeats at once."""
    monkeypatch.setattr("botocore.endpoint.time", type("NoSleep", (), {"sleep": staticmethod(lambda _: None)}))


# -- swap ----------------------------------------------------------------------------------------------------------


def _ready_to_swap(rig: Rig) -> tuple[Enrolment, PoolState]:
    environment = rig.environment()
    rig.vend(environment)
    rig.prepare()
    rig.vend(environment)
    return environment, rig.state()


def test_the_swap_drains_the_old_activation_in_the_same_write(rig: Rig) -> None:
    environment, before = _ready_to_swap(rig)

    with _counting(rig) as calls, _at(rig, _is("UpdateItem", "REMOVE #standby"), _crash_after), pytest.raises(Crash):
        rig.ask(environment)

    after = rig.state()
    assert before.current
    assert before.standby
    assert after.current == before.standby
    assert after.standby is None
    assert [(drained.id, drained.issued) for drained in after.draining] == [(before.current.id, 2)]
    assert calls.count("CreateActivation") == 0
    assert "TransactWriteItems" not in calls


def test_a_swap_whose_answer_was_lost_is_a_swap(rig: Rig) -> None:
    environment, before = _ready_to_swap(rig)

    with _at(rig, _is("UpdateItem", "REMOVE #standby"), _lost) as met:
        granted = rig.vend(environment)

    assert met
    assert before.standby
    assert granted == before.standby.id
    assert rig.state().generation == before.generation + 1


def test_of_two_swaps_one_happens(rig: Rig) -> None:
    environment, before = _ready_to_swap(rig)
    other = rig.environment()

    with _at(rig, _is("UpdateItem", "REMOVE #standby"), _after(lambda: rig.vend(other))) as met:
        granted = rig.vend(environment)

    state = rig.state()
    assert met
    assert state.generation == before.generation + 1
    assert (state.issued, state.current and state.current.id) == (2, granted)
    assert len(state.draining) == 1


def test_a_swap_refused_because_a_slot_came_back_is_no_rotation(rig: Rig) -> None:
    """The standby is still the standby then; an audit record of a rotation would be a lie."""
    environment, before = _ready_to_swap(rig)
    assert before.current
    slot = Slot(
        activation_id=before.current.id,
        expires_at=before.current.expires_at,
        generation=before.generation,
        issued=2,
        limit=2,
    )
    ledger = rig.environment().upkeep.ledger

    with (
        listening() as audit,
        _at(rig, _is("UpdateItem", "REMOVE #standby"), _after(lambda: ledger.give_back("default", slot))),
    ):
        granted = rig.vend(environment)

    assert granted == before.current.id
    assert rig.state().standby == before.standby
    assert audit.of("rotated") == []


def test_a_full_activation_never_grants_across_a_swap(rig: Rig) -> None:
    environment = rig.environment()

    for _ in range(9):
        rig.vend(environment)
        rig.prepare()

    assert max(rig.granted.values()) == 2
    assert len(rig.granted) == 5


# -- publish -------------------------------------------------------------------------------------------------------


def test_a_publisher_whose_lease_was_taken_over_deletes_what_it_made(rig: Rig) -> None:
    environment, other = rig.environment(), rig.environment()

    def meanwhile() -> None:
        rig.clock.step(LEASE + SECOND)
        rig.vend(other)

    with _at(rig, _is("UpdateItem", ":next"), _after(meanwhile)) as met:
        rig.vend(environment)

    state = rig.state()
    assert met
    assert state.current
    assert set(rig.live_activations()) == {state.current.id}
    assert rig.stored_codes() == {state.current.id}
    assert state.issued == 2


def test_a_slow_publisher_that_nobody_replaced_still_publishes(rig: Rig) -> None:
    """A lease that is over is only free for the next one: what is made is not thrown away for nothing."""
    with _at(rig, _is("UpdateItem", ":next"), _after(lambda: rig.clock.step(LEASE * 2))):
        granted = rig.vend(rig.environment())

    assert set(rig.live_activations()) == {granted}


def test_a_slow_publisher_whose_lease_the_keeper_fenced_publishes_nothing(rig: Rig) -> None:
    def meanwhile() -> None:
        rig.clock.step(CLAIM_WINDOW + LEASE + SECOND)
        rig.keep()

    with listening() as audit, _at(rig, _is("UpdateItem", ":next"), _after(meanwhile)) as met:
        answer = rig.ask(rig.environment())

    state = rig.state()
    assert met
    assert len(audit.of("leak_reaped")) == 1
    assert audit.of("leak_reaped")[0]["activation_id"] not in state.known()
    assert set(rig.live_activations()) == state.known() == rig.stored_codes()
    assert answer["status"] in (200, 503)


@pytest.mark.parametrize("fragment", [":next", "SET #standby = :made"])
def test_a_publication_whose_answer_was_lost_is_published(rig: Rig, fragment: str) -> None:
    """Its repetition is refused by an item that holds our id: that is success, so nothing is deleted."""
    with listening() as audit, _at(rig, _is("UpdateItem", fragment), _lost) as met:
        rig.keep()

    state = rig.state()
    assert met
    assert state.current
    assert state.standby
    assert set(rig.live_activations()) == state.known() == rig.stored_codes()
    assert len(audit.of("activation_created")) == 2


def test_a_publication_that_is_swapped_out_before_its_repetition_is_published_all_the_same(rig: Rig) -> None:
    """The id is then found among the draining: it was current, and somebody may hold a slot of it."""
    other = rig.environment()

    def lost_and_overtaken(request: Request, wire: Wire) -> Response:
        wire(request)
        rig.vend(other), rig.vend(other)
        rig.prepare()
        rig.vend(other)
        raise ConnectionLost("on purpose")

    with _at(rig, _is("UpdateItem", ":next"), lost_and_overtaken):
        rig.vend(rig.environment())

    state = rig.state()
    assert len(state.draining) == 1
    assert state.known() == set(rig.live_activations())
    assert max(rig.granted.values()) <= 2


def test_slots_taken_while_a_successor_is_made_do_not_stop_its_publication(
    stepped_cloud: LocalCloud, stepped_clock: SteppedClock
) -> None:
    rig = new_rig(stepped_cloud, stepped_clock, configuration(registration_limit=10))
    environment = rig.environment()
    rig.vend(environment)
    state, pool = rig.state(), environment.configurations.current().pools["default"]
    other = rig.environment()

    with _at(rig, _is("UpdateItem", ":next"), _after(lambda: rig.vend(other))) as met:
        assert environment.vending.maker.make_current(pool, state, version=0)

    assert met
    assert [drained.issued for drained in rig.state().draining] == [2]


# -- leases --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fragment", ["SET #lease = :lease", "REMOVE #lease, #until"])
def test_a_lease_whose_answer_was_lost_is_ours(rig: Rig, fragment: str) -> None:
    with _counting(rig) as calls, _at(rig, _is("UpdateItem", fragment), _lost) as met:
        rig.vend(rig.environment())

    assert met
    assert calls.count("CreateActivation") == 1
    assert len(rig.live_activations()) == 1


def test_while_one_creates_the_others_wait_and_share(rig: Rig) -> None:
    other, waits = rig.environment(), []

    def meanwhile(request: Request, wire: Wire) -> Response:
        made = wire(request)
        rig.clock.step(SECOND)
        waits.append(rig.ask(rig.environment(), None)["status"])
        return made

    with _counting(rig) as calls, _at(rig, _is("CreateActivation"), meanwhile):
        rig.ask(other)

    # The second one waited until the lease was over (nobody freed it) and made its own; the first lost and cleaned up.
    state = rig.state()
    assert waits == [200]
    assert state.current
    assert set(rig.live_activations()) == state.known()
    assert calls.count("CreateActivation") == 2


def test_a_throttled_creation_frees_the_lease_at_once(rig: Rig) -> None:
    """Others wait for the service, not for the lease."""
    states: list[PoolState] = []

    def throttled(request: Request, wire: Wire) -> Response:
        body = json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode()
        return Response(status=400, body=body)

    def look(wire: Wire) -> Wire:
        def call(request: Request) -> Response:
            response = wire(request)
            if _is("UpdateItem", "REMOVE #lease, #until")(request) and not states:
                states.append(rig.state())
            return response

        return call

    before = rig.clock.now()
    with rig.wired(look), _at(rig, _is("CreateActivation"), throttled) as met:
        rig.vend(rig.environment())

    assert met
    assert states[0].lease_id == ""
    assert rig.clock.now() - before < LEASE
    assert len(rig.live_activations()) == 1


def test_a_creation_whose_answer_was_lost_is_not_repeated_and_is_found_by_the_keeper(rig: Rig) -> None:
    with _counting(rig) as calls, _at(rig, _is("CreateActivation"), _lost):
        answer = rig.ask(rig.environment())

    assert answer["status"] == 503
    assert calls.count("CreateActivation") == 1
    assert rig.state().lease_id == ""
    leaked = set(rig.live_activations())
    assert len(leaked) == 1
    rig.vend(rig.environment())
    rig.clock.step(CLAIM_WINDOW + LEASE + SECOND)
    rig.keep()
    assert not leaked & set(rig.live_activations())


def test_a_stored_code_whose_answer_was_lost_is_stored(rig: Rig) -> None:
    """The repetition finds ParameterAlreadyExists: only we know the code, so it is ours."""
    with _at(rig, _is("PutParameter"), _lost) as met:
        granted = rig.vend(rig.environment())

    assert met
    assert rig.stored_codes() == {granted} == set(rig.live_activations())


def test_a_code_that_cannot_be_stored_leaves_no_activation(rig: Rig) -> None:
    rig.cloud.faults.error("ssm", "PutParameter", status=500)
    try:
        answer = rig.ask(rig.environment())
    finally:
        rig.cloud.faults.clear()

    assert answer["status"] == 503
    assert rig.live_activations() == {}
    assert rig.state().lease_id == ""


# -- slots and grants ----------------------------------------------------------------------------------------------


def test_a_slot_whose_answer_was_lost_costs_one_slot(rig: Rig) -> None:
    environment = rig.environment()
    rig.vend(environment)

    with _at(rig, _is("UpdateItem", "#issued + :one"), _lost):
        rig.vend(environment)

    # The repetition was refused (limit 2): a new activation serves, and nothing was granted twice.
    assert max(rig.granted.values()) == 1
    assert len(rig.granted) == 2


@pytest.mark.parametrize("fragment", ["attribute_not_exists(#activation)"])
def test_a_grant_whose_answer_was_lost_is_ours(rig: Rig, fragment: str) -> None:
    with _at(rig, _is("PutItem", fragment), _lost) as met:
        answer = rig.keyed(rig.environment(), KEY)

    grant = rig.environment().upkeep.ledger.grant("default", key_hash(KEY))
    assert met
    assert grant
    assert grant.activation_id == answer["ActivationId"]
    assert rig.state().issued == 1


def test_a_replaced_grant_whose_answer_was_lost_is_ours(rig: Rig) -> None:
    rig.keyed(rig.environment(), KEY)
    rig.clock.step(CLAIM_WINDOW)

    with _at(rig, _is("PutItem", "#attempt = :old"), _lost) as met:
        answer = rig.keyed(rig.environment(), KEY)

    grant = rig.environment().upkeep.ledger.grant("default", key_hash(KEY))
    assert met
    assert answer["status"] == 200
    assert grant
    assert grant.granted_at == rig.clock.now().replace(microsecond=0)
    assert rig.state().issued == 2


def test_a_key_asking_twice_at_once_costs_one_slot(rig: Rig) -> None:
    environment, other, second = rig.environment(), rig.environment(), []
    rig.keep()

    with _at(
        rig, _is("PutItem", "attribute_not_exists(#activation)"), _after(lambda: second.append(rig.keyed(other, KEY)))
    ):
        first = rig.keyed(environment, KEY)

    assert first["ActivationId"] == second[0]["ActivationId"]
    assert rig.state().issued == 1


def test_a_window_that_ends_while_a_key_asks_twice_is_renewed_once(rig: Rig) -> None:
    rig.keyed(rig.environment(), KEY)
    rig.clock.step(CLAIM_WINDOW)
    other, second = rig.environment(), []

    with _at(rig, _is("PutItem", "#attempt = :old"), _after(lambda: second.append(rig.keyed(other, KEY)))) as met:
        first = rig.keyed(rig.environment(), KEY)

    grant = rig.environment().upkeep.ledger.grant("default", key_hash(KEY))
    assert met
    assert grant
    assert first["ActivationId"] == second[0]["ActivationId"] == grant.activation_id


def test_a_crash_between_slot_and_grant_costs_exactly_one_slot(
    stepped_cloud: LocalCloud, stepped_clock: SteppedClock
) -> None:
    rig = new_rig(stepped_cloud, stepped_clock, configuration(registration_limit=10))
    rig.vend(rig.environment())

    with _at(rig, _is("UpdateItem", "#issued + :one"), _crash_after), pytest.raises(Crash):
        rig.keyed(rig.environment(), KEY)
    answer = rig.keyed(rig.environment(), KEY)
    again = rig.keyed(rig.environment(), KEY)

    assert rig.state().issued == 3
    assert answer["ActivationId"] == again["ActivationId"]


def test_a_slot_given_back_is_never_given_back_twice(rig: Rig) -> None:
    """Its answer is lost: another try would free somebody else's slot. The key gets its grant all the same."""
    rig.keep()
    first = rig.keyed(rig.environment(), KEY)
    sent: list[Request] = []

    def lost(request: Request, wire: Wire) -> Response:
        sent.append(request)
        return _lost(request, wire)

    with _counting(rig) as calls, _at(rig, _is("UpdateItem", "#issued - :one"), lost):
        again = rig.keyed(rig.environment(), KEY)

    assert again["status"] == 200
    assert again["ActivationId"] == first["ActivationId"]
    assert len(sent) == 1
    assert calls.count("UpdateItem") == 2
    assert rig.state().issued == 1


def test_a_slot_that_cannot_be_given_back_does_not_cost_the_answer(rig: Rig) -> None:
    rig.keep()
    first = rig.keyed(rig.environment(), KEY)

    def throttled(request: Request, wire: Wire) -> Response:
        return Response(status=400, body=b'{"__type": "ProvisionedThroughputExceededException", "message": "slow"}')

    with listening() as audit, _at(rig, _is("UpdateItem", "#issued - :one"), throttled):
        again = rig.keyed(rig.environment(), KEY)

    assert again["ActivationId"] == first["ActivationId"]
    assert rig.state().issued == 2
    assert len(audit.of("slot_lost")) == 1


def test_a_slot_of_another_generation_is_not_given_back(rig: Rig) -> None:
    """The pool rotates between taking and giving back: the new activation's count is left alone."""
    rig.keep()
    rig.keyed(rig.environment(), KEY)
    environment, other = rig.environment(), rig.environment()

    with _at(rig, _is("UpdateItem", "#issued - :one"), _after(lambda: rig.vend(other))) as met:
        rig.keyed(environment, KEY)

    state = rig.state()
    assert met
    assert state.generation == 2
    assert state.issued == 1
    assert [drained.issued for drained in state.draining] == [2]


def test_a_key_finds_its_grant_when_the_pool_is_used_up(rig: Rig) -> None:
    environment = rig.environment()
    first = rig.keyed(environment, KEY)
    rig.vend(environment)

    with _counting(rig) as calls:
        again = rig.keyed(environment, KEY)

    assert again["ActivationId"] == first["ActivationId"]
    assert "CreateActivation" not in calls
    assert rig.state().issued == 2


# -- the hour and the clocks ---------------------------------------------------------------------------------------


def _to_the_next_hour(rig: Rig, less: timedelta = timedelta(0)) -> None:
    rig.clock.step(timedelta(seconds=3_600 - rig.clock.now().timestamp() % 3_600) - less)


def test_the_hour_turns_between_refusal_and_next_try(stepped_cloud: LocalCloud, stepped_clock: SteppedClock) -> None:
    rig = new_rig(stepped_cloud, stepped_clock, configuration(registration_limit=100, grants_per_hour=3))
    _to_the_next_hour(rig, less=SECOND)
    environment = rig.environment()
    rig.vend(environment)
    rig.vend(environment)
    _to_the_next_hour(rig)

    # Both find the old hour; one opens the new one, the other one counts in it.
    with _at(rig, _is("UpdateItem", "#hour = :hour"), _after(lambda: rig.vend(rig.environment()))) as met:
        rig.vend(environment)

    state = rig.state()
    assert met
    assert state.granted_in_hour == 2
    assert state.issued == 4


def test_the_ceiling_holds_in_every_hour(stepped_cloud: LocalCloud, stepped_clock: SteppedClock) -> None:
    rig = new_rig(stepped_cloud, stepped_clock, configuration(registration_limit=100, grants_per_hour=3))
    _to_the_next_hour(rig)

    for _ in range(3):
        statuses = [rig.ask(rig.environment())["status"] for _ in range(5)]
        _to_the_next_hour(rig)
        assert statuses == [200, 200, 200, 429, 429]


@pytest.mark.parametrize(
    "skew", [timedelta(seconds=-3), timedelta(seconds=3), timedelta(minutes=-2), timedelta(hours=1)]
)
def test_clocks_that_differ_never_lead_to_a_slot_too_many(rig: Rig, skew: timedelta) -> None:
    right, wrong = rig.environment(), rig.environment()
    stepped = rig.clock

    class Skewed:
        def now(self):  # type: ignore[no-untyped-def]
            return stepped.now() + skew

        def wait(self, duration: timedelta) -> None:
            stepped.step(duration)

    skewed = Skewed()
    wrong.clock = skewed
    object.__setattr__(wrong.vending, "clock", skewed)
    object.__setattr__(wrong.vending.maker, "clock", skewed)

    for _ in range(3):
        rig.vend(right)
        rig.vend(wrong)
        rig.prepare()
    rig.clock.step(CLAIM_WINDOW + LEASE)
    rig.keep()

    assert max(rig.granted.values()) <= 2
    assert sum(rig.granted.values()) == 6
    assert set(rig.live_activations()) == rig.state().known()


# -- configurations ------------------------------------------------------------------------------------------------


def _apply(rig: Rig, replacing: int, **pool: object) -> None:
    rig.environment().configurations.apply(configuration(**pool), replacing=replacing)


def test_a_standby_made_under_other_settings_is_drained_not_granted(rig: Rig) -> None:
    _, before = _ready_to_swap(rig)
    _apply(rig, 0, tags={"Env": "new"})

    granted = rig.vend(rig.environment())
    rig.keep()

    state = rig.state()
    assert before.standby
    assert granted != before.standby.id
    assert before.standby.id in {drained.id for drained in state.draining}
    assert state.standby
    assert state.standby.settings == state.current.settings != before.standby.settings


def test_a_standby_close_to_its_expiry_is_drained_not_granted(rig: Rig) -> None:
    rig.keep()
    before = rig.state()
    rig.clock.step(timedelta(days=29) - timedelta(hours=6))

    granted = rig.vend(rig.environment())
    rig.keep()

    assert before.standby
    assert granted not in before.known()
    assert before.standby.id in {drained.id for drained in rig.state().draining}


def test_an_environment_with_an_older_configuration_does_not_rotate_back(rig: Rig) -> None:
    stale = rig.environment()
    rig.vend(stale)
    _apply(rig, 0, tags={"Env": "new"}, registration_limit=10)
    current = rig.vend(rig.environment())

    assert rig.vend(stale) == current
    assert rig.state().generation == 2


def test_an_environment_that_is_overtaken_while_it_waits_does_not_rotate_back(rig: Rig) -> None:
    """It has read the configuration once in this very request; the pool has moved on since."""
    stale = rig.environment()
    rig.vend(stale)
    _apply(rig, 0, tags={"Env": "new"}, registration_limit=10)
    rig.vend(rig.environment())

    def overtaken(request: Request, wire: Wire) -> Response:
        read = wire(request)
        _apply(rig, 1, tags={"Env": "newer"}, registration_limit=10)
        rig.vend(rig.environment())
        return read

    with _at(rig, _is("GetItem", '"configuration"'), overtaken) as met:
        rig.vend(stale)

    assert met
    assert rig.state().generation == 3
    assert rig.state().version == 2


def test_a_configuration_deleted_by_hand_does_not_loop(rig: Rig) -> None:
    """Versions begin anew then, so they cannot tell who is behind. Each environment looks, and they agree at once."""
    _apply(rig, 0, tags={"Env": "new"}, registration_limit=100)
    one, two = rig.environment(), rig.environment()
    rig.vend(one), rig.vend(two)
    key = {"pk": {"S": "configuration"}}
    client_of(rig.cloud, "dynamodb").delete_item(TableName=rig.settings.table, Key=key)
    fresh = rig.environment()

    before = rig.state().generation
    for _ in range(3):
        for environment in (fresh, one, two):
            environment.configurations.current()
            rig.ask(environment)

    # Limit 2 in the default document: 9 requests need 5 activations, and none beyond that.
    assert rig.state().generation - before == 5
    assert rig.state().version == 0


def test_a_stored_document_that_does_not_hold_leaves_the_last_good_one_in_force(rig: Rig) -> None:
    environment = rig.environment()
    rig.vend(environment)
    item = {"pk": {"S": "configuration"}, "version": {"N": "1"}, "document": {"S": '{"pool": 5}'}}
    client_of(rig.cloud, "dynamodb").put_item(TableName=rig.settings.table, Item=item)
    rig.clock.step(timedelta(minutes=2))

    assert rig.ask(environment)["status"] == 200


def test_a_configuration_whose_answer_was_lost_is_applied(rig: Rig) -> None:
    with _at(rig, _is("PutItem", '"configuration"'), _lost) as met:
        applied = rig.environment().configurations.apply(configuration(tags={"Env": "x"}), replacing=0)

    assert met
    assert applied.version == 1
    assert rig.environment().configurations.current().pools["default"].tags == (("Env", "x"),)


def test_of_two_configurations_applied_at_once_one_wins(rig: Rig) -> None:
    _apply(rig, 0, tags={"Env": "x"})

    with pytest.raises(Conflict):
        _apply(rig, 0, tags={"Env": "y"})
    with pytest.raises(Conflict):
        _apply(rig, 5, tags={"Env": "y"})


# -- behind our back -----------------------------------------------------------------------------------------------


def test_an_activation_whose_code_was_deleted_is_retired(rig: Rig) -> None:
    first = rig.vend(rig.environment())
    client_of(rig.cloud, "ssm").delete_parameter(Name=f"{rig.settings.code_prefix}/{first}")

    second = rig.vend(rig.environment())

    assert second != first
    assert first in {drained.id for drained in rig.state().draining}


def test_an_activation_that_was_deleted_is_retired_by_the_keeper(rig: Rig) -> None:
    rig.keep()
    before = rig.state()
    for activation_id in rig.live_activations():
        client_of(rig.cloud, "ssm").delete_activation(ActivationId=activation_id)

    rig.keep()

    state = rig.state()
    assert state.current
    assert state.standby
    assert not before.known() & {state.current.id, state.standby.id}
    rig.clock.step(CLAIM_WINDOW + SECOND)
    rig.keep()
    assert rig.state().known() == set(rig.live_activations()) == rig.stored_codes()


def test_a_key_whose_activation_was_deleted_gets_another_one(rig: Rig) -> None:
    """After a keeper run nobody is handed the dead one again."""
    rig.keep()
    first = rig.keyed(rig.environment(), KEY)
    client_of(rig.cloud, "ssm").delete_activation(ActivationId=first["ActivationId"])
    rig.keep()

    again = rig.keyed(rig.environment(), KEY)

    assert again["ActivationId"] in rig.live_activations()


# -- single-use ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fragment", ["SET #lease = :lease", "SET #activation = :id"])
def test_a_claim_or_fulfilment_whose_answer_was_lost_is_ours(rig: Rig, fragment: str) -> None:
    with _counting(rig) as calls, _at(rig, _is("UpdateItem", fragment), _lost) as met:
        answer = rig.keyed(rig.environment(), KEY, pool="one")

    assert met
    assert calls.count("CreateActivation") == 1
    assert set(rig.live_activations()) == {answer["ActivationId"]}


def test_a_key_asking_a_single_use_pool_twice_at_once_gets_one_activation(rig: Rig) -> None:
    other, second = rig.environment(), []

    def meanwhile() -> None:
        second.append(rig.keyed(other, KEY, pool="one"))

    with _at(rig, _is("UpdateItem", "SET #activation = :id"), _after(meanwhile)):
        first = rig.keyed(rig.environment(), KEY, pool="one")

    assert first["ActivationId"] == second[0]["ActivationId"]
    assert set(rig.live_activations()) == {first["ActivationId"]} == rig.stored_codes()


def test_a_late_fulfilment_of_a_fenced_claim_grants_nothing(rig: Rig) -> None:
    def meanwhile() -> None:
        rig.clock.step(timedelta(hours=1) + LEASE + SECOND)
        rig.keep()

    with _at(rig, _is("UpdateItem", "SET #activation = :id"), _after(meanwhile)) as met:
        answer = rig.keyed(rig.environment(), KEY, pool="one")

    assert met
    live = rig.live_activations()
    assert answer["status"] == 503 or answer["ActivationId"] in live


def test_a_claim_that_is_over_is_free_for_the_key(rig: Rig) -> None:
    with _at(rig, _is("UpdateItem", "SET #lease = :lease"), _crash_after), pytest.raises(Crash):
        rig.keyed(rig.environment(), KEY, pool="one")

    assert rig.keyed(rig.environment(), KEY, pool="one")["status"] == 200
    assert len(rig.live_activations()) == 1


def test_single_use_grants_count_against_the_hour(stepped_cloud: LocalCloud, stepped_clock: SteppedClock) -> None:
    document = configuration()
    document["pool"][1]["grants_per_hour"] = 1
    rig = new_rig(stepped_cloud, stepped_clock, document)
    _to_the_next_hour(rig)

    assert rig.keyed(rig.environment(), KEY, pool="one")["status"] == 200
    assert rig.keyed(rig.environment(), KEY, pool="one")["status"] == 200
    assert rig.keyed(rig.environment(), OTHER_KEY, pool="one")["status"] == 429
    _to_the_next_hour(rig)
    assert rig.keyed(rig.environment(), OTHER_KEY, pool="one")["status"] == 200
