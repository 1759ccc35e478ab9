"""Throttled calls are tried again inside the step, before its own attempts count.

Source: Systems Manager, service setting /ssm/automation/throttled-retry-time-limit: 0 to 3,600 s, for every action but
aws:executeScript. Without the setting nothing is tried again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from localcloud.automation.actions.protocol import Action, ActionFailed, Again, FailureType, StepCall, Turn

_FIRST_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(seconds=30)

Limit = Callable[[], timedelta]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Throttled:
    """A turn that was throttled and is due again; `inner` is None for the first turn, else holds its state."""

    since: datetime
    tries: int
    inner: tuple[Any] | None


class RetriesThrottling:
    """An action whose throttled turns are repeated until `limit` has passed since the first."""

    def __init__(self, action: Action, *, limit: Limit) -> None:
        self._action = action
        self._limit = limit
        self.name = action.name
        self.default_timeout = action.default_timeout

    def check(self, inputs: Mapping[str, Any]) -> None:
        """As the action."""
        self._action.check(inputs)

    def begin(self, call: StepCall) -> Turn:
        """As the action, or later."""
        return self._turn(call, inner=None, since=call.surroundings.clock.now(), tries=0)

    def resume(self, call: StepCall, state: Any) -> Turn:
        """As the action, or later still."""
        if isinstance(state, _Throttled):
            return self._turn(call, inner=state.inner, since=state.since, tries=state.tries)
        return self._turn(call, inner=(state,), since=call.surroundings.clock.now(), tries=0)

    def cancel(self, call: StepCall, state: Any) -> None:
        """As the action, unless it never got through."""
        if not isinstance(state, _Throttled):
            self._action.cancel(call, state)
        elif state.inner is not None:
            self._action.cancel(call, state.inner[0])

    def _turn(self, call: StepCall, *, inner: tuple[Any] | None, since: datetime, tries: int) -> Turn:
        try:
            return self._action.begin(call) if inner is None else self._action.resume(call, inner[0])
        except ActionFailed as failure:
            clock = call.surroundings.clock
            pause = min(_FIRST_PAUSE * 2**tries, _LONGEST_PAUSE)
            if failure.kind is not FailureType.THROTTLING or clock.now() + clock.scaled(pause) > since + clock.scaled(
                self._limit()
            ):
                raise
            return Again(after=pause, state=_Throttled(since=since, tries=tries + 1, inner=inner))
