"""The inventory items by which a patch run is reported: AWS:PatchSummary and AWS:PatchCompliance.

Values are text, as in every inventory item; names are those of DescribeInstancePatchStates and -Patches.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.machines.patching.baseline import Baseline
from localcloud.machines.patching.ledger import FAILED, INSTALLED, MISSING, OTHER, PENDING_REBOOT, REJECTED, Ledger
from localcloud.machines.updates import Update

SUMMARY = "AWS:PatchSummary"
COMPLIANCE = "AWS:PatchCompliance"
_NONCOMPLIANT = frozenset({PENDING_REBOOT, REJECTED, MISSING, FAILED})
_COUNTS = {
    INSTALLED: "InstalledCount",
    OTHER: "InstalledOtherCount",
    PENDING_REBOOT: "InstalledPendingRebootCount",
    REJECTED: "InstalledRejectedCount",
    MISSING: "MissingCount",
    FAILED: "FailedCount",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What was run: the words of its parameters, begin and end (ISO 8601, UTC)."""

    name: str  # Scan | Install
    reboot_option: str
    snapshot_id: str
    override_list: str
    started: str
    ended: str


def items(
    operation: Operation, baseline: Baseline, ledger: Ledger, states: Mapping[Update, str]
) -> list[dict[str, Any]]:
    """Both items for PutInventory; `states` holds what is installed or should be."""
    rows = [_row(update, state, ledger) for update, state in states.items()]
    return [
        _item(SUMMARY, [_summary(operation, baseline, ledger, states)], operation),
        _item(COMPLIANCE, rows, operation),
    ]


def _item(kind: str, content: list[dict[str, str]], operation: Operation) -> dict[str, Any]:
    digest = hashlib.md5(json.dumps(content).encode(), usedforsecurity=False).hexdigest()
    return {
        "TypeName": kind,
        "SchemaVersion": "1.0",
        "CaptureTime": operation.ended,
        "ContentHash": digest,
        "Content": content,
    }


def _summary(operation: Operation, baseline: Baseline, ledger: Ledger, states: Mapping[Update, str]) -> dict[str, str]:
    counts = Counter(states.values())
    wrong = [update for update, state in states.items() if state in _NONCOMPLIANT]
    critical = sum(update.severity == "Critical" for update in wrong)
    security = sum(update.classification.startswith("Security") and update.severity != "Critical" for update in wrong)
    found = {
        "PatchGroup": "",
        "BaselineId": baseline.id,
        "SnapshotId": operation.snapshot_id,
        "InstallOverrideList": operation.override_list,
        "OwnerInformation": "",
        **{name: str(counts[state]) for state, name in _COUNTS.items()},
        "UnreportedNotApplicableCount": "0",
        "NotApplicableCount": "0",
        "OperationStartTime": operation.started,
        "OperationEndTime": operation.ended,
        "Operation": operation.name,
        "RebootOption": operation.reboot_option,
        "CriticalNonCompliantCount": str(critical),
        "SecurityNonCompliantCount": str(security),
        "OtherNonCompliantCount": str(len(wrong) - critical - security),
    }
    if ledger.last_install_without_reboot:
        found["LastNoRebootInstallOperationTime"] = ledger.last_install_without_reboot
    return found


def _row(update: Update, state: str, ledger: Ledger) -> dict[str, str]:
    installed, _ = ledger.installed.get(update.id, ("", ""))
    return {
        "Title": update.title or update.id,
        "KBId": update.id,
        "Classification": update.classification,
        "Severity": update.severity,
        "State": state,
        "InstalledTime": installed,
        "CVEIds": ",".join(update.cve_ids),
    }
