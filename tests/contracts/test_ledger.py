"""The contract of the `Ledger` port."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.contracts.worlds import World
from tests.enrolment.strategies import OTHER_SETTINGS

from moorings.clock import epoch, from_epoch
from moorings.enrolment.model import LEASE, Claim, Draining, Grant, Pool, PoolState, Prepared, Slot

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def _made(world: World, pool: Pool, name: str = "a-1", **changes: object) -> Prepared:
    made = Prepared(
        id=name,
        limit=pool.registration_limit,
        expires_at=world.now() + pool.life,
        settings=pool.settings_hash(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def _lease(world: World, pool: Pool, lease_id: str = "lease") -> bool:
    now = world.now()
    state = world.ledger.state(pool.name)
    return world.ledger.take_lease(pool.name, state, lease_id=lease_id, now=now, until=now + LEASE)


def _publish(world: World, pool: Pool, name: str = "a-1", **changes: object) -> Prepared:
    made = _made(world, pool, name, **changes)
    assert _lease(world, pool, f"lease-{name}")
    assert world.ledger.publish_current(
        pool.name, made, lease_id=f"lease-{name}", drain_until=world.now() + HOUR, version=4
    )
    return made


def _take(world: World, pool: Pool) -> Slot | PoolState:
    """As vending does: the hour's counter is opened when the first try finds it closed."""
    first = world.ledger.take_slot(pool, now=world.now(), new_hour=False)
    return first if isinstance(first, Slot) else world.ledger.take_slot(pool, now=world.now(), new_hour=True)


def _standby(world: World, pool: Pool, name: str = "a-2") -> None:
    assert _lease(world, pool, f"lease-{name}")
    assert world.ledger.publish_standby(pool.name, _made(world, pool, name), lease_id=f"lease-{name}")


def _grant(world: World, attempt: str = "1", activation_id: str = "a-1") -> Grant:
    now = from_epoch(epoch(world.now()))
    return Grant(
        pool="default",
        key_hash="k",
        activation_id=activation_id,
        granted_at=now,
        expires_at=now + HOUR,
        attempt=attempt,
    )


# -- slots ---------------------------------------------------------------------------------------------------------


def test_an_unused_pool_is_empty(world: World) -> None:
    assert world.ledger.state("default") == PoolState()
    assert isinstance(_take(world, world.pool()), PoolState)
    assert world.ledger.state("default") == PoolState()


def test_slots_are_counted_to_the_limit(world: World) -> None:
    pool = world.pool(registration_limit=3)
    made = _publish(world, pool)

    taken = [_take(world, pool) for _ in range(5)]

    slots = [each for each in taken if isinstance(each, Slot)]
    assert [slot.issued for slot in slots] == [1, 2, 3]
    assert {(slot.activation_id, slot.generation, slot.limit) for slot in slots} == {(made.id, 1, 3)}
    refused = taken[-1]
    assert isinstance(refused, PoolState)
    assert refused.issued == 3


def test_a_refusal_shows_the_item_as_it_is(world: World) -> None:
    pool = world.pool(registration_limit=1)
    _publish(world, pool)
    _take(world, pool)
    _standby(world, pool)

    assert _take(world, pool) == world.ledger.state(pool.name)


@pytest.mark.parametrize(
    "changes", [{"settings": OTHER_SETTINGS}, {"limit": 0}], ids=["other settings", "nothing left"]
)
def test_an_activation_that_does_not_suit_is_not_granted(world: World, changes: dict[str, object]) -> None:
    pool = world.pool()
    _publish(world, pool, **changes)

    assert isinstance(_take(world, pool), PoolState)


def test_an_activation_within_the_margin_is_not_granted(world: World) -> None:
    pool = world.pool()
    now = from_epoch(epoch(world.now()))
    _publish(world, pool, expires_at=now + pool.margin)

    assert isinstance(_take(world, pool), PoolState)


def test_an_activation_just_before_the_margin_is_granted(world: World) -> None:
    pool = world.pool()
    _publish(world, pool, expires_at=world.now() + pool.margin + 2 * SECOND)

    assert isinstance(_take(world, pool), Slot)


def test_the_hours_ceiling_holds(world: World) -> None:
    pool = world.pool(grants_per_hour=2)
    _publish(world, pool)

    taken = [isinstance(_take(world, pool), Slot) for _ in range(3)]
    world.step(HOUR)

    assert taken == [True, True, False]
    assert isinstance(_take(world, pool), Slot)
    assert world.ledger.state(pool.name).granted_in_hour == 1


def test_a_new_hour_is_opened_once(world: World) -> None:
    pool = world.pool()
    _publish(world, pool)
    assert isinstance(world.ledger.take_slot(pool, now=world.now(), new_hour=True), Slot)

    assert isinstance(world.ledger.take_slot(pool, now=world.now(), new_hour=True), PoolState)


