"""aws:assertAwsResourceProperty: fails unless a property of a resource has one of the desired values, at one look."""

from collections.abc import Mapping
from typing import Any

from localcloud.automation.actions.property import check_property_inputs, look
from localcloud.automation.actions.protocol import ActionFailed, FailureStage, FailureType, Finished, StepCall, Turn
from localcloud.automation.actions.single import SingleTurn
from localcloud.automation.actions.wording import told


class AssertProperty(SingleTurn):
    """One call of the API; a property that is not there has no desired value."""

    name = "aws:assertAwsResourceProperty"
    default_timeout = None

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Everything that the action needs is there."""
        check_property_inputs(inputs)

    def begin(self, call: StepCall) -> Turn:
        """The look."""
        seen = look(call)
        if seen.matches:
            return Finished()
        fact = (
            f"Property value from the API output is {seen.value}" if seen.found else "The API output has no such value"
        )
        raise ActionFailed(
            told(
                "verifying the resource property",
                f"{fact} at {seen.selector}, desired values are [{', '.join(seen.desired)}]",
            ),
            stage=FailureStage.POST_VERIFICATION,
            kind=FailureType.VERIFICATION,
        )
