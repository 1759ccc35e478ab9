"""Enrolment's decisions: values and the time in, a value that says what to do out. Nothing here calls anything.

take a slot ──refused, old item──▶ next_move ──▶ TryAgain        somebody was faster, or the hour turned
                                             ├─▶ Swap            the standby becomes current
                                             ├─▶ Create          take the lease, make one
                                             ├─▶ Await           somebody holds the lease
                                             ├─▶ Reload          made under other settings: read the configuration first
                                             ├─▶ Ceiling         enough for this hour
                                             └─▶ Full            too many drain already
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import ip_address

from moorings.enrolment.model import (
    LEASE,
    REPEAT_MARGIN,
    Configuration,
    Described,
    Draining,
    Grant,
    Identity,
    Mode,
    Pool,
    PoolState,
    Prepared,
    Rule,
    Source,
)

NETWORK_PROOF = "network"
HOUR = timedelta(hours=1)
WAIT_FIRST = timedelta(milliseconds=60)
WAIT_LONGEST = timedelta(milliseconds=1_600)
LONGEST_MOVE = timedelta(seconds=4)  # a move begun later might not be over by the deadline
# In one pool's item, about 80 bytes each. DynamoDB holds 400 KB an item; past that no rotation could be written at all.
MOST_DRAINING = 2_000


def hour_of(moment: datetime) -> int:
    """The epoch hour that the ceiling counts in."""
    return int(moment.timestamp() // HOUR.total_seconds())


# -- proof → identity → rule → pool --------------------------------------------------------------------------------


def identify(source: Source, *, proofs: frozenset[str]) -> Identity | None:
    """The network proof: came through a VPC endpoint from an address. None when the gateway does not name both, or
    when the proof is not among those that the stack accepts: no rule can make up for that."""
    if NETWORK_PROOF not in proofs or not source.vpce_id or not source.ip:
        return None
    return Identity(proof=NETWORK_PROOF, key=f"network:{source.vpce_id}/{source.ip}", source=source)


def matches(rule: Rule, identity: Identity) -> bool:
    """Whether `rule` accepts `identity`: the same proof, a listed endpoint, and an address inside a listed CIDR."""
    if rule.proof != identity.proof or identity.source.vpce_id not in rule.vpces:
        return False
    try:
        address = ip_address(identity.source.ip)
    except ValueError:
        return False
    return any(address.version == cidr.version and address in cidr for cidr in rule.cidrs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The rule that let an identity in, the pool that it draws from, and the configuration's version."""

    rule: Rule
    pool: Pool
    version: int


def admit(configuration: Configuration, identity: Identity, *, pool: str, keyed: bool) -> Admitted | None:
    """The first rule that opens the wanted pool (none named: the rule's first that suits the request), else None.

    A single-use pool needs a key: without one nobody could tell a repeated request from a new one.
    """
    for rule in configuration.rules:
        if not matches(rule, identity):
            continue
        for name in rule.pools:
            found = configuration.pools.get(name)
            suits = found is not None and (keyed or found.mode is Mode.SHARED)
            if found and suits and pool in ("", name):
                return Admitted(rule=rule, pool=_tagged(found, rule), version=configuration.version)
    return None


def _tagged(pool: Pool, rule: Rule) -> Pool:
    """The pool as this rule's servers see it: what a rule says of its servers overrules what the pool says of all."""
    if not rule.tags:
        return pool
    return replace(pool, tags=tuple(sorted({**dict(pool.tags), **dict(rule.tags)}.items())))


# -- slots ---------------------------------------------------------------------------------------------------------


def grantable(prepared: Prepared | None, pool: Pool, now: datetime) -> bool:
    """Whether slots of this activation may still be granted: made under these settings, and not about to expire."""
    return (
        prepared is not None and prepared.settings == pool.settings_hash() and prepared.expires_at > now + pool.margin
    )


class Why(Enum):
    """Why the ledger refused a slot, as the old item tells."""

    NONE_YET = "no activation yet"
    LIMIT = "registration limit reached"
    EXPIRING = "expires soon"
    SETTINGS = "made under other settings"
    CEILING = "hourly ceiling reached"
    RACED = "changed meanwhile"