def test_an_hour_that_is_ahead_counts(world: World) -> None:
    """Clocks that differ: whoever is behind counts in the item's hour."""
    pool = world.pool(grants_per_hour=2)
    _publish(world, pool)
    ahead = world.ledger.take_slot(pool, now=world.now() + HOUR, new_hour=True)

    assert isinstance(ahead, Slot)
    assert isinstance(_take(world, pool), Slot)
    assert isinstance(_take(world, pool), PoolState)


def test_a_slot_given_back_is_free_again(world: World) -> None:
    pool = world.pool(registration_limit=1)
    _publish(world, pool)
    slot = _take(world, pool)
    assert isinstance(slot, Slot)

    world.ledger.give_back(pool.name, slot)

    assert isinstance(_take(world, pool), Slot)


def test_a_slot_of_another_generation_is_not_given_back(world: World) -> None:
    pool = world.pool()
    _publish(world, pool)
    slot = _take(world, pool)
    assert isinstance(slot, Slot)
    _publish(world, pool, "a-2")
    _take(world, pool)

    world.ledger.give_back(pool.name, slot)

    assert world.ledger.state(pool.name).issued == 1


def test_nothing_is_given_back_below_zero(world: World) -> None:
    pool = world.pool()
    _publish(world, pool)
    slot = _take(world, pool)
    assert isinstance(slot, Slot)

    world.ledger.give_back(pool.name, slot)
    world.ledger.give_back(pool.name, slot)

    assert world.ledger.state(pool.name).issued == 0


# -- leases and publications ---------------------------------------------------------------------------------------


def test_a_lease_has_one_holder(world: World) -> None:
    pool = world.pool()

    assert _lease(world, pool, "mine")
    assert not _lease(world, pool, "another")
    assert world.ledger.state(pool.name).lease_id == "mine"


def test_a_lease_taken_again_by_its_holder_is_still_held(world: World) -> None:
    """The answer to the first write was lost."""
    pool = world.pool()

    assert _lease(world, pool, "mine")
    assert _lease(world, pool, "mine")


def test_a_lease_that_is_over_is_free(world: World) -> None:
    pool = world.pool()
    assert _lease(world, pool, "mine")

    world.step(LEASE)

    assert _lease(world, pool, "another")


def test_a_released_lease_is_free_and_only_its_holder_releases_it(world: World) -> None:
    pool = world.pool()
    assert _lease(world, pool, "mine")

    world.ledger.release_lease(pool.name, "another")
    assert not _lease(world, pool, "third")
    world.ledger.release_lease(pool.name, "mine")

    assert _lease(world, pool, "third")


def test_a_lease_is_not_given_to_who_has_seen_an_older_item(world: World) -> None:
    pool = world.pool()
    before = world.ledger.state(pool.name)
    _publish(world, pool)
    current = world.ledger.state(pool.name)
    _standby(world, pool)
    now = world.now()

    for seen in (before, current):
        assert not world.ledger.take_lease(pool.name, seen, lease_id="late", now=now, until=now + LEASE)


def test_a_publication_ends_the_lease_and_drains_what_was(world: World) -> None:
    pool = world.pool()
    _publish(world, pool)
    _take(world, pool)

    _publish(world, pool, "a-2")

    state = world.ledger.state(pool.name)
    until = from_epoch(epoch(world.now() + HOUR))
    assert state.current
    assert (state.current.id, state.issued, state.generation, state.version) == ("a-2", 0, 2, 4)
    assert state.draining == (Draining(id="a-1", until=until, issued=1),)
    assert (state.lease_id, state.lease_until) == ("", None)


def test_without_the_lease_nothing_is_published(world: World) -> None:
    pool = world.pool()
    made = _made(world, pool)
    assert _lease(world, pool, "mine")
    now = world.now()

    assert not world.ledger.publish_current(pool.name, made, lease_id="other", drain_until=now + HOUR, version=1)
    assert not world.ledger.publish_standby(pool.name, made, lease_id="other")
    world.ledger.release_lease(pool.name, "mine")
    assert not world.ledger.publish_current(pool.name, made, lease_id="mine", drain_until=now + HOUR, version=1)
    assert not world.ledger.publish_standby(pool.name, made, lease_id="mine")
    assert world.ledger.state(pool.name).known() == set()


def test_a_publication_repeated_is_a_success(world: World) -> None:
    pool = world.pool()
    made = _publish(world, pool)
    _standby(world, pool)
    now = world.now()

    assert world.ledger.publish_current(pool.name, made, lease_id="lease-a-1", drain_until=now + HOUR, version=4)
    assert world.ledger.publish_standby(pool.name, _made(world, pool, "a-2"), lease_id="lease-a-2")
    assert world.ledger.state(pool.name).generation == 1


