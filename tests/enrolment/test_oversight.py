"""What an operator sees and rotates, with real adapters at the HTTP seam."""

import uuid
from collections.abc import Callable

import pytest
from tests.enrolment.rig import ProductClock, Rig

from localcloud.wire import Request, Response
from moorings.enrolment.grants import DynamoGrants
from moorings.enrolment.model import key_hash
from moorings.enrolment.oversight import Oversight, Part
from moorings.errors import Busy

Wire = Callable[[Request], Response]


@pytest.fixture
def oversight(rig: Rig) -> Oversight:
    environment = rig.environment()
    return Oversight(
        configurations=environment.configurations,
        ledger=environment.upkeep.ledger,
        activations=environment.upkeep.activations,
        grant_book=DynamoGrants(client=rig.cloud.client("dynamodb"), table=rig.settings.table),
        keeper=environment.vending.keeper,
        clock=ProductClock(rig.clock),
    )


def before_each_swap(rig: Rig, happens: Callable[[], object], *, times: int) -> Callable[[Wire], Wire]:
    """Something that comes in between the reading of a pool's item and its swap."""
    left = [times]

    def wrap(wire: Wire) -> Wire:
        def send(request: Request) -> Response:
            if left[0] and b":standby" in request.body and b"UpdateItem" in str(request.headers).encode():
                left[0] -= 1
                happens()
            return wire(request)

        return send

    return wrap


def test_a_rotation_survives_servers_that_draw_meanwhile(rig: Rig, oversight: Oversight) -> None:
    """A slot taken between look and swap makes it look again; the final count is the true one."""
    environment = rig.environment()
    old = rig.vend(environment)
    rig.keep()

    with rig.wired(before_each_swap(rig, lambda: rig.vend(environment), times=1)):
        done = oversight.rotate("default")

    assert done.retired == old
    assert {each.id: each.issued for each in rig.state().draining} == {old: rig.granted[old]}


def test_rotating_wakes_the_keeper_for_the_next_standby(rig: Rig, oversight: Oversight) -> None:
    """So that the pool is not without one until the schedule comes round."""
    rig.vend(rig.environment())
    rig.keep()
    rig.woken.clear()

    oversight.rotate("default")

    assert rig.woken == ["default"]


def test_a_retired_activation_is_not_granted_again_even_without_a_standby(rig: Rig, oversight: Oversight) -> None:
    """The next request makes a new one."""
    environment = rig.environment()
    old = rig.vend(environment)

    done = oversight.rotate("default")

    assert (done.retired, done.current) == (old, "")
    assert rig.vend(environment) != old


def test_a_pool_that_changes_all_the_time_is_busy_and_not_rotated_twice(rig: Rig, oversight: Oversight) -> None:
    """Exit code 4 says: try again."""
    rig.vend(rig.environment())
    rig.keep()

    def another() -> None:
        rig.cloud.client("dynamodb").update_item(
            TableName=rig.settings.table,
            Key={"pk": {"S": "pool#default"}},
            UpdateExpression="SET issued = issued + :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    with rig.wired(before_each_swap(rig, another, times=100)), pytest.raises(Busy):
        oversight.rotate("default")
    assert rig.state(pool="default").draining == ()


def test_an_activation_that_the_ledger_does_not_know_is_shown_as_such(rig: Rig, oversight: Oversight) -> None:
    """It may be in the making, or a leak: the keeper will tell."""
    known = rig.vend(rig.environment())
    pool = rig.environment().configurations.current().pools["default"]
    stray = rig.environment().upkeep.activations.create(pool, lease_id="lost", expires_at=rig.clock.now() + pool.life)

    shown = oversight.overview().pools[0]

    assert [each.id for each in shown.part(Part.CURRENT)] == [known]
    assert [each.id for each in shown.part(Part.UNKNOWN)] == [stray.id]


def test_grants_are_read_page_by_page_and_claims_are_none(rig: Rig, oversight: Oversight) -> None:
    """A claim that has not become a grant, and items of other kinds, are left out."""
    environment, key = rig.environment(), str(uuid.uuid4())
    rig.keyed(environment, key)
    rig.vend(environment)
    rig.cloud.client("dynamodb").put_item(
        TableName=rig.settings.table, Item={"pk": {"S": "grant#one#abc"}, "lease_id": {"S": "x"}}
    )

    found = oversight.grants(most=10)

    assert [(grant.pool, grant.key_hash) for grant in found] == [("default", key_hash(key))]
