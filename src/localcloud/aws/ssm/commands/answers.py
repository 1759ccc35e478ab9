"""Commands and invocations as the service shows them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.ssm.commands.book import Sent
from localcloud.aws.ssm.commands.model import Command, Invocation, StepResult
from localcloud.aws.ssm.commands.status import Detail, reported
from localcloud.errors import ServiceError

STANDARD_OUTPUT = 24_000  # characters
STANDARD_ERROR = 8_000
PLUGIN_OUTPUT = 2_500
NOT_STARTED = -1  # ResponseCode


def command(sent: Sent, *, detail: Detail | None = None) -> dict[str, Any]:
    """A Command."""
    it, shown = sent.command, detail or sent.detail
    details = [one.detail for one in sent.invocations]
    return {
        "CommandId": it.id,
        "DocumentName": it.document.name,
        "DocumentVersion": it.document_version,
        "Comment": it.comment,
        "ExpiresAfter": it.expires_at,
        "Parameters": dict(it.parameters),
        "InstanceIds": list(it.instance_ids),
        "Targets": [dict(one) for one in it.targets],
        "RequestedDateTime": it.requested_at,
        "Status": shown.command_status,
        "StatusDetails": shown.value,
        "OutputS3BucketName": "",
        "OutputS3KeyPrefix": "",
        "MaxConcurrency": it.max_concurrency,
        "MaxErrors": it.max_errors,
        "TargetCount": len(details),
        "CompletedCount": sum(one.terminal for one in details),
        "ErrorCount": sum(one.error for one in details),
        "DeliveryTimedOutCount": details.count(Detail.DELIVERY_TIMED_OUT),
        "TimeoutSeconds": it.timeout_seconds,
        **_surroundings(it),
    }


def listed_invocation(it: Command, invocation: Invocation, *, details: bool) -> dict[str, Any]:
    """A CommandInvocation; `details`: with its plugins."""
    return {
        "CommandId": it.id,
        "InstanceId": invocation.node_id,
        "InstanceName": invocation.node_name,
        "Comment": it.comment,
        "DocumentName": it.document.name,
        "DocumentVersion": it.document_version,
        "RequestedDateTime": it.requested_at,
        "Status": invocation.detail.status,
        "StatusDetails": invocation.detail.value,
        "TraceOutput": invocation.trace[:PLUGIN_OUTPUT],
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "CommandPlugins": [_plugin(one) for one in invocation.steps] if details else [],
        **_surroundings(it),
    }


def invocation_answer(it: Command, invocation: Invocation, *, plugin: str) -> dict[str, Any]:
    """What GetCommandInvocation answers about a step, or about the only step of a document.

    Raises ServiceError InvalidPluginName if there is no such step, or `plugin` is "" and there are several.
    """
    names = [step.name for step in it.steps]
    if plugin and plugin not in names:
        raise ServiceError("InvalidPluginName", f"The document has no step {plugin}.")
    if not plugin and len(names) > 1:
        raise ServiceError("InvalidPluginName", f"The document has several steps, name one of {', '.join(names)}.")
    step = invocation.step(plugin or names[0])
    detail = _step_detail(invocation, step, alone=len(names) == 1)
    # The output of a step that is not over yet is not shown.
    over = step if detail.terminal else None
    return {
        "CommandId": it.id,
        "InstanceId": invocation.node_id,
        "Comment": it.comment,
        "DocumentName": it.document.name,
        "DocumentVersion": it.document_version,
        "PluginName": plugin or names[0],
        "ResponseCode": over.code if over else NOT_STARTED,
        "Status": detail.status,
        "StatusDetails": detail.value,
        "StandardOutputContent": over.standard_output[:STANDARD_OUTPUT] if over else "",
        "StandardOutputUrl": "",
        "StandardErrorContent": over.standard_error[:STANDARD_ERROR] if over else "",
        "StandardErrorUrl": "",
        "CloudWatchOutputConfig": {"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": False},
        **_times(step),
    }


def _step_detail(invocation: Invocation, step: StepResult | None, *, alone: bool) -> Detail:
    """The state of a step; the only step's is the invocation's, also if the agent never spoke of it."""
    if alone or step is None:
        return invocation.detail
    return reported(step.word)


def _times(step: StepResult | None) -> dict[str, str]:
    started, finished = (step.started_at, step.finished_at) if step else (None, None)
    elapsed = f"PT{(finished - started).total_seconds():g}S" if started and finished else ""
    return {
        "ExecutionStartDateTime": _iso(started),
        "ExecutionElapsedTime": elapsed,
        "ExecutionEndDateTime": _iso(finished),
    }


def _iso(moment: datetime | None) -> str:
    return (
        moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z" if moment else ""
    )


def _plugin(step: StepResult) -> dict[str, Any]:
    detail = reported(step.word)
    times = {"ResponseStartDateTime": step.started_at, "ResponseFinishDateTime": step.finished_at}
    return {
        "Name": step.name,
        "Status": detail.status,
        "StatusDetails": detail.value,
        "ResponseCode": step.code,
        "Output": step.output[:PLUGIN_OUTPUT],
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "OutputS3Region": "",
        "OutputS3BucketName": "",
        "OutputS3KeyPrefix": "",
        **{name: moment for name, moment in times.items() if moment},
    }


def _surroundings(it: Command) -> Mapping[str, Any]:
    return {
        "ServiceRole": it.service_role,
        "NotificationConfig": {"NotificationArn": "", "NotificationEvents": [], "NotificationType": ""},
        "CloudWatchOutputConfig": {"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": False},
    }
