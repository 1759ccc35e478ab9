"""The `Automations` port over Systems Manager: starts with a token, listings in place of a call for each execution."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from moorings.clouds.aws_errors import translated
from moorings.errors import Busy, CloudFault, Invalid
from moorings.patching.aws import OVER
from moorings.patching.executions import Execution, Runbook, StepRun
from moorings.patching.fleets import Start

NODE_PARAMETER = "InstanceId"
PAGE = 50
ROOM_SOON = timedelta(seconds=15)  # until the service may take another execution
_NODE = re.compile(r"mi-[0-9a-f]{17}")
_UNKNOWN = "AutomationExecutionNotFoundException"
_REFUSED = frozenset(
    {"InvalidAutomationExecutionParametersException", "InvalidParameters", "ValidationException", "InvalidTarget"}
)


class SsmAutomations:
    """The `Automations` port."""

    def __init__(self, *, client: Any) -> None:
        self._client = client

    def start(self, runbook: Runbook, start: Start, *, token: str) -> str:
        """See `executions.Automations.start`."""
        parameters = {name: list(values) for name, values in runbook.parameters.items()}
        request: dict[str, Any] = {"DocumentName": runbook.document, "ClientToken": token}
        if start.rate_controlled:
            # Maps instead of Targets: they say each node, whatever its tags become meanwhile.
            request["TargetMaps"] = [{NODE_PARAMETER: [node]} for node in start.nodes]
            request["MaxConcurrency"], request["MaxErrors"] = str(start.concurrency), str(start.errors)
        else:
            parameters[NODE_PARAMETER] = [*start.nodes]
        if parameters:  # the service refuses an empty map
            request["Parameters"] = parameters
        try:
            with translated("ssm:StartAutomationExecution"):
                return str(self._client.start_automation_execution(**request)["AutomationExecutionId"])
        except CloudFault as fault:
            if fault.code == "AutomationExecutionLimitExceededException":
                raise _full(fault) from fault
            if fault.code in _REFUSED:
                raise Invalid(
                    fault.message, remedy="look at the runbook's parameters: moorings patch run --help"
                ) from fault
            raise

    def find(self, execution: str) -> Execution | None:
        """See `executions.Automations.find`."""
        return next(self._listed([{"Key": "ExecutionId", "Values": [execution]}]), None)

    def children(self, execution: str) -> list[Execution]:
        """See `executions.Automations.children`."""
        return list(self._listed([{"Key": "ParentExecutionId", "Values": [execution]}]))

    def recent(self, document: str, *, most: int) -> list[Execution]:
        """See `executions.Automations.recent`."""
        found: list[Execution] = []
        for each in self._listed([{"Key": "DocumentNamePrefix", "Values": [document]}], document=document):
            if not each.parent:
                found.append(each)
            if len(found) >= most:
                break
        return found

    def steps(self, execution: str, *, failed_only: bool = False) -> list[StepRun]:
        """See `executions.Automations.steps`; none of an execution that the service has forgotten."""
        filters = [{"Key": "StepExecutionStatus", "Values": ["Failed", "TimedOut"]}]
        request: dict[str, Any] = {"AutomationExecutionId": execution, "MaxResults": PAGE}
        if failed_only:
            request["Filters"] = filters
        found: list[StepRun] = []
        try:
            with translated("ssm:DescribeAutomationStepExecutions"):
                pages = self._client.get_paginator("describe_automation_step_executions").paginate(**request)
                for page in pages:
                    found += [_step(each) for each in page["StepExecutions"]]
        except CloudFault as fault:
            if fault.code != _UNKNOWN:
                raise
        return found

    def stop(self, execution: str) -> bool:
        """See `executions.Automations.stop`."""
        try:
            with translated("ssm:StopAutomationExecution"):
                self._client.stop_automation_execution(AutomationExecutionId=execution, Type="Cancel")
        except CloudFault as fault:
            if fault.code == "InvalidAutomationStatusUpdateException":
                return False
            raise
        return True

    def _listed(self, filters: list[dict[str, Any]], *, document: str = "") -> Iterator[Execution]:
        with translated("ssm:DescribeAutomationExecutions"):
            pages = self._client.get_paginator("describe_automation_executions").paginate(
                Filters=filters, MaxResults=PAGE
            )
            for page in pages:
                for each in page["AutomationExecutionMetadataList"]:
                    if not document or each.get("DocumentName") == document:
                        yield _execution(each)


def _full(fault: CloudFault) -> Busy:
    return Busy(fault.message, retry_after=ROOM_SOON, remedy="wait until other automations are over")


def _execution(found: Mapping[str, Any]) -> Execution:
    status = str(found["AutomationExecutionStatus"])
    node = _NODE.search(str(found.get("Target") or ""))
    return Execution(
        id=str(found["AutomationExecutionId"]),
        status=status,
        over=status in OVER,
        parent=str(found.get("ParentAutomationExecutionId") or ""),
        node=node[0] if node else "",
        step=str(found.get("CurrentStepName") or ""),
        fleet=bool(found.get("TargetMaps") or found.get("Targets")),
        targets=tuple(str(node) for one in found.get("TargetMaps") or () for node in one.get(NODE_PARAMETER, ())),
        began_at=_utc(found.get("ExecutionStartTime")),
        ended_at=_utc(found.get("ExecutionEndTime")),
        failure=str(found.get("FailureMessage") or ""),
        outputs=_texts(found.get("Outputs") or {}),
    )


def _step(found: Mapping[str, Any]) -> StepRun:
    loop = found.get("ParentStepDetails") or {}
    return StepRun(
        name=str(found["StepName"]),
        action=str(found.get("Action", "")),
        status=str(found.get("StepStatus", "")),
        began_at=_utc(found.get("ExecutionStartTime")),
        ended_at=_utc(found.get("ExecutionEndTime")),
        failure=str(found.get("FailureMessage") or ""),
        within=str(loop.get("StepName") or ""),
        iteration=int(loop.get("Iteration") or 0),
        outputs=_texts(found.get("Outputs") or {}),
    )


def _texts(given: Mapping[str, Any]) -> dict[str, str]:
    """Outputs are lists of texts; what has several is joined."""
    return {name: ", ".join(str(one) for one in values) for name, values in given.items()}


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
