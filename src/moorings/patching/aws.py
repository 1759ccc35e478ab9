"""Systems Manager and EventBridge as the ports want them."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from moorings.clouds.aws_errors import translated
from moorings.errors import CloudFault
from moorings.patching.codec import encode
from moorings.patching.model import Run
from moorings.patching.observed import CommandResult, CommandState, Node, PatchState

EVENT_SOURCE = "moorings.patching"
EVENT_TYPE = "Patch Run Ended"
COMPLIANCE_TYPE = "Custom:MooringsPatching"
# Source: AutomationExecutionStatus in the service's model; what AWS's own runbooks take for ended.
OVER = frozenset(
    {"Success", "TimedOut", "Cancelled", "Failed", "CompletedWithSuccess", "CompletedWithFailure", "Exited", "Rejected"}
)
_BEING_CANCELLED, _FORGOTTEN = "Cancelling", ""
_WAITING = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
# Source: the service's StatusDetails. None of them says that the command began on the node.
_UNDELIVERED = frozenset({"DeliveryTimedOut", "Undeliverable", "InvalidPlatform", "AccessDenied"})
MOST_PAGES = 20
_FIRST_YEAR = 1980


class SsmNodes:
    """The `Nodes` port."""

    def __init__(self, *, client: Any) -> None:
        self._client = client

    def node(self, node_id: str) -> Node | None:
        """See `ports.Nodes.node`."""
        try:
            with translated("ssm:DescribeInstanceInformation"):
                answer = self._client.describe_instance_information(
                    Filters=[{"Key": "InstanceIds", "Values": [node_id]}]
                )
        except CloudFault as fault:
            if fault.code == "InvalidInstanceId":
                return None
            raise
        found = answer.get("InstanceInformationList") or ()
        return _node(found[0]) if found else None

    def command(self, command_id: str, node_id: str, *, plugin: str = "") -> CommandResult:
        """See `ports.Nodes.command`. A command that is not known yet is still waited for: the service lags."""
        options = {"PluginName": plugin} if plugin else {}
        try:
            with translated("ssm:GetCommandInvocation"):
                found = self._client.get_command_invocation(CommandId=command_id, InstanceId=node_id, **options)
        except CloudFault as fault:
            if fault.code in {"InvocationDoesNotExist", "InvalidPluginName"}:
                return CommandResult(id=command_id, state=CommandState.WAITING, detail=fault.code)
            raise
        return _result(found)

    def find_command(self, node_id: str, *, comment: str, after: datetime) -> str:
        """See `ports.Nodes.find_command`."""
        filters = [{"key": "InvokedAfter", "value": (after - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")}]
        for page in self._pages("list_commands", "ssm:ListCommands", InstanceId=node_id, Filters=filters):
            for command in page.get("Commands") or ():
                if command.get("Comment") == comment:
                    return str(command["CommandId"])
        return ""

    def patch_state(self, node_id: str) -> PatchState | None:
        """See `ports.Nodes.patch_state`."""
        with translated("ssm:DescribeInstancePatchStates"):
            answer = self._client.describe_instance_patch_states(InstanceIds=[node_id])
        found = answer.get("InstancePatchStates") or ()
        return _patch_state(found[0]) if found else None

    def installed_since(self, node_id: str, since: datetime) -> int | None:
        """See `ports.Nodes.installed_since`."""
        filters = [{"Key": "State", "Values": ["Installed", "InstalledOther", "InstalledPendingReboot"]}]
        floor = since.replace(microsecond=0)
        told: list[bool | None] = []
        for page in self._pages(
            "describe_instance_patches", "ssm:DescribeInstancePatches", InstanceId=node_id, Filters=filters
        ):
            told += [_installed_since(patch.get("InstalledTime"), floor) for patch in page.get("Patches") or ()]
        return told.count(True) or (None if None in told else 0)

    def report_compliance(self, node_id: str, run: Run) -> None:
        """See `ports.Nodes.report_compliance`."""
        conclusion = run.conclusion
        assert conclusion is not None, "reported after the conclusion"
        item = {
            "Id": "moorings-patching",
            "Title": f"{conclusion.outcome.value}: {conclusion.reason}"[:500],
            "Severity": "HIGH" if conclusion.wrong else "INFORMATIONAL",
            "Status": "NON_COMPLIANT" if conclusion.wrong else "COMPLIANT",
            "Details": {"Outcome": conclusion.outcome.value, "Execution": run.execution},
        }
        ended = run.timeline[-1].at if run.timeline else run.began_at
        summary = {"ExecutionTime": ended, "ExecutionId": run.execution, "ExecutionType": "Automation"}
        try:
            with translated("ssm:PutComplianceItems"):
                self._client.put_compliance_items(
                    ResourceId=node_id,
                    ResourceType="ManagedInstance",
                    ComplianceType=COMPLIANCE_TYPE,
                    ExecutionSummary=summary,
                    Items=[item],
                )
        except CloudFault as fault:
            if fault.code != "InvalidResourceId":
                raise

    def _pages(self, operation: str, call: str, **arguments: Any) -> Iterable[Mapping[str, Any]]:
        token = ""
        for _ in range(MOST_PAGES):
            with translated(call):
                page = getattr(self._client, operation)(**arguments, **({"NextToken": token} if token else {}))
            yield page
            token = page.get("NextToken") or ""
            if not token:
                return


class SsmExecutions:
    """The `Executions` port."""

    def __init__(self, *, client: Any) -> None:
        self._client = client

    def over(self, execution: str) -> bool:
        """See `ports.Executions.over`: the service forgets executions after 30 days."""
        return self._status(execution) in OVER | {_FORGOTTEN}

    def listens(self, execution: str) -> bool:
        """See `ports.Executions.listens`."""
        return self._status(execution) not in OVER | {_FORGOTTEN, _BEING_CANCELLED}

    def _status(self, execution: str) -> str:
        try:
            with translated("ssm:GetAutomationExecution"):
                found = self._client.get_automation_execution(AutomationExecutionId=execution)
        except CloudFault as fault:
            if fault.code == "AutomationExecutionNotFoundException":
                return _FORGOTTEN
            raise
        return str(found["AutomationExecution"]["AutomationExecutionStatus"])

    def began(self, execution: str, steps: Iterable[str]) -> bool:
        """See `ports.Executions.began`."""
        filters = [{"Key": "StepName", "Values": list(steps)}]
        try:
            with translated("ssm:DescribeAutomationStepExecutions"):
                answer = self._client.describe_automation_step_executions(
                    AutomationExecutionId=execution, Filters=filters
                )
        except CloudFault as fault:
            if fault.code == "AutomationExecutionNotFoundException":
                return True  # nobody knows any more: then it is safer to believe that it did
            raise
        return any(step.get("ExecutionStartTime") for step in answer.get("StepExecutions") or ())


class EventNews:
    """The `News` port: one event on the stack's bus."""

    def __init__(self, *, client: Any, bus: str, stack: str) -> None:
        self._client = client
        self._bus = bus
        self._stack = stack

    def announce(self, run: Run) -> None:
        """See `ports.News.announce`. CloudFault if the bus did not take it."""
        conclusion = run.conclusion
        assert conclusion is not None, "announced after the conclusion"
        detail = {
            "execution": run.execution,
            "node": run.node,
            "vm": run.vm.id if run.vm else "",
            "stack": self._stack,
            **json.loads(encode(conclusion)),
        }
        with translated("events:PutEvents"):
            answer = self._client.put_events(
                Entries=[
                    {
                        "Source": EVENT_SOURCE,
                        "DetailType": EVENT_TYPE,
                        "Detail": json.dumps(detail),
                        "EventBusName": self._bus,
                    }
                ]
            )
        if answer.get("FailedEntryCount"):
            raise CloudFault("events:PutEvents did not take the event", call="events:PutEvents")


