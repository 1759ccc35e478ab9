"""The filters of DescribeAutomationExecutions and DescribeAutomationStepExecutions."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from localcloud.automation.records import AutomationExecution, StepExecution
from localcloud.aws.ssm.activations import Tags
from localcloud.errors import ServiceError

Keeps = Callable[[Any], bool]
EXECUTION_ID = "ExecutionId"
PARENT_ID = "ParentExecutionId"


def execution_filters(filters: Sequence[Mapping[str, Any]], *, tags: Callable[[str], Tags]) -> Keeps:
    """Whether an AutomationExecution passes every filter; raises ServiceError InvalidFilterKey, InvalidFilterValue."""
    checks = [_execution_check(one["Key"], one["Values"], tags) for one in filters]
    return lambda shown: all(check(shown) for check in checks)


def step_filters(filters: Sequence[Mapping[str, Any]]) -> Keeps:
    """Whether a StepExecution passes every filter; raises ServiceError InvalidFilterKey, InvalidFilterValue."""
    checks = [_step_check(one["Key"], one["Values"]) for one in filters]
    return lambda shown: all(check(shown) for check in checks)


def values_of(filters: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    """The values of the filter of that key, if there is one."""
    return next((list(one["Values"]) for one in filters if one["Key"] == key), [])


_EXECUTIONS: Mapping[str, Callable[[AutomationExecution], str]] = {
    "ExecutionStatus": lambda shown: shown.status.value,
    EXECUTION_ID: lambda shown: shown.id,
    PARENT_ID: lambda shown: shown.parent_id,
    "CurrentAction": lambda shown: shown.current_action,
    "AutomationType": lambda _: "Local",
    "AutomationSubtype": lambda _: "",  # there are no change requests, access requests and OpsItems
    "OpsItemId": lambda _: "",
    "TargetResourceGroup": lambda _: "",
}
_STEPS: Mapping[str, Callable[[StepExecution], str]] = {
    "StepExecutionStatus": lambda shown: shown.status.value,
    "StepExecutionId": lambda shown: shown.id,
    "StepName": lambda shown: shown.name,
    "Action": lambda shown: shown.step.action,
    "ParentStepExecutionId": lambda shown: shown.parent.id if shown.parent else "",
    "ParentStepIteration": lambda shown: str(shown.parent.iteration) if shown.parent else "",
    "ParentStepIteratorValue": lambda shown: shown.parent.iterator_value if shown.parent else "",
}


def _execution_check(key: str, wanted: Sequence[str], tags: Callable[[str], Tags]) -> Keeps:
    if key == "DocumentNamePrefix":
        return lambda shown: shown.document_name.startswith(tuple(wanted))
    if key == "TagKey":
        return lambda shown: any(name in wanted for name, _ in tags(shown.id))
    read = _EXECUTIONS.get(key)
    if read is not None:
        return lambda shown: read(shown) in wanted
    return _time_check(key, wanted)


def _step_check(key: str, wanted: Sequence[str]) -> Keeps:
    read = _STEPS.get(key)
    if read is not None:
        return lambda shown: read(shown) in wanted
    return _time_check(key, wanted)


def _time_check(key: str, wanted: Sequence[str]) -> Keeps:
    if key not in {"StartTimeBefore", "StartTimeAfter"}:
        raise ServiceError("InvalidFilterKey", f"{key} is not a filter key")
    if len(wanted) != 1:
        raise ServiceError("InvalidFilterValue", f"{key} takes one value")
    limit = _time(key, wanted[0])

    def check(shown: AutomationExecution | StepExecution) -> bool:
        if shown.started_at is None:
            return False
        return shown.started_at < limit if key == "StartTimeBefore" else shown.started_at > limit

    return check


def _time(key: str, text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise ServiceError("InvalidFilterValue", f"{text} is not a time that {key} could be") from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
