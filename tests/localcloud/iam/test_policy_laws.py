"""Laws that hold for every policy and every request."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from localcloud.aws.iam import patterns
from localcloud.aws.iam.documents import parse
from localcloud.aws.iam.patterns import Shape
from localcloud.aws.iam.policy import Context, evaluate

ACTIONS = ["ssm:GetParameter", "ssm:PutParameter", "ssm:CreateActivation", "dynamodb:GetItem", "dynamodb:Query"]
RESOURCES = [
    "*",
    "arn:aws:ssm:us-east-1:123456789012:parameter/a/b",
    "arn:aws:ssm:us-east-1:123456789012:parameter/c",
    "arn:aws:dynamodb:us-east-1:123456789012:table/t",
]
ACTION_ENTRIES = [*ACTIONS, "*", "ssm:*", "ssm:*Parameter", "dynamodb:Get????"]
RESOURCE_ENTRIES = [*RESOURCES, "arn:aws:ssm:*", "arn:aws:ssm:*:*:parameter/a/*", "arn:aws:ssm:*:*:parameter/${k:a}"]
KEYS = ["k:a", "k:b"]
TEXTS = ["x", "c", "y*", ""]


def entries(choices: list[str]) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(choices), min_size=1, max_size=3)


def conditions() -> st.SearchStrategy[Any]:
    operators = st.sampled_from(["StringEquals", "StringNotLike", "StringLikeIfExists", "ForAllValues:StringEquals"])
    return st.dictionaries(operators, st.dictionaries(st.sampled_from(KEYS), entries(TEXTS), max_size=2), max_size=2)


@st.composite
def statements(draw: st.DrawFn, *, effect: str | None = None) -> dict[str, Any]:
    return {
        "Effect": effect or draw(st.sampled_from(["Allow", "Deny"])),
        draw(st.sampled_from(["Action", "NotAction"])): draw(entries(ACTION_ENTRIES)),
        draw(st.sampled_from(["Resource", "NotResource"])): draw(entries(RESOURCE_ENTRIES)),
        "Condition": draw(conditions()),
    }


def contexts() -> st.SearchStrategy[Context]:
    return st.builds(
        Context,
        action=st.sampled_from(ACTIONS),
        resource=st.sampled_from(RESOURCES),
        keys=st.dictionaries(st.sampled_from(KEYS), st.lists(st.sampled_from(TEXTS), min_size=1, max_size=2)),
    )


def verdict(written: list[dict[str, Any]], context: Context) -> Any:
    return evaluate([parse({"Version": "2012-10-17", "Statement": written})], context)


@given(written=st.lists(statements(), min_size=1, max_size=4), context=contexts(), place=st.integers(0, 4))
def test_an_explicit_deny_always_wins(written: list[dict[str, Any]], context: Context, place: int) -> None:
    """Wherever a deny that fits stands among other statements, the request is denied, explicitly."""
    written.insert(place, {"Effect": "Deny", "Action": context.action, "Resource": "*"})

    decision = verdict(written, context)

    assert decision.explicit_deny
    assert not decision.allowed


@given(written=st.lists(statements(), min_size=1, max_size=4), extra=statements(effect="Allow"), context=contexts())
def test_adding_an_allow_never_removes_a_permission(
    written: list[dict[str, Any]], extra: dict[str, Any], context: Context
) -> None:
    if verdict(written, context).allowed:
        assert verdict([*written, extra], context).allowed


@given(written=st.lists(statements(), min_size=1, max_size=4), extra=statements(effect="Deny"), context=contexts())
def test_adding_a_deny_never_adds_a_permission(
    written: list[dict[str, Any]], extra: dict[str, Any], context: Context
) -> None:
    if not verdict(written, context).allowed:
        assert not verdict([*written, extra], context).allowed


@given(written=st.lists(statements(), min_size=1, max_size=4), context=contexts(), data=st.data())
def test_the_order_of_statements_does_not_matter(
    written: list[dict[str, Any]], context: Context, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(written))

    assert verdict(shuffled, context).allowed == verdict(written, context).allowed


def fits(pattern: str, value: str) -> bool:
    """The meaning of * and ?, spelt out letter by letter."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(fits(pattern[1:], value[cut:]) for cut in range(len(value) + 1))
    return bool(value) and pattern[0] in ("?", value[0]) and fits(pattern[1:], value[1:])


LETTERS = "ab:/.$+("


@given(pattern=st.text(LETTERS + "*?", max_size=8), value=st.text(LETTERS + "*?\n", max_size=8))
def test_wildcards_mean_what_they_say(pattern: str, value: str) -> None:
    """In free text every character but * and ? stands for itself, also those that mean something to a regex."""
    assert patterns.matches(pattern, value, shape=Shape.TEXT, variables=None) == fits(pattern, value)


@given(value=st.text(LETTERS + "*?", max_size=8))
def test_the_value_of_a_variable_is_taken_literally(value: str) -> None:
    keys = {"k:a": (value,)}

    assert patterns.matches("x${k:a}", "x" + value, shape=Shape.TEXT, variables=keys)
    assert not patterns.matches("x${k:a}", "x" + value + "b", shape=Shape.TEXT, variables=keys)


@given(
    pattern=st.lists(st.text("ab*?", min_size=1, max_size=4), min_size=6, max_size=6),
    value=st.lists(st.text("ab", min_size=1, max_size=4), min_size=6, max_size=6),
)
def test_an_arn_pattern_matches_part_by_part(pattern: list[str], value: list[str]) -> None:
    """ArnLike: six parts, each matched for itself; a value with as many parts cannot slip a part into another."""
    expected = all(fits(one, other) for one, other in zip(pattern, value, strict=True))

    assert patterns.matches(":".join(pattern), ":".join(value), shape=Shape.ARN, variables=None) == expected
