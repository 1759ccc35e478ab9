"""The filters of ListCommands and ListCommandInvocations.

Source: CommandFilter in the service's model: keys, and the values of Status and ExecutionStage.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.ssm.commands.model import Command
from localcloud.aws.ssm.commands.status import Detail
from localcloud.errors import ServiceError

Filters = Sequence[tuple[str, str]]

_AFTER, _BEFORE = "InvokedAfter", "InvokedBefore"
_STAGES = frozenset({"Executing", "Complete"})


def filters_of(params: Mapping[str, Any], *, stages: bool) -> Filters:
    """The filters of a request; `stages`: whether ExecutionStage may be asked for. Raises ServiceError
    InvalidFilterKey, or ValidationException for a value that is none."""
    filters = [(str(one["key"]), str(one["value"])) for one in params.get("Filters") or ()]
    for key, value in filters:
        if key == "ExecutionStage" and not stages:
            raise ServiceError("InvalidFilterKey", "ExecutionStage is a filter of ListCommands only.")
        if key in (_AFTER, _BEFORE):
            _moment(value)
        if key == "ExecutionStage" and value not in _STAGES:
            raise ServiceError("ValidationException", f"{value} is not an execution stage.")
    return filters


def passes(filters: Filters, command: Command, *, status: str, detail: Detail) -> bool:
    """Whether a command, or an invocation of it in this state, passes every filter."""
    return all(_passes(key, value, command, status, detail) for key, value in filters)


def _passes(key: str, value: str, command: Command, status: str, detail: Detail) -> bool:
    if key == _AFTER:
        return command.requested_at >= _moment(value)
    if key == _BEFORE:
        return command.requested_at < _moment(value)
    if key == "DocumentName":
        return command.document.name == value
    if key == "ExecutionStage":
        return detail.terminal == (value == "Complete")
    return value in (status, detail.value)


def _moment(value: str) -> datetime:
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise ServiceError("ValidationException", f"{value} is not a timestamp.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
