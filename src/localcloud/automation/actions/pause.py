"""`aws:pause`: until somebody sends Resume."""

from typing import Any

from localcloud.automation.actions.own import Immediate
from localcloud.automation.actions.protocol import Finished, Held, StepCall, Turn
from localcloud.automation.errors import SignalRefused
from localcloud.automation.signals import Message, SignalType, Told


class Pause(Immediate):
    """Waits for Resume, without end."""

    name = "aws:pause"
    blocks = True

    def begin(self, call: StepCall) -> Turn:
        """Wait."""
        return Held(state=None, waiting=True)

    def tell(self, call: StepCall, state: Any, message: Message) -> Turn:
        """Resume ends it."""
        if isinstance(message, Told) and message.signal.type is SignalType.RESUME:
            return Finished()
        raise SignalRefused(f"Step {call.step.name} waits for Resume only.")
