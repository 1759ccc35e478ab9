"""Executions and steps as the Automation APIs show them: what is not set is absent, as in recorded answers."""

from collections.abc import Callable, Mapping
from typing import Any

from localcloud.automation import values
from localcloud.automation.document import Step
from localcloud.automation.records import AutomationExecution, Mode, Status, StepExecution, Targeting

# What the text of a step must say itself to be shown: property of the document → member of the answer.
_EXPLICIT: Mapping[str, tuple[str, Callable[[Step], Any]]] = {
    "timeoutSeconds": ("TimeoutSeconds", lambda step: step.timeout_seconds),
    "onFailure": ("OnFailure", lambda step: step.on_failure),
    "maxAttempts": ("MaxAttempts", lambda step: step.max_attempts),
    "isCritical": ("IsCritical", lambda step: step.critical),
}


def execution(shown: AutomationExecution, steps: list[StepExecution], *, limit: int) -> dict[str, Any]:
    """As GetAutomationExecution shows it, with up to `limit` steps."""
    answer = {
        **_common(shown),
        "StepExecutions": [step(one) for one in steps[:limit]],
        "StepExecutionsTruncated": len(steps) > limit,
        "Parameters": wire(shown.parameters),
        **_present({"Variables": wire(shown.variables)}),
    }
    counts = shown.targeting.counts if shown.targeting else None
    if counts is not None:
        answer["ProgressCounters"] = {
            "TotalSteps": counts.total,
            "SuccessSteps": counts.succeeded,
            "FailedSteps": counts.failed - counts.timed_out,
            "CancelledSteps": counts.cancelled,
            "TimedOutSteps": counts.timed_out,
        }
        answer["TargetsSummary"] = {
            "TotalCount": counts.total,
            "StartedCount": counts.started,
            "CompletedCount": counts.completed,
            "SuccessfulCount": counts.succeeded,
            "FailedCount": counts.failed,
        }
    return answer


def metadata(shown: AutomationExecution) -> dict[str, Any]:
    """As DescribeAutomationExecutions lists it."""
    return {**_common(shown), "LogFile": "", "AutomationType": "Local"}


def step(shown: StepExecution) -> dict[str, Any]:
    """One run of a step."""
    said = shown.step
    explicit = {member: read(said) for name, (member, read) in _EXPLICIT.items() if name in said.explicit}
    optional = {
        "ExecutionStartTime": shown.started_at,
        "ExecutionEndTime": shown.ended_at,
        "NextStep": shown.next_step,
        "ParentStepDetails": _parent(shown),
    }
    if shown.status is Status.SUCCESS:
        optional["ResponseCode"] = "0"
    if shown.failure is not None:
        optional["FailureMessage"] = shown.failure.message
        optional["FailureDetails"] = {
            "FailureStage": shown.failure.stage.value,
            "FailureType": shown.failure.kind.value,
            "Details": {"VerificationErrorMessage": [shown.failure.message]},
        }
    return {
        "StepExecutionId": shown.id,
        "StepName": shown.name,
        "Action": said.action,
        "StepStatus": shown.status.value,
        "Inputs": {name: _input(value, plain=shown.plain_inputs) for name, value in shown.inputs.items()},
        "Outputs": wire(shown.outputs),
        "OverriddenParameters": {},
        "IsEnd": said.is_end,
        "ValidNextSteps": list(shown.valid_next_steps),
        **explicit,
        **_present(optional),
    }


def wire(given: Mapping[str, Any]) -> dict[str, list[str]]:
    """Values by name, each as a list of texts."""
    return {name: values.to_wire(value) for name, value in given.items()}


def _common(shown: AutomationExecution) -> dict[str, Any]:
    rate = shown.targeting or Targeting()
    optional = {
        "ExecutionEndTime": shown.ended_at,
        "FailureMessage": shown.failure_message,
        "CurrentStepName": shown.current_step,
        "CurrentAction": shown.current_action,
        "ParentAutomationExecutionId": shown.parent_id,
        "Target": shown.target,
        "TargetParameterName": rate.parameter_name,
        "TargetMaps": [{name: list(given) for name, given in one.items()} for one in rate.target_maps],
        "MaxConcurrency": rate.max_concurrency,
        "MaxErrors": rate.max_errors,
    }
    return {
        "AutomationExecutionId": shown.id,
        "DocumentName": shown.document_name,
        "DocumentVersion": shown.document_version,
        "AutomationExecutionStatus": shown.status.value,
        "ExecutionStartTime": shown.started_at,
        "Outputs": wire(shown.outputs),
        "Mode": Mode(shown.mode).value,
        "ExecutedBy": shown.executed_by,
        "Targets": [dict(one) for one in rate.targets],
        "ResolvedTargets": {"ParameterValues": list(rate.resolved), "Truncated": False},
        **_present(optional),
    }


def _parent(shown: StepExecution) -> dict[str, Any]:
    if shown.parent is None:
        return {}
    details: dict[str, Any] = {
        "StepExecutionId": shown.parent.id,
        "StepName": shown.parent.name,
        "Action": shown.parent.action,
        "Iteration": shown.parent.iteration,
    }
    return {**details, **({"IteratorValue": shown.parent.iterator_value} if shown.parent.iterator_value else {})}


def _input(value: Any, *, plain: bool) -> str:
    if plain:
        return values.as_text(value)
    return values.input_to_wire(value)


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", [], {})}
