"""The Condition element: what its operators mean, and what happens when a key is not in the request.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context
keys".
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address, ip_network
from typing import Any

from localcloud.aws.iam import patterns
from localcloud.aws.iam.patterns import Keys, Shape

_Comparison = Callable[[str, str, Keys | None], bool]
_SPELLING = re.compile(r"(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?")


class BadCondition(ValueError):
    """A condition that IAM would not accept; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One key tested by one operator; several values mean "one of them" (or, negated, "none of them")."""

    operator: str  # without set operator, Not and IfExists: `StringEquals`
    negated: bool
    quantifier: str  # "", "ForAllValues" or "ForAnyValue"
    if_exists: bool
    key: str  # lower case
    values: tuple[str, ...]

    def holds(self, keys: Keys, *, variables: bool) -> bool:
        """Whether the request with these keys fits; `variables`: whether `${…}` in the values means something.

        A key that is absent fits no positive operator, every negated one, everything with IfExists and ForAllValues,
        and nothing with ForAnyValue.
        """
        given = keys.get(self.key)
        if self.operator == "Null":
            return any((given is None) == (value == "true") for value in self.values)
        if not given:
            return self.if_exists or (self.negated if not self.quantifier else self.quantifier == "ForAllValues")
        compare = _OPERATORS[self.operator][0]
        filled = keys if variables else None
        fits = [any(compare(one, value, filled) for value in self.values) for one in given]
        if self.quantifier:
            return (all if self.quantifier == "ForAllValues" else any)(fit is not self.negated for fit in fits)
        return any(fits) is not self.negated


def parse(element: Any) -> tuple[Condition, ...]:
    """The conditions of a statement's Condition element. Raises BadCondition for what IAM would refuse."""
    if not isinstance(element, Mapping):
        raise BadCondition("Condition must be an object of operators")
    conditions: list[Condition] = []
    for spelling, tests in element.items():
        if not isinstance(tests, Mapping):
            raise BadCondition(f"Condition operator {spelling} must hold an object of condition keys")
        conditions += [_condition(str(spelling), str(key), values) for key, values in tests.items()]
    return tuple(conditions)


def _condition(spelling: str, key: str, values: Any) -> Condition:
    found = _SPELLING.fullmatch(spelling)
    quantifier, name, if_exists = found.groups() if found else ("", spelling, None)
    positive = _POSITIVE.get(name, name)
    if positive not in _OPERATORS or (positive == "Null" and (quantifier or if_exists)):
        raise BadCondition(f"unknown condition operator {spelling}")
    listed = tuple(_plain(value) for value in (values if isinstance(values, list) else [values]))
    for value in listed:
        _OPERATORS[positive][1](value, f"{spelling} of {key}")
    return Condition(
        operator=positive,
        negated=positive != name,
        quantifier=quantifier or "",
        if_exists=bool(if_exists),
        key=key.lower(),
        values=tuple(value.lower() for value in listed) if positive in ("Null", "Bool") else listed,
    )


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise BadCondition(f"condition values must be strings, numbers or booleans, not {value!r}")


def _string_equals(given: str, value: str, variables: Keys | None) -> bool:
    return given == patterns.text(value, variables)


def _string_equals_ignore_case(given: str, value: str, variables: Keys | None) -> bool:
    filled = patterns.text(value, variables)
    return filled is not None and given.casefold() == filled.casefold()


def _string_like(given: str, value: str, variables: Keys | None) -> bool:
    return patterns.matches(value, given, shape=Shape.TEXT, variables=variables)


def _arn_like(given: str, value: str, variables: Keys | None) -> bool:
    return patterns.matches(value, given, shape=Shape.ARN, variables=variables)


def _bool(given: str, value: str, _: Keys | None) -> bool:
    return given.lower() == value


def _binary(given: str, value: str, _: Keys | None) -> bool:
    return given == value


def _ip(given: str, value: str, _: Keys | None) -> bool:
    try:
        return ip_address(given) in ip_network(value, strict=False)
    except ValueError:
        return False


def _number(value: str) -> Decimal | None:
    try:
        return Decimal(value)
    except InvalidOperation:
        return None


def _instant(value: str) -> Decimal | None:
    """Seconds since the epoch, from an ISO 8601 date or the number itself."""
    if (number := _number(value)) is not None:
        return number
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return Decimal(str((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()))


def _ordered(read: Callable[[str], Decimal | None], compare: Callable[[Decimal, Decimal], bool]) -> _Comparison:
    def comparison(given: str, value: str, _: Keys | None) -> bool:
        left, right = read(given), read(value)
        return left is not None and right is not None and compare(left, right)

    return comparison


def _accept(value: str, where: str) -> None:
    """Any text will do."""


def _check(read: Callable[[str], object | None], wanted: str) -> Callable[[str, str], None]:
    def check(value: str, where: str) -> None:
        if read(value) is None:
            raise BadCondition(f"{where}: {value!r} is not {wanted}")

    return check


def _network(value: str) -> object | None:
    try:
        return ip_network(value, strict=False)
    except ValueError:
        return None


def _truth(value: str) -> object | None:
    return value if value.lower() in ("true", "false") else None


_is_number = _check(_number, "a number")
_is_date = _check(_instant, "a date")
_is_truth = _check(_truth, "true or false")

_OPERATORS: dict[str, tuple[_Comparison, Callable[[str, str], None]]] = {
    "StringEquals": (_string_equals, _accept),
    "StringEqualsIgnoreCase": (_string_equals_ignore_case, _accept),
    "StringLike": (_string_like, _accept),
    # "ArnEquals and ArnLike behave identically" (Condition operators).
    "ArnEquals": (_arn_like, _accept),
    "ArnLike": (_arn_like, _accept),
    "NumericEquals": (_ordered(_number, operator.eq), _is_number),
    "NumericLessThan": (_ordered(_number, operator.lt), _is_number),
    "NumericLessThanEquals": (_ordered(_number, operator.le), _is_number),
    "NumericGreaterThan": (_ordered(_number, operator.gt), _is_number),
    "NumericGreaterThanEquals": (_ordered(_number, operator.ge), _is_number),
    "DateEquals": (_ordered(_instant, operator.eq), _is_date),
    "DateLessThan": (_ordered(_instant, operator.lt), _is_date),
    "DateLessThanEquals": (_ordered(_instant, operator.le), _is_date),
    "DateGreaterThan": (_ordered(_instant, operator.gt), _is_date),
    "DateGreaterThanEquals": (_ordered(_instant, operator.ge), _is_date),
    "Bool": (_bool, _is_truth),
    "BinaryEquals": (_binary, _accept),
    "IpAddress": (_ip, _check(_network, "an IP address or range")),
    "Null": (_bool, _is_truth),
}
_POSITIVE = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}
