"""Selectors: the dialect of a step's outputs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.automation import selectors
from localcloud.automation.document import Output, ValueType
from localcloud.automation.selectors import MISSING, UnknownSelector
from localcloud.automation.values import CannotConvert

ROOT: dict[str, Any] = {
    "SnapshotId": "snap-1",
    "Count": 3,
    "None": None,
    "a-b": {"c d": 1},
    "Snapshots": [
        {"State": "done", "Size": 8, "Tags": [{"Key": "Name", "Value": "x"}, {"Key": "Team Red", "Value": "y"}]},
        {"State": "pending", "Size": 100, "Open": True, "Tags": []},
    ],
}


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("$", ROOT), ("$.SnapshotId", "snap-1"), ("SnapshotId", "snap-1"), ("Snapshots[0].State", "done"),
        ("$.Snapshots[1].Size", 100), ("$['Snapshots'][0]['State']", "done"), ('$["a-b"]["c d"]', 1),
        ("$.a-b['c d']", 1), ("$..State", ["done", "pending"]), ("$.Snapshots..Key", ["Name", "Team Red"]),
        ("$..Snapshots[0].State", ["done"]), ("$..Nothing", []), ("$.None", None),
        ("$.Snapshots[?(@.State == 'done')].Size", [8]), ("$.Snapshots[?(@.State=='done')].Size", [8]),
        ('$.Snapshots[?(@.State == "done")].Size', [8]), ("$.Snapshots[?(@.State != 'done')].Size", [100]),
        ("$.Snapshots[?(@.Size > 8)].State", ["pending"]), ("$.Snapshots[?(@.Size >= 8)].Size", [8, 100]),
        ("$.Snapshots[?(@.Size < 8)].Size", []), ("$.Snapshots[?(@.Size <= 8.5)].Size", [8]),
        ("$.Snapshots[?(@.Open == true)].Size", [100]), ("$.Snapshots[?(@.Open)].Size", [100]),
        ("$.Snapshots[?(@.State > 5)].Size", []), ("$.Snapshots[?(@.Open == 1)].Size", []),
        ("$.Snapshots[0].Tags[?(@.Key == 'Team Red')].Value", ["y"]),
        ("$.Snapshots[?(@['State'] == 'done')].Size", [8]),
        ("$.Missing", MISSING), ("$.Snapshots[2]", MISSING), ("$.SnapshotId.x", MISSING), ("$.Count[0]", MISSING),
        ("$.Snapshots.State", MISSING), ("", MISSING), ("$.Snapshots[-1]", MISSING), ("$.Snapshots[*]", MISSING),
        ("$.Snapshots[0:1]", MISSING), ("$.Snapshots.length()", MISSING), ("$.", MISSING), ("$..", MISSING),
    ],
)  # fmt: skip
def test_a_selector_finds_what_it_says(selector: str, found: Any) -> None:
    assert selectors.select(ROOT, selector) == found or selectors.select(ROOT, selector) is found


@pytest.mark.parametrize("selector", ["", "$.", "a[*]", "a[0:1]", "a[-1]", "a.length()", "a[?(@.b == 1 && @.c == 2)]"])
def test_what_is_not_in_the_dialect_is_known_not_to_be(selector: str) -> None:
    with pytest.raises(UnknownSelector):
        selectors.parse(selector)


def _output(selector: str, kind: ValueType) -> Any:
    return selectors.read(ROOT, Output(name="x", selector=selector, type=kind))


def test_one_match_of_a_filter_is_a_text_and_several_are_json() -> None:
    assert _output("$.Snapshots[?(@.Size > 8)].State", ValueType.STRING) == "pending"
    assert _output("$..State", ValueType.STRING) == '["done","pending"]'


def test_what_is_not_there_is_no_output() -> None:
    assert _output("$.Missing", ValueType.STRING) is MISSING
    assert _output("$.None", ValueType.STRING) is MISSING
    assert _output("$..Nothing", ValueType.STRING) is MISSING
    assert _output("$..Nothing", ValueType.INTEGER) is MISSING
    assert _output("$..Nothing", ValueType.STRING_LIST) == []


def test_the_whole_root_may_be_a_map() -> None:
    assert _output("$", ValueType.STRING_MAP) == ROOT


def test_a_value_of_another_type_is_an_error() -> None:
    with pytest.raises(CannotConvert):
        _output("$.SnapshotId", ValueType.INTEGER)


_ROOTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(_ROOTS, st.text(alphabet="$.[]()'\"?@=!<>&abc012 *:,-", max_size=30) | st.text())
def test_any_selector_on_any_value_gives_a_value_or_nothing(root: Any, selector: str) -> None:
    selectors.select(root, selector)


@given(_ROOTS)
def test_a_deep_scan_finds_every_value_of_the_key(root: Any) -> None:
    def count(value: Any) -> int:
        if isinstance(value, dict):
            return ("a" in value) + sum(map(count, value.values()))
        return sum(map(count, value)) if isinstance(value, list) else 0

    assert len(selectors.select(root, "$..a")) == count(root)
