"""Enrolment's decisions as tables: each cell is what `policy` answers for a state built for it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from docs.generator.tables import table

from moorings.enrolment import policy, service
from moorings.enrolment.fields import written
from moorings.enrolment.model import (
    KEEPER_PERIOD,
    LEASE,
    REPEAT_MARGIN,
    SINGLE_USE_LIFE,
    Draining,
    Mode,
    Pool,
    PoolState,
    Prepared,
)
from moorings.enrolment.policy import Await, Ceiling, Create, Full, Move, Reload, Swap, TryAgain
from moorings.enrolment.ports import CONFIGURATION_AGE
from moorings.enrolment.upkeep import MOST_DEREGISTERED

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
POOL = Pool(
    name="default",
    mode=Mode.SHARED,
    node_role="nodes",
    registration_limit=1_000,
    life=timedelta(days=29),
    margin=timedelta(hours=6),
    claim_window=timedelta(hours=1),
    grants_per_hour=2_000,
)
FRESH = "… and still, with the configuration just read"

WORDS: dict[type[Move], str] = {
    TryAgain: "ask again at once",
    Swap: "swap the standby in",
    Create: "take the lease, create",
    Await: "wait for whoever holds the lease",
    Reload: "read the configuration anew",
    Ceiling: "answer 429 until the next hour",
    Full: "answer 503 until one of the draining has gone",
}


def _activation(name: str) -> Prepared:
    return Prepared(id=name, limit=1_000, expires_at=NOW + POOL.life, settings=POOL.settings_hash())


GOOD = PoolState(
    current=_activation("current"), issued=10, generation=4, version=3, hour=policy.hour_of(NOW), granted_in_hour=10
)
EXPIRING = replace(_activation("current"), expires_at=NOW + POOL.margin)
OTHER_SETTINGS = replace(_activation("current"), settings="made under others")

FULL = tuple(Draining(id=str(number), until=NOW, issued=1) for number in range(policy.MOST_DRAINING))
REFUSALS = {
    "the pool has no activation yet": replace(GOOD, current=None, issued=0),
    "its registration limit is reached": replace(GOOD, issued=1_000),
    "it expires within the margin": replace(GOOD, current=EXPIRING),
    "it was made under other settings": replace(GOOD, current=OTHER_SETTINGS),
    FRESH: replace(GOOD, current=OTHER_SETTINGS),
    "its limit is reached, and 2,000 drain": replace(GOOD, issued=1_000, draining=FULL),
    "the hour's ceiling is reached": replace(GOOD, granted_in_hour=POOL.grants_per_hour),
    "a new hour has begun": replace(GOOD, hour=GOOD.hour - 1),
    "nothing: somebody was faster": GOOD,
}


def moves() -> str:
    """What follows a refused slot, by what stood against it and what else the pool's item shows."""
    rows = []
    for reason, state in REFUSALS.items():
        ready = replace(state, standby=_activation("standby"))
        held = replace(state, lease_id="somebody", lease_until=NOW + LEASE)
        rows.append([reason, *(_move(each, fresh=reason == FRESH) for each in (ready, held, state))])
    return table(
        ("what stood against the slot", "a standby is ready", "none, but somebody holds the lease", "neither"), rows
    )


def _move(state: PoolState, *, fresh: bool) -> str:
    return WORDS[type(policy.next_move(state, POOL, fresh=fresh, now=NOW))]


STANDBYS = {
    "ready": _activation("standby"),
    "none": None,
    "not grantable": replace(_activation("standby"), settings="made under others"),
}
CURRENTS = {
    "good": GOOD,
    "used up": REFUSALS["its registration limit is reached"],
    "expiring": REFUSALS["it expires within the margin"],
    "made under other settings": REFUSALS["it was made under other settings"],
    "none": REFUSALS["the pool has no activation yet"],
}


def upkeep() -> str:
    """What the keeper does for a shared pool, by current activation and standby."""
    rows = []
    for name, state in CURRENTS.items():
        rows.append([name, *(_needs(replace(state, standby=standby)) for standby in STANDBYS.values())])
    return table(("current activation", *(f"standby: {name}" for name in STANDBYS)), rows)


def _needs(state: PoolState) -> str:
    needs = policy.upkeep_of(state, POOL, now=NOW)
    steps = (
        (needs.drain_standby, "drain the standby"),
        (needs.swap, "swap the standby in"),
        (needs.create_current, "create a current one"),
        (needs.create_standby, "create a standby"),
    )
    return ", ".join(words for wanted, words in steps if wanted) or "nothing"


def constants() -> str:
    """The durations that are fixed in the code."""
    rows = [
        ("lease", _seconds(LEASE), "how long one function may be the only one to create for a pool"),
        (
            "deadline of a request",
            _seconds(service.DEADLINE),
            "then 503; Lambda's own limit is 25 s, the gateway's 29 s",
        ),
        ("pause between two looks", f"up to {_seconds(policy.WAIT_LONGEST)}", "full jitter under a growing bound"),
        ("repeat margin", written(REPEAT_MARGIN), "a grant this close to its end is not repeated any more"),
        ("life of a single-use activation", written(SINGLE_USE_LIFE), "unless the pool says otherwise"),
        ("keeper's period", written(KEEPER_PERIOD), "its schedule; a swap wakes it at once"),
        ("age of the configuration", _seconds(CONFIGURATION_AGE), "a change is in force everywhere after at most this"),
        ("nodes deregistered in one run", str(MOST_DEREGISTERED), "if the configuration asks for it at all"),
    ]
    return table(("what", "how long", "why"), rows)


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"
