"""The ports of enrolment in memory: small, honest, and held to the same contracts as the adapters on AWS.

Each method is one step; `Stage` may stop between them, repeat one, or lose its answer.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from moorings.clock import epoch, from_epoch
from moorings.enrolment.model import (
    Claim,
    Configuration,
    Described,
    Draining,
    Grant,
    NewActivation,
    Pool,
    PoolState,
    Prepared,
    Slot,
)
from moorings.enrolment.policy import grantable, hour_of
from moorings.enrolment.ports import CONFIGURATION_AGE
from moorings.nodes.model import ManagedNode

__all__ = ["FakeActivations", "FakeCodes", "FakeConfigurations", "FakeFleet", "FakeJournal", "FakeKeeper", "FakeLedger"]


def _whole(moment: datetime) -> datetime:
    """The ledger keeps whole seconds."""
    return from_epoch(epoch(moment))


class FakeLedger:
    """The `Ledger` port: a dict of pools, a dict of grants, a dict of claims."""

    def __init__(self) -> None:
        self.pools: dict[str, PoolState] = {}
        self.grants: dict[tuple[str, str], Grant] = {}
        self.claims: dict[tuple[str, str], Claim] = {}

    def state(self, pool: str) -> PoolState:
        return self.pools.get(pool, PoolState())

    # -- slots -----------------------------------------------------------------------------------------------------

    def take_slot(self, pool: Pool, *, now: datetime, new_hour: bool) -> Slot | PoolState:
        state, hour = self.state(pool.name), hour_of(now)
        current = state.current
        if new_hour:
            in_time, counted = state.hour < hour, replace(state, hour=hour, granted_in_hour=1)
        else:
            in_time = state.hour >= hour and state.granted_in_hour < pool.grants_per_hour
            counted = replace(state, granted_in_hour=state.granted_in_hour + 1)
        good = grantable(current, pool, _whole(now)) and current is not None and state.issued < current.limit
        if current is None or not good or not in_time:
            return state
        self.pools[pool.name] = replace(counted, issued=state.issued + 1)
        return Slot(
            activation_id=current.id,
            expires_at=current.expires_at,
            generation=state.generation,
            issued=state.issued + 1,
            limit=current.limit,
        )

    def give_back(self, pool: str, slot: Slot) -> None:
        state = self.state(pool)
        if state.generation == slot.generation and state.issued > 0:
            self.pools[pool] = replace(state, issued=state.issued - 1)

    def count_grant(self, pool: Pool, *, now: datetime) -> datetime | None:
        state, hour = self.state(pool.name), hour_of(now)
        if state.hour < hour:
            self.pools[pool.name] = replace(state, hour=hour, granted_in_hour=1)
            return None
        if state.granted_in_hour < pool.grants_per_hour:
            self.pools[pool.name] = replace(state, granted_in_hour=state.granted_in_hour + 1)
            return None
        return from_epoch((hour + 1) * 3_600)

    def uncount_grant(self, pool: Pool, *, now: datetime) -> None:
        state = self.state(pool.name)
        if state.hour == hour_of(now) and state.granted_in_hour > 0:
            self.pools[pool.name] = replace(state, granted_in_hour=state.granted_in_hour - 1)

    # -- rotation --------------------------------------------------------------------------------------------------

    def swap(self, pool: str, state: PoolState, *, drain_until: datetime, version: int) -> bool:
        if state.standby is None:
            return False
        now = self.state(pool)
        if (now.generation, now.issued, now.standby) != (state.generation, state.issued, state.standby):
            return False
        self.pools[pool] = replace(_as_current(now, state.standby, drain_until, version), standby=None)
        return True

    def take_lease(self, pool: str, state: PoolState, *, lease_id: str, now: datetime, until: datetime) -> bool:
        held = self.state(pool)
        if held.lease_id == lease_id:
            return True
        free = not held.lease_id or held.lease_until is None or held.lease_until <= _whole(now)
        if not free or (held.generation, _id(held.standby)) != (state.generation, _id(state.standby)):
            return False
        self.pools[pool] = replace(held, lease_id=lease_id, lease_until=_whole(until))
        return True

    def release_lease(self, pool: str, lease_id: str) -> None:
        held = self.state(pool)
        if held.lease_id == lease_id:
            self.pools[pool] = replace(held, lease_id="", lease_until=None)

    def publish_current(self, pool: str, made: Prepared, *, lease_id: str, drain_until: datetime, version: int) -> bool:
        held = self.state(pool)
        if made.id in held.known():
            return True
        if held.lease_id != lease_id:
            return False
        made = replace(made, expires_at=_whole(made.expires_at))
        self.pools[pool] = replace(_as_current(held, made, drain_until, version), lease_id="", lease_until=None)
        return True

    def publish_standby(self, pool: str, made: Prepared, *, lease_id: str) -> bool:
        held = self.state(pool)
        if made.id in held.known():
            return True
        if held.lease_id != lease_id or held.standby is not None:
            return False
        made = replace(made, expires_at=_whole(made.expires_at))
        self.pools[pool] = replace(held, standby=made, lease_id="", lease_until=None)
        return True

    def retire(self, pool: str, activation_id: str, *, drain_until: datetime) -> bool:
        held = self.state(pool)
        if held.current is None or held.current.id != activation_id:
            return any(drained.id == activation_id for drained in held.draining)
        drained = Draining(id=activation_id, until=_whole(drain_until), issued=held.issued)
        self.pools[pool] = replace(
            held, current=None, issued=0, generation=held.generation + 1, draining=_with(held.draining, drained)
        )
        return True

    def drain_standby(self, pool: str, activation_id: str, *, until: datetime) -> bool:
        held = self.state(pool)
        if _id(held.standby) != activation_id:
            return any(drained.id == activation_id for drained in held.draining)
        drained = Draining(id=activation_id, until=_whole(until), issued=0)
        self.pools[pool] = replace(held, standby=None, draining=_with(held.draining, drained))
        return True

    def forget_drained(self, pool: str, activation_id: str) -> None:
        held = self.state(pool)
        left = tuple(drained for drained in held.draining if drained.id != activation_id)
        if left != held.draining:
            self.pools[pool] = replace(held, draining=left)

    # -- grants ----------------------------------------------------------------------------------------------------

    def grant(self, pool: str, key_hash: str) -> Grant | None:
        return self.grants.get((pool, key_hash))

    def put_grant(self, grant: Grant, *, forget_at: datetime) -> Grant | None:
        old = self.grants.setdefault((grant.pool, grant.key_hash), _kept(grant))
        return None if old.attempt == grant.attempt else old

    def replace_grant(self, grant: Grant, *, old: Grant, forget_at: datetime) -> bool:
        at = (grant.pool, grant.key_hash)
        held = self.grants.get(at)
        if held is not None and held.attempt == old.attempt:
            self.grants[at] = _kept(grant)
            return True
        return held is not None and held.attempt == grant.attempt

    def claim(self, claim: Claim, *, replacing: Grant | None, now: datetime, forget_at: datetime) -> bool:
        at = (claim.pool, claim.key_hash)
        held, grant = self.claims.get(at), self.grants.get(at)
        if held is not None and held.lease_id == claim.lease_id:
            return True
        same = (grant.attempt if grant else None) == (replacing.attempt if replacing else None)
        if not same or (held is not None and held.lease_until > _whole(now)):
            return False
        self.claims[at] = replace(claim, lease_until=_whole(claim.lease_until))
        return True

    def release_claim(self, claim: Claim) -> None:
        at = (claim.pool, claim.key_hash)
        held = self.claims.get(at)
        if held is not None and held.lease_id == claim.lease_id:
            del self.claims[at]

    def fulfil(self, claim: Claim, grant: Grant, *, forget_at: datetime) -> bool:
        at = (claim.pool, claim.key_hash)
        held, granted = self.claims.get(at), self.grants.get(at)
        if held is not None and held.lease_id == claim.lease_id:
            del self.claims[at]
            self.grants[at] = _kept(grant)
            return True
        return granted is not None and granted.attempt == grant.attempt


def _id(prepared: Prepared | None) -> str:
    return prepared.id if prepared else ""


def _kept(grant: Grant) -> Grant:
    return replace(grant, granted_at=_whole(grant.granted_at), expires_at=_whole(grant.expires_at))


def _with(draining: tuple[Draining, ...], drained: Draining) -> tuple[Draining, ...]:
    return tuple(sorted((*draining, drained), key=lambda each: each.id))


def _as_current(state: PoolState, made: Prepared, drain_until: datetime, version: int) -> PoolState:
    draining = state.draining
    if state.current:
        drained = Draining(id=state.current.id, until=_whole(drain_until), issued=state.issued)
        draining = _with(draining, drained)
    return replace(state, current=made, issued=0, generation=state.generation + 1, version=version, draining=draining)


class FakeActivations:
    """The `ActivationService` port. `registrations` is what nodes did."""

    def __init__(self, now: "Now") -> None:
        self._now = now
        self._numbers = itertools.count(1)
        self.live: dict[str, Described] = {}
        self.deleted: dict[str, datetime] = {}
        self.limits: dict[str, int] = {}

    def create(self, pool: Pool, *, lease_id: str, expires_at: datetime) -> NewActivation:
        made = f"activation-{next(self._numbers)}"
        self.limits[made] = pool.registration_limit
        self.live[made] = Described(
            id=made,
            pool=pool.name,
            lease_id=lease_id,
            registrations=0,
            limit=pool.registration_limit,
            created_at=self._now.now(),
            expires_at=expires_at,
            expired=False,
        )
        return NewActivation(id=made, code=f"code-of-{made}", expires_at=expires_at)

    def delete(self, activation_id: str) -> None:
        if self.live.pop(activation_id, None):
            self.deleted[activation_id] = self._now.now()

    def described(self) -> Iterator[Described]:
        return iter([replace(each, expired=each.expires_at <= self._now.now()) for each in self.live.values()])

    def exists(self, activation_id: str) -> bool:
        return activation_id in self.live


class FakeCodes:
    """The `Codes` port."""

    def __init__(self, now: "Now") -> None:
        self._now = now
        self.codes: dict[str, tuple[str, datetime]] = {}

    def get(self, activation_id: str) -> str | None:
        return self.codes[activation_id][0] if activation_id in self.codes else None

    def put(self, activation_id: str, code: str) -> None:
        self.codes.setdefault(activation_id, (code, self._now.now()))

    def delete(self, activation_id: str) -> None:
        self.codes.pop(activation_id, None)

    def stored(self) -> Iterator[tuple[str, datetime]]:
        return iter([(activation_id, at) for activation_id, (_, at) in self.codes.items()])


@dataclass(slots=True)
class FakeConfigurations:
    """The `Configurations` port of one environment: `stored` is shared, what it holds is its own."""

    stored: list[Configuration]
    clock: "Now"
    held: Configuration | None = None
    held_since: datetime | None = None

    def current(self) -> Configuration:
        old = self.held_since is None or self.clock.now() - self.held_since >= CONFIGURATION_AGE
        return self.reload() if old or self.held is None else self.held

    def reload(self) -> Configuration:
        self.held, self.held_since = self.stored[-1], self.clock.now()
        return self.held


@dataclass(slots=True)
class FakeKeeper:
    """The `Keeper` port: who was woken."""

    woken: list[str] = field(default_factory=list)

    def wake(self, pool: str) -> None:
        self.woken.append(pool)


@dataclass(slots=True)
class FakeJournal:
    """The `Journal` port: everything written."""

    records: list[dict[str, object]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    gauges: dict[str, float] = field(default_factory=dict)

    def record(self, event: str, **facts: object) -> None:
        self.records.append({"event": event, **facts})

    def count(self, metric: str, value: float = 1) -> None:
        self.counts[metric] += int(value)

    def measure(self, metric: str, value: float) -> None:
        self.gauges[metric] = value

    def of(self, event: str) -> list[dict[str, object]]:
        """The records of one event."""
        return [record for record in self.records if record["event"] == event]


@dataclass(slots=True)
class FakeFleet:
    """The `Fleet` port."""

    all: list[ManagedNode] = field(default_factory=list)
    tags: dict[str, tuple[str, str]] = field(default_factory=dict)  # by node id

    def nodes(self, *, offline_only: bool = False, tag: tuple[str, str] | None = None) -> Iterable[ManagedNode]:
        bearing = [node for node in self.all if tag is None or self.tags.get(node.id) == tag]
        return [node for node in bearing if not (offline_only and node.online)]

    def node(self, node_id: str) -> ManagedNode | None:
        return next((node for node in self.all if node.id == node_id), None)

    def deregister(self, node_id: str) -> bool:
        left = [node for node in self.all if node.id != node_id]
        gone, self.all = len(left) < len(self.all), left
        return gone


class Now:
    """A clock by hand; waiting moves it."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def wait(self, duration: timedelta) -> None:
        self._now += max(duration, timedelta(0))
