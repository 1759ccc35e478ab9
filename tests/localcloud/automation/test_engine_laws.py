"""Any flow graph comes to its end, with the order and status that the pure rules give; also when it is cancelled."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.localcloud.automation.stand import LIMIT, Stand

from localcloud.automation.document import Runbook, Step
from localcloud.automation.errors import CannotStop
from localcloud.automation.ports import StartRequest
from localcloud.automation.records import AutomationExecution, Status

OUTCOMES = {"ok": Status.SUCCESS, "fail": Status.FAILED, "again": Status.TIMED_OUT}
LAWS = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Stand]:
    """One engine for all examples: it takes longer to start one than to run a document."""
    stand = Stand(workers=2)
    yield stand
    stand.engine.close()


@st.composite
def steps(draw: st.DrawFn, names: list[str], *, outside: list[str], loops: bool) -> list[Step]:
    """Steps whose jumps lead to later ones only (or out of the loop, to `outside`): no cycle, but any detour."""
    made = []
    for place, name in enumerate(names):
        later = names[place + 1 :] + outside
        jump = st.sampled_from([f"step:{one}" for one in later]) if later else st.nothing()
        on_failure = draw(st.sampled_from(["Abort", "Continue"]) | jump)
        on_cancel = draw(st.just("Abort") | jump)
        is_end = draw(st.booleans()) and draw(st.booleans())
        common = {
            "on_failure": on_failure,
            "critical": draw(st.sampled_from([on_failure != "Continue", True, False])),
            "is_end": is_end,
            "next_step": "" if is_end or not later else draw(st.just("") | st.sampled_from(later)),
        }
        if loops and draw(st.integers(0, 3)) == 0:
            inner = draw(
                steps([f"{name}x{number}" for number in range(draw(st.integers(1, 3)))], outside=later, loops=False)
            )
            values = ["a"] * draw(st.integers(0, 3))
            made.append(Step(name=name, action="aws:loop", inputs={"Iterators": values}, steps=tuple(inner), **common))
        else:
            does = draw(st.sampled_from(["ok", "ok", "ok", "fail", "again"]))
            timeout = 5 if does == "again" else None
            attempts = draw(st.integers(1, 2))
            made.append(
                Step(
                    name=name,
                    action="aws:executeAwsApi",
                    inputs={"Service": "x", "Api": does},
                    timeout_seconds=timeout,
                    max_attempts=attempts,
                    on_cancel=on_cancel,
                    **common,
                )
            )
    return made


@st.composite
def runbooks(draw: st.DrawFn) -> Runbook:
    names = [f"S{number}" for number in range(draw(st.integers(1, 7)))]
    return Runbook(steps=tuple(draw(steps(names, outside=[], loops=True))))


@dataclass
class Expected:
    """What the documented rules say of a runbook, walked by hand."""

    calls: list[str] = field(default_factory=list)
    failure: Status | None = None

    def walk(self, listed: tuple[Step, ...]) -> str:
        """Walk a list of steps; where it leads: "" (its end), "stop", or a step outside."""
        names = [one.name for one in listed]
        at = names[0]
        while True:
            step = listed[names.index(at)]
            where = self.step(step)
            if where == "next":
                following = names.index(at) + 1
                where = "" if step.is_end else step.next_step or (names[following] if following < len(names) else "")
            if where not in names:
                return where
            at = where

    def step(self, step: Step) -> str:
        """One step: "next", "stop", or where it jumps."""
        if step.action == "aws:loop":
            for _ in step.inputs["Iterators"]:
                where = self.walk(step.steps)
                if where:
                    return where
            return "next"
        status = OUTCOMES[step.inputs["Api"]]
        self.calls += [step.name] * (1 if status is Status.SUCCESS else step.max_attempts)
        if status is Status.SUCCESS:
            return "next"
        if step.critical and self.failure is None:
            self.failure = status
        if step.on_failure.startswith("step:"):
            return step.on_failure.removeprefix("step:")
        return "next" if step.on_failure == "Continue" else "stop"

    @property
    def status(self) -> Status:
        return self.failure or Status.SUCCESS


def run(stand: Stand, runbook: Runbook) -> AutomationExecution:
    stand.action.calls.clear()
    stand.shelf.runbooks["Any"] = runbook
    return stand.finish(stand.engine.start(StartRequest(document_name="Any")))


def check_records(stand: Stand, execution: str) -> None:
    for record in stand.engine.steps(execution):
        assert record.status.over or record.status is Status.PENDING
        assert (record.started_at is None) == (record.status is Status.PENDING)
        assert (record.ended_at is None) == (record.status is Status.PENDING)
    assert stand.engine.scheduler.next_due() is None


@LAWS
@given(runbook=runbooks())
def test_every_graph_ends_as_the_rules_say(shared: Stand, runbook: Runbook) -> None:
    expected = Expected()
    expected.walk(runbook.steps)
    done = run(shared, runbook)

    assert shared.action.calls == expected.calls
    assert done.status is expected.status
    check_records(shared, done.id)


@LAWS
@given(runbook=runbooks(), moment=st.integers(0, 12))
def test_cancelled_at_any_moment_it_ends_cancelled(shared: Stand, runbook: Runbook, moment: int) -> None:
    """After `moment` timers: either it was over before, as the rules say, or it ends Cancelled within two minutes."""
    expected = Expected()
    expected.walk(runbook.steps)
    shared.action.calls.clear()
    shared.shelf.runbooks["Any"] = runbook
    execution = shared.engine.start(StartRequest(document_name="Any"))
    shared.finish(execution, steps=moment)
    stopped_at = shared.clock.now()
    try:
        shared.engine.stop(execution)
    except CannotStop:
        assert shared.engine.get(execution).status is expected.status
    else:
        done = shared.finish(execution)
        assert done.status is Status.CANCELLED
        assert done.ended_at is not None
        assert (done.ended_at - stopped_at).total_seconds() <= 120
    check_records(shared, execution)


def test_a_thousand_executions_need_a_handful_of_threads(make_stand: Callable[..., Stand]) -> None:
    """All of them under way at once; the listing of any page looks at no more than it shows."""
    from localcloud.automation.ports import Limits

    stand = make_stand(workers=4, limits=Limits(concurrent=10_000))
    steps = tuple(
        Step(name=f"S{number}", action="aws:executeAwsApi", inputs={"Service": "x", "Api": "again"}, on_failure="Abort")
        for number in range(3)
    )
    stand.shelf.runbooks["Any"] = Runbook(steps=steps)
    started = [stand.engine.start(StartRequest(document_name="Any")) for _ in range(1000)]
    stand.engine.settle(LIMIT)

    assert stand.engine.scheduler.threads <= 4
    assert {one.status for one in stand.engine.list()} == {Status.IN_PROGRESS}
    newest = stand.engine.list()
    assert [next(newest).id for _ in range(3)] == started[:-4:-1]
    for _ in steps:
        stand.advance(10)
    assert {one.status for one in stand.engine.list()} == {Status.SUCCESS}
    assert stand.engine.scheduler.threads <= 4
