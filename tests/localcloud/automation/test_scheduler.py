"""Timers and workers."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from tests.localcloud.automation.stand import LIMIT, START, Stand, api

from localcloud.automation.records import Status
from localcloud.automation.scheduler import Scheduler
from localcloud.clock import SteppedClock, SystemClock, monotonic


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(START)


@pytest.fixture
def scheduler(clock: SteppedClock) -> Iterator[Scheduler]:
    made = Scheduler(clock, workers=2)
    yield made
    made.close()


def test_timers_fire_in_the_order_of_their_times(clock: SteppedClock, scheduler: Scheduler) -> None:
    fired: list[int] = []
    for second in (3, 1, 2):
        scheduler.at(START + timedelta(seconds=second), lambda second=second: fired.append(second))
    cancelled = scheduler.at(START, lambda: fired.append(0))
    cancelled.cancel()
    assert scheduler.next_due() == START + timedelta(seconds=1)
    clock.step(timedelta(seconds=2))
    assert scheduler.settle(LIMIT)
    assert fired == [1, 2]
    clock.step(timedelta(seconds=2))
    assert scheduler.settle(LIMIT)

    assert fired == [1, 2, 3]
    assert scheduler.next_due() is None


def test_a_timer_fires_by_itself_when_its_time_comes() -> None:
    fired = threading.Event()
    scheduler = Scheduler(SystemClock(), workers=1)
    scheduler.at(SystemClock().now() + timedelta(hours=1), lambda: None)
    scheduler.at(SystemClock().now() + timedelta(milliseconds=5), fired.set)

    assert fired.wait(LIMIT)
    scheduler.close()


def test_work_that_fails_stops_nobody_else(scheduler: Scheduler, caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    scheduler.soon(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    scheduler.soon(done.set)

    assert done.wait(LIMIT)
    assert scheduler.settle(LIMIT)
    assert "ZeroDivisionError" in caplog.text


def test_there_are_no_more_workers_than_allowed(scheduler: Scheduler) -> None:
    release, both = threading.Event(), threading.Barrier(3)

    def hang() -> None:
        both.wait(LIMIT)
        release.wait(LIMIT)

    for _ in range(2):
        scheduler.soon(hang)
    late: list[int] = []
    scheduler.soon(lambda: late.append(1))
    both.wait(LIMIT)
    assert scheduler.threads == 2
    assert not late
    release.set()

    assert scheduler.settle(LIMIT)
    assert late == [1]


def test_idle_workers_do_not_wake_each_other(clock: SteppedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler, all_there = Scheduler(clock, workers=4), threading.Barrier(4)
    waits: list[int] = []
    wait = scheduler._tasks.wait
    monkeypatch.setattr(scheduler._tasks, "wait", lambda: (waits.append(1), wait())[1])
    for _ in range(4):
        scheduler.soon(lambda: all_there.wait(LIMIT) and None)
    assert scheduler.settle(LIMIT)
    for _ in range(20):
        scheduler.soon(lambda: None)
        assert scheduler.settle(LIMIT)
    scheduler.close()

    assert len(waits) <= 4 + 20


def test_abandoned_work_makes_room(scheduler: Scheduler) -> None:
    release, begun = threading.Event(), threading.Semaphore(0)

    def hang() -> None:
        begun.release()
        release.wait(LIMIT)

    hanging = [scheduler.soon(hang) for _ in range(2)]
    for _ in hanging:
        assert begun.acquire(timeout=LIMIT)
    waiting = scheduler.soon(lambda: None)
    done = threading.Event()
    scheduler.soon(done.set)
    for task in (*hanging, waiting):
        scheduler.abandon(task)

    assert done.wait(LIMIT)
    assert scheduler.settle(LIMIT)
    release.set()


def test_many_cancelled_timers_do_not_pile_up(scheduler: Scheduler) -> None:
    """Every step with a timeout sets one that is cancelled long before its time."""
    for number in range(5000):
        scheduler.at(START + timedelta(days=7, seconds=number), lambda: None).cancel()

    assert len(scheduler._heap) < 1000


def test_measured_durations_are_scaled(make_stand: Callable[..., Stand]) -> None:
    """An hour's sleep at a hundred-thousandth; the timeout of a step shrinks alike."""
    stand = make_stand(clock=SystemClock(scale=0.00001))
    text = (
        "- name: Rest\n  action: aws:sleep\n  inputs: {Duration: PT1H}\n"
        "- name: Late\n  action: aws:sleep\n  timeoutSeconds: 3600\n  inputs: {Duration: PT24H}\n"
    )
    began = monotonic()
    done = stand.engine.wait(stand.start(text), LIMIT)

    assert done.status is Status.TIMED_OUT
    assert stand.statuses(done.id) == {"Rest": "Success", "Late": "TimedOut"}
    assert monotonic() - began < LIMIT


def test_real_work_is_not_scaled(make_stand: Callable[..., Stand]) -> None:
    """A thousandth of ten seconds would be over before a call can answer."""
    stand = make_stand(clock=SystemClock(scale=0.00001))
    execution = stand.start(api("Hang", "block", timeoutSeconds=10) + api("Next"))
    assert stand.action.blocked.wait(LIMIT)
    stand.action.release.set()

    assert stand.engine.wait(execution, LIMIT).status is Status.SUCCESS


def test_a_closed_engine_ends_its_threads(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand()
    stand.run(api("One", "again"))
    stand.engine.close()

    assert stand.engine.scheduler.threads == 0
    assert not stand.engine.scheduler.soon(lambda: None).running
