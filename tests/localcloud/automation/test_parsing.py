"""The text of a document: formats, sizes, and what YAML may not say."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.automation import parsing
from localcloud.automation.parsing import DocumentTooLarge, InvalidDocument

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("form", ["JSON", "YAML", "auto"])
def test_json_text_is_a_document_in_every_format(form: str) -> None:
    assert parsing.load('{"a": ["b", 1, true, null]}', format=form) == {"a": ["b", 1, True, None]}


def test_yaml_text_needs_its_format_named() -> None:
    with pytest.raises(InvalidDocument, match=r"^JSON not well-formed\. at Line: 1, Column: 1$"):
        parsing.load("a: b", format="JSON")

    assert parsing.load("a: b", format="YAML") == parsing.load("a: b") == {"a": "b"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("No", "No"), ("on", "on"), ("True", True), ("false", False), ("~", None), ("", None),
        ("012345678901", "012345678901"), ("0x1f", "0x1f"), ("12", 12), ("-1", -1), ("1.5", 1.5), ("1e3", 1000.0),
        ("2026-11-22", "2026-11-22"), ("1:30", "1:30"), ("1_000", "1_000"), ("'12'", "12"), (".inf", ".inf"),
        ("=", "="),
    ],
)  # fmt: skip
def test_a_plain_word_of_yaml_is_what_json_would_take_it_for(text: str, value: object) -> None:
    assert parsing.load(f"a: {text}\n", format="YAML") == {"a": value}


def test_keys_of_yaml_are_text() -> None:
    assert parsing.load("1: a\ntrue: b\n~: c\n<<: {d: e}\n", format="YAML") == {
        "1": "a", "true": "b", "~": "c", "<<": {"d": "e"},
    }  # fmt: skip


def test_an_alias_stands_for_what_it_names() -> None:
    assert parsing.load("a: &x {b: [1]}\nc: *x\n") == {"a": {"b": [1]}, "c": {"b": [1]}}


_LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        "a: 1\na: 2\n",
        "b:\n- {a: 1, a: 2}\n",
        "a: &x [*x]\n",
        "a: &x {b: *x}\n",
        _LAUGHS,
        "a: b\n---\nc: d\n",
        "a: !!python/object:os.system x\n",
        "a: !!binary aGVsbG8=\n",
        "a: !!timestamp 2026-11-22\n",
        "a: !!set {b}\n",
        "? [a]\n: b\n",
        "a: !!merge x\n",
        "[" * 3000,
        "a: " + "[" * 3000,
        '{"a":' * 3000,
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 5000 + "}",
        "a: \x00",
        "- a\n",
        "[1]",
        "text",
        "",
        "{",
        "a: b: c",
        "\t",
    ],
)
def test_what_json_could_not_say_once_is_no_document(text: str) -> None:
    with pytest.raises(InvalidDocument):
        parsing.load(text)


def test_a_document_has_at_most_64_kb() -> None:
    fits = json.dumps({"a": "x" * (65536 - 9)})

    assert len(fits) == 65536
    assert parsing.load(fits)
    with pytest.raises(DocumentTooLarge):
        parsing.load(fits + " ")
    with pytest.raises(DocumentTooLarge):
        parsing.load('{"a": "' + "é" * 32764 + '"}')


def test_a_format_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidDocument):
        parsing.load("{}", format="TEXT")


@given(st.dictionaries(st.text(max_size=8), _VALUES, max_size=5))
def test_whatever_json_says_is_read_as_it_is(content: dict[str, Any]) -> None:
    assert parsing.load(json.dumps(content), format="JSON") == content


@given(st.text(max_size=200), st.sampled_from(["JSON", "YAML", "auto"]))
def test_any_text_is_a_map_or_is_refused(text: str, form: str) -> None:
    with contextlib.suppress(InvalidDocument):
        assert isinstance(parsing.load(text, format=form), dict)
