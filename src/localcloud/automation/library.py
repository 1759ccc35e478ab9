"""The actions that an engine knows: its own, and those that it was given."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from localcloud.automation.actions.approve import Approve
from localcloud.automation.actions.branch import Branch
from localcloud.automation.actions.execute_automation import Children, ExecuteAutomation
from localcloud.automation.actions.own import OwnAction
from localcloud.automation.actions.pause import Pause
from localcloud.automation.actions.protocol import REAL_WORK, Action, ActionFailed, FailureStage
from localcloud.automation.actions.sleep import Sleep
from localcloud.automation.actions.update_variable import UpdateVariable
from localcloud.automation.document import Step
from localcloud.clock import Clock

LOOP = "aws:loop"
OWN_NAMES = frozenset(
    {LOOP, Branch.name, Sleep.name, Pause.name, Approve.name, UpdateVariable.name, ExecuteAutomation.name}
)
"""What the engine runs itself; an action of such a name that it is given is not asked."""


class Library:
    """Finds a step's action."""

    def __init__(self, given: Mapping[str, Action], children: Children) -> None:
        own: list[OwnAction] = [Branch(), Sleep(), Pause(), Approve(), UpdateVariable(), ExecuteAutomation(children)]
        self._own = {action.name: action for action in own}
        self._given = given

    def action(self, step: Step) -> Action:
        """The action of `step`; raises ActionFailed, with its name, for one that nobody knows."""
        found: Action | None = self._own.get(step.action) or self._given.get(step.action)
        if found is None:
            raise ActionFailed(f"The action {step.action} is not supported here.", stage=FailureStage.PRE_VERIFICATION)
        return found

    def close(self) -> None:
        """End what actions hold outside, such as processes of scripts."""
        for action in self._given.values():
            close = getattr(action, "close", None)
            if callable(close):
                close()

    def inline(self, step: Step) -> bool:
        """Whether the step's action answers at once."""
        own = self._own.get(step.action)
        return own is not None and own.inline

    def blocks(self, step: Step) -> bool:
        """Whether an execution at this step waits rather than runs."""
        own = self._own.get(step.action)
        return own is not None and own.blocks


def deadline(step: Step, action: Action, clock: Clock) -> datetime | None:
    """When an attempt of `step` that begins now is over time; None: never.

    What waits for real work (a function, a script) has the service's own limit on top, and neither is scaled.
    """
    limit = action.default_timeout
    if step.timeout_seconds is not None:
        limit = timedelta(seconds=step.timeout_seconds)
    real = REAL_WORK.get(step.action)
    if real is not None:
        return clock.now() + (real if limit is None else min(limit, real))
    return None if limit is None else clock.now() + clock.scaled(limit)
