"""Ways in which putting a VM back could end worse than it began, each found by asking what production would do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.patching.stage import Stage

from moorings.errors import CloudFault
from moorings.patching.disks import replacement_body
from moorings.patching.model import RESTORE_TIME, CheckpointDisk, Restore
from moorings.patching.planning import after_failure


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def entry(sku: str, **properties: Any) -> CheckpointDisk:
    """A checkpoint's disk, as Azure shows disks: with what it works out for itself."""
    shown = {"diskIOPSReadWrite": 500, "diskMBpsReadWrite": 100, "tier": "P10", "diskSizeGB": 128, **properties}
    return CheckpointDisk(
        lun=None, source_id="/d", source_unique_id="u", snapshot_id="/s", replacement_id="/r",
        disk={"location": "eastus", "sku": {"name": sku}, "properties": shown},
    )  # fmt: skip


@pytest.mark.parametrize("sku", ["Premium_LRS", "Premium_ZRS", "StandardSSD_LRS", "Standard_LRS"])
def test_speed_is_chosen_only_for_disks_whose_speed_can_be_chosen(sku: str) -> None:
    """Azure shows it for every disk, and takes it for two kinds: each other replacement would be refused."""
    properties = replacement_body(entry(sku), tags={})["properties"]

    assert "diskIOPSReadWrite" not in properties
    assert "diskMBpsReadWrite" not in properties
    assert ("tier" in properties) is sku.startswith("Premium")


@pytest.mark.parametrize("sku", ["PremiumV2_LRS", "UltraSSD_LRS"])
def test_a_chosen_speed_is_carried_over(sku: str) -> None:
    properties = replacement_body(entry(sku), tags={})["properties"]

    assert (properties["diskIOPSReadWrite"], properties["diskMBpsReadWrite"]) == (500, 100)
    assert "tier" not in properties


def test_a_vm_that_azure_does_not_start_at_once_is_started_later(stage: Stage) -> None:
    """A host without room for a minute is no reason to leave a VM down for the night."""
    stage.node.scenario = "breaks-service"
    stage.azure.failing["virtualMachines/start/action"] = [("AllocationFailed", "no capacity")] * 6

    run = stage.run()

    assert run.outputs["Report.Outcome"] == "ROLLED_BACK", run.outputs["Report.Reason"]
    assert stage.azure.vms[stage.vm.key].power == "running"


@pytest.mark.parametrize("action", ["powerOff/action", "write", "start/action"])
def test_an_outage_of_some_minutes_is_waited_out(stage: Stage, action: str) -> None:
    """A request that was not answered is no try: it may not even have arrived."""
    stage.node.scenario = "breaks-service"
    outage = CloudFault("500", call=action)
    stage.azure.refusing[f"virtualMachines/{action}"] = [outage] * 8

    run = stage.run()

    assert run.outputs["Report.Outcome"] == "ROLLED_BACK", run.outputs["Report.Reason"]


def test_a_node_that_boots_between_two_looks_counts_as_back(stage: Stage) -> None:
    """Its agent is heard of before anybody sees that Azure's start is over, and the next time five minutes later."""
    stage.node.scenario = "breaks-service"
    execution = stage.start(SleepDuration="PT120S", NodeBootTime="PT2M")
    stage.finish(execution, until=lambda: "virtualMachines/start/action" in [call for call, _ in stage.azure.calls])
    began = stage.clock.now()
    stage.azure.vms[stage.vm.key].on_power = lambda _on: None
    stage.node.settle = stage.azure.settle  # type: ignore[method-assign]
    stage.node.online, stage.node.last_ping = True, began + timedelta(seconds=20)

    run = stage.finish(execution)

    assert "online again" in str(run.outputs["Report.Reason"])


@pytest.mark.parametrize(
    ("code", "deallocates"),
    [("OperationNotAllowed", True), ("SomethingNew", True), ("ScopeLocked", False), ("ConflictingUserInput", False)],
)
def test_a_host_is_given_up_only_where_that_may_help(code: str, *, deallocates: bool) -> None:
    """Once it is given up there may be no room for the VM when it is to start again."""
    now = datetime(2026, 11, 21, tzinfo=UTC)
    before = Restore(began_at=now, deadline=now + RESTORE_TIME, writes=1)

    after = after_failure(before, kind="write", status=409, code=code, message="no")

    assert after.deallocate is deallocates
