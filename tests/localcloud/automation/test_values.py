"""Types, conversions and wire forms of values."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.automation import values
from localcloud.automation.document import ValueType
from localcloud.automation.values import CannotConvert

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)
S, L, I, B, M, N = (  # noqa: E741
    ValueType.STRING,
    ValueType.STRING_LIST,
    ValueType.INTEGER,
    ValueType.BOOLEAN,
    ValueType.STRING_MAP,
    ValueType.MAP_LIST,
)


@pytest.mark.parametrize(
    ("value", "kind", "converted"),
    [
        ("a", S, "a"), ("a", L, ["a"]), ("12", I, 12), ("-3", I, -3), ("true", B, True), ("False", B, False),
        (12, S, "12"), (12, L, ["12"]), (12, I, 12), (True, S, "true"), (False, L, ["false"]), (True, B, True),
        (["a"], S, "a"), (["12"], I, 12), ([7], I, 7), (["true"], B, True), ([False], B, False), ([3], S, "3"),
        (["a", "b"], L, ["a", "b"]), ([1, True, {"a": 1}], L, ["1", "true", '{"a":1}']), ([], L, []),
        ({"a": "b"}, M, {"a": "b"}), ({"a": {"b": [1]}}, M, {"a": {"b": [1]}}), ([{"a": 1}], N, [{"a": 1}]),
        ([], N, []), ({"a": 1}, S, '{"a":1}'), (["a", "b"], S, '["a","b"]'), ([{"a": 1}], S, '[{"a":1}]'),
        ("", S, ""), ("", L, [""]), (1.5, S, "1.5"),
    ],
)  # fmt: skip
def test_the_table_of_conversions(value: Any, kind: ValueType, converted: Any) -> None:
    result = values.convert(value, kind)

    assert result == converted
    assert type(result) is type(converted)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("a", I), ("1.5", I), ("", I), (True, I), (1.5, I), (["1", "2"], I), ({"a": 1}, I),
        ("yes", B), (1, B), (["a"], B), ([], B), ("a", M), ('{"a": 1}', M), (["a"], M), ([{"a": 1}], M), (1, M),
        ({"a": 1}, L), ({"a": 1}, N), (["a"], N), ("a", N), (None, S), (None, L), (None, M), ([None], L),
    ],
)  # fmt: skip
def test_outside_the_table_nothing_is_converted(value: Any, kind: ValueType) -> None:
    with pytest.raises(CannotConvert, match=kind.value):
        values.convert(value, kind)


@given(VALUES, st.sampled_from(ValueType))
def test_what_is_converted_is_of_the_type_and_stays_so(value: Any, kind: ValueType) -> None:
    try:
        converted = values.convert(value, kind)
    except CannotConvert:
        return
    assert values.conforms(converted, kind)
    assert values.convert(converted, kind) == converted


@given(st.integers(-(10**17), 10**17) | st.booleans())
def test_numbers_and_booleans_come_back_from_text(value: int | bool) -> None:
    kind = B if isinstance(value, bool) else I

    assert values.convert(values.convert(value, S), kind) == value
    assert values.convert(values.convert(value, L), kind) == value


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        ("a=b", ["a=b"]), (12, ["12"]), (True, ["true"]), (["a", "b"], ["a", "b"]), ([], []), ("", [""]),
        ({"a": "b=c"}, ['{"a":"b\\u003dc"}']), ({"a": "<&>'"}, ['{"a":"\\u003c\\u0026\\u003e\\u0027"}']),
        ({"ä": "ö"}, ['{"ä":"ö"}']), ([{"a": "="}, {"b": 1}], ['{"a":"\\u003d"}', '{"b":1}']), (None, []),
        ([1, False], ["1", "false"]),
    ],
)  # fmt: skip
def test_outputs_are_lists_of_texts_in_answers(value: Any, wire: list[str]) -> None:
    assert values.to_wire(value) == wire


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4))
def test_a_map_in_an_answer_is_one_json_text_of_the_map(value: dict[str, Any]) -> None:
    (text,) = values.to_wire(value)

    assert json.loads(text) == json.loads(json.dumps(value))
    assert not set("=<>&'") & set(text)


@pytest.mark.parametrize(
    ("value", "wire"), [("running", '"running"'), (["i-1"], '["i-1"]'), (False, "false"), ({"a": 1}, '{"a":1}')]
)
def test_inputs_are_json_in_answers(value: Any, wire: str) -> None:
    assert values.input_to_wire(value) == wire
