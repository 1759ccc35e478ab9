"""The passes of an `aws:loop`: how many there are and which comes next. Pure rules over resolved inputs.

Source: Systems Manager User Guide, "aws:loop": a do-while body runs once before its condition is asked; a loop that
comes to MaxIterations, with its condition still true, has succeeded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.automation import values
from localcloud.automation.actions.protocol import ActionFailed, FailureStage
from localcloud.automation.document import ValueType
from localcloud.automation.refusals import CannotConvert

MAX_PASSES = 100
_TYPES = {kind.value: kind for kind in (ValueType.STRING, ValueType.INTEGER, ValueType.BOOLEAN, ValueType.STRING_MAP)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopPlan:
    """What a loop step asks for, once its inputs are resolved."""

    limit: int  # passes at most
    iterators: tuple[Any, ...] | None  # None: do-while


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass of a loop's body."""

    number: int  # from 1
    value: Any = None  # of a for-each loop

    @property
    def outputs(self) -> dict[str, Any]:
        """What the body sees of the loop."""
        seen: dict[str, Any] = {"CurrentIteration": self.number}
        return seen if self.value is None else {**seen, "CurrentIteratorValue": self.value}


def planned(inputs: Mapping[str, Any]) -> LoopPlan:
    """The loop of these inputs; raises ActionFailed (INPUT_VALIDATION) for iterators or limits that cannot be."""
    limit = _limit(inputs.get("MaxIterations"))
    if "Iterators" not in inputs:
        return LoopPlan(limit=limit, iterators=None)
    given = inputs["Iterators"]
    if not isinstance(given, list):
        raise _invalid(f"Iterators must be a list, not {given!r}.")
    if len(given) > MAX_PASSES:
        raise _invalid(f"Iterators has {len(given)} elements; at most {MAX_PASSES} are allowed.")
    kind = _TYPES.get(str(inputs.get("IteratorDataType", ValueType.STRING.value)))
    if kind is None:
        raise _invalid(f"IteratorDataType must be one of {', '.join(_TYPES)}.")
    try:
        converted = tuple(values.convert(one, kind) for one in given)
    except CannotConvert as error:
        raise _invalid(f"Iterators: {error}") from error
    return LoopPlan(limit=limit, iterators=converted)


def first_pass(plan: LoopPlan) -> Pass | None:
    """The first pass; None if there is nothing to iterate over."""
    if plan.iterators is None:
        return Pass(number=1)
    return Pass(number=1, value=plan.iterators[0]) if plan.iterators else None


def next_pass(plan: LoopPlan, done: Pass, *, again: Callable[[], bool]) -> Pass | None:
    """The pass after `done`, or None if the loop is over. `again` asks the condition of a do-while loop."""
    number = done.number + 1
    if number > plan.limit:
        return None
    if plan.iterators is None:
        return Pass(number=number) if again() else None
    return Pass(number=number, value=plan.iterators[number - 1]) if number <= len(plan.iterators) else None


def _limit(given: Any) -> int:
    if given is None:
        return MAX_PASSES
    try:
        limit = int(given)
    except (TypeError, ValueError) as error:
        raise _invalid(f"MaxIterations must be a number, not {given!r}.") from error
    if not 1 <= limit <= MAX_PASSES:
        raise _invalid(f"MaxIterations is {limit}; it must be between 1 and {MAX_PASSES}.")
    return limit


def _invalid(message: str) -> ActionFailed:
    return ActionFailed(message, stage=FailureStage.INPUT_VALIDATION)
