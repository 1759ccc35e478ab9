"""While a VM is down: how long, who looks how often, what Azure is asked, and what people are told of it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.patching.inline import SwiftStage
from tests.patching.stage import Stage
from tests.patching.test_upkeep import EXECUTION, Ground, restoring

from moorings.errors import Busy, CloudFault
from moorings.patching.answers import RESTORE_PAUSE, restore_pause
from moorings.patching.keeper import LONGEST_RUN
from moorings.patching.model import RESTORE_TIME, Moment, Phase, Run
from moorings.patching.outside import FIRST_MOMENTS, LONGEST_TIMELINE, Deadline
from moorings.patching.ports import AzureRefused
from moorings.patching.upkeep import EVERY, GLANCE, SELDOM, until_next

ROUNDS = 100  # of a loop
UPDATES = {"virtualMachines/powerOff/action", "virtualMachines/write", "virtualMachines/start/action"}


@pytest.fixture
def stage() -> Iterator[SwiftStage]:
    made = SwiftStage()
    made.node.scenario = "breaks-service"
    yield made
    made.close()


def down(stage: Stage, execution: str) -> timedelta:
    """How long the VM was not running until its execution ended, or, if it is cancelled, until the keeper is done."""
    times: list[datetime] = []

    def look() -> bool:
        if stage.azure.vms[stage.vm.key].power != "running":
            times.append(stage.clock.now())
        return False

    stage.finish(execution, until=look)
    return times[-1] - times[0]


def interrupted(stage: Stage) -> str:
    """A run that was cancelled right after its VM was stopped."""
    execution = stage.start()
    stage.finish(execution, until=lambda: stage.azure.vms[stage.vm.key].power != "running")
    stage.engine.stop(execution)
    stage.finish(execution)
    return execution


# -- a run


def test_a_vm_is_down_for_little_longer_than_azure_takes(stage: SwiftStage) -> None:
    """Three operations of 40 s, each noticed within the pause of a round."""
    assert down(stage, stage.start()) <= 3 * (stage.azure.operation_time + RESTORE_PAUSE)


def test_a_lost_answer_to_the_power_off_makes_nobody_look_more_seldom(stage: SwiftStage) -> None:
    """Its disk took 25 minutes to make, so the pauses were long when the VM was stopped."""
    lost: list[str] = []

    def losing(what: str) -> None:
        if what.endswith("powerOff/action") and not lost:
            lost.append(what)
            raise CloudFault("no answer", call=what)

    execution = stage.start()
    stage.finish(execution, until=lambda: "evidence" in stage.seen_calls)
    stage.azure.after_call, stage.azure.operation_time = losing, timedelta(minutes=25)

    def stopping(what: str) -> None:
        if what.endswith("powerOff/action"):
            stage.azure.operation_time = timedelta(seconds=40)

    stage.azure.before_call = stopping

    stage.finish(execution)

    rounds = [step.outputs["More"] for step in stage.engine.steps(execution) if step.step.name == "Restore"]
    assert lost
    assert rounds[-4:] == ["PT0S"] * 4
    assert "PT50S" in rounds


@pytest.mark.parametrize("made_for", range(0, 46, 3))
def test_a_loop_has_rounds_beyond_the_restores_deadline(made_for: int) -> None:
    """However its time is divided between making the disk and a VM that is down."""
    made, whole, rounds = timedelta(minutes=made_for), RESTORE_TIME + timedelta(minutes=5), 0
    elapsed = timedelta(0)
    while elapsed < whole:
        since = elapsed if elapsed < made else elapsed - made
        elapsed += RESTORE_PAUSE + restore_pause(since)
        rounds += 1

    assert rounds <= ROUNDS


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1)))
def test_pauses_are_short_first_and_never_long(elapsed: timedelta) -> None:
    pause = RESTORE_PAUSE + restore_pause(elapsed)

    assert timedelta(seconds=10) <= pause <= timedelta(minutes=1)
    assert pause == RESTORE_PAUSE or elapsed > timedelta(minutes=2)


@pytest.mark.parametrize(
    "trouble",
    [
        CloudFault("no answer", call="start"),
        Busy("throttled", retry_after=timedelta(minutes=20)),
        AzureRefused(status=409, code="Conflict", message="another operation"),
    ],
    ids=["unanswered", "throttled", "conflict"],
)
@pytest.mark.parametrize("action", sorted(UPDATES))
def test_updates_of_a_vm_stay_below_what_azure_takes(
    stage: SwiftStage, action: str, trouble: AzureRefused | Busy | CloudFault
) -> None:
    """What was no try is sent again, but not more than three times a minute."""
    stage.azure.refusing[action] = [trouble] * 9
    sent: list[datetime] = []
    stage.azure.before_call = lambda what: (
        sent.append(stage.clock.now()) if what.removeprefix("azure ") in UPDATES else None
    )

    run = stage.run()

    assert run.outputs["Report.Outcome"] == "ROLLED_BACK", run.outputs["Report.Reason"]
    in_a_minute = [sum(one <= other < one + timedelta(minutes=1) for other in sent) for one in sent]
    assert max(in_a_minute) <= 4


# -- the keeper


def test_the_keeper_goes_on_while_a_vm_is_down(stage: SwiftStage) -> None:
    """Not one move a minute: in one run of a minute's length it gets as far as Azure's operations let it."""
    stage.azure.operation_time = timedelta(seconds=10)
    interrupted(stage)

    stage.keep(1)

    assert stage.azure.vms[stage.vm.key].power == "running"


def test_the_keeper_ends_in_its_time_whatever_is_under_way(stage: SwiftStage) -> None:
    stage.azure.operation_time = timedelta(minutes=10)
    interrupted(stage)
    stage.clock.step(timedelta(minutes=1))
    began = stage.clock.now()

    stage.upkeep.run(Deadline(stage.outside.clock, timedelta(seconds=50)))

    assert timedelta(seconds=30) < stage.clock.now() - began < timedelta(seconds=50)


def test_the_keeper_asks_azure_every_five_seconds_at_most(stage: SwiftStage) -> None:
    interrupted(stage)
    asked: list[datetime] = []
    stage.azure.before_call = lambda what: asked.append(stage.clock.now()) if "operations" in what else None

    stage.keep(3)

    moments = sorted(set(asked))
    assert moments
    assert all(after - before >= GLANCE for before, after in pairwise(moments))


def test_the_next_keeper_goes_on_where_the_last_one_had_no_more_time() -> None:
    """One begins each minute and works for most of it: no minute is left out while a VM is down."""
    ground, looks = Ground(), list[datetime]()
    restoring(ground)
    stage, began = ground.stage, ground.stage.clock.now()
    stage.azure.before_call = lambda what: looks.append(stage.clock.now()) if what.endswith("s/read") else None

    for minute in range(4):
        stage.clock.step(began + EVERY * minute - stage.clock.now())
        stage.upkeep.run(Deadline(stage.outside.clock, LONGEST_RUN - timedelta(seconds=3)))

    assert stage.azure.vms[stage.vm.key].power == "running"
    assert max(later - sooner for sooner, later in pairwise(looks)) <= timedelta(seconds=20)
    run = stage.record(EXECUTION)
    assert run.restore is not None
    assert run.restore.ended == "ours"


def test_a_keeper_that_is_overtaken_leaves_the_vm_to_the_other(stage: SwiftStage) -> None:
    """Two run at once only if somebody starts one by hand; the newer one goes on, and nothing is an error."""
    execution = interrupted(stage)
    wait = stage.outside.clock.wait
    others: list[int] = []

    def meanwhile(duration: timedelta) -> None:
        wait(duration)
        if not others:
            others.append(1)
            record = stage.record(execution)
            stage.shelf.runs[execution] = replace(record, version=record.version + 1)

    stage.outside.clock.wait = meanwhile  # type: ignore[method-assign]
    stage.keep(1)

    assert "UpkeepFailed" not in stage.notebook.metrics
    stage.keep(6)
    assert stage.azure.vms[stage.vm.key].power == "running"


def test_an_interrupted_restore_is_announced_once_when_it_has_come_to_its_end(stage: SwiftStage) -> None:
    execution = interrupted(stage)
    assert stage.notebook.announced == []

    stage.keep(10)

    run = stage.record(execution)
    assert run.phase is Phase.OVER
    assert [one.conclusion for one in stage.notebook.announced] == [run.conclusion]
    assert len(stage.node.compliance) == 1
    assert [metric for metric in stage.notebook.metrics if metric.startswith("Outcome")] == ["OutcomeRolledBack"]


# -- the timeline


def test_what_is_tried_again_and_again_is_one_moment(stage: SwiftStage) -> None:
    stage.azure.refusing["virtualMachines/start/action"] = [CloudFault("no answer", call="start")] * 30
    execution = stage.start()
    stage.finish(execution)

    timeline = stage.record(execution).timeline
    starts = [moment for moment in timeline if moment.what == "starting the VM"]
    assert [moment.told for moment in starts] == [f"starting the VM ({starts[0].times} times)"]
    assert starts[0].times > 30


def test_a_timeline_has_an_end_and_keeps_its_beginning(stage: SwiftStage) -> None:
    run = Run(execution="e", node="n", began_at=datetime(2026, 11, 22, tzinfo=UTC))
    for number in range(500):
        run = stage.outside.noted(run, f"moment {number}")

    assert len(run.timeline) == LONGEST_TIMELINE
    assert [moment.what for moment in run.timeline[:FIRST_MOMENTS]] == [f"moment {one}" for one in range(FIRST_MOMENTS)]
    assert run.timeline[-1].what == "moment 499"


def test_two_moments_that_take_turns_are_told_once_each(stage: SwiftStage) -> None:
    run = Run(execution="e", node="n", began_at=datetime(2026, 11, 22, tzinfo=UTC))
    for what in ["begin", *["try", "no"] * 40, "end"]:
        run = stage.outside.noted(run, what)

    assert [moment.told for moment in run.timeline] == ["begin", "try (40 times)", "no (40 times)", "end"]
    assert Moment(at=run.began_at, what="once").told == "once"


# -- what is kept


def test_what_cannot_be_deleted_is_looked_at_ever_more_seldom() -> None:
    """A disk that somebody has attached to another VM may stay there for a year."""
    now = expired = datetime(2026, 11, 22, tzinfo=UTC)
    looks = []
    while now < expired + timedelta(days=365):
        looks.append(now)
        now += until_next(now, expired)

    assert len(looks) < 420
    assert looks[1] - looks[0] == timedelta(minutes=3)
    assert until_next(now, expired) == SELDOM


def test_what_expires_later_is_looked_at_then() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)

    assert until_next(now, now + timedelta(hours=7)) == timedelta(hours=7)


@pytest.mark.parametrize(
    "refusal",
    [
        Busy("virtualMachines/start/action is throttled", retry_after=timedelta(minutes=20)),
        CloudFault("virtualMachines/start/action failed: 503", call="virtualMachines/start/action"),
        AzureRefused(status=409, code="Conflict", message="somebody else is at it"),
    ],
)
def test_a_vm_that_is_down_past_the_deadline_of_its_restore_alarms(refusal: Busy | CloudFault | AzureRefused) -> None:
    """Every look goes well, and no start gets through: nobody would hear of it before the restore is given up."""
    ground = Ground()
    began = ground.stage.clock.now() - timedelta(minutes=40)
    run = restoring(ground, began_at=began, deadline=began + RESTORE_TIME, stops=1, down_at=began)
    assert run.vm is not None
    ground.stage.azure.vms[run.vm.key].power = "stopped"
    ground.stage.azure.refusing["virtualMachines/start/action"] = [refusal] * 999

    ground.keep(2)
    assert "UpkeepFailed" not in ground.stage.notebook.metrics
    ground.keep(6)
    assert "UpkeepFailed" in ground.stage.notebook.metrics
    told = [facts for event, facts in ground.stage.notebook.records if event == "upkeep_failed"]
    assert told[0]["execution"] == EXECUTION
    assert "has not come to its end" in str(told[0]["error"])

    ground.stage.azure.refusing.clear()
    assert ground.keep(6).phase is Phase.OVER
    assert ground.stage.azure.vms[run.vm.key].power == "running"


@pytest.mark.parametrize(("late", "alarms"), [(timedelta(minutes=-5), False), (timedelta(minutes=5), True)])
def test_it_alarms_as_well_while_its_execution_still_tries(late: timedelta, alarms: bool) -> None:
    """The runbook's rounds last longer than the restore's deadline."""
    ground = Ground()
    ground.stage.ended.clear()
    now = ground.stage.clock.now()
    restoring(ground, began_at=now - RESTORE_TIME - late, deadline=now - late)

    ground.keep()

    assert ("UpkeepFailed" in ground.stage.notebook.metrics) is alarms


def test_a_restore_that_has_ended_is_not_overdue() -> None:
    ground = Ground()
    ground.stage.ended.clear()
    began = ground.stage.clock.now() - timedelta(hours=2)
    restoring(ground, began_at=began, deadline=began + RESTORE_TIME, ended="ours", ended_at=began)

    ground.keep()

    assert "UpkeepFailed" not in ground.stage.notebook.metrics
