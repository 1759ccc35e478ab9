"""Credentials that the local cloud has issued: found while they matter, forgotten once they do not."""

from datetime import UTC, datetime, timedelta

from localcloud.principals import FEW, CredentialStore, Kind, Principal

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROLE = Principal(kind=Kind.ROLE, arn="arn:aws:sts::123456789012:assumed-role/one/session")


def test_keys_that_expired_long_ago_are_forgotten_and_no_others() -> None:
    moment = [NOW]
    store = CredentialStore(lambda: moment[0])
    lasting = store.issue(ROLE)
    old = [store.issue(ROLE, expires_at=NOW + timedelta(minutes=15)) for _ in range(FEW - 1)]
    moment[0] = NOW + timedelta(minutes=80)
    fresh = store.issue(ROLE, expires_at=moment[0] + timedelta(minutes=15))

    assert [store.find(one.access_key) for one in old] == [None] * len(old)
    assert store.find(lasting.access_key) == lasting
    assert store.find(fresh.access_key) == fresh


def test_a_key_that_has_just_expired_is_known_still() -> None:
    """So that its owner is told so, and not that nobody knows it."""
    store = CredentialStore(lambda: NOW)
    gone = store.issue(ROLE, expires_at=NOW - timedelta(minutes=1))

    for _ in range(3 * FEW):
        store.issue(ROLE, expires_at=NOW - timedelta(hours=2))

    assert store.find(gone.access_key) == gone


def test_what_it_holds_does_not_grow_with_what_it_has_issued() -> None:
    moment = [NOW]
    store = CredentialStore(lambda: moment[0])
    for _ in range(20 * FEW):
        moment[0] += timedelta(minutes=1)
        store.issue(ROLE, expires_at=moment[0] + timedelta(minutes=15))

    assert len(store._by_key) <= FEW + 1
