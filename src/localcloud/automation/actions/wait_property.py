"""aws:waitForAwsResourceProperty: looks at a property of a resource until it has one of the desired values."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from localcloud.automation.actions.property import check_property_inputs, look
from localcloud.automation.actions.protocol import ActionFailed, Again, FailureStage, Finished, StepCall, Turn
from localcloud.automation.choices import WAIT_POLL_INTERVAL


class WaitForProperty:
    """Polls; an API that fails is asked again, but inputs that no call could be made of end the step."""

    name = "aws:waitForAwsResourceProperty"
    default_timeout = timedelta(hours=1)

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Everything that the action needs is there."""
        check_property_inputs(inputs)

    def begin(self, call: StepCall) -> Turn:
        """The first look."""
        try:
            seen = look(call)
        except ActionFailed as failure:
            if failure.stage is FailureStage.INPUT_VALIDATION:
                raise
            return Again(after=WAIT_POLL_INTERVAL, state=None)
        return Finished() if seen.matches else Again(after=WAIT_POLL_INTERVAL, state=None)

    def resume(self, call: StepCall, state: Any) -> Turn:
        """A further look."""
        return self.begin(call)

    def cancel(self, call: StepCall, state: Any) -> None:
        """Nothing runs outside."""
