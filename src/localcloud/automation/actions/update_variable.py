"""`aws:updateVariable`: gives a variable of the execution a new value of exactly its type."""

from collections.abc import Mapping
from typing import Any

from localcloud.automation.actions.own import Immediate
from localcloud.automation.actions.protocol import ActionFailed, FailureStage, Finished, StepCall, Turn

_PREFIX = "variable:"


class UpdateVariable(Immediate):
    """Hands the value to the execution, which knows the variables and their types."""

    name = "aws:updateVariable"

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Name is `variable:x`; Value is there."""
        name = inputs.get("Name")
        if not (isinstance(name, str) and name.startswith(_PREFIX)):
            raise ActionFailed(
                f"Name must be {_PREFIX}<name of a variable>, not {name!r}.", stage=FailureStage.INPUT_VALIDATION
            )
        if "Value" not in inputs:
            raise ActionFailed("Value is missing.", stage=FailureStage.INPUT_VALIDATION)

    def begin(self, call: StepCall) -> Turn:
        """The new value."""
        return Finished(variables={str(call.inputs["Name"]).removeprefix(_PREFIX): call.inputs["Value"]})
