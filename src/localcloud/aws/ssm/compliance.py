"""Compliance: items that somebody puts, and those that follow from a node's patch state, of every node by type.

Source: PutComplianceItems and ComplianceItem in the service's model; Systems Manager User Guide, "Compliance". A
resource is as compliant as its worst item, and as severe as its most severe item that is not compliant.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.aws.ssm import patch_state
from localcloud.aws.ssm.inventory import Inventory, InventoryItem
from localcloud.world import World

MANAGED_NODE = "ManagedInstance"
PATCH = "Patch"
COMPLIANT, NON_COMPLIANT = "COMPLIANT", "NON_COMPLIANT"
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNSPECIFIED")  # the worst first


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSummary:
    """What made the items of one upload."""

    time: datetime
    id: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceItem:
    """One item of one resource."""

    resource_id: str
    kind: str  # ComplianceType
    id: str
    title: str
    severity: str
    status: str
    execution: ExecutionSummary
    details: Mapping[str, str] = field(default_factory=dict)


class Compliance:
    """The compliance items of a world. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._inventory = world.part(Inventory)
        self._put: dict[tuple[str, str], tuple[str, tuple[ComplianceItem, ...]]] = {}
        self._lock = threading.Lock()

    def replace(self, resource_id: str, kind: str, items: Iterable[ComplianceItem], *, content_hash: str = "") -> None:
        """Keep these items of a resource instead of all its items of that type; nothing if the hash is known."""
        with self._lock:
            known = self._put.get((resource_id, kind))
            if known is None or not content_hash or known[0] != content_hash:
                self._put[resource_id, kind] = (content_hash, tuple(items))

    def of_resource(self, resource_id: str) -> list[ComplianceItem]:
        """All items of a resource; those put as Patch go before what the node's inventory says."""
        with self._lock:
            put = {kind: items for (resource, kind), (_, items) in self._put.items() if resource == resource_id}
        if PATCH not in put:
            put[PATCH] = tuple(self._of_patches(resource_id))
        return [item for kind in sorted(put) for item in put[kind]]

    def _of_patches(self, node_id: str) -> Iterable[ComplianceItem]:
        patches = self._inventory.find(node_id, patch_state.PATCHES)
        summary = self._inventory.find(node_id, patch_state.SUMMARY)
        if patches is None:
            return
        execution = _execution(patches, summary)
        about = patch_state.state(summary.content[0]) if summary else {}
        for row in patches.content:
            yield _of_patch(node_id, patch_state.patch(row), execution, about)


def _execution(patches: InventoryItem, summary: InventoryItem | None) -> ExecutionSummary:
    context = patches.context or (summary.context if summary else {})
    return ExecutionSummary(
        time=datetime.fromisoformat(patches.capture_time),
        id=context.get("ExecutionId", ""),
        kind=context.get("ExecutionType", "Command"),
    )


def _of_patch(
    node_id: str, patch: Mapping[str, Any], execution: ExecutionSummary, about: Mapping[str, Any]
) -> ComplianceItem:
    severity = str(patch["Severity"]).upper()
    details = {
        "Classification": patch["Classification"],
        "PatchBaselineId": about.get("BaselineId", ""),
        "PatchGroup": about.get("PatchGroup", ""),
        "PatchSeverity": patch["Severity"],
        "PatchState": patch["State"],
        "InstalledTime": "" if patch["InstalledTime"] == patch_state.NEVER else patch["InstalledTime"].isoformat(),
    }
    return ComplianceItem(
        resource_id=node_id,
        kind=PATCH,
        id=patch["KBId"],
        title=patch["Title"],
        severity=severity if severity in SEVERITIES else "UNSPECIFIED",
        status=COMPLIANT if patch["State"] in patch_state.COMPLIANT_STATES else NON_COMPLIANT,
        execution=execution,
        details=details,
    )