def why_refused(state: PoolState, pool: Pool, now: datetime) -> Why:
    """What stood against a slot in `state`."""
    current = state.current
    if current is None:
        return Why.NONE_YET
    if current.settings != pool.settings_hash():
        return Why.SETTINGS
    if current.expires_at <= now + pool.margin:
        return Why.EXPIRING
    if state.issued >= current.limit:
        return Why.LIMIT
    # The item's hour may be ahead of ours when clocks differ; then it is the one that counts.
    if state.hour >= hour_of(now) and state.granted_in_hour >= pool.grants_per_hour:
        return Why.CEILING
    return Why.RACED


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Ask the ledger again at once; `new_hour` opens the counter of a new hour."""

    new_hour: bool


@dataclass(frozen=True, slots=True)
class Swap:
    """Make `standby` the current activation."""

    standby: Prepared
    why: Why


@dataclass(frozen=True, slots=True)
class Create:
    """Take the lease and make an activation."""

    why: Why


@dataclass(frozen=True, slots=True)
class Await:
    """Somebody else is making one."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Reload:
    """The pool's activation was made under other settings than ours: look whether ours are still in force."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The hour's grants are used up; asking makes sense again at `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Full:
    """No rotation until one of the draining activations has gone, at `until` at the earliest."""

    until: datetime


Move = TryAgain | Swap | Create | Await | Reload | Ceiling | Full


def next_move(state: PoolState, pool: Pool, *, fresh: bool, now: datetime) -> Move:
    """What to do after the ledger refused a slot and returned `state`.

    `fresh`: the configuration was read after the pool's activation had been found to differ.
    """
    why = why_refused(state, pool, now)
    if why is Why.SETTINGS and not fresh:
        # An older environment must not rotate the pool back to settings that an operator has replaced. Versions alone
        # do not tell who is older: an operator may have deleted the configuration's item, and then they begin anew.
        return Reload()
    if why is Why.RACED:
        return TryAgain(new_hour=state.hour < hour_of(now))
    if why is Why.CEILING:
        return Ceiling(until=now + HOUR - timedelta(seconds=now.timestamp() % HOUR.total_seconds()))
    return _rotation(state, pool, why, now)


def _rotation(state: PoolState, pool: Pool, why: Why, now: datetime) -> Move:
    """How the pool gets its next current activation."""
    if _full(state):
        return Full(until=min(drained.until for drained in state.draining))
    if state.standby is not None and grantable(state.standby, pool, now):
        return Swap(state.standby, why)
    if state.lease_id and state.lease_until is not None and state.lease_until > now:
        return Await(state.lease_until)
    return Create(why)


def _full(state: PoolState) -> bool:
    return len(state.draining) >= MOST_DRAINING


def pause(attempt: int, *, rng: random.Random) -> timedelta:
    """How long to wait before looking again: full jitter under a growing bound, so that waiters spread out."""
    bound = min(WAIT_LONGEST, WAIT_FIRST * float(2 ** min(attempt, 10)))
    return bound * rng.uniform(0.3, 1.0)


# -- grants --------------------------------------------------------------------------------------------------------


def repeatable(grant: Grant, pool: Pool, now: datetime) -> bool:
    """Whether this grant is handed out again to its key: its claim window (single-use: its life) lasts long enough."""
    return now < min(grant.granted_at + pool.claim_window, grant.expires_at) - REPEAT_MARGIN


def forget_grant_at(grant: Grant, pool: Pool) -> datetime:
    """When a grant's item may go: long after it could be repeated."""
    return (
        max(
            grant.granted_at + pool.claim_window, grant.expires_at if pool.mode is Mode.SINGLE_USE else grant.granted_at
        )
        + HOUR
    )


# -- the keeper's decisions ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What one pool's item needs: each list in the order to do it."""

    retire_current: bool
    drain_standby: bool
    swap: bool
    create_standby: bool
    create_current: bool
    delete: tuple[Draining, ...]


def upkeep_of(state: PoolState, pool: Pool | None, *, now: datetime) -> Upkeep:
    """What to do for a pool; `pool` None: it is no longer configured, so nothing is granted from it any more."""
    due = tuple(drained for drained in state.draining if drained.until <= now)
    if pool is None or pool.mode is Mode.SINGLE_USE:
        return Upkeep(state.current is not None, state.standby is not None, False, False, False, due)
    current_good = (
        grantable(state.current, pool, now) and state.current is not None and state.issued < state.current.limit
    )
    standby_good = grantable(state.standby, pool, now)
    swap = standby_good and not current_good and not _full(state)
    create_current = not current_good and not standby_good and not _full(state)
    return Upkeep(
        retire_current=False,
        drain_standby=state.standby is not None and not standby_good,
        swap=swap,
        create_current=create_current,
        create_standby=swap or not standby_good,
        delete=due,
    )


def leaked(
    described: Iterable[Described], known: set[str], *, claim_window: timedelta, now: datetime
) -> list[Described]:
    """Activations of this stack that no ledger item knows and that nobody can still be about to publish."""
    return [each for each in described if each.id not in known and each.created_at + claim_window + LEASE < now]


@dataclass(frozen=True, slots=True)
class Surplus:
    """More nodes registered with an activation than slots were granted: somebody used a code twice."""

    activation_id: str
    registrations: int
    issued: int


def surplus_of(state: PoolState, described: Iterable[Described]) -> list[Surplus]:
    """Where the service counts more registrations than the ledger has granted slots. (Its count lags, never leads.)"""
    issued = {drained.id: drained.issued for drained in state.draining}
    if state.current:
        issued[state.current.id] = state.issued
    if state.standby:
        issued[state.standby.id] = 0
    return [
        Surplus(each.id, each.registrations, issued[each.id])
        for each in described
        if each.id in issued and each.registrations > issued[each.id]
    ]


@dataclass(frozen=True, slots=True)
class Stock:
    """What a pool can still grant without creating anything."""

    slots_left: int
    hours_to_expiry: float  # of the last of its activations


def stock_of(state: PoolState, pool: Pool, *, now: datetime) -> Stock:
    """Free slots of current and standby, and until when; nothing grantable is zero and zero."""
    good = [each for each in (state.current, state.standby) if each is not None and grantable(each, pool, now)]
    slots = sum(each.limit for each in good) - (state.issued if state.current in good else 0)
    last = max((each.expires_at for each in good), default=now)
    return Stock(slots_left=slots, hours_to_expiry=(last - now) / HOUR)
