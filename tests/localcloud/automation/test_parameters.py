"""The values of a document's parameters: types, constraints, the wire's limits, defaults."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.automation import java_patterns, parameters, validation
from localcloud.automation.document import Runbook
from localcloud.automation.parameters import InvalidParameters

_ID = "mi-0123456789abcdef0"


def _runbook(**declared: Any) -> Runbook:
    return validation.runbook(
        {
            "schemaVersion": "0.3",
            "parameters": declared,
            "mainSteps": [{"name": "a", "action": "aws:pause", "inputs": {}}],
        }
    )


def _bound(given_value: Any, **definition: Any) -> Any:
    return parameters.bind(_runbook(x=definition), {"x": given_value})["x"]


@pytest.mark.parametrize(
    ("kind", "wire", "value"),
    [
        ("String", ["a"], "a"), ("String", "a", "a"), ("String", [""], ""), ("String", 5, "5"),
        ("String", True, "true"),
        ("StringList", ["a", "b"], ["a", "b"]), ("StringList", [], []), ("StringList", "a", ["a"]),
        ("StringList", [1, 2], ["1", "2"]), ("Integer", ["12"], 12), ("Integer", 12, 12), ("Integer", ["-3"], -3),
        ("Boolean", ["true"], True), ("Boolean", ["False"], False), ("Boolean", True, True),
        ("StringMap", ['{"a": "b"}'], {"a": "b"}), ("StringMap", {"a": "b"}, {"a": "b"}),
        ("MapList", ['{"a": 1}', '{"b": 2}'], [{"a": 1}, {"b": 2}]),
        ("MapList", ['[{"a": 1}, {"b": 2}]'], [{"a": 1}, {"b": 2}]),
        ("MapList", [{"a": 1}], [{"a": 1}]), ("MapList", [], []),
        ("AWS::EC2::Instance::Id", [_ID], _ID), ("AWS::EC2::Instance::Id", ["i-01234567"], "i-01234567"),
        ("AWS::EC2::Instance::Id", [""], ""),
        ("List<AWS::EC2::Instance::Id>", [_ID, "i-01234567"], [_ID, "i-01234567"]),
        ("AWS::S3::Bucket::Name", ["my.bucket-1"], "my.bucket-1"),
        ("AWS::IAM::Role::Arn", ["arn:aws-cn:iam::123456789012:role/a/b"], "arn:aws-cn:iam::123456789012:role/a/b"),
    ],
)  # fmt: skip
def test_a_given_value_becomes_one_of_the_parameters_type(kind: str, wire: Any, value: Any) -> None:
    bound = _bound(wire, type=kind)

    assert bound == value
    assert type(bound) is type(value)


@pytest.mark.parametrize(
    ("kind", "wire"),
    [
        ("String", ["a", "b"]), ("String", []), ("String", None), ("StringList", [None]),
        ("Integer", ["a"]), ("Integer", ["1.5"]), ("Integer", [""]),
        ("Integer", [True]), ("Boolean", ["yes"]), ("Boolean", [1]), ("StringMap", ["a"]), ("StringMap", ["[1]"]),
        ("StringMap", ['{"a": 1}', '{"b": 2}']), ("MapList", ["a"]), ("MapList", ["[1]"]), ("MapList", ["{" * 500]),
        ("AWS::EC2::Instance::Id", ["i-123"]), ("AWS::EC2::Instance::Id", ["i-0123456789abcdef0 "]),
        ("List<AWS::EC2::Instance::Id>", [_ID, "vm-1"]), ("AWS::S3::Bucket::Name", ["Bucket"]),
        ("AWS::IAM::Role::Arn", ["arn:aws:iam::1:role/x"]), ("AWS::IAM::Role::Arn", ["x"]),
    ],
)  # fmt: skip
def test_a_value_of_another_type_does_not_start_anything(kind: str, wire: Any) -> None:
    with pytest.raises(InvalidParameters, match='"x"'):
        _bound(wire, type=kind)


def test_a_value_outside_the_allowed_ones_is_refused_in_the_services_words() -> None:
    with pytest.raises(InvalidParameters) as refused:
        _bound(["install"], type="String", allowedValues=["Install", "Uninstall"])

    assert str(refused.value) == 'Parameter "x" has value "install" not found in [Install, Uninstall].'
    assert _bound(["Install"], type="String", allowedValues=["Install", "Uninstall"]) == "Install"
    assert _bound(["2"], type="Integer", allowedValues=[1, 2]) == 2
    assert _bound(["true"], type="Boolean", allowedValues=[True]) is True
    with pytest.raises(InvalidParameters):
        _bound(["a", "c"], type="StringList", allowedValues=["a", "b"])


def test_a_missing_parameter_is_refused_in_the_services_words() -> None:
    with pytest.raises(InvalidParameters) as refused:
        parameters.bind(_runbook(Id={"type": "String"}), {})

    assert str(refused.value) == "Missing required parameter: Id in user inputs."


def test_an_undeclared_parameter_is_refused() -> None:
    with pytest.raises(InvalidParameters, match="gone"):
        parameters.bind(_runbook(), {"gone": ["a"]})


@pytest.mark.parametrize(
    ("definition", "fits", "fails"),
    [
        ({"type": "String", "allowedPattern": "^[a-z]+$"}, ["abc"], ["abc1"]),
        ({"type": "String", "allowedPattern": "[a-z]+"}, ["abc"], ["1abc1"]),
        ({"type": "String", "allowedPattern": "^$|^a$"}, [""], ["b"]),
        ({"type": "StringList", "allowedPattern": "^[a-z]$"}, ["a", "b"], ["a", "bb"]),
        ({"type": "Integer", "allowedPattern": "^[0-9]$"}, ["5"], ["55"]),
        ({"type": "String", "allowedPattern": "(?i)^mi-.*"}, ["MI-1"], ["i-1"]),
        ({"type": "String", "minChars": 2}, ["ab"], ["a"]),
        ({"type": "String", "maxChars": "3"}, ["abc"], ["abcd"]),
        ({"type": "StringList", "minItems": 1}, ["a"], []),
        ({"type": "StringList", "maxItems": 2}, ["a", "b"], ["a", "b", "c"]),
        ({"type": "MapList", "maxItems": 1}, ["{}"], ["{}", "{}"]),
    ],
)
def test_constraints_are_checked_at_the_start(definition: dict[str, Any], fits: Any, fails: Any) -> None:
    _bound(fits, **definition)
    with pytest.raises(InvalidParameters):
        _bound(fails, **definition)


def test_the_wires_limits_hold() -> None:
    assert _bound(["x" * 512], type="String")
    assert len(_bound(["x"] * 50, type="StringList")) == 50
    with pytest.raises(InvalidParameters, match="512"):
        _bound(["x" * 513], type="String")
    with pytest.raises(InvalidParameters, match="50"):
        _bound(["x"] * 51, type="StringList")
    many = _runbook(**{f"p{n}": {"type": "String", "default": ""} for n in range(201)})
    with pytest.raises(InvalidParameters, match="200"):
        parameters.bind(many, {f"p{n}": [""] for n in range(201)})
    with pytest.raises(InvalidParameters, match="1 to 50"):
        parameters.bind(_runbook(**{"a" * 51: {"type": "String"}}), {"a" * 51: [""]})


def test_a_default_is_taken_with_its_type_and_without_the_constraints() -> None:
    runbook = _runbook(
        a={"type": "Integer", "default": "30"},
        b={"type": "String", "default": "", "allowedPattern": "^x$"},
        c={"type": "StringList", "default": [1, "b"]},
        d={"type": "String", "default": "at {{ global:DATE }} of {{ b }}"},
    )

    assert parameters.bind(runbook, {}) == {
        "a": 30, "b": "", "c": ["1", "b"], "d": "at {{ global:DATE }} of {{ b }}",
    }  # fmt: skip


def test_the_start_knows_which_stored_parameters_defaults_name() -> None:
    runbook = _runbook(
        a={"type": "String", "default": "{{ssm:/golden/image}}"},
        b={"type": "StringList", "default": ["x", "{{ ssm:two:3 }}"]},
        c={"type": "String", "default": "{{ global:DATE }}"},
    )

    assert parameters.stored_names(runbook) == {"/golden/image", "two:3"}


@pytest.mark.parametrize(
    ("pattern", "matches", "fails"),
    [
        (r"\p{Alpha}+", "abc", "ab1"), (r"[\p{Alpha}\p{Digit}_]+", "a1_", "a-"), (r"\P{Digit}+", "abc", "1"),
        (r"\Qa.b\E+", "a.bbb", "axb"), (r"a\z", "a", "a\n"), (r"(?<name>a)\k<name>", "aa", "ab"),
        (r"(?<=a)?b", "b", "a"),
        (r"\w+", "abc", "äbc"), (r"\d", "1", "١"), (r"[^]a]", "b", "]"), (r"a++b", "aab", "b"),
        (r"(?>a+)b", "aab", "b"),
        (r"[a|~&-]+", "a|~&-", "b"), (r"[--/]", ".", "a"), (r"[+--]", ",", "."), (r"[^-a]", "b", "-"),
        (r"\h", " ", "\n"), (r"[\h]", "\t", "x"), (r"^$", "", "\n"), (r"a$", "a", "a\n"),
        (r"[\w+=,.@-]{1,64}", "a@b", ""), (r"(?i:a)b", "Ab", "AB"), (r"\x41", "A", "B"), (r"\\Q", "\\Q", "Q"),
    ],
)  # fmt: skip
def test_a_pattern_means_what_it_means_in_java(pattern: str, matches: str, fails: str) -> None:
    compiled = java_patterns.compiled(pattern)

    assert compiled is not None
    assert compiled.fullmatch(matches)
    assert not compiled.fullmatch(fails)


@pytest.mark.parametrize(
    "pattern", [r"[a-z&&[^b]]", r"[a[b]]", r"\X", r"a(?i)b", r"[", r"(", r"\p{IsGreek}", r"a{2,1}"]
)
def test_a_pattern_that_cannot_be_said_is_not_enforced(pattern: str) -> None:
    assert java_patterns.compiled(pattern) is None
    assert _bound(["anything"], type="String", allowedPattern=pattern) == "anything"


@given(st.text(alphabet=r"ab01[](){}\\^$.*+?|&~-<>:=!,QEpkzh", max_size=25) | st.text(max_size=25))
def test_any_pattern_is_compiled_or_known_not_to_be(pattern: str) -> None:
    java_patterns.compiled(pattern)


_WIRE = st.lists(st.text(max_size=5), max_size=3) | st.text() | st.integers() | st.booleans() | st.none()
_KINDS = st.sampled_from(
    ["String", "StringList", "Integer", "Boolean", "StringMap", "MapList", "AWS::S3::Bucket::Name"]
)


@given(_KINDS, _WIRE)
def test_any_value_is_taken_or_refused(kind: str, value: Any) -> None:
    try:
        bound = _bound(value, type=kind)
    except InvalidParameters:
        return
    assert bound is not None
