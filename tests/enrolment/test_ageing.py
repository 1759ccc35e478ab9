"""Ageing moves every time that the ledger keeps, each in its own unit."""

from datetime import UTC, datetime, timedelta

from tests.enrolment.ageing import older

from moorings.enrolment import items
from moorings.enrolment.model import Prepared

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_pools_item_is_aged_in_all_its_times() -> None:
    current = Prepared(id="a", limit=2, expires_at=NOW, settings="s")
    item = {
        "activation_id": items.text("a"),
        "expires_at": items.moment(NOW),
        "lease_id": items.text("mine"),
        "lease_until": items.milliseconds(NOW),
        "standby": items.prepared(current),
        "draining": {"M": {"old": items.draining(NOW, 1)}},
    }

    state = items.pool_state(older(item, 3_600))

    assert state.current
    assert state.standby
    assert state.lease_until == state.current.expires_at == state.standby.expires_at == NOW - HOUR
    assert [drained.until for drained in state.draining] == [NOW - HOUR]
