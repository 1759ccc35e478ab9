"""A node of which nobody hears: the server may be dead, or only the way to Systems Manager; Azure is asked."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.patching.inline import SwiftStage
from tests.patching.stage import Stage

from moorings.errors import CloudFault
from moorings.patching.judging import judge
from moorings.patching.model import BOOT_TIME, WINDOWS_BOOT_TIME, Evidence, HealthReport, Options, Run, Verdict


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = SwiftStage()
    yield made
    made.close()


def _reason(run: object) -> str:
    return str(run.outputs["Report.Reason"])  # type: ignore[attr-defined]


def test_a_server_that_azure_hears_is_not_thrown_away_because_we_do_not(stage: Stage) -> None:
    """An outage between the clouds, or an agent that died: the server may do its work."""
    stage.node.scenario = "agent-dies"

    run = stage.run()

    assert run.outputs["Report.Outcome"] == "UNDECIDED"
    assert "the node went silent" in _reason(run)
    assert "its own agent there reports" in _reason(run)
    assert not [call for call, _ in stage.azure.calls if call == "virtualMachines/powerOff/action"]


def test_a_server_that_azure_does_not_hear_either_is_put_back(stage: Stage) -> None:
    stage.node.scenario = "no-boot"

    run = stage.run()

    assert run.outputs["Report.Outcome"] == "ROLLED_BACK"
    assert "did not come back" in _reason(run)


def test_a_silence_is_told_with_what_may_still_happen_and_how_to_end_it(stage: Stage) -> None:
    stage.node.scenario = "agent-dies"

    execution = stage.start()
    run = stage.finish(execution)

    install = next(sent.id for sent in stage.node.commands.values() if sent.comment == f"moorings {execution} install")
    assert f"aws ssm cancel-command --command-id {install}" in str(run.outputs["Report.Remedy"])


def test_azure_that_does_not_answer_either_decides_nothing(stage: Stage) -> None:
    """It is asked again for as long as the node may be silent; then nobody could see."""
    stage.node.scenario = "no-boot"
    stage.azure.refusing["virtualMachines/read"] = []
    execution = stage.start()
    stage.finish(execution, until=lambda: "installed" in stage.node.disk)
    stage.azure.refusing["virtualMachines/read"] = [CloudFault("no answer", call="GET")] * 500

    run = stage.finish(execution)

    assert run.outputs["Report.Outcome"] == "UNDECIDED"
    assert "Azure could not be asked" in _reason(run)


def test_azure_that_answers_again_is_believed(stage: Stage) -> None:
    stage.node.scenario = "no-boot"
    execution = stage.start()
    stage.finish(execution, until=lambda: "installed" in stage.node.disk)
    stage.azure.refusing["virtualMachines/read"] = [CloudFault("no answer", call="GET")] * 4

    assert stage.finish(execution).outputs["Report.Outcome"] == "ROLLED_BACK"


@pytest.mark.parametrize(
    ("guest", "verdict"), [("", "BAD"), ("not ready", "BAD"), ("ready", "UNKNOWN"), ("unseen", "UNKNOWN")]
)
def test_what_azure_says_of_a_silent_node(guest: str, verdict: str) -> None:
    well = HealthReport(boot="b", checks=(0,))
    silent = Evidence(install="waiting", install_began=True, before=well, offline=True, guest=guest)

    assert judge(silent).verdict is Verdict(verdict)


@pytest.mark.parametrize(
    ("platform", "chosen", "patience"),
    [
        ("Linux", None, BOOT_TIME),
        ("Windows", None, WINDOWS_BOOT_TIME),
        ("Windows", timedelta(minutes=5), timedelta(minutes=5)),
        ("", None, BOOT_TIME),
    ],
)
def test_how_long_a_node_may_be_silent(platform: str, chosen: timedelta | None, patience: timedelta) -> None:
    """What Windows installs it finishes while it boots."""
    options = Options(boot_time=chosen)

    run = Run(execution="e", node="n", began_at=SwiftStage().clock.now(), platform=platform, options=options)

    assert run.boot_time == patience


def test_a_windows_server_that_boots_for_half_an_hour_is_patched(stage: Stage) -> None:
    """Its patch command ends after the boot."""
    stage.node.platform, stage.node.patch_time = "Windows", timedelta(minutes=35)
    execution = stage.start()
    stage.finish(execution, until=lambda: "installed" in stage.node.disk)
    stage.node._power(on=False)
    stage.node._up_at = stage.clock.now() + timedelta(minutes=30)

    assert stage.finish(execution).outputs["Report.Outcome"] == "PATCHED"


@pytest.mark.parametrize("pause", ["PT30S", "PT1S"])
def test_a_node_that_was_put_back_has_all_its_time_to_boot(stage: Stage, pause: str) -> None:
    """However long that is, and however short the pauses: a loop has 100 rounds."""
    stage.node.scenario = "breaks-service"
    execution = stage.start(NodeBootTime="PT2H", SleepDuration=pause)
    booted = stage.azure.vms[stage.vm.key].on_power

    def slowly(on: bool) -> None:
        booted(on)
        if on:
            stage.node._up_at = stage.clock.now() + timedelta(minutes=115)

    stage.azure.vms[stage.vm.key].on_power = slowly

    assert "the node is online again" in _reason(stage.finish(execution))
