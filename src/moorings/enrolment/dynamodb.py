"""The ledger on DynamoDB: every write is one conditional write on one item, and tells a lost answer from a lost race.

No transaction ever touches a pool's item: under load they would cancel each other. The item is hot, so it stays small.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from moorings.clock import from_epoch
from moorings.clouds.aws_errors import code_of, translated
from moorings.enrolment import items
from moorings.enrolment.items import Item, milliseconds, moment, number, text
from moorings.enrolment.model import Claim, Grant, Pool, PoolState, Prepared, Slot
from moorings.enrolment.policy import HOUR, hour_of

CONDITION_FAILED = "ConditionalCheckFailedException"
PUBLISH_ROUNDS = 5  # slots that others take meanwhile change the item under a publisher; each round has read it anew

# Words that DynamoDB reserves, or that could become so: every attribute goes by a placeholder.
NAMES = {
    "#activation": "activation_id",
    "#attempt": "attempt",
    "#draining": "draining",
    "#expires": "expires_at",
    "#generation": "generation",
    "#hour": "hour",
    "#id": "id",
    "#in_hour": "in_hour",
    "#issued": "issued",
    "#lease": "lease_id",
    "#until": "lease_until",
    "#limit": "limit",
    "#settings": "settings",
    "#standby": "standby",
    "#swap": "swap",
    "#version": "version",
    "#granted": "granted_at",
    "#ttl": "expires",
}
_NO_LEASE = "(attribute_not_exists(#until) OR #until <= :now)"
_SET_CURRENT = (
    "#activation = :id, #limit = :limit, #expires = :expires, #settings = :settings, "
    "#issued = :zero, #generation = :next, #version = :version"
)
ONE, ZERO = number(1), number(0)


class DynamoLedger:
    """The `Ledger` port. `once` makes a client that never repeats a request: one write must not be repeated."""

    def __init__(self, *, client: Any, once: Callable[[], Any], table: str) -> None:
        self._client = client
        self._once = once
        self._table = table

    # -- slots -----------------------------------------------------------------------------------------------------

    def take_slot(self, pool: Pool, *, now: datetime, new_hour: bool) -> Slot | PoolState:
        """See `ports.Ledger.take_slot`: one UpdateItem, whatever happens."""
        values = {
            ":settings": text(pool.settings_hash()),
            ":floor": moment(now + pool.margin),
            ":hour": number(hour_of(now)),
            ":one": ONE,
        }
        if new_hour:
            update = "SET #issued = #issued + :one, #hour = :hour, #in_hour = :one"
            in_time = "(attribute_not_exists(#hour) OR #hour < :hour)"
        else:
            update = "SET #issued = #issued + :one, #in_hour = #in_hour + :one"
            in_time = "#hour >= :hour AND #in_hour < :ceiling"
            values[":ceiling"] = number(pool.grants_per_hour)
        condition = f"#settings = :settings AND #issued < #limit AND #expires > :floor AND {in_time}"
        done, item = self._update(items.pool_key(pool.name), update, condition, values)
        return items.slot(item) if done else items.pool_state(item)

    def give_back(self, pool: str, slot: Slot) -> None:
        """See `ports.Ledger.give_back`; a lost answer leaves at worst one slot unused."""
        values = {":generation": number(slot.generation), ":one": ONE, ":zero": ZERO}
        update = "SET #issued = #issued - :one"
        condition = "#generation = :generation AND #issued > :zero"
        self._update(items.pool_key(pool), update, condition, values, client=self._once)

    def count_grant(self, pool: Pool, *, now: datetime) -> datetime | None:
        """See `ports.Ledger.count_grant`."""
        hour = hour_of(now)
        key, values = items.pool_key(pool.name), {":hour": number(hour), ":one": ONE}
        counting = {**values, ":ceiling": number(pool.grants_per_hour)}
        done, item = self._update(
            key, "SET #in_hour = #in_hour + :one", "#hour >= :hour AND #in_hour < :ceiling", counting
        )
        if done:
            return None
        if items.pool_state(item).hour < hour:
            opened, _ = self._update(
                key, "SET #hour = :hour, #in_hour = :one", "attribute_not_exists(#hour) OR #hour < :hour", values
            )
            return None if opened else self.count_grant(pool, now=now)
        return from_epoch((hour + 1) * HOUR.total_seconds())

    def uncount_grant(self, pool: Pool, *, now: datetime) -> None:
        """See `ports.Ledger.uncount_grant`; a lost answer leaves at worst one grant counted too many."""
        values = {":hour": number(hour_of(now)), ":one": ONE, ":zero": ZERO}
        update, condition = "SET #in_hour = #in_hour - :one", "#hour = :hour AND #in_hour > :zero"
        self._update(items.pool_key(pool.name), update, condition, values, client=self._once)

    # -- rotation --------------------------------------------------------------------------------------------------

    def swap(self, pool: str, state: PoolState, *, drain_until: datetime, version: int) -> bool:
        """See `ports.Ledger.swap`: the old activation is appended to `draining` in the same write."""
        standby = state.standby
        if standby is None:
            return False
        update, condition, names, values = _as_current(standby, state, drain_until=drain_until, version=version)
        # Many want the same swap at once; whose it was decides who wakes the keeper.
        attempt = str(uuid.uuid4())
        values |= {":standby": text(standby.id), ":attempt": text(attempt)}
        condition += " AND #standby.#id = :standby"
        update += ", #swap = :attempt REMOVE #standby"
        done, item = self._update(items.pool_key(pool), update, condition, values, names)
        return done or items.swapped_by(item) == attempt

    def take_lease(self, pool: str, state: PoolState, *, lease_id: str, now: datetime, until: datetime) -> bool:
        """See `ports.Ledger.take_lease`; makes the item of a pool that has none yet."""
        update = (
            "SET #lease = :lease, #until = :until, #generation = if_not_exists(#generation, :zero), "
            "#issued = if_not_exists(#issued, :zero), #draining = if_not_exists(#draining, :empty)"
        )
        values = {
            ":lease": text(lease_id),
            ":until": milliseconds(until),
            ":now": milliseconds(now),
            ":generation": number(state.generation),
            ":zero": ZERO,
            ":empty": {"M": {}},
        }
        condition = f"(attribute_not_exists(#generation) OR #generation = :generation) AND {_NO_LEASE}"
        if state.standby is None:
            condition += " AND attribute_not_exists(#standby)"
        else:
            condition += " AND #standby.#id = :standby"
            values[":standby"] = text(state.standby.id)
        done, item = self._update(items.pool_key(pool), update, condition, values)
        return done or items.pool_state(item).lease_id == lease_id

    def release_lease(self, pool: str, lease_id: str) -> None:
        """See `ports.Ledger.release_lease`."""
        self._update(items.pool_key(pool), "REMOVE #lease, #until", "#lease = :lease", {":lease": text(lease_id)})

    def publish_current(self, pool: str, made: Prepared, *, lease_id: str, drain_until: datetime, version: int) -> bool:
        """See `ports.Ledger.publish_current`."""
        state = self.state(pool)
        for _ in range(PUBLISH_ROUNDS):
            update, condition, names, values = _as_current(made, state, drain_until=drain_until, version=version)
            values[":lease"] = text(lease_id)
            done, item = self._update(
                items.pool_key(pool),
                f"{update} REMOVE #lease, #until",
                f"{condition} AND #lease = :lease",
                values,
                names,
            )
            state = items.pool_state(item)
            if done or _holds(state, made.id):
                return True
            if state.lease_id != lease_id:
                return False
        return False

    def publish_standby(self, pool: str, made: Prepared, *, lease_id: str) -> bool:
        """See `ports.Ledger.publish_standby`."""
        done, item = self._update(
            items.pool_key(pool),
            "SET #standby = :made REMOVE #lease, #until",
            "#lease = :lease AND attribute_not_exists(#standby)",
            {":made": items.prepared(made), ":lease": text(lease_id)},
        )
        return done or _holds(items.pool_state(item), made.id)

    def retire(self, pool: str, activation_id: str, *, drain_until: datetime) -> bool:
        """See `ports.Ledger.retire`."""
        state = self.state(pool)
        for _ in range(PUBLISH_ROUNDS):
            if state.current is None or state.current.id != activation_id:
                return any(drained.id == activation_id for drained in state.draining)
            done, item = self._update(
                items.pool_key(pool),
                "SET #draining.#old = :drained, #generation = :next, #issued = :zero "
                "REMOVE #activation, #limit, #expires, #settings",
                "#activation = :old AND #issued = :issued",
                {
                    ":old": text(activation_id),
                    ":issued": number(state.issued),
                    ":next": number(state.generation + 1),
                    ":zero": ZERO,
                    ":drained": items.draining(drain_until, state.issued),
                },
                {"#old": activation_id},
            )
            if done:
                return True
            state = items.pool_state(item)
        return False

    def drain_standby(self, pool: str, activation_id: str, *, until: datetime) -> bool:
        """See `ports.Ledger.drain_standby`."""
        done, item = self._update(
            items.pool_key(pool),
            "SET #draining.#old = :drained REMOVE #standby",
            "#standby.#id = :id",
            {":id": text(activation_id), ":drained": items.draining(until, 0)},
            {"#old": activation_id},
        )
        return done or any(drained.id == activation_id for drained in items.pool_state(item).draining)

    def forget_drained(self, pool: str, activation_id: str) -> None:
        """See `ports.Ledger.forget_drained`."""
        self._update(
            items.pool_key(pool),
            "REMOVE #draining.#old",
            "attribute_exists(#draining.#old)",
            {},
            {"#old": activation_id},
        )

    def state(self, pool: str) -> PoolState:
        """See `ports.Ledger.state`."""
        return items.pool_state(self._get(items.pool_key(pool)))

    # -- grants ----------------------------------------------------------------------------------------------------

    def grant(self, pool: str, key_hash: str) -> Grant | None:
        """See `ports.Ledger.grant`."""
        return items.grant(self._get(items.grant_key(pool, key_hash)), pool=pool, key_hash=key_hash)

    def put_grant(self, grant: Grant, *, forget_at: datetime) -> Grant | None:
        """See `ports.Ledger.put_grant`."""
        item = self._put(items.grant_item(grant, forget_at=forget_at), "attribute_not_exists(#activation)", {})
        old = items.grant(item, pool=grant.pool, key_hash=grant.key_hash)
        return None if old is None or old.attempt == grant.attempt else old

    def replace_grant(self, grant: Grant, *, old: Grant, forget_at: datetime) -> bool:
        """See `ports.Ledger.replace_grant`."""
        new = items.grant_item(grant, forget_at=forget_at)
        item = self._put(new, "#attempt = :old", {":old": text(old.attempt)})
        found = items.grant(item, pool=grant.pool, key_hash=grant.key_hash)
        return item is None or (found is not None and found.attempt == grant.attempt)

    def claim(self, claim: Claim, *, replacing: Grant | None, now: datetime, forget_at: datetime) -> bool:
        """See `ports.Ledger.claim`."""
        values = {
            ":lease": text(claim.lease_id),
            ":until": milliseconds(claim.lease_until),
            ":now": milliseconds(now),
            ":ttl": moment(forget_at),
        }
        same = "attribute_not_exists(#attempt)"
        if replacing is not None:
            same = "#attempt = :old"
            values[":old"] = text(replacing.attempt)
        done, item = self._update(
            items.grant_key(claim.pool, claim.key_hash),
            "SET #lease = :lease, #until = :until, #ttl = :ttl",
            f"{_NO_LEASE} AND {same}",
            values,
        )
        return done or items.pool_state(item).lease_id == claim.lease_id

    def release_claim(self, claim: Claim) -> None:
        """See `ports.Ledger.release_claim`."""
        key = items.grant_key(claim.pool, claim.key_hash)
        self._update(key, "REMOVE #lease, #until", "#lease = :lease", {":lease": text(claim.lease_id)})

    def fulfil(self, claim: Claim, grant: Grant, *, forget_at: datetime) -> bool:
        """See `ports.Ledger.fulfil`."""
        done, item = self._update(
            items.grant_key(claim.pool, claim.key_hash),
            "SET #activation = :id, #granted = :granted, #expires = :expires, #attempt = :attempt, #ttl = :ttl "
            "REMOVE #lease, #until",
            "#lease = :lease",
            {
                ":id": text(grant.activation_id),
                ":granted": moment(grant.granted_at),
                ":expires": moment(grant.expires_at),
                ":attempt": text(grant.attempt),
                ":ttl": moment(forget_at),
                ":lease": text(claim.lease_id),
            },
        )
        found = items.grant(item, pool=grant.pool, key_hash=grant.key_hash)
        return done or (found is not None and found.attempt == grant.attempt)

    # -- calls -----------------------------------------------------------------------------------------------------

    def _update(
        self,
        key: Item,
        update: str,
        condition: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
        *,
        client: Callable[[], Any] | None = None,
    ) -> tuple[bool, Item]:
        """One conditional UpdateItem: (True, the new item) or (False, the item that refused; empty: there is none)."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "Key": key,
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": _used({**NAMES, **(names or {})}, update, condition),
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if values:
            request["ExpressionAttributeValues"] = dict(values)
        with translated("dynamodb:UpdateItem"):
            try:
                return True, (client() if client else self._client).update_item(**request)["Attributes"]
            except ClientError as error:
                if code_of(error) != CONDITION_FAILED:
                    raise
                return False, error.response.get("Item", {})

    def _put(self, item: Item, condition: str, values: Mapping[str, Any]) -> Item | None:
        """One conditional PutItem: None, or the item that refused."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "Item": item,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": _used(NAMES, condition, ""),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if values:
            request["ExpressionAttributeValues"] = dict(values)
        with translated("dynamodb:PutItem"):
            try:
                self._client.put_item(**request)
            except ClientError as error:
                if code_of(error) != CONDITION_FAILED:
                    raise
                old: Item = error.response.get("Item", {})
                return old
        return None

    def _get(self, key: Item) -> Item | None:
        with translated("dynamodb:GetItem"):
            found: Item | None = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return found


def _as_current(
    made: Prepared, state: PoolState, *, drain_until: datetime, version: int
) -> tuple[str, str, dict[str, str], dict[str, Any]]:
    """The expressions that make `made` current in the place of what `state` shows, and drain that."""
    update, names = f"SET {_SET_CURRENT}", {}
    # The count of the drained activation is final only if nobody took a slot since it was read.
    condition = "#generation = :generation AND #issued = :issued"
    values = {
        ":id": text(made.id),
        ":limit": number(made.limit),
        ":expires": moment(made.expires_at),
        ":settings": text(made.settings),
        ":zero": ZERO,
        ":generation": number(state.generation),
        ":next": number(state.generation + 1),
        ":issued": number(state.issued),
        ":version": number(version),
    }
    if state.current is not None:
        update += ", #draining.#old = :drained"
        names["#old"] = state.current.id
        values[":drained"] = items.draining(drain_until, state.issued)
    return update, condition, names, values


def _holds(state: PoolState, activation_id: str) -> bool:
    """Whether the item that refused a publication shows that it had worked before: only its answer was lost."""
    return activation_id in state.known()


def _used(names: Mapping[str, str], *expressions: str) -> dict[str, str]:
    """DynamoDB refuses placeholders that no expression uses."""
    words = " ".join(expressions).replace("(", " ").replace(")", " ").replace(",", " ").replace(".", " ").split()
    return {name: names[name] for name in names if name in words}
