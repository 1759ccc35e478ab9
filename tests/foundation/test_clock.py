"""Now, waiting, and how times are kept."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from moorings.clock import SystemClock, epoch, from_epoch


def test_now_is_aware_and_in_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_waiting_for_nothing_or_less_returns_at_once() -> None:
    before = datetime.now(UTC)

    SystemClock().wait(timedelta(0))
    SystemClock().wait(timedelta(days=-1))

    assert datetime.now(UTC) - before < timedelta(seconds=5)


def test_waiting_waits() -> None:
    before = datetime.now(UTC)

    SystemClock().wait(timedelta(milliseconds=2))

    assert datetime.now(UTC) - before >= timedelta(milliseconds=1)


@given(moment=st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_kept_time_is_the_same_but_for_its_fraction(moment: datetime) -> None:
    kept = from_epoch(epoch(moment))

    assert kept == moment.replace(microsecond=0)
    assert kept.tzinfo is UTC


def test_a_kept_time_does_not_depend_on_the_zone() -> None:
    moment = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    assert epoch(moment.astimezone(timezone(timedelta(hours=5, minutes=30)))) == epoch(moment)
