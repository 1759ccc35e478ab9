"""Arbitrary but possible values of enrolment, for property tests."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from moorings.enrolment.model import Draining, Grant, Mode, Pool, PoolState, Prepared

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OTHER_SETTINGS = "0123456789abcdef"


def a_pool(**changes: object) -> Pool:
    """A shared pool with the defaults of a configuration document, changed as said."""
    values: dict[str, object] = {
        "name": "default",
        "mode": Mode.SHARED,
        "node_role": "nodes",
        "registration_limit": 10,
        "life": timedelta(days=29),
        "margin": timedelta(hours=6),
        "claim_window": timedelta(hours=1),
        "grants_per_hour": 100,
        **changes,
    }
    return Pool(**values)  # type: ignore[arg-type]


def prepared(pool: Pool | None = None, *, name: str = "current", **changes: object) -> Prepared:
    """An activation made for `pool` that has long to live, changed as said."""
    pool = pool or a_pool()
    values: dict[str, object] = {
        "id": name,
        "limit": pool.registration_limit,
        "expires_at": NOW + pool.life,
        "settings": pool.settings_hash(),
        **changes,
    }
    return Prepared(**values)  # type: ignore[arg-type]


moments = st.integers(-40 * 86_400, 40 * 86_400).map(lambda seconds: NOW + timedelta(seconds=seconds))
"""Whole seconds, as the ledger keeps them, 40 days around NOW."""


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Shared pools as a configuration document may hold them."""
    claim_window = timedelta(minutes=draw(st.integers(15, 24 * 60)))
    margin = claim_window + timedelta(minutes=draw(st.integers(0, 24 * 60)))
    return a_pool(
        claim_window=claim_window,
        margin=margin,
        life=2 * margin + timedelta(minutes=draw(st.integers(0, 24 * 60))),
        registration_limit=draw(st.integers(1, 12)),
        grants_per_hour=draw(st.integers(1, 12)),
        tags=draw(st.sampled_from([(), (("Env", "prod"),)])),
    )


@st.composite
def activations(draw: st.DrawFn, pool: Pool, name: str) -> Prepared:
    """An activation of this pool, made under its settings or others, anywhere in its life."""
    return Prepared(
        id=name,
        limit=draw(st.integers(1, 12)),
        expires_at=draw(moments),
        settings=draw(st.sampled_from([pool.settings_hash(), OTHER_SETTINGS])),
    )


@st.composite
def states(draw: st.DrawFn, pool: Pool) -> PoolState:
    """Any item that the ledger may hold for `pool`."""
    current = draw(st.none() | activations(pool, "current"))
    leased = draw(st.booleans())
    hour_now = int(NOW.timestamp() // 3_600)
    return PoolState(
        current=current,
        issued=draw(st.integers(0, current.limit)) if current else 0,
        generation=draw(st.integers(0, 5)),
        version=draw(st.integers(0, 5)),
        standby=draw(st.none() | activations(pool, "standby")),
        draining=tuple(
            Draining(id=f"old-{number}", until=draw(moments), issued=draw(st.integers(0, 12)))
            for number in range(draw(st.integers(0, 3)))
        ),
        lease_id="somebody" if leased else "",
        lease_until=draw(moments) if leased else None,
        hour=draw(st.integers(hour_now - 2, hour_now + 2) | st.just(0)),
        granted_in_hour=draw(st.integers(0, 15)),
    )


@st.composite
def grants(draw: st.DrawFn) -> Grant:
    """Any grant of the pool `default`."""
    return Grant(
        pool="default",
        key_hash="a" * 64,
        activation_id="current",
        granted_at=draw(moments),
        expires_at=draw(moments),
        attempt="attempt",
    )
