"""What an operator sees of enrolment, and the one thing that only an operator asks for: rotating a pool by hand.

Called by the command line. It reads what the ledger and the service hold, and never a code.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from moorings.clock import Clock
from moorings.enrolment import policy
from moorings.enrolment.model import Configuration, Described, Grant, Mode, Pool, PoolState
from moorings.enrolment.ports import ActivationService, Configurations, GrantBook, Keeper, Ledger
from moorings.errors import Busy, Invalid

ROTATE_ROUNDS = 20  # every slot that is taken meanwhile makes the swap start anew
TRY_AGAIN = timedelta(seconds=5)


class Part(Enum):
    """What an activation is to its pool."""

    CURRENT = "current"  # slots are granted from it
    STANDBY = "standby"  # ready to take over
    DRAINING = "draining"  # not granted any more; granted slots may still register
    SINGLE_USE = "single-use"
    UNKNOWN = "unknown"  # in no ledger item: being made right now, or a leak that the keeper will reap


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One activation as ledger and service together show it. `registered` lags; None: the service does not know it."""

    id: str
    part: Part
    issued: int
    limit: int  # 0: unknown, the activation is gone from the service
    registered: int | None
    expires_at: datetime | None
    deleted_at: datetime | None = None  # when a draining one will be


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """One pool with all its activations. `pool` None: it is no longer configured, and its rest is being put away."""

    name: str
    pool: Pool | None
    activations: tuple[Standing, ...]
    slots_left: int  # in current and standby, grantable now
    granted_this_hour: int

    def part(self, part: Part) -> tuple[Standing, ...]:
        """The activations that are `part` of the pool."""
        return tuple(each for each in self.activations if each.part is part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All pools of a stack, the configured ones first in the document's order."""

    configuration: Configuration
    pools: tuple[PoolStatus, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What rotating did, or would do: `retired` empty means that there was nothing to retire."""

    pool: str
    retired: str
    current: str  # empty: the next request or the keeper makes one
    drained_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversight:
    """Enrolment of one stack, as its operator sees it."""

    configurations: Configurations
    ledger: Ledger
    activations: ActivationService
    grant_book: GrantBook
    keeper: Keeper
    clock: Clock

    def overview(self) -> Overview:
        """Every pool now. Service first, then ledger: what is published in between is then known, not a leak."""
        configuration, now = self.configurations.reload(), self.clock.now()
        described = list(self.activations.described())
        names = [*configuration.pools, *sorted({each.pool for each in described} - set(configuration.pools))]
        pools = tuple(
            _pool_status(
                name,
                configuration.pools.get(name),
                self.ledger.state(name),
                [each for each in described if each.pool == name],
                now,
            )
            for name in names
        )
        return Overview(configuration=configuration, pools=pools, at=now)

    def grants(self, *, pool: str = "", most: int) -> list[Grant]:
        """The latest grants that the ledger still remembers, newest first. Plain requests leave no grant behind."""
        found = [grant for grant in self.grant_book.grants() if pool in ("", grant.pool)]
        return sorted(found, key=lambda grant: (grant.granted_at, grant.key_hash), reverse=True)[:most]

    def plan_rotation(self, name: str) -> Rotation:
        """What `rotate` would do now. Invalid if the pool is unknown or has no current activation by its nature."""
        return self._planned(self._shared_pool(name), self.ledger.state(name))

    def rotate(self, name: str) -> Rotation:
        """Retire the pool's current activation: the standby takes over, the keeper prepares the next one.

        Granted slots can register until the claim window is over. Without a standby the pool has no activation until
        the keeper, or the next request, has made one. Invalid as `plan_rotation`; Busy if too many servers draw from
        the pool at this moment.
        """
        pool = self._shared_pool(name)
        version = self.configurations.current().version
        first: Rotation | None = None
        for _ in range(ROTATE_ROUNDS):
            state = self.ledger.state(name)
            planned = self._planned(pool, state)
            first = first or planned
            if planned.retired != first.retired:
                return first  # the pool has rotated by itself meanwhile
            if self._carried_out(pool, state, planned, version):
                self.keeper.wake(name)
                return planned
        raise Busy(f"pool {name} is changing too fast to be rotated", retry_after=TRY_AGAIN)

    def _carried_out(self, pool: Pool, state: PoolState, planned: Rotation, version: int) -> bool:
        if state.current is None or planned.drained_until is None:
            return True
        if planned.current:
            return self.ledger.swap(pool.name, state, drain_until=planned.drained_until, version=version)
        return self.ledger.retire(pool.name, state.current.id, drain_until=planned.drained_until)

    def _planned(self, pool: Pool, state: PoolState) -> Rotation:
        now = self.clock.now()
        ready = policy.grantable(state.standby, pool, now)
        if state.current is None:
            return Rotation(pool=pool.name, retired="", current="", drained_until=None)
        return Rotation(
            pool=pool.name,
            retired=state.current.id,
            current=state.standby.id if ready and state.standby else "",
            drained_until=now + pool.claim_window,
        )

    def _shared_pool(self, name: str) -> Pool:
        pools = self.configurations.reload().pools
        pool = pools.get(name)
        if pool is None:
            raise Invalid(f"there is no pool {name}", remedy=f"name one of: {', '.join(pools)}")
        if pool.mode is not Mode.SHARED:
            raise Invalid(
                f"pool {name} is single-use: each activation serves one server and is deleted after it",
                remedy="there is nothing to rotate",
            )
        return pool


def _pool_status(
    name: str, pool: Pool | None, state: PoolState, described: Iterable[Described], now: datetime
) -> PoolStatus:
    seen = {each.id: each for each in described}
    shared = pool is None or pool.mode is Mode.SHARED
    stock = policy.stock_of(state, pool, now=now) if pool else None
    return PoolStatus(
        name=name,
        pool=pool,
        activations=(*_in_ledger(state, seen), *_in_service_alone(state, seen, shared=shared)),
        slots_left=stock.slots_left if stock else 0,
        granted_this_hour=state.granted_in_hour if state.hour == policy.hour_of(now) else 0,
    )


def _in_ledger(state: PoolState, seen: Mapping[str, Described]) -> Iterable[Standing]:
    for prepared, part, issued in (
        (state.current, Part.CURRENT, state.issued),
        (state.standby, Part.STANDBY, 0),
    ):
        if prepared:
            yield Standing(
                id=prepared.id,
                part=part,
                issued=issued,
                limit=prepared.limit,
                registered=seen[prepared.id].registrations if prepared.id in seen else None,
                expires_at=prepared.expires_at,
            )
    for drained in sorted(state.draining, key=lambda each: each.until):
        known = seen.get(drained.id)
        yield Standing(
            id=drained.id,
            part=Part.DRAINING,
            issued=drained.issued,
            limit=known.limit if known else 0,
            registered=known.registrations if known else None,
            expires_at=known.expires_at if known else None,
            deleted_at=drained.until,
        )


def _in_service_alone(state: PoolState, seen: Mapping[str, Described], *, shared: bool) -> Iterable[Standing]:
    for each in seen.values():
        if each.id in state.known():
            continue
        part = Part.UNKNOWN if shared else Part.SINGLE_USE
        yield Standing(
            id=each.id,
            part=part,
            issued=0 if shared else 1,
            limit=each.limit,
            registered=each.registrations,
            expires_at=each.expires_at,
        )
