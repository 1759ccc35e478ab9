"""The variables of one execution: set by aws:updateVariable with values of exactly their types."""

from collections.abc import Mapping
from typing import Any

from localcloud.automation import values
from localcloud.automation.actions.protocol import ActionFailed, FailureStage
from localcloud.automation.document import Runbook


def initial(runbook: Runbook) -> dict[str, Any]:
    """Every variable that has a default."""
    return {name: one.default for name, one in runbook.variables.items() if one.default is not None}


def require_assignable(runbook: Runbook, changes: Mapping[str, Any]) -> None:
    """Raise ActionFailed (INPUT_VALIDATION) for a variable that is not declared or a value of another type."""
    for name, value in changes.items():
        declared = runbook.variables.get(name)
        if declared is None:
            raise _invalid(f"Variable {name} is not declared.")
        if not values.conforms(value, declared.type):
            raise _invalid(f"Variable {name} is of type {declared.type.value}; {values.shown(value)} is not.")


def _invalid(message: str) -> ActionFailed:
    return ActionFailed(message, stage=FailureStage.INPUT_VALIDATION)
