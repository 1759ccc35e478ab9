"""The contracts of the `ActivationService` and `Codes` ports."""

from datetime import timedelta

from tests.contracts.worlds import World

MINUTE = timedelta(minutes=1)


def test_an_activation_is_described_with_its_pool_and_lease(world: World) -> None:
    pool = world.pool(registration_limit=7)
    expires_at = world.now() + timedelta(days=1)

    made = world.activations.create(pool, lease_id="lease-1", expires_at=expires_at)

    (found,) = world.activations.described()
    assert (found.id, found.pool, found.lease_id) == (made.id, "default", "lease-1")
    assert (found.limit, found.registrations, found.expired) == (7, 0, False)
    assert abs(found.created_at - world.now()) < MINUTE
    assert abs(found.expires_at - expires_at) < MINUTE
    assert world.activations.exists(made.id)
    assert made.code


def test_a_deleted_activation_is_gone_and_may_be_deleted_again(world: World) -> None:
    made = world.activations.create(world.pool(), lease_id="lease-1", expires_at=world.now() + timedelta(days=1))

    world.activations.delete(made.id)
    world.activations.delete(made.id)

    assert list(world.activations.described()) == []
    assert not world.activations.exists(made.id)


def test_an_activation_that_was_never_there_does_not_exist(world: World) -> None:
    assert not world.activations.exists("5a0c7e9e-8a44-4d0b-8f4b-0d6f7f1f2c11")


def test_an_expired_activation_says_so(world: World) -> None:
    world.activations.create(world.pool(), lease_id="lease-1", expires_at=world.now() + timedelta(hours=1))

    world.step(timedelta(hours=1, minutes=1))

    assert [each.expired for each in world.activations.described()] == [True]


def test_all_activations_are_described_however_many(world: World) -> None:
    expires_at = world.now() + timedelta(days=1)
    made = {world.activations.create(world.pool(), lease_id="x", expires_at=expires_at).id for _ in range(53)}

    assert {each.id for each in world.activations.described()} == made


def test_a_stored_code_is_found_and_listed(world: World) -> None:
    world.codes.put("a-1", "the code")

    assert world.codes.get("a-1") == "the code"
    ((activation_id, stored_at),) = world.codes.stored()
    assert activation_id == "a-1"
    assert stored_at <= world.now() + MINUTE  # aware, and not of some other zone


def test_a_code_is_never_overwritten(world: World) -> None:
    world.codes.put("a-1", "the code")
    world.codes.put("a-1", "another")

    assert world.codes.get("a-1") == "the code"


def test_a_code_that_is_not_there_is_none(world: World) -> None:
    assert world.codes.get("a-1") is None


def test_a_deleted_code_is_gone_and_may_be_deleted_again(world: World) -> None:
    world.codes.put("a-1", "the code")

    world.codes.delete("a-1")
    world.codes.delete("a-1")

    assert world.codes.get("a-1") is None
    assert list(world.codes.stored()) == []
