"""Conditions of `aws:branch` and `aws:loop`: operators over resolved values, And, Or and Not around them.

An operand that stays unresolved is its own literal text, so `Not: {StringEquals: ""}` is true of an output that never
came; numbers and booleans are never equal to it.
Source: Systems Manager User Guide, "aws:branch" and "Using conditional statements in runbooks".
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from localcloud.automation import values

VARIABLE = "Variable"
NEXT_STEP = "NextStep"
AND, OR, NOT = "And", "Or", "Not"

Resolve = Callable[[Any], Any]


def _texts(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: compare(values.as_text(left), values.as_text(right))


def _numbers(compare: Callable[[Decimal, Decimal], bool]) -> Callable[[Any, Any], bool]:
    def holds_of(left: Any, right: Any) -> bool:
        one, other = _number(left), _number(right)
        return one is not None and other is not None and compare(one, other)

    return holds_of


def _same_boolean(left: Any, right: Any) -> bool:
    one, other = values.as_boolean(left), values.as_boolean(right)
    return one is not None and one == other


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "StringEquals": _texts(lambda left, right: left == right),
    "EqualsIgnoreCase": _texts(lambda left, right: left.lower() == right.lower()),
    "StartsWith": _texts(lambda left, right: left.startswith(right)),
    "EndsWith": _texts(lambda left, right: left.endswith(right)),
    "Contains": _texts(lambda left, right: right in left),
    "NumericEquals": _numbers(lambda left, right: left == right),
    "NumericGreater": _numbers(lambda left, right: left > right),
    "NumericLesser": _numbers(lambda left, right: left < right),
    "NumericGreaterOrEquals": _numbers(lambda left, right: left >= right),
    "NumericLesserOrEquals": _numbers(lambda left, right: left <= right),
    "BooleanEquals": _same_boolean,
}


def holds(condition: Mapping[str, Any], resolve: Resolve) -> bool:
    """Whether a validated condition is true now; `resolve` replaces the references of a value."""
    if AND in condition:
        return all(holds(each, resolve) for each in condition[AND])
    if OR in condition:
        return any(holds(each, resolve) for each in condition[OR])
    if NOT in condition:
        return not holds(condition[NOT], resolve)
    left = resolve(condition[VARIABLE])
    return all(compare(left, resolve(condition[name])) for name, compare in OPERATORS.items() if name in condition)


def choose(choices: Iterable[Mapping[str, Any]], resolve: Resolve) -> str | None:
    """The NextStep of the first choice that holds; None if none does (then Default, isEnd or the list decide)."""
    return next((str(choice[NEXT_STEP]) for choice in choices if holds(choice, resolve)), None)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
