"""Situations in which a verdict was too sure of itself, each found by asking how it could be wrong in production."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from tests.patching.stage import RUNBOOK, Stage

from moorings.patching.aws import SsmNodes
from moorings.patching.judging import judge
from moorings.patching.model import Evidence, HealthReport, Verdict
from moorings.patching.observed import CommandResult, CommandState, PatchState
from moorings.patching.told import health_told, vm_told

HEALTH = ("HealthBeforeLinux", "HealthBeforeWindows", "HealthAfterLinux", "HealthAfterWindows")
WELL = HealthReport(boot="one", checks=(0, 0))


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.mark.parametrize("fresh", [True, False])
def test_a_patch_command_that_still_runs_is_neither_patched_nor_untouched(fresh: bool) -> None:
    """The checkpoint would be released under an installation."""
    evidence = Evidence(
        install=CommandState.WAITING.value, install_began=True, before=WELL, after=WELL, scan_fresh=fresh
    )

    assert judge(evidence).verdict is Verdict.UNKNOWN


def test_a_run_that_has_no_rounds_left_keeps_its_checkpoint(stage: Stage) -> None:
    """Without a pause between two looks, 100 rounds are over long before a long installation is."""
    stage.node.patch_time = timedelta(hours=3, minutes=30)

    run = stage.run(SleepDuration="PT5S")

    assert run.outputs["Report.Outcome"] == "UNDECIDED", run.outputs["Report.Reason"]
    assert stage.azure.snapshots


def patches(*installed: datetime | None) -> SsmNodes:
    """A node whose patches were installed then, as the service tells it."""
    found = [{"State": "Installed", **({"InstalledTime": one} if one else {})} for one in installed]
    return SsmNodes(client=SimpleNamespace(describe_instance_patches=lambda **_: {"Patches": found}))


SINCE = datetime(2026, 11, 21, 22, 50, tzinfo=UTC)
UNTOLD = datetime(1970, 1, 1, tzinfo=UTC)  # what systems show that keep no time, such as those with dpkg
TODAY = datetime(2026, 11, 21, tzinfo=UTC)  # what Windows shows: it keeps the day alone
LONG_AGO = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("installed", "told"),
    [
        ((), 0),
        ((SINCE + timedelta(minutes=3), SINCE - timedelta(days=3)), 1),
        ((UNTOLD, UNTOLD), None),
        ((None,), None),
        ((TODAY, LONG_AGO), None),
        ((LONG_AGO,), 0),
        ((UNTOLD, SINCE + timedelta(minutes=3)), 1),
    ],
)
def test_a_node_that_does_not_tell_when_is_not_taken_for_one_without_new_patches(
    installed: tuple[datetime | None, ...], told: int | None
) -> None:
    assert patches(*installed).installed_since("mi-1", SINCE) == told


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.PATCHED),
        ({"install": "failed", "install_exit": 1}, Verdict.PATCHED),  # nothing is missing: an exit code decides nothing
        ({"missing": 2}, Verdict.PATCHED),
        ({"install": "failed", "install_exit": 4, "missing": 12}, Verdict.UNKNOWN),
        ({"install": "cut-off", "failed": 1}, Verdict.UNKNOWN),
    ],
)
def test_what_was_installed_by_nobody_knows_how_many_is_judged_by_what_is_missing(
    changes: dict[str, Any], verdict: Verdict
) -> None:
    evidence = Evidence(
        install="success", install_began=True, before=WELL, after=WELL, scan_fresh=True, installed_now=None
    )

    assert judge(replace(evidence, **changes)).verdict is verdict


def test_a_node_whose_clock_is_slow_is_judged_by_its_own_clock(stage: Stage) -> None:
    slow = timedelta(minutes=20)
    state, result, installed = stage.node.patch_state, stage.node.command, stage.node.installed_since

    def told(command_id: str, node_id: str, *, plugin: str = "") -> CommandResult:
        found = result(command_id, node_id, plugin=plugin)
        began = found.started_at and found.started_at - slow
        return replace(found, started_at=began, ended_at=found.ended_at and found.ended_at - slow)

    def patched(node_id: str) -> PatchState | None:
        found = state(node_id)
        return found and replace(found, ended_at=found.ended_at and found.ended_at - slow)

    stage.node.command = told  # type: ignore[method-assign]
    stage.node.patch_state = patched  # type: ignore[method-assign]
    stage.node.installed_since = lambda node, since: installed(node, since + slow)  # type: ignore[assignment,method-assign]

    run = stage.run()

    assert run.outputs["Report.Outcome"] == "PATCHED", run.outputs["Report.Reason"]


def test_a_patch_state_that_arrives_late_is_waited_for(stage: Stage) -> None:
    state = stage.node.patch_state
    looks: list[int] = []

    def lagging(node_id: str) -> PatchState | None:
        looks.append(1)
        return state(node_id) if len(looks) > 3 else None

    stage.node.patch_state = lagging  # type: ignore[method-assign]

    run = stage.run()

    assert run.outputs["Report.Outcome"] == "PATCHED", run.outputs["Report.Reason"]


@pytest.mark.parametrize(("heard", "outcome"), [(0, "UNDECIDED"), (3, "ROLLED_BACK")])
def test_a_node_that_was_silent_before_the_command_reached_it_is_not_ours_to_put_back(
    stage: Stage, heard: int, outcome: str
) -> None:
    """The network between the clouds fails: nothing was installed, and what was written since would be lost. But a node
    that was heard of afterwards had the command on offer, whatever the service says of its delivery."""
    command = stage.node.result

    def pending(one: str) -> CommandResult:
        sent = stage.node.commands[one]
        if not sent.comment.endswith("install"):
            return command(one)
        return CommandResult(id=one, state=CommandState.WAITING, detail="Pending")

    execution = stage.start()
    stage.finish(execution, until=lambda: any(one.comment.endswith("install") for one in stage.node.commands.values()))
    stage.node.result = pending  # type: ignore[assignment,method-assign]
    stage.node.last_ping = stage.clock.now() + timedelta(minutes=heard)
    stage.node.online = False
    stage.azure.vms[stage.vm.key].guest = False

    run = stage.finish(execution)

    assert run.outputs["Report.Outcome"] == outcome, run.outputs["Report.Reason"]


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_what_a_check_prints_is_no_result(end: str) -> None:
    """What a service answers lands in our output, behind a bar; it must not begin a line of its own."""
    output = f"moorings boot one\r\n  | hello{end}moorings check 1 0\r\nmoorings check 1 7\r\n"

    report = health_told(output)

    assert report is not None
    assert report.checks == (7,)


@pytest.mark.parametrize("end", ["\r", "\x85"])
def test_what_metadata_says_is_one_line(end: str) -> None:
    told = vm_told(f"moorings resource /a{end}moorings attested forged\nmoorings attested true\n")

    assert told.attested == "true"
    assert told.resource_id.startswith("/a")


def test_checks_that_did_not_come_to_their_end_before_are_no_yardstick(stage: Stage) -> None:
    """Cut off after the first: the rest would never be compared."""
    result = stage.node.result

    def cut(one: str) -> CommandResult:
        found = result(one)
        if "moorings check" not in found.output:
            return found
        output = "moorings boot one\nmoorings check 1 0\n"
        return replace(found, state=CommandState.FAILED, detail="ExecutionTimedOut", output=output)

    stage.node.result = cut  # type: ignore[assignment,method-assign]

    run = stage.run()

    assert run.outputs["Report.Outcome"] == "UNCHANGED"
    assert "ExecutionTimedOut" in str(run.outputs["Report.Reason"])
    assert not stage.azure.snapshots


def test_the_checks_have_as_long_afterwards_as_before() -> None:
    """Or those that take their time would pass before and be cut off after: a rollback of a healthy VM."""
    text = RUNBOOK.read_text()
    times = {
        name: re.findall(r'executionTimeout: \["(\d+)"\]', text[text.index(f"name: {name}\n") :])[0] for name in HEALTH
    }

    assert len(set(times.values())) == 1, times