def test_a_second_standby_is_not_published(world: World) -> None:
    pool = world.pool()
    _publish(world, pool)
    _standby(world, pool)
    assert _lease(world, pool, "lease")

    assert not world.ledger.publish_standby(pool.name, _made(world, pool, "a-3"), lease_id="lease")


def test_a_swap_makes_the_standby_current_and_drains_what_was(world: World) -> None:
    pool = world.pool()
    _publish(world, pool)
    _take(world, pool)
    _standby(world, pool)
    state = world.ledger.state(pool.name)

    assert world.ledger.swap(pool.name, state, drain_until=world.now() + HOUR, version=5)

    after = world.ledger.state(pool.name)
    assert (after.current, after.standby, after.issued, after.version) == (state.standby, None, 0, 5)
    assert [(drained.id, drained.issued) for drained in after.draining] == [("a-1", 1)]


def test_of_many_who_want_the_same_swap_one_has_done_it(world: World) -> None:
    pool = world.pool()
    _publish(world, pool)
    _standby(world, pool)
    state = world.ledger.state(pool.name)
    until = world.now() + HOUR

    assert world.ledger.swap(pool.name, state, drain_until=until, version=5)
    assert not world.ledger.swap(pool.name, state, drain_until=until, version=5)
    assert world.ledger.state(pool.name).generation == 2


def test_a_swap_of_a_changed_item_is_refused(world: World) -> None:
    pool = world.pool()
    _publish(world, pool)
    _standby(world, pool)
    state = world.ledger.state(pool.name)
    _take(world, pool)

    assert not world.ledger.swap(pool.name, state, drain_until=world.now() + HOUR, version=5)
    assert not world.ledger.swap(pool.name, PoolState(), drain_until=world.now() + HOUR, version=5)


def test_a_retired_activation_drains_and_leaves_none(world: World) -> None:
    pool = world.pool()
    _publish(world, pool)
    _take(world, pool)
    until = world.now() + HOUR

    assert world.ledger.retire(pool.name, "a-1", drain_until=until)
    assert world.ledger.retire(pool.name, "a-1", drain_until=until)
    assert not world.ledger.retire(pool.name, "unknown", drain_until=until)

    state = world.ledger.state(pool.name)
    assert (state.current, state.issued, state.generation) == (None, 0, 2)
    assert [(drained.id, drained.issued) for drained in state.draining] == [("a-1", 1)]
    assert isinstance(_take(world, pool), PoolState)
    _publish(world, pool, "a-2")
    assert isinstance(_take(world, pool), Slot)


def test_a_standby_drains_once(world: World) -> None:
    pool = world.pool()
    _publish(world, pool)
    _standby(world, pool)
    until = world.now() + HOUR

    assert not world.ledger.drain_standby(pool.name, "a-1", until=until)
    assert world.ledger.drain_standby(pool.name, "a-2", until=until)
    assert world.ledger.drain_standby(pool.name, "a-2", until=until)
    assert world.ledger.state(pool.name).standby is None


def test_a_drained_activation_is_forgotten(world: World) -> None:
    pool = world.pool()
    _publish(world, pool)
    world.ledger.retire(pool.name, "a-1", drain_until=world.now())

    world.ledger.forget_drained(pool.name, "a-1")
    world.ledger.forget_drained(pool.name, "a-1")
    world.ledger.forget_drained("never used", "a-1")

    assert world.ledger.state(pool.name).draining == ()
    assert world.ledger.state("never used") == PoolState()


# -- grants --------------------------------------------------------------------------------------------------------


def test_the_first_grant_of_a_key_stays(world: World) -> None:
    first, second, later = _grant(world, "1"), _grant(world, "2", "a-2"), world.now() + HOUR

    assert world.ledger.put_grant(first, forget_at=later) is None
    assert world.ledger.put_grant(first, forget_at=later) is None  # its own repetition
    assert world.ledger.put_grant(second, forget_at=later) == first
    assert world.ledger.grant("default", "k") == first
    assert world.ledger.grant("default", "other") is None
    assert world.ledger.grant("other", "k") is None


def test_a_grant_is_replaced_only_as_it_was_seen(world: World) -> None:
    first, second, third = (_grant(world, attempt) for attempt in "123")
    later = world.now() + HOUR
    world.ledger.put_grant(first, forget_at=later)

    assert world.ledger.replace_grant(second, old=first, forget_at=later)
    assert world.ledger.replace_grant(second, old=first, forget_at=later)  # its own repetition
    assert not world.ledger.replace_grant(third, old=first, forget_at=later)
    assert world.ledger.grant("default", "k") == second


