"""PutComplianceItems, and the calls that list compliance items and sum them up."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from localcloud.aws.call import Call
from localcloud.aws.ssm.compliance import (
    COMPLIANT,
    MANAGED_NODE,
    NON_COMPLIANT,
    SEVERITIES,
    Compliance,
    ComplianceItem,
    ExecutionSummary,
)
from localcloud.aws.ssm.inventory import require_own
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.aws.ssm.paging import page
from localcloud.errors import ServiceError
from localcloud.world import World

DEFAULT_PAGE = 50

_READ: Mapping[str, Callable[[ComplianceItem], str]] = {
    "ComplianceType": lambda item: item.kind,
    "ResourceId": lambda item: item.resource_id,
    "ResourceType": lambda _: MANAGED_NODE,
    "Id": lambda item: item.id,
    "Title": lambda item: item.title,
    "Status": lambda item: item.status,
    "Severity": lambda item: item.severity,
    "ExecutionTime": lambda item: item.execution.time.isoformat(),
    "ExecutionId": lambda item: item.execution.id,
    "ExecutionType": lambda item: item.execution.kind,
}
_COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "EQUAL": lambda have, wanted: have == wanted,
    "NOT_EQUAL": lambda have, wanted: have != wanted,
    "BEGIN_WITH": lambda have, wanted: have.startswith(wanted),
    "LESS_THAN": lambda have, wanted: have < wanted,
    "GREATER_THAN": lambda have, wanted: have > wanted,
}

Key = tuple[str, str]  # resource and type


class ComplianceCalls:
    """The operations on compliance."""

    def __init__(self, world: World) -> None:
        self._nodes = world.part(ManagedNodes)
        self._compliance = world.part(Compliance)

    def put(self, call: Call) -> Mapping[str, Any]:
        """PutComplianceItems: all items of that type are replaced; a node speaks of itself only."""
        params = call.params
        resource_id, kind = params["ResourceId"], params["ComplianceType"]
        if params["ResourceType"] != MANAGED_NODE:
            raise ServiceError("InvalidResourceType", f"{params['ResourceType']} is not {MANAGED_NODE}")
        require_own(call, resource_id)
        node = self._nodes.find(resource_id)
        if node is None or node.region != call.region:
            raise ServiceError("InvalidResourceId", f"{resource_id} is not a managed node")
        if params.get("UploadType") == "PARTIAL" and kind != "Association":
            raise ServiceError("ValidationException", "UploadType PARTIAL is valid for the type Association only.")
        given = params["ExecutionSummary"]
        execution = ExecutionSummary(
            time=given["ExecutionTime"], id=given.get("ExecutionId", ""), kind=given.get("ExecutionType", "")
        )
        items = [_item(resource_id, kind, one, execution) for one in params["Items"]]
        self._compliance.replace(resource_id, kind, items, content_hash=params.get("ItemContentHash", ""))
        return {}

    def items(self, call: Call) -> Mapping[str, Any]:
        """ListComplianceItems: of the given nodes, or of all."""
        wanted = list(call.params.get("ResourceIds") or ())
        for kind in call.params.get("ResourceTypes") or ():
            if kind != MANAGED_NODE:
                raise ServiceError("InvalidResourceType", f"{kind} is not {MANAGED_NODE}")
        for one in wanted:
            if self._nodes.find(one) is None:
                raise ServiceError("InvalidResourceId", f"{one} is not a managed node")
        found = self._found(call, wanted)
        return _page(
            call, found, lambda it: f"{it.resource_id} {it.kind} {it.id} {it.title}", _shown, "ComplianceItems"
        )

    def summaries(self, call: Call) -> Mapping[str, Any]:
        """ListComplianceSummaries: for each type, how many nodes are compliant and how many are not."""
        by_kind: dict[str, list[tuple[str, str]]] = {}
        for (_, kind), items in _grouped(self._found(call, [])):
            by_kind.setdefault(kind, []).append((_status(items), _severity(items)))
        rows = [{"ComplianceType": kind, **_counts(by_kind[kind])} for kind in sorted(by_kind)]
        return _page(call, rows, lambda row: str(row["ComplianceType"]), dict, "ComplianceSummaryItems")

    def of_resources(self, call: Call) -> Mapping[str, Any]:
        """ListResourceComplianceSummaries: for each node and type, what its items come to."""
        rows = [
            {
                "ComplianceType": kind,
                "ResourceType": MANAGED_NODE,
                "ResourceId": resource_id,
                "Status": _status(items),
                "OverallSeverity": _severity(items),
                "ExecutionSummary": _execution(items[-1].execution),
                **_counts([(item.status, item.severity) for item in items]),
            }
            for (resource_id, kind), items in _grouped(self._found(call, []))
        ]
        return _page(
            call,
            rows,
            lambda row: f"{row['ResourceId']} {row['ComplianceType']}",
            dict,
            "ResourceComplianceSummaryItems",
        )

    def _found(self, call: Call, wanted: Sequence[str]) -> list[ComplianceItem]:
        filters = call.params.get("Filters") or ()
        for one in filters:
            if one.get("Key") not in _READ:
                raise ServiceError("InvalidFilter", f"{one.get('Key')} is not a filter of compliance")
        nodes = wanted or [node.id for node in self._nodes.all(call.region)]
        items = [item for node in nodes for item in self._compliance.of_resource(node)]
        return [item for item in items if all(_passes(item, one) for one in filters)]


def _item(resource_id: str, kind: str, given: Mapping[str, Any], execution: ExecutionSummary) -> ComplianceItem:
    return ComplianceItem(
        resource_id=resource_id,
        kind=kind,
        id=given.get("Id", ""),
        title=given.get("Title", ""),
        severity=given["Severity"],
        status=given["Status"],
        execution=execution,
        details=dict(given.get("Details") or {}),
    )


def _passes(item: ComplianceItem, one: Mapping[str, Any]) -> bool:
    compare = _COMPARE[one.get("Type", "EQUAL")]
    have = _READ[one["Key"]](item)
    chosen = [compare(have, value) for value in one.get("Values") or ()]
    # "None of these" must hold for each value.
    return all(chosen) if one.get("Type") == "NOT_EQUAL" else any(chosen)


def _shown(item: ComplianceItem) -> dict[str, Any]:
    return {
        "ComplianceType": item.kind,
        "ResourceType": MANAGED_NODE,
        "ResourceId": item.resource_id,
        "Id": item.id,
        "Title": item.title,
        "Status": item.status,
        "Severity": item.severity,
        "ExecutionSummary": _execution(item.execution),
        "Details": dict(item.details),
    }


def _execution(summary: ExecutionSummary) -> dict[str, str | datetime]:
    return {"ExecutionTime": summary.time, "ExecutionId": summary.id, "ExecutionType": summary.kind}


def _grouped(items: Iterable[ComplianceItem]) -> list[tuple[Key, list[ComplianceItem]]]:
    def key(item: ComplianceItem) -> Key:
        return item.resource_id, item.kind

    return [(one, list(group)) for one, group in groupby(sorted(items, key=key), key=key)]


def _status(items: Sequence[ComplianceItem]) -> str:
    return NON_COMPLIANT if any(item.status == NON_COMPLIANT for item in items) else COMPLIANT


def _severity(items: Sequence[ComplianceItem]) -> str:
    worst = [item.severity for item in items if item.status == NON_COMPLIANT] or [SEVERITIES[-1]]
    return min(worst, key=SEVERITIES.index)


def _counts(found: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Both summaries of (status, severity) pairs."""
    severities = {
        status: Counter(have for one, have in found if one == status) for status in (COMPLIANT, NON_COMPLIANT)
    }
    return {
        "CompliantSummary": {
            "CompliantCount": severities[COMPLIANT].total(),
            "SeveritySummary": _by_severity(severities[COMPLIANT]),
        },
        "NonCompliantSummary": {
            "NonCompliantCount": severities[NON_COMPLIANT].total(),
            "SeveritySummary": _by_severity(severities[NON_COMPLIANT]),
        },
    }


def _by_severity(count: Mapping[str, int]) -> dict[str, int]:
    return {f"{name.capitalize()}Count": count[name] for name in SEVERITIES}


def _page(
    call: Call, found: Iterable[Any], key: Callable[[Any], str], show: Callable[[Any], dict[str, Any]], member: str
) -> Mapping[str, Any]:
    params = call.params
    shown, token = page(
        found,
        key=key,
        size=params.get("MaxResults", DEFAULT_PAGE),
        token=params.get("NextToken", ""),
        question=[call.operation, call.region, params.get("ResourceIds"), params.get("Filters")],
    )
    return {member: [show(one) for one in shown]} | ({"NextToken": token} if token else {})
