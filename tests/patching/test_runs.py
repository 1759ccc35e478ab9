"""Whole runs: the runbook as it is, against every way in which patching goes well or badly."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.patching.stage import Stage

from localcloud.automation.records import AutomationExecution
from moorings.patching.ports import AzureRefused


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def outcome(run: AutomationExecution) -> tuple[str, str]:
    """The execution's final status, and what the run itself says."""
    return run.status.value, str(run.outputs.get("Report.Outcome"))


def reason(run: AutomationExecution) -> str:
    return str(run.outputs.get("Report.Reason"))


def nothing_left(stage: Stage) -> bool:
    """After the keeper's runs no snapshot or disk of ours is left but what has a day to live."""
    stage.keep(12)
    return not stage.azure.snapshots and stage.table.guards[stage.vm.key].owner == ""


def _ephemeral(stage: Stage) -> None:
    profile = stage.azure.vms[stage.vm.key].wire["properties"]["storageProfile"]
    profile["osDisk"]["diffDiskSettings"] = {"option": "Local"}


def test_a_second_run_on_the_same_vm_is_refused(stage: Stage) -> None:
    first = stage.start()
    stage.finish(first, until=lambda: bool(stage.azure.snapshots))

    second = stage.run()

    assert outcome(second) == ("Failed", "UNCHANGED")
    assert "another run works on this VM" in reason(second)
    assert outcome(stage.finish(first)) == ("Success", "PATCHED")


def test_a_run_whose_function_lets_no_call_through_touches_nothing(stage: Stage) -> None:
    """How everything is stopped: the function has no environments, the keeper goes on."""
    stage.failing_calls = dict.fromkeys(stage.patching.calls, 999)

    run = stage.run()
    stage.keep(12)

    assert run.status.value == "Failed"
    assert "nobody could report this run" in run.failure_message
    assert "{{" not in run.failure_message
    assert not stage.azure.calls
    assert not stage.node.installs
    assert not stage.table.guards


def test_good_patches_end_patched_and_leave_nothing(stage: Stage) -> None:
    before = stage.azure.os_disk_of(stage.vm)

    run = stage.run()

    assert outcome(run) == ("Success", "PATCHED"), reason(run)
    assert stage.node.disk["installed"] == 3
    assert stage.azure.os_disk_of(stage.vm) == before
    assert nothing_left(stage)


def test_a_reboot_after_good_patches_changes_nothing_about_that(stage: Stage) -> None:
    stage.node.reboots = True

    assert outcome(stage.run()) == ("Success", "PATCHED")


def test_a_compliant_node_is_unchanged_and_that_is_right(stage: Stage) -> None:
    stage.node.disk["missing"] = 0

    run = stage.run()

    assert outcome(run) == ("Success", "UNCHANGED")
    assert "compliant already" in reason(run)
    assert nothing_left(stage)


def test_an_exit_code_of_1_alone_is_a_warning(stage: Stage) -> None:
    stage.node.scenario = "exit-1"

    run = stage.run()

    assert outcome(run) == ("Success", "PATCHED")
    assert "exit code 1" in str(run.outputs["Report.Evidence"])


@pytest.mark.parametrize(
    ("scenario", "rollback_on"), [("breaks-service", "Bad"), ("no-boot", "Bad"), ("agent-dies", "BadOrUnknown")]
)
def test_what_is_bad_is_put_back_as_it_was(stage: Stage, scenario: str, rollback_on: str) -> None:
    stage.node.scenario = scenario
    before = dict(stage.node.disk)

    run = stage.run(RollbackOn=rollback_on)

    assert outcome(run) == ("Failed", "ROLLED_BACK"), reason(run)
    assert stage.node.disk == before
    assert stage.azure.vms[stage.vm.key].power == "running"
    assert "the node is online again" in reason(run)
    assert nothing_left(stage)


@pytest.mark.parametrize("fault", ["stuck_snapshots", "failing_snapshots"])
def test_no_patch_without_a_usable_checkpoint(stage: Stage, fault: str) -> None:
    setattr(stage.azure, fault, True)

    run = stage.run()

    assert outcome(run) == ("Failed", "UNCHANGED")
    assert "no usable checkpoint" in reason(run)
    assert "installed" not in stage.node.disk
    assert nothing_left(stage)