def test_a_grant_that_is_gone_cannot_be_replaced(world: World) -> None:
    first, second = _grant(world, "1"), _grant(world, "2")

    assert not world.ledger.replace_grant(second, old=first, forget_at=world.now())
    assert world.ledger.grant("default", "k") is None


# -- single use ----------------------------------------------------------------------------------------------------


def _claim(world: World, lease_id: str) -> Claim:
    return Claim(pool="one", key_hash="k", lease_id=lease_id, lease_until=world.now() + LEASE)


def _fulfilment(world: World, attempt: str = "1") -> Grant:
    return replace(_grant(world, attempt), pool="one")


def test_a_claim_has_one_holder_until_it_is_over(world: World) -> None:
    now, later = world.now(), world.now() + HOUR
    mine, other = _claim(world, "mine"), _claim(world, "other")

    assert world.ledger.claim(mine, replacing=None, now=now, forget_at=later)
    assert world.ledger.claim(mine, replacing=None, now=now, forget_at=later)  # its own repetition
    assert not world.ledger.claim(other, replacing=None, now=now, forget_at=later)
    assert world.ledger.grant("one", "k") is None
    assert world.ledger.claim(other, replacing=None, now=now + LEASE, forget_at=later)


def test_a_claim_becomes_its_grant(world: World) -> None:
    now, later, grant = world.now(), world.now() + HOUR, _fulfilment(world)
    mine = _claim(world, "mine")
    world.ledger.claim(mine, replacing=None, now=now, forget_at=later)

    assert world.ledger.fulfil(mine, grant, forget_at=later)
    assert world.ledger.fulfil(mine, grant, forget_at=later)  # its own repetition
    assert world.ledger.grant("one", "k") == grant


def test_a_claim_of_another_is_not_fulfilled(world: World) -> None:
    now, later = world.now(), world.now() + HOUR
    world.ledger.claim(_claim(world, "mine"), replacing=None, now=now, forget_at=later)

    assert not world.ledger.fulfil(_claim(world, "other"), _fulfilment(world), forget_at=later)
    world.ledger.release_claim(_claim(world, "other"))
    assert world.ledger.fulfil(_claim(world, "mine"), _fulfilment(world), forget_at=later)


def test_a_released_claim_is_free_and_fenced(world: World) -> None:
    now, later = world.now(), world.now() + HOUR
    world.ledger.claim(_claim(world, "mine"), replacing=None, now=now, forget_at=later)

    world.ledger.release_claim(_claim(world, "mine"))

    assert not world.ledger.fulfil(_claim(world, "mine"), _fulfilment(world), forget_at=later)
    assert world.ledger.claim(_claim(world, "other"), replacing=None, now=now, forget_at=later)


def test_a_claim_replaces_the_grant_that_was_seen_alone(world: World) -> None:
    now, later, first = world.now(), world.now() + HOUR, _fulfilment(world, "1")
    world.ledger.claim(_claim(world, "1"), replacing=None, now=now, forget_at=later)
    world.ledger.fulfil(_claim(world, "1"), first, forget_at=later)

    assert not world.ledger.claim(_claim(world, "2"), replacing=None, now=now, forget_at=later)
    assert not world.ledger.claim(_claim(world, "2"), replacing=_fulfilment(world, "0"), now=now, forget_at=later)
    assert world.ledger.claim(_claim(world, "2"), replacing=first, now=now, forget_at=later)
    assert world.ledger.grant("one", "k") == first  # until the new one is there


def test_single_use_grants_count_against_the_hour(world: World) -> None:
    pool, now = world.pool(grants_per_hour=2), world.now()

    counted = [world.ledger.count_grant(pool, now=now) for _ in range(3)]

    assert counted[:2] == [None, None]
    assert counted[2]
    assert now < counted[2] <= now + HOUR
    assert world.ledger.count_grant(pool, now=counted[2]) is None


def test_a_count_whose_grant_was_not_made_is_taken_back(world: World) -> None:
    pool, now = world.pool(grants_per_hour=1), world.now()
    assert world.ledger.count_grant(pool, now=now) is None

    world.ledger.uncount_grant(pool, now=now)

    assert world.ledger.count_grant(pool, now=now) is None
    assert world.ledger.count_grant(pool, now=now)


def test_a_count_of_an_hour_that_is_over_is_not_taken_from_the_next(world: World) -> None:
    pool, now = world.pool(grants_per_hour=1), world.now()
    assert world.ledger.count_grant(pool, now=now) is None
    assert world.ledger.count_grant(pool, now=now + HOUR) is None

    world.ledger.uncount_grant(pool, now=now)

    assert world.ledger.count_grant(pool, now=now + HOUR)
