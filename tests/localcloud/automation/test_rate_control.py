"""Rate control: budgets to the number, ramp-up, what the parent shows."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.localcloud.automation.stand import LIMIT, Stand

from localcloud.automation import rate_control
from localcloud.automation.errors import InvalidTargets, LimitExceeded
from localcloud.automation.ports import Limits, StartRequest, TargetRequest
from localcloud.automation.rate_control import Progress
from localcloud.automation.records import AutomationExecution, Status
from localcloud.automation.refusals import InvalidParameters

NODE = """
parameters:
  NodeId: {type: String}
  Bad: {type: StringList, default: []}
mainSteps:
- name: Work
  action: aws:sleep
  inputs: {Duration: PT10S}
- name: Judge
  action: aws:executeAwsApi
  inputs: {Service: test, Api: '{{ NodeId }}'}
"""


def names(count: int, *, bad: int = 0, behind: int = 0) -> list[str]:
    """Targets that do well, but for `bad` of them behind the first `behind`."""
    return [f"{'fail' if behind <= number < behind + bad else 'ok'}" for number in range(count)]


def maps(targets: list[str]) -> TargetRequest:
    return TargetRequest(target_maps=[{"NodeId": [one]} for one in targets])


def start(stand: Stand, targets: list[str], *, concurrency: str = "", errors: str = "") -> str:
    stand.document("Node", NODE)
    rate = TargetRequest(
        target_maps=[{"NodeId": [one]} for one in targets], max_concurrency=concurrency, max_errors=errors
    )
    return stand.engine.start(StartRequest(document_name="Node", rate=rate))


@pytest.mark.parametrize(
    ("text", "of", "allowed"),
    [("0", 50, 0), ("3", 50, 3), ("10%", 50, 5), ("10%", 9, 0), ("33%", 10, 3), ("100%", 7, 7)],
)
def test_max_errors_as_number_and_percentage(text: str, of: int, allowed: int) -> None:
    """The error behind the allowed ones stops it: the sixth of 10 % of 50."""
    budget = rate_control.budget(of, max_concurrency="10", max_errors=text)

    assert budget.errors == allowed
    assert not rate_control.exceeded(budget, Progress(started=of, failed=allowed))
    assert rate_control.exceeded(budget, Progress(started=of, failed=allowed + 1))


@pytest.mark.parametrize(("text", "of", "most"), [("1", 10, 1), ("25%", 10, 2), ("1%", 10, 1), ("100%", 10, 10)])
def test_max_concurrency_as_number_and_percentage(text: str, of: int, most: int) -> None:
    assert rate_control.budget(of, max_concurrency=text, max_errors="0").concurrency == most


@given(
    targets=st.integers(1, 40),
    concurrency=st.integers(1, 12),
    errors=st.integers(0, 10),
    ends=st.lists(st.sampled_from(["ok", "bad", "cancelled"]), min_size=40, max_size=40),
)
def test_the_rules_hold_for_any_course(targets: int, concurrency: int, errors: int, ends: list[str]) -> None:
    """Never more at once than allowed; none begins behind the error too many; else every target has its turn."""
    budget = rate_control.budget(targets, max_concurrency=str(concurrency), max_errors=str(errors))
    progress, widest = Progress(), 0
    while not rate_control.done(budget, progress):
        starting = rate_control.may_start(budget, progress)
        assert not (starting and progress.failed > errors)
        progress = rate_control.started(progress, starting)
        widest = max(widest, progress.running)
        assert progress.running <= min(concurrency, progress.window)
        end = ends[progress.started - progress.running]
        progress = rate_control.completed(budget, progress, succeeded=end == "ok", cancelled=end == "cancelled")

    assert widest <= concurrency
    assert progress.started == targets or progress.failed > errors
    assert progress.failed <= errors + concurrency
    assert progress.succeeded + progress.failed + progress.cancelled == progress.started


def test_it_begins_with_one_and_grows_to_the_concurrency(stand: Stand) -> None:
    parent = start(stand, names(20), concurrency="6")
    widths = []
    while not stand.engine.get(parent).status.over:
        stand.engine.settle(LIMIT)
        widths.append(sum(not child.status.over for child in stand.engine.children(parent)))
        stand.advance(10)

    assert widths == [1, 2, 4, 6, 6, 1]


@pytest.mark.parametrize(
    ("errors", "bad", "status", "started"),
    [
        ("0", 0, Status.SUCCESS, 10),
        ("0", 1, Status.FAILED, 3),
        ("1", 1, Status.SUCCESS, 10),
        ("1", 2, Status.FAILED, 4),
        ("20%", 2, Status.SUCCESS, 10),
        ("20%", 3, Status.FAILED, 5),
        ("100%", 8, Status.SUCCESS, 10),
    ],
)
def test_the_error_budget_stops_at_the_right_child(
    errors: str, bad: int, status: Status, started: int, stand: Stand
) -> None:
    """One at a time, two good ones first: the n+1st error is the last child."""
    parent = start(stand, names(10, bad=bad, behind=2), concurrency="1", errors=errors)
    done = stand.finish(parent)

    assert done.status is status
    assert done.targeting is not None
    assert done.targeting.counts is not None
    counts = done.targeting.counts
    assert (counts.total, counts.started, counts.completed) == (10, started, started)
    steps = [one.status for one in stand.engine.steps(parent)]
    assert steps.count(Status.PENDING) == 10 - started
    assert (steps.count(Status.FAILED), steps.count(Status.SUCCESS)) == (counts.failed, counts.succeeded)


def test_children_that_run_when_the_budget_is_spent_finish(stand: Stand) -> None:
    parent = start(stand, ["ok", "fail", *["ok"] * 20], concurrency="4", errors="0")
    done = stand.finish(parent)

    assert done.status is Status.FAILED
    assert all(child.status.over for child in stand.engine.children(parent))
    # The failing one and its neighbour ended together; the second to be looked at may have opened the way for more.
    assert len(list(stand.engine.children(parent))) <= 5
    assert "MaxErrors" in done.failure_message


def test_children_know_parent_and_target_and_get_all_parameters(stand: Stand) -> None:
    stand.document("Node", NODE.replace("Bad: {type: StringList, default: []}", "More: {type: String}"))
    rate = TargetRequest(
        parameter_name="NodeId", targets=[{"Key": "ParameterValues", "Values": ["ok", "fine", "ok"]}], max_errors="1"
    )
    parent = stand.engine.start(StartRequest(document_name="Node", parameters={"More": ["m"]}, rate=rate))
    stand.finish(parent)
    children = list(stand.engine.children(parent))

    assert [(child.target, child.parent_id, child.parameters) for child in reversed(children)] == [
        ("ok", parent, {"NodeId": "ok", "More": "m"}),
        ("fine", parent, {"NodeId": "fine", "More": "m"}),
    ]
    assert [one.outputs["ExecutionId"] for one in stand.engine.steps(parent)] == [one.id for one in reversed(children)]


def test_targets_by_tag_are_asked_of_the_source(stand: Stand) -> None:
    stand.document("Node", NODE)
    stand.shelf.tagged = {"tag:Env=prod": ["ok", "fine"]}
    rate = TargetRequest(parameter_name="NodeId", targets=[{"Key": "tag:Env", "Values": ["prod", "test"]}])
    parent = stand.engine.start(StartRequest(document_name="Node", rate=rate))

    assert stand.finish(parent).status is Status.SUCCESS
    assert [one.name for one in stand.engine.steps(parent)] == ["ok", "fine"]


def test_no_target_at_all_is_no_success(stand: Stand) -> None:
    stand.document("Node", NODE)
    rate = TargetRequest(parameter_name="NodeId", targets=[{"Key": "tag:Env", "Values": ["none"]}])

    assert stand.finish(stand.engine.start(StartRequest(document_name="Node", rate=rate))).status is Status.FAILED


@pytest.mark.parametrize(
    "rate",
    [
        TargetRequest(parameter_name="nodeid", targets=[{"Key": "ParameterValues", "Values": ["x"]}]),
        TargetRequest(targets=[{"Key": "ParameterValues", "Values": ["x"]}]),
        TargetRequest(target_maps=[{"Other": ["x"]}]),
        TargetRequest(
            parameter_name="NodeId",
            targets=[{"Key": "ParameterValues", "Values": ["x"]}],
            target_maps=[{"NodeId": ["x"]}],
        ),
    ],
)
def test_targets_that_cannot_be_are_refused_at_the_start(rate: TargetRequest, stand: Stand) -> None:
    stand.document("Node", NODE)

    with pytest.raises(InvalidTargets):
        stand.engine.start(StartRequest(document_name="Node", rate=rate))
    assert not list(stand.engine.list())


def test_parameters_that_cannot_be_are_refused_at_the_start(stand: Stand) -> None:
    stand.document("Node", NODE)

    with pytest.raises(InvalidParameters):
        stand.engine.start(StartRequest(document_name="Node", parameters={"None": ["x"]}, rate=maps(["ok"])))


def test_a_child_that_cannot_start_is_an_error(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand(limits=Limits(concurrent=1, queued=0))
    stand.start("- name: Rest\n  action: aws:executeAwsApi\n  inputs: {Service: x, Api: again}\n")
    parent = start(stand, names(2), errors="2")
    stand.engine.settle(LIMIT)

    shown = stand.engine.get(parent)
    assert shown.status is Status.SUCCESS  # both were tolerated
    assert [one.status for one in stand.engine.steps(parent)] == [Status.FAILED, Status.FAILED]


def test_cancelling_the_parent_cancels_its_children(stand: Stand) -> None:
    parent = start(stand, names(8), concurrency="4")
    stand.engine.settle(LIMIT)
    stand.advance(10)
    stand.engine.stop(parent)
    done = stand.finish(parent)

    assert done.status is Status.CANCELLED
    statuses = [one.status for one in stand.engine.steps(parent)]
    assert statuses == [Status.SUCCESS, *[Status.CANCELLED] * 2, *[Status.PENDING] * 5]
    assert {child.status for child in stand.engine.children(parent)} == {Status.SUCCESS, Status.CANCELLED}


def test_twenty_five_parents_run_and_the_others_wait(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand(limits=Limits(parents=2, queued_parents=1))
    parents = [start(stand, names(2)) for _ in range(3)]
    stand.engine.settle(LIMIT)

    assert [stand.engine.get(one).status for one in parents] == [Status.IN_PROGRESS] * 2 + [Status.PENDING]
    with pytest.raises(LimitExceeded):
        start(stand, names(2))
    done: list[AutomationExecution] = [stand.finish(one) for one in parents]
    assert {one.status for one in done} == {Status.SUCCESS}
