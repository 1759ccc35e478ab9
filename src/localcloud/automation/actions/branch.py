"""`aws:branch`: the first choice that holds names the next step, else the default, else the flow goes on."""

from localcloud.automation import conditions
from localcloud.automation.actions.own import Immediate
from localcloud.automation.actions.protocol import Finished, StepCall, Turn


class Branch(Immediate):
    """Chooses; never fails."""

    name = "aws:branch"

    def begin(self, call: StepCall) -> Turn:
        """The choice. References are resolved already."""
        chosen = conditions.choose(call.inputs.get("Choices", []), lambda value: value)
        return Finished(next_step=chosen or str(call.inputs.get("Default", "")))