def test_a_failed_exchange_of_disks_is_tried_again(stage: Stage) -> None:
    stage.node.scenario = "breaks-service"
    stage.azure.failing["virtualMachines/write"] = [("InternalExecutionError", "try again")]

    assert outcome(stage.run()) == ("Failed", "ROLLED_BACK")


def test_a_vm_whose_disks_azure_will_not_exchange_runs_on_its_own_again(stage: Stage) -> None:
    stage.node.scenario = "breaks-service"
    refused = AzureRefused(status=400, code="InvalidParameter", message="no")
    stage.azure.refusing["virtualMachines/write"] = [refused] * 20
    before = stage.azure.os_disk_of(stage.vm)

    run = stage.run()

    assert outcome(run) == ("Failed", "ROLLBACK_FAILED")
    assert stage.azure.os_disk_of(stage.vm) == before
    assert stage.azure.vms[stage.vm.key].power == "running"
    stage.keep(12)
    assert len(stage.azure.snapshots) == 1


def test_what_cannot_be_started_is_told_with_the_command_that_does(stage: Stage) -> None:
    stage.node.scenario = "breaks-service"
    stage.azure.failing["virtualMachines/start/action"] = [("AllocationFailed", "no capacity")] * 99

    run = stage.run()

    assert outcome(run) == ("Failed", "ROLLBACK_FAILED")
    assert run.outputs["Report.Remedy"] == f"az vm start --ids {stage.vm.id}"


def test_a_vm_that_must_be_deallocated_is(stage: Stage) -> None:
    stage.node.scenario = "breaks-service"
    stage.azure.needs_deallocated = True

    assert outcome(stage.run()) == ("Failed", "ROLLED_BACK")


def test_data_disks_are_put_back_with_the_os_disk() -> None:
    stage = Stage(data=(0, 3))
    try:
        data = stage.azure.vms[stage.vm.key].wire["properties"]["storageProfile"]["dataDisks"]
        for disk in data:
            stage.azure.contents[disk["managedDisk"]["id"].lower()]["rows"] = 1
        stage.node.scenario = "breaks-service"

        run = stage.run(SnapshotDataDisks=True, RestoreDataDisks=True)

        assert outcome(run) == ("Failed", "ROLLED_BACK"), reason(run)
        after = stage.azure.vms[stage.vm.key].wire["properties"]["storageProfile"]["dataDisks"]
        assert [(disk["lun"], disk["caching"]) for disk in after] == [(0, "ReadOnly"), (3, "ReadOnly")]
        assert all("lun" in disk["managedDisk"]["id"] for disk in after)
    finally:
        stage.close()


def test_an_offline_node_is_left_alone(stage: Stage) -> None:
    stage.node.online = False

    run = stage.run()

    assert outcome(run) == ("Failed", "UNCHANGED")
    assert "offline" in reason(run)
    assert not stage.azure.calls


def test_a_node_that_claims_another_vm_is_left_alone(stage: Stage) -> None:
    stage.node.claims = stage.azure.add_vm("victim", guid="99999999-bbbb-cccc-dddd-eeeeeeeeeeee")

    run = stage.run()

    assert outcome(run) == ("Failed", "UNCHANGED")
    assert "claims another VM" in reason(run)
    assert not stage.azure.snapshots


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda stage: setattr(stage.node, "metadata", False), "did not tell its VM's identity"),
        (lambda stage: setattr(stage.node, "unhealthy_before", True), "not healthy before"),
        (lambda stage: stage.azure.missing.append("Microsoft.Compute/snapshots/write"), "lacks Microsoft.Compute/snap"),
        (lambda stage: setattr(stage.azure, "unauthenticated", "AADSTS7000215: invalid secret"), "AADSTS7000215"),
        (_ephemeral, "ephemeral"),
    ],
)
def test_what_speaks_against_it_is_told_before_anything_is_touched(stage: Stage, prepare: Any, words: str) -> None:
    prepare(stage)

    run = stage.run()

    assert outcome(run) == ("Failed", "UNCHANGED")
    assert words in reason(run)
    assert run.outputs["Report.Remedy"]
    assert not stage.azure.snapshots
    assert "installed" not in stage.node.disk


