"""Patch state: what AWS:PatchSummary and AWS:PatchCompliance of a node's inventory say, in the API's members.

The inventory's rows bear the names of InstancePatchState and PatchComplianceData, all values as text; states may be
written as the console does (InstalledPendingReboot) or as the API does (INSTALLED_PENDING_REBOOT).
Source: these shapes in the service's model; Systems Manager User Guide, "Patch compliance state values".
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from localcloud.errors import ServiceError

SUMMARY = "AWS:PatchSummary"
PATCHES = "AWS:PatchCompliance"

STATES = (
    "INSTALLED",
    "INSTALLED_OTHER",
    "INSTALLED_PENDING_REBOOT",
    "INSTALLED_REJECTED",
    "MISSING",
    "NOT_APPLICABLE",
    "FAILED",
    "AVAILABLE_SECURITY_UPDATE",
)
COMPLIANT_STATES = frozenset({"INSTALLED", "INSTALLED_OTHER", "NOT_APPLICABLE", "AVAILABLE_SECURITY_UPDATE"})
NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # InstalledTime of what is not installed

_COUNTS = (
    "InstalledCount",
    "InstalledOtherCount",
    "InstalledPendingRebootCount",
    "InstalledRejectedCount",
    "MissingCount",
    "FailedCount",
    "UnreportedNotApplicableCount",
    "NotApplicableCount",
    "AvailableSecurityUpdateCount",
    "CriticalNonCompliantCount",
    "SecurityNonCompliantCount",
    "OtherNonCompliantCount",
)
_TEXTS = ("SnapshotId", "InstallOverrideList", "OwnerInformation", "RebootOption")
_OPERATIONS = frozenset({"Scan", "Install"})

Row = Mapping[str, str]
Value = TypeVar("Value")


def check(type_name: str, content: Sequence[Row]) -> None:
    """Return if rows of a patching type can be read; raises ServiceError InvalidItemContentException."""
    if type_name == SUMMARY:
        if len(content) != 1:
            raise _invalid(f"{SUMMARY} is one row; {len(content)} came")
        state(content[0])
    if type_name == PATCHES:
        for row in content:
            patch(row)


def state(row: Row) -> dict[str, Any]:
    """An InstancePatchState without its InstanceId."""
    operation = row.get("Operation") or row.get("OperationType") or ""
    if operation not in _OPERATIONS:
        raise _invalid(f"Operation is {operation or 'missing'}, neither Scan nor Install")
    found: dict[str, Any] = {
        "PatchGroup": row.get("PatchGroup", ""),
        "BaselineId": row.get("BaselineId", ""),
        "Operation": operation,
        "OperationStartTime": _moment(row, "OperationStartTime"),
        "OperationEndTime": _moment(row, "OperationEndTime"),
    }
    found |= {name: row[name] for name in _TEXTS if row.get(name)}
    found |= {name: _count(row, name) for name in _COUNTS if row.get(name)}
    if row.get("LastNoRebootInstallOperationTime"):
        found["LastNoRebootInstallOperationTime"] = _moment(row, "LastNoRebootInstallOperationTime")
    return found


def patch(row: Row) -> dict[str, Any]:
    """A PatchComplianceData."""
    found = {name: row.get(name, "") for name in ("Title", "KBId", "Classification", "Severity")}
    if not found["Title"] and not found["KBId"]:
        raise _invalid("a patch has neither Title nor KBId")
    installed = _moment(row, "InstalledTime") if row.get("InstalledTime") else NEVER
    shown = {**found, "State": patch_state(row.get("State", "")), "InstalledTime": installed}
    return shown | ({"CVEIds": row["CVEIds"]} if row.get("CVEIds") else {})


def patch_state(text: str) -> str:
    """A state in the API's spelling; raises ServiceError InvalidItemContentException for one that does not exist."""
    spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).upper()
    if spelled not in STATES:
        raise _invalid(f"{text or 'nothing'} is not a patch state")
    return spelled


def _moment(row: Row, name: str) -> datetime:
    return _read(row, name, _aware)


def _count(row: Row, name: str) -> int:
    return _read(row, name, int)


def _read(row: Row, name: str, reading: Callable[[str], Value]) -> Value:
    try:
        return reading(row.get(name, ""))
    except ValueError as error:
        raise _invalid(f"{name} is {row.get(name, '') or 'missing'}") from error


def _aware(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidItemContentException", f"The inventory item has invalid content: {message}.")
