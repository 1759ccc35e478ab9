"""The fleet's benchmark: the budget of errors stops at the very node, and each target can be missed."""

import json
from dataclasses import replace
from typing import Any

import pytest
from bench.stand.fleet_run import Outcome, budget_fleet, wrong_with_budget

from bench import fleet


def _outcome(nodes: int, **changes: Any) -> Outcome:
    """A fleet in which all went well, a node at a second."""
    found = Outcome(
        fleet=fleet.patching(nodes),
        seconds=float(nodes),
        cpu=float(nodes),
        base_kib=1_000,
        peak_kib=1_000 + nodes,
        outcomes={"PATCHED": nodes},
        begun=tuple(range(nodes)),
        budgets=(nodes,),
        errors=0,
        stopped="",
        as_planted=True,
        calls={"ssm:SendCommand": 5 * nodes},
        arm={"GET disks": 3 * nodes},
        most_updates=3,
    )
    return replace(found, **changes)


def test_over_several_parents_the_run_stops_at_the_node_that_is_one_error_too_many(capsys: Any) -> None:
    assert fleet.main(["--nodes", "--zips", "0", "--budget", "0", "--json"]) == 0

    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["fleet"]["bad"] == [1, 4, 7]
    assert run["budgets"] == [2, 1, 0]
    assert run["begun"] == 8
    assert run["outcomes"] == {"UNCHANGED": 8, "NotBegun": 2}


def test_linear_growth_is_no_miss() -> None:
    assert not fleet.missed([_outcome(10), _outcome(100), _outcome(1_000)], [])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seconds": 160.0}, "1.60 times the seconds a node"),
        ({"cpu": 160.0}, "1.60 times the seconds of processor a node"),
        ({"peak_kib": 1_160}, "1.60 times the KiB a node"),
        ({"calls": {"ssm:SendCommand": 800}}, "1.60 times the AWS calls a node"),
        ({"arm": {"GET disks": 480}}, "1.60 times the ARM calls a node"),
        ({"as_planted": False}, "a node ended otherwise"),
        ({"most_updates": 13}, "13 updates of one VM"),
        ({"stopped": "2 nodes went wrong"}, "2 nodes went wrong"),
    ],
)
def test_each_target_can_be_missed(changes: dict[str, Any], told: str) -> None:
    (text,) = fleet.missed([_outcome(10), _outcome(100, **changes)], [])

    assert told in text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"budgets": (2, 2, 2)}, "not what was left"),
        ({"errors": 4}, "4 errors in place of 3"),
        ({"begun": tuple(range(11))}, "11 nodes were begun"),
        ({"begun": tuple(range(9))}, "9 nodes were begun"),
        ({"begun": (0, *range(2, 11))}, "left out"),
        ({"stopped": ""}, "nothing says"),
    ],
)
def test_a_budget_that_does_not_hold_is_a_miss(changes: dict[str, Any], told: str) -> None:
    asked = budget_fleet(14, concurrency=1, parent_size=4)
    good = _outcome(14, fleet=asked, budgets=(2, 1, 0), errors=3, begun=tuple(range(10)), stopped="3 went wrong")

    assert not wrong_with_budget(good)
    (text,) = wrong_with_budget(replace(good, **changes))
    assert told in text


def test_a_fleet_that_no_budget_could_stop_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        budget_fleet(650, concurrency=60, parent_size=300)
