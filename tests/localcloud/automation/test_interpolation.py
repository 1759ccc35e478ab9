"""References in double braces: what they are, what they become, and when they stay."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.automation import interpolation, references
from localcloud.automation.references import Kind


class Known:
    """A scope of given values."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known

    def lookup(self, reference: str) -> Any:
        return self._known[reference]


SCOPE = Known(
    {
        "text": "hello", "number": 7, "flag": True, "list": ["a", "b"], "maps": [{"a": 1}], "map": {"k": [1]},
        "empty": "", "none": [], "Step.Output": "out", "Step.Map": {"b": "c"}, "variable:v": 3,
        "global:DATE": "2026-11-22", "automation:EXECUTION_ID": "id", "Loop.CurrentIteratorValue": "it",
        "sly": "{{ text }}", "ssm:/a/b:3": "stored",
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        # whole values keep their type
        ("{{ text }}", "hello"), ("{{text}}", "hello"), ("{{   text}}", "hello"), ("{{ number }}", 7),
        ("{{ flag }}", True), ("{{ list }}", ["a", "b"]), ("{{ map }}", {"k": [1]}), ("{{ empty }}", ""),
        ("{{ Step.Output }}", "out"), ("{{ variable:v }}", 3), ("{{global:DATE}}", "2026-11-22"),
        ("{{ automation:EXECUTION_ID }}", "id"), ("{{ Loop.CurrentIteratorValue }}", "it"),
        ("{{ssm:/a/b:3}}", "stored"),
        # embedded ones become text
        ("PT{{ number }}S", "PT7S"), ("{{ text }}-{{flag}}", "hello-true"), (" {{ number }}", " 7"),
        ('{"a": {{Step.Map}}}', '{"a": {"b":"c"}}'), ("<{{ list }}>", '<["a","b"]>'), ("{{ text }}\n", "hello\n"),
        ("{{{ text }}}", "{hello}"), ("{{text}}{{text}}", "hellohello"),
        # unresolved ones stay, blanks and all
        ("{{ nothing }}", "{{ nothing }}"), ("{{Other.Output}}", "{{Other.Output}}"),
        ("a {{  Step.Missing}} {{ text }}", "a {{  Step.Missing}} hello"), ("{{ variable:x }}", "{{ variable:x }}"),
        # no references at all
        ("{{ a b }}", "{{ a b }}"), ("{{}}", "{{}}"), ("{{ text | upper }}", "{{ text | upper }}"),
        ("{text}", "{text}"),
        ("{{ {{text}} }}", "{{ hello }}"), ("", ""), ("{{ text }", "{{ text }"),
        # maps and lists; keys stay
        ({"{{ text }}": "{{ text }}"}, {"{{ text }}": "hello"}), (["{{ list }}"], ["a", "b"]),
        (["{{ maps }}"], [{"a": 1}]), (["{{ none }}"], []), (["{{ list }}", "c"], [["a", "b"], "c"]),
        (["x{{ list }}"], ['x["a","b"]']), ([["a"]], [["a"]]), (["{{ nothing }}"], ["{{ nothing }}"]),
        ([{"Values": ["{{ list }}"]}], [{"Values": ["a", "b"]}]), (5, 5), (None, None), (True, True),
        # what comes in is not looked through again
        ("{{ sly }}", "{{ text }}"), ("{{ sly }}!", "{{ text }}!"),
    ],
)  # fmt: skip
def test_references_become_what_they_name(value: Any, resolved: Any) -> None:
    assert interpolation.resolve(value, SCOPE) == resolved


def test_an_unresolved_value_is_known_as_such() -> None:
    assert interpolation.is_unresolved("{{ Step.Missing }}")
    assert not interpolation.is_unresolved("x {{ Step.Missing }}")
    assert not interpolation.is_unresolved(["{{ Step.Missing }}"])


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("Id", Kind.PARAMETER, "Id"), ("Step.Out", Kind.OUTPUT, "Step.Out"), ("variable:x", Kind.VARIABLE, "x"),
        ("global:REGION", Kind.GLOBAL, "REGION"), ("automation:EXECUTION_ID", Kind.AUTOMATION, "EXECUTION_ID"),
        ("ssm:/a/b", Kind.STORED, "/a/b"), ("ssm-secure:x", Kind.OTHER, "x"),
    ],
)  # fmt: skip
def test_a_reference_says_what_it_names(text: str, kind: Kind, name: str) -> None:
    (found,) = references.in_value({"a": ["b", f"x {{{{ {text} }}}}"]})

    assert (found.kind, found.name) == (kind, name)


@given(st.text())
def test_any_text_is_resolved_without_an_error(text: str) -> None:
    assert isinstance(interpolation.resolve(f"x{text}", SCOPE), str)
    interpolation.resolve([{"a": text}, text], SCOPE)


@given(st.text(alphabet="{} .:abtex", max_size=60))
def test_without_known_references_every_text_stays_as_it_is(text: str) -> None:
    assert interpolation.resolve(text, Known({})) == text


@given(st.lists(st.sampled_from(["{{ text }}", "{{text}}", "{{ no }}", " ", "a", "{", "}", "{{", "}}"]), max_size=12))
def test_every_known_reference_in_a_text_is_replaced(parts: list[str]) -> None:
    resolved = interpolation.resolve("|".join(["", *parts]), SCOPE)

    assert resolved == "|".join(["", *("hello" if "text" in part else part for part in parts)])