def _node(found: Mapping[str, Any]) -> Node:
    return Node(
        id=str(found["InstanceId"]),
        platform=str(found.get("PlatformType", "")),
        online=found.get("PingStatus") == "Online",
        last_ping=found.get("LastPingDateTime"),
        source_id=str(found.get("SourceId") or ""),
        source_type=str(found.get("SourceType") or ""),
        name=str(found.get("Name") or found.get("ComputerName") or ""),
    )


def _result(found: Mapping[str, Any]) -> CommandResult:
    began = _moment(found.get("ExecutionStartDateTime"))
    code = found.get("ResponseCode")
    return CommandResult(
        id=str(found["CommandId"]),
        state=_state(str(found.get("Status", "")), str(found.get("StatusDetails", "")), began=began is not None),
        detail=str(found.get("StatusDetails") or found.get("Status") or ""),
        exit_code=code if isinstance(code, int) and code >= 0 else None,
        output=str(found.get("StandardOutputContent") or ""),
        started_at=began,
        ended_at=_moment(found.get("ExecutionEndDateTime")),
    )


def _state(status: str, detail: str, *, began: bool) -> CommandState:
    if status in _WAITING:
        return CommandState.WAITING
    if status == "Success":
        return CommandState.SUCCESS
    if detail in _UNDELIVERED or (status == "Cancelled" and not began):
        # What was delivered and never ended is called DeliveryTimedOut too.
        return CommandState.CUT_OFF if began else CommandState.UNDELIVERED
    return CommandState.FAILED if status == "Failed" else CommandState.CUT_OFF


def _patch_state(found: Mapping[str, Any]) -> PatchState:
    def count(name: str) -> int:
        return int(found.get(name) or 0)

    return PatchState(
        operation=str(found.get("Operation", "")),
        ended_at=found.get("OperationEndTime"),
        installed=count("InstalledCount"),
        installed_other=count("InstalledOtherCount"),
        pending_reboot=count("InstalledPendingRebootCount"),
        missing=count("MissingCount"),
        failed=count("FailedCount"),
    )


def _installed_since(moment: datetime | None, floor: datetime) -> bool | None:
    """Whether a patch was installed at `floor` or later; None if its node does not tell: some systems keep no time at
    all (shown as 1970), Windows keeps the day alone."""
    if moment is None or moment.year < _FIRST_YEAR:
        return None
    if moment.astimezone(UTC).time() == time.min:
        return None if moment >= floor - timedelta(days=1) else False
    return moment >= floor


def _moment(value: object) -> datetime | None:
    """A time as GetCommandInvocation writes it: text; empty before it happened."""
    if isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) and value else None
