"""Actions that this engine does not carry out: their steps are validated, and refused by name when they are reached."""

from collections.abc import Mapping
from typing import Any

from localcloud.automation.actions.inputs import require
from localcloud.automation.actions.protocol import ActionFailed, StepCall, Turn
from localcloud.automation.actions.single import SingleTurn
from localcloud.automation.actions.wording import executing

# Each with the inputs without which the service refuses the step.
UNSUPPORTED: Mapping[str, tuple[str, ...]] = {
    "aws:changeInstanceState": ("InstanceIds", "DesiredState"),
    "aws:copyImage": ("SourceImageId", "SourceRegion", "ImageName"),
    "aws:createImage": ("InstanceId", "ImageName"),
    "aws:createStack": ("StackName",),
    "aws:deleteImage": ("ImageId",),
    "aws:deleteStack": ("StackName",),
    "aws:executeStateMachine": ("stateMachineArn",),
    "aws:invokeWebhook": ("IntegrationName",),
    "aws:runInstances": ("ImageId",),
}


class Unsupported(SingleTurn):
    """An action by its name and nothing more."""

    default_timeout = None

    def __init__(self, name: str) -> None:
        self.name = name

    def check(self, inputs: Mapping[str, Any]) -> None:
        """The inputs that the service itself requires are there."""
        require(inputs, *UNSUPPORTED[self.name])

    def begin(self, call: StepCall) -> Turn:
        """Refuse, naming action and step."""
        raise ActionFailed(
            executing(f"Step {call.step.name} has the action {self.name}, which this engine does not support")
        )
