"""Campaigns: the budget of errors stops the fleet at the right node, over however many parents it takes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.patching.fleetfake import START, FakeArchive, FakeAutomations, Wall

from moorings.errors import Conflict
from moorings.patching.campaign import Campaign, View, pause
from moorings.patching.executions import Runbook
from moorings.patching.fleets import MOST_NODES, fleet
from moorings.patching.model import Conclusion, Outcome, Phase, Run

RUNBOOK = Runbook(document="patch", parameters={})


def names(count: int) -> list[str]:
    return [f"mi-{number:017x}" for number in range(count)]


class Scene:
    """A campaign over fakes."""

    def __init__(self, **service: object) -> None:
        self.wall = Wall()
        self.automations = FakeAutomations(wall=self.wall, **service)  # type: ignore[arg-type]
        self.archive = FakeArchive()
        self.views: list[View] = []
        self.campaign = Campaign(
            automations=self.automations, archive=self.archive, clock=self.wall, on_view=self.views.append
        )

    def run(self, count: int, *, concurrency: str = "1", errors: str = "0") -> View:
        return self.campaign.run(RUNBOOK, fleet(names(count), max_concurrency=concurrency, max_errors=errors))


@settings(max_examples=12, deadline=None)
@given(
    count=st.integers(2, 700),
    errors=st.integers(0, 12),
    bad=st.sets(st.integers(0, 699), max_size=30),
)
def test_one_at_a_time_the_error_too_many_is_the_last_node(count: int, errors: int, bad: set[int]) -> None:
    """Over one, two or three parents alike: what the first ones spent is not there for the next."""
    failing = sorted(number for number in bad if number < count)
    scene = Scene(bad=frozenset(names(count)[number] for number in failing))

    ended = scene.run(count, errors=str(errors))

    last = failing[errors] if len(failing) > errors else count - 1
    assert scene.automations.begun == names(count)[: last + 1]
    assert ended.errors == min(len(failing), errors + 1)
    assert bool(ended.stopped) == (last < count - 1)
    assert ended.wrong == bool(failing)
    assert ended.over


@settings(max_examples=15, deadline=None)
@given(
    count=st.integers(2, 650),
    concurrency=st.integers(1, 40),
    errors=st.integers(0, 20),
    bad=st.sets(st.integers(0, 649), max_size=60),
)
def test_many_at_a_time_never_overspend_by_more_than_those_under_way(
    count: int, concurrency: int, errors: int, bad: set[int]
) -> None:
    scene = Scene(bad=frozenset(names(650)[number] for number in bad))

    ended = scene.run(count, concurrency=str(concurrency), errors=str(errors))

    assert ended.errors <= errors + concurrency
    assert len(scene.automations.begun) == count or ended.errors > errors
    assert all(start.errors >= 0 and len(start.nodes) <= MOST_NODES for start in scene.automations.starts)


def test_parents_follow_one_another_each_with_what_is_left() -> None:
    scene = Scene(bad=frozenset({names(700)[5], names(700)[310], names(700)[311]}))

    ended = scene.run(700, concurrency="50%", errors="1%")

    assert [(len(start.nodes), start.errors, start.concurrency) for start in scene.automations.starts] == [
        (300, 7, 350),
        (300, 6, 350),
        (100, 4, 350),
    ]
    assert (ended.errors, ended.stopped, len(ended.executions)) == (3, "", 3)


def test_errors_spent_to_the_last_let_the_next_parent_begin_and_stop_at_its_first_error() -> None:
    bad = names(900)
    scene = Scene(bad=frozenset({bad[0], bad[1], bad[400]}))

    ended = scene.run(900, errors="2")

    assert [start.errors for start in scene.automations.starts] == [2, 0]
    assert len(scene.automations.begun) == 401
    assert "3 nodes went wrong and 2 may" in ended.stopped


def test_one_node_is_a_plain_start() -> None:
    scene = Scene()

    ended = scene.run(1)

    assert [start.rate_controlled for start in scene.automations.starts] == [False]
    assert [(node.node, node.status) for node in ended.nodes] == [(names(1)[0], "Success")]
    assert "children" not in scene.automations.calls


def test_a_lost_answer_starts_nothing_twice() -> None:
    scene = Scene(lost_answers=2)

    ended = scene.run(3)

    assert len(scene.automations.starts) == 1
    assert scene.automations.calls.count("start") == 3
    assert not ended.wrong


def test_a_node_that_the_service_did_not_start_counts_and_says_why() -> None:
    scene = Scene(refused=frozenset({names(3)[1]}))

    ended = scene.run(3, errors="0")

    assert [(node.status, node.reason) for node in ended.nodes][1:] == [
        ("Failed", "no room"),
        ("NotBegun", "was not begun"),
    ]
    assert ended.errors == 1


def test_a_listing_that_lags_hides_no_error() -> None:
    """The parent is over, its child still shown under way: counted too early, another parent would begin."""
    scene = Scene(bad=frozenset(names(400)[:300]), stale_listings=2)

    ended = scene.run(400, concurrency="300", errors="299")

    assert len(scene.automations.starts) == 1
    assert ended.errors == 300


def test_who_cancels_a_parent_stops_the_fleet() -> None:
    scene = Scene(cancel_after=10)

    ended = scene.run(400)

    assert "cancelled" in ended.stopped
    assert len(scene.automations.starts) == 1


def test_starting_only_takes_one_parent() -> None:
    scene = Scene()

    with pytest.raises(Conflict, match="301 nodes need several executions"):
        scene.campaign.start(RUNBOOK, fleet(names(301)))
    assert not scene.automations.starts
    assert scene.campaign.start(RUNBOOK, fleet(names(300))) == "parent-1"


def test_a_look_costs_two_calls_however_many_nodes_there_are() -> None:
    scene = Scene()

    scene.run(120, concurrency="120")

    looks = scene.automations.calls.count("find")
    assert scene.automations.calls.count("children") == looks
    assert len(scene.automations.calls) == 2 * looks + 1


@given(elapsed=st.integers(0, 100_000), nodes=st.integers(1, 300))
def test_pauses_keep_below_the_services_rate(elapsed: int, nodes: int) -> None:
    """A look is one call and one for each page of 50; three a second are for everybody together."""
    calls = 1 + -(-nodes // 50)

    assert calls / pause(timedelta(seconds=elapsed), nodes=nodes).total_seconds() <= 2


def test_the_word_of_a_cut_off_run_is_waited_for() -> None:
    """The execution is over, the keeper has not concluded yet."""
    node = names(1)[0]
    scene = Scene(bad=frozenset({node}))
    running = Run(execution="parent-1", node=node, began_at=START, phase=Phase.RESTORING)
    scene.archive.records["parent-1"] = running
    conclusion = Conclusion(outcome=Outcome.ROLLED_BACK, reason="put back", wrong=True)

    def keeper(_view: View) -> None:
        if scene.wall.now() > START + timedelta(seconds=40):
            scene.archive.records["parent-1"] = replace(running, phase=Phase.OVER, conclusion=conclusion)

    scene.campaign = Campaign(automations=scene.automations, archive=scene.archive, clock=scene.wall, on_view=keeper)
    ended = scene.run(1)

    assert [(one.outcome, one.reason) for one in ended.nodes] == [("ROLLED_BACK", "put back")]


def test_it_is_not_waited_for_longer_than_the_keeper_takes() -> None:
    node = names(1)[0]
    scene = Scene(bad=frozenset({node}))
    scene.archive.records["parent-1"] = Run(execution="parent-1", node=node, began_at=START, phase=Phase.RESTORING)

    ended = scene.run(1)

    assert ended.nodes[0].outcome == ""
    assert "the keeper finishes" in ended.nodes[0].reason
    assert ended.wrong
    assert scene.wall.now() - START < timedelta(minutes=4)
