"""The engine's own actions: what steers the flow or waits for people, time and children, and calls nothing outside.

`aws:loop` is not here: its steps are run by the engine itself (`loops`, `execution`).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from localcloud.automation.actions.protocol import Action, StepCall, Turn
from localcloud.automation.signals import Message


class OwnAction(Action, Protocol):
    """An action of which the engine knows more than of others."""

    inline: bool  # begin, resume and cancel return at once: no worker is needed
    blocks: bool  # while it waits, its execution does not count as running

    def tell(self, call: StepCall, state: Any, message: Message) -> Turn:
        """What somebody told the step while it was held. Returns at once; raises SignalRefused if it is not for it."""


class Immediate:
    """Base of actions that are over with their first turn, or wait for nothing but the clock."""

    inline = True
    blocks = False
    default_timeout: timedelta | None = None

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Nothing beyond what `begin` finds."""

    def resume(self, call: StepCall, state: Any) -> Turn:
        """Never asked: such an action has one turn."""
        raise RuntimeError(f"{call.step.action} has no second turn")

    def tell(self, call: StepCall, state: Any, message: Message) -> Turn:
        """Never asked: nobody can tell it anything."""
        raise RuntimeError(f"{call.step.action} waits for nobody")

    def cancel(self, call: StepCall, state: Any) -> None:
        """Nothing runs outside."""
