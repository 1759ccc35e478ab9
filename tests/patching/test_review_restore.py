"""Ways in which putting a VM back could end worse than it began, each found by asking what production would do."""

from typing import Any

import pytest

from moorings.patching.disks import replacement_body
from moorings.patching.model import CheckpointDisk


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
