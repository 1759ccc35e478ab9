"""What most actions have in common: they are over after one turn, and nothing of them goes on outside."""

from collections.abc import Mapping
from typing import Any

from localcloud.automation.actions.protocol import StepCall, Turn


class SingleTurn:
    """Base of actions that finish or fail in `begin`."""

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Any inputs are fine."""

    def begin(self, call: StepCall) -> Turn:
        """The action itself; each gives its own."""
        raise TypeError(f"{type(self).__name__} does nothing")

    def resume(self, call: StepCall, state: Any) -> Turn:
        """The same again: an action of one turn keeps nothing."""
        return self.begin(call)

    def cancel(self, call: StepCall, state: Any) -> None:
        """Nothing runs outside."""
