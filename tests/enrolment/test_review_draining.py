"""A pool's item has an end: DynamoDB holds 400 KB, and what drains lies in it."""

from dataclasses import replace
from datetime import timedelta

from tests.enrolment.rig import Rig, client_of

from moorings.enrolment import policy
from moorings.enrolment.model import Draining

LARGEST_ITEM = 400 * 1024


def _draining(rig: Rig, count: int, until: int) -> None:
    entry = {"M": {"until": {"N": str(until)}, "issued": {"N": "1000"}}}
    entries = {f"00000000-0000-4000-8000-{number:012d}": entry for number in range(count)}
    client_of(rig.cloud, "dynamodb").update_item(
        TableName=rig.settings.table,
        Key={"pk": {"S": "pool#default"}},
        UpdateExpression="SET draining = :entries",
        ExpressionAttributeValues={":entries": {"M": entries}},
    )


def test_a_pool_with_too_many_draining_says_when_one_goes(rig: Rig) -> None:
    """A small limit, many servers, a long claim window: nothing more is made that could not be written down."""
    environment = rig.environment()
    rig.vend(environment)
    rig.vend(environment)  # the limit
    until = rig.clock.now() + timedelta(minutes=20)
    _draining(rig, policy.MOST_DRAINING, int(until.timestamp()))
    before = set(rig.live_activations())

    answer = rig.ask(environment)

    assert answer["status"] == 503
    assert 1_190 <= int(answer["headers"]["Retry-After"]) <= 1_200
    assert set(rig.live_activations()) == before


def test_as_many_as_may_drain_leave_most_of_the_item_free(rig: Rig) -> None:
    """A name costs its bytes, a number at most 21, a map and each of its entries some more. Source: item sizes."""
    entry = 36 + len("until") + len("issued") + 2 * 21 + 3 + 3 * 1

    assert policy.MOST_DRAINING * entry < LARGEST_ITEM / 2


def test_the_keeper_rotates_no_pool_that_is_full(rig: Rig) -> None:
    """It goes on once it has deleted what is due."""
    rig.vend(rig.environment())
    rig.prepare()
    now = rig.clock.now()
    drained = tuple(
        Draining(id=f"{number}", until=now + timedelta(hours=1), issued=1) for number in range(policy.MOST_DRAINING)
    )
    pool = rig.environment().configurations.current().pools["default"]
    state = replace(rig.state(), issued=2)

    assert policy.upkeep_of(state, pool, now=now).swap
    full = policy.upkeep_of(replace(state, draining=drained), pool, now=now)
    assert not full.swap
    assert not policy.upkeep_of(replace(state, draining=drained, standby=None), pool, now=now).create_current
