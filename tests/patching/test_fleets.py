"""Fleets: every node once, in parents that the service takes, with what is left of the budget of errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorings.errors import Invalid
from moorings.patching.fleets import MOST_NODES, fleet, next_start


def names(count: int) -> list[str]:
    return [f"mi-{number:017x}" for number in range(count)]


@given(count=st.integers(1, 1500), errors=st.integers(0, 40), failing=st.lists(st.integers(0, 30), max_size=6))
def test_parents_hold_every_node_once_and_the_budget_that_is_left(count: int, errors: int, failing: list[int]) -> None:
    wanted = fleet(names(count), max_concurrency="10%", max_errors=str(errors))
    begun, failed, seen = 0, 0, []
    while (start := next_start(wanted, begun=begun, failed=failed)) is not None:
        assert 1 <= len(start.nodes) <= MOST_NODES
        assert start.errors == errors - failed >= 0
        assert start.rate_controlled == (count > 1)
        seen += start.nodes
        failed += failing[begun] if begun < len(failing) else 0
        begun += 1

    assert seen == names(count)[: len(seen)]
    assert len(seen) == count or failed > errors


@given(count=st.integers(1, 2000), percent=st.integers(0, 100))
def test_percentages_are_of_the_whole_fleet_rounded_down(count: int, percent: int) -> None:
    wanted = fleet(names(count), max_concurrency=f"{percent}%", max_errors=f"{percent}%")

    assert wanted.errors == count * percent // 100
    assert wanted.concurrency == max(1, count * percent // 100)


def test_a_node_named_twice_is_patched_once() -> None:
    assert fleet(["mi-a", "mi-b", "mi-a"]).nodes == ("mi-a", "mi-b")


def test_no_nodes_start_nothing() -> None:
    assert next_start(fleet([]), begun=0, failed=0) is None


@pytest.mark.parametrize("text", ["", "-1", "ten", "101%", "1.5", "%", "007"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is no limit"):
        fleet(names(3), max_errors=text)


def test_a_concurrency_of_zero_would_start_nothing() -> None:
    with pytest.raises(Invalid, match="start nothing"):
        fleet(names(3), max_concurrency="0")
