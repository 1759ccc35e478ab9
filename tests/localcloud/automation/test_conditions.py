"""Operators of branches and loops."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.automation import conditions
from localcloud.automation.conditions import OPERATORS


def _same(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    ("left", "operator", "right", "holds"),
    [
        ("a", "StringEquals", "a", True), ("a", "StringEquals", "A", False), ("", "StringEquals", "", True),
        (1, "StringEquals", "1", True), (True, "StringEquals", "true", True), ("aB", "EqualsIgnoreCase", "Ab", True),
        ("abc", "StartsWith", "ab", True), ("abc", "StartsWith", "bc", False), ("abc", "EndsWith", "bc", True),
        ("abc", "Contains", "b", True), ("abc", "Contains", "", True), ("abc", "Contains", "d", False),
        (["a", "b"], "Contains", '"a"', True),
        (1, "NumericEquals", "1", True), ("1.0", "NumericEquals", 1, True), (2, "NumericGreater", 1, True),
        ("10", "NumericGreater", "9", True), (1, "NumericLesser", 2, True), (2, "NumericLesser", 2, False),
        (2, "NumericGreaterOrEquals", 2, True), (2, "NumericLesserOrEquals", 2, True),
        (3, "NumericLesserOrEquals", 2, False),
        (True, "BooleanEquals", True, True), ("true", "BooleanEquals", True, True),
        (False, "BooleanEquals", "False", True),
        (True, "BooleanEquals", False, False), ("x", "BooleanEquals", False, False),
        # a literal that was not resolved
        ("{{ S.o }}", "StringEquals", "", False), ("{{ S.o }}", "StringEquals", "{{ S.o }}", True),
        ("{{ S.o }}", "NumericEquals", 0, False), ("{{ S.o }}", "NumericLesser", 1, False),
        ("{{ S.o }}", "BooleanEquals", False, False), ("{{ S.o }}", "Contains", "S", True),
        (True, "NumericEquals", 1, False), ("nan", "NumericEquals", "nan", False), ([1], "NumericEquals", 1, False),
    ],
)  # fmt: skip
def test_an_operator_compares(left: Any, operator: str, right: Any, holds: bool) -> None:
    condition = {"Variable": left, operator: right}

    assert conditions.holds(condition, _same) is holds
    assert conditions.holds({"Not": condition}, _same) is not holds


def test_conditions_nest() -> None:
    yes, no = ({"Variable": "a", "StringEquals": each} for each in ("a", "b"))

    assert conditions.holds({"And": [yes, {"Or": [no, {"Not": no}]}]}, _same)
    assert not conditions.holds({"And": [yes, no]}, _same)
    assert not conditions.holds({"Or": [no, {"Not": yes}]}, _same)


def test_both_sides_may_be_references() -> None:
    known = {"{{ x }}": "1", "{{ y }}": 1}

    assert conditions.holds({"Variable": "{{ x }}", "NumericEquals": "{{ y }}"}, lambda each: known.get(each, each))


def test_the_first_choice_that_holds_is_taken() -> None:
    choices = [
        {"NextStep": "One", "Variable": "a", "StringEquals": "b"},
        {"NextStep": "Two", "Variable": "a", "StringEquals": "a"},
        {"NextStep": "Three", "Variable": "a", "StringEquals": "a"},
    ]

    assert conditions.choose(choices, _same) == "Two"
    assert conditions.choose(choices[:1], _same) is None


_ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)


@given(_ANY, st.sampled_from(sorted(OPERATORS)), _ANY)
def test_every_operator_answers_for_any_operands(left: Any, operator: str, right: Any) -> None:
    assert isinstance(conditions.holds({"Variable": left, operator: right}, _same), bool)