@pytest.mark.parametrize(("parameters", "words"), [({"DryRun": True}, "dry run"), ({"Operation": "Scan"}, "scanned")])
def test_who_wants_nothing_changed_gets_unchanged_and_success(
    stage: Stage, parameters: dict[str, Any], words: str
) -> None:
    run = stage.run(**parameters)

    assert outcome(run) == ("Success", "UNCHANGED")
    assert words in reason(run)
    assert "installed" not in stage.node.disk
    assert not stage.azure.snapshots


def test_a_cancel_while_restoring_leaves_the_rest_to_the_keeper(stage: Stage) -> None:
    stage.node.scenario = "breaks-service"
    execution = stage.start()
    stage.finish(execution, until=lambda: stage.azure.vms[stage.vm.key].power != "running")

    stage.engine.stop(execution)
    run = stage.finish(execution)
    assert run.status.value == "Cancelled"
    stage.keep(15)

    assert stage.azure.vms[stage.vm.key].power == "running"
    assert stage.record(execution).conclusion.outcome.value == "ROLLED_BACK"  # type: ignore[union-attr]
    assert "broken" not in stage.node.disk


def test_a_run_over_midnight_finds_its_own_snapshot(stage: Stage) -> None:
    late = Stage(start=datetime(2026, 11, 21, 23, 58, tzinfo=UTC))
    try:
        late.node.scenario = "breaks-service"
        assert outcome(late.run()) == ("Failed", "ROLLED_BACK")
    finally:
        late.close()


def test_patching_may_take_three_hours(stage: Stage) -> None:
    stage.node.patch_time = timedelta(hours=3)

    assert outcome(stage.run()) == ("Success", "PATCHED")


def test_a_snapshot_whose_deletion_fails_later_is_deleted_by_the_keeper(stage: Stage) -> None:
    stage.azure.failing["snapshots/delete"] = [("InternalError", "later")]

    assert outcome(stage.run()) == ("Success", "PATCHED")
    assert len(stage.azure.snapshots) == 1
    stage.keep(20)
    assert not stage.azure.snapshots


def test_hands_off_a_vm_that_somebody_repaired_meanwhile(stage: Stage) -> None:
    stage.node.scenario = "breaks-service"
    execution = stage.start()
    stage.finish(execution, until=lambda: stage.azure.vms[stage.vm.key].power == "stopping")
    repaired = stage.azure.add_disk("repaired", stage.vm.id, os_type="Linux")
    profile = stage.azure.vms[stage.vm.key].wire["properties"]["storageProfile"]
    profile["osDisk"]["managedDisk"] = {"id": repaired}

    run = stage.finish(execution)

    assert outcome(run) == ("Failed", "ROLLBACK_FAILED")
    assert "hands off" in reason(run)
    assert stage.azure.os_disk_of(stage.vm) == repaired.lower()


def test_failing_prepatch_commands_install_nothing(stage: Stage) -> None:
    run = stage.run(PrePatchCommands=["fail"])

    assert outcome(run) == ("Failed", "UNCHANGED")
    assert "PrePatchCommands failed" in reason(run)
    assert "installed" not in stage.node.disk


@pytest.mark.parametrize(
    ("rollback_on", "expected"), [("Bad", "UNDECIDED"), ("BadOrUnknown", "ROLLED_BACK"), ("Never", "UNDECIDED")]
)
def test_what_cannot_be_seen_is_undecided_unless_asked_otherwise(stage: Stage, rollback_on: str, expected: str) -> None:
    stage.node.scan_reports = False

    run = stage.run(RollbackOn=rollback_on)

    assert outcome(run) == ("Failed", expected), reason(run)


@pytest.mark.parametrize("call", ["checkpoint-status", "evidence", "restore", "verify"])
def test_a_function_that_fails_for_some_rounds_costs_rounds_only(stage: Stage, call: str) -> None:
    stage.node.scenario = "breaks-service"
    stage.failing_calls[call] = 7

    assert outcome(stage.run()) == ("Failed", "ROLLED_BACK")


def test_while_the_vm_is_down_nothing_happens_but_what_must(stage: Stage) -> None:
    stage.node.scenario = "breaks-service"
    stage.run()

    calls = [action for action, _ in stage.azure.calls]
    down = calls[calls.index("virtualMachines/powerOff/action") : calls.index("virtualMachines/start/action") + 1]
    writes = [action for action in down if not action.endswith("read")]
    assert writes == ["virtualMachines/powerOff/action", "virtualMachines/write", "virtualMachines/start/action"]
