"""Loops: both kinds, their ends, exits, records and what their bodies see."""

import pytest
from tests.localcloud.automation.stand import Stand, api

from localcloud.automation.records import Status, StepExecution


def loop(body: str, inputs: str, **properties: str) -> str:
    said = "".join(f"  {name}: {value}\n" for name, value in properties.items())
    steps = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    return f"- name: Loop\n  action: aws:loop\n{said}  inputs:\n    {inputs}\n    Steps:\n{steps}"


def passes(stand: Stand, execution: str) -> list[StepExecution]:
    return [one for one in stand.engine.steps(execution) if one.parent]


SEEN = """
- name: Look
  action: aws:executeAwsApi
  inputs: {Service: test, Api: ok, Value: '{{ Loop.CurrentIteratorValue }}', Number: '{{ Loop.CurrentIteration }}'}
  outputs: [{Name: Value, Selector: $.Value}, {Name: Number, Selector: $.Number, Type: Integer}]
"""


def test_for_each_runs_the_body_once_for_each_element(stand: Stand) -> None:
    done = stand.run(loop(SEEN, "Iterators: [a, b, c]") + api("Next"))

    assert done.status is Status.SUCCESS
    inner = passes(stand, done.id)
    assert [(one.inputs["Value"], one.inputs["Number"]) for one in inner] == [("a", 1), ("b", 2), ("c", 3)]
    record = stand.step(done.id, "Loop")
    assert {(one.parent.id, one.parent.name) for one in inner if one.parent} == {(record.id, "Loop")}
    assert [(one.parent.iteration, one.parent.iterator_value) for one in inner if one.parent] == [
        (1, "a"),
        (2, "b"),
        (3, "c"),
    ]
    assert record.outputs == {"CurrentIteration": 3, "CurrentIteratorValue": "c"}
    assert [one.name for one in stand.engine.steps(done.id)] == ["Loop", "Look", "Look", "Look", "Next"]
    assert len({one.id for one in stand.engine.steps(done.id)}) == 5


def test_max_iterations_limits_a_for_each(stand: Stand) -> None:
    done = stand.run(loop(SEEN, "Iterators: [a, b, c]\n    MaxIterations: 2"))

    assert [one.inputs["Value"] for one in passes(stand, done.id)] == ["a", "b"]
    assert done.status is Status.SUCCESS


def test_iterators_and_limits_may_be_references(stand: Stand) -> None:
    text = "parameters: {Names: {type: StringList}, Most: {type: Integer, default: 2}}\nmainSteps:\n" + loop(
        SEEN, "Iterators: '{{ Names }}'\n    MaxIterations: '{{ Most }}'"
    )
    done = stand.run(text, {"Names": ["x", "y", "z"]})

    assert [one.inputs["Value"] for one in passes(stand, done.id)] == ["x", "y"]


def test_empty_iterators_are_success_without_a_pass(stand: Stand) -> None:
    done = stand.run(loop(SEEN, "Iterators: []") + api("Next"))

    assert (done.status, stand.action.calls) == (Status.SUCCESS, ["Next"])
    assert stand.step(done.id, "Loop").status is Status.SUCCESS


UNTIL_THREE = "LoopCondition: {Variable: '{{ Look.Number }}', NumericLesser: 3}"


def test_do_while_asks_after_each_pass(stand: Stand) -> None:
    done = stand.run(loop(SEEN, UNTIL_THREE) + api("Next"))

    assert stand.action.calls == ["Look"] * 3 + ["Next"]
    assert done.status is Status.SUCCESS
    assert [one.outputs["Number"] for one in passes(stand, done.id)] == [1, 2, 3]


def test_do_while_runs_once_even_if_its_condition_never_holds(stand: Stand) -> None:
    done = stand.run(loop(SEEN, "LoopCondition: {Variable: a, StringEquals: b}"))

    assert (done.status, len(stand.action.calls)) == (Status.SUCCESS, 1)


@pytest.mark.parametrize(("limit", "rounds"), [("\n    MaxIterations: 4", 4), ("", 100)])
def test_reaching_max_iterations_is_success(limit: str, rounds: int, stand: Stand) -> None:
    """The condition still holds; the flow goes on all the same."""
    done = stand.run(loop(SEEN, "LoopCondition: {Variable: a, StringEquals: a}" + limit) + api("Next"))

    assert stand.action.calls == ["Look"] * rounds + ["Next"]
    assert stand.step(done.id, "Loop").status is Status.SUCCESS
    assert done.status is Status.SUCCESS


@pytest.mark.parametrize(
    "inputs",
    [
        "Iterators: '{{ Missing.Output }}'",
        "Iterators: ['1', x]\n    IteratorDataType: Integer",
        "Iterators: [a]\n    MaxIterations: '{{ Missing.Output }}'",
    ],
)
def test_inputs_that_cannot_be_fail_the_loop_by_its_own_rule(inputs: str, stand: Stand) -> None:
    missing = api("Missing", isEnd="true")
    done = stand.run(loop(SEEN, inputs, onFailure="step:Last", nextStep="Missing") + missing + api("Last"))

    assert stand.action.calls == ["Last"]
    assert stand.step(done.id, "Loop").failure is not None
    assert done.status is Status.FAILED


def test_is_end_inside_ends_the_pass_only(stand: Stand) -> None:
    body = api("One", isEnd="true") + api("Two")
    done = stand.run(loop(body, "Iterators: [a, b]") + api("Next"))

    assert stand.action.calls == ["One", "One", "Next"]
    assert done.status is Status.SUCCESS


def test_next_step_inside_stays_in_the_pass(stand: Stand) -> None:
    body = api("One", nextStep="Three") + api("Two") + api("Three")
    stand.run(loop(body, "Iterators: [a, b]"))

    assert stand.action.calls == ["One", "Three"] * 2


LEAVE = """
- name: Choose
  action: aws:branch
  inputs: {Choices: [{NextStep: Out, Variable: '{{ Loop.CurrentIteratorValue }}', StringEquals: b}]}
- name: Work
  action: aws:executeAwsApi
  inputs: {Service: test, Api: ok}
"""


def test_a_jump_out_leaves_the_loop_as_exited(stand: Stand) -> None:
    text = (
        loop(LEAVE, "Iterators: [a, b, c]")
        + api("Skipped")
        + (
            "- name: Out\n  action: aws:executeAwsApi\n"
            "  inputs: {Service: test, Api: ok, Last: '{{ Loop.CurrentIteratorValue }}'}\n"
        )
    )
    done = stand.run(text)

    assert stand.action.calls == ["Work", "Out"]
    assert (done.status, stand.step(done.id, "Loop").status) == (Status.SUCCESS, Status.EXITED)
    assert stand.step(done.id, "Out").inputs["Last"] == "b"


def test_a_failure_inside_may_jump_out(stand: Stand) -> None:
    body = api("Bad", "fail", onFailure="step:Out", isCritical="false")
    done = stand.run(loop(body, "Iterators: [a, b]") + api("Skipped") + api("Out"))

    assert stand.action.calls == ["Bad", "Out"]
    assert (done.status, stand.step(done.id, "Loop").status) == (Status.SUCCESS, Status.EXITED)


@pytest.mark.parametrize(
    ("bad", "loop_status", "status"),
    [
        (api("Bad", "fail"), Status.FAILED, Status.FAILED),
        (api("Bad", "again", timeoutSeconds=1), Status.TIMED_OUT, Status.TIMED_OUT),
        (api("Bad", "fail", isCritical="false"), Status.FAILED, Status.SUCCESS),
    ],
)
def test_an_abort_inside_fails_the_loop_and_stops_the_run(
    bad: str, loop_status: Status, status: Status, stand: Stand
) -> None:
    """Even with onFailure on the loop, which is for the loop's own errors."""
    done = stand.run(loop(bad, "Iterators: [a, b]", onFailure="step:Next") + api("Next"))

    assert stand.action.calls == ["Bad"]
    assert (done.status, stand.step(done.id, "Loop").status) == (status, loop_status)


def test_continue_inside_goes_on_in_the_pass(stand: Stand) -> None:
    done = stand.run(loop(api("Bad", "fail", onFailure="Continue") + api("Two"), "Iterators: [a, b]"))

    assert stand.action.calls == ["Bad", "Two"] * 2
    assert done.status is Status.SUCCESS


def test_attempts_inside_count_for_each_pass(stand: Stand) -> None:
    done = stand.run(loop(api("Flaky", "fail-once", maxAttempts=2), "Iterators: [a, b]"))

    assert stand.action.calls == ["Flaky"] * 4
    assert [one.attempts for one in passes(stand, done.id)] == [2, 2]


def test_variables_carry_from_pass_to_pass(stand: Stand) -> None:
    text = "variables: {Last: {type: Integer, default: 0}}\nmainSteps:\n" + loop(
        """
- name: Keep
  action: aws:updateVariable
  inputs: {Name: 'variable:Last', Value: '{{ Loop.CurrentIteration }}'}
""",
        "LoopCondition: {Variable: '{{ variable:Last }}', NumericLesser: 5}",
    )
    done = stand.run(text)

    assert done.variables == {"Last": 5}
    assert len(passes(stand, done.id)) == 5


@pytest.mark.parametrize(
    ("kind", "given", "seen"),
    [
        ("Integer", "[1, '2']", [1, 2]),
        ("Boolean", "[true, false]", [True, False]),
        ("StringMap", "[{a: b}]", [{"a": "b"}]),
    ],
)
def test_iterators_have_a_type(kind: str, given: str, seen: list[object], stand: Stand) -> None:
    done = stand.run(loop(SEEN.replace("  outputs", "  #"), f"Iterators: {given}\n    IteratorDataType: {kind}"))

    assert [one.inputs["Value"] for one in passes(stand, done.id)] == seen


def test_a_loops_timeout_is_for_all_its_passes(stand: Stand) -> None:
    body = api("Slow", "again")
    text = loop(body, "Iterators: [a, b, c]", timeoutSeconds="15", onFailure="step:Last") + api("Skipped") + api("Last")
    done = stand.run(text)

    assert stand.action.calls == ["Slow", "Slow", "Last"]
    assert stand.action.cancelled == [("Slow", "begun")]
    assert stand.step(done.id, "Loop").status is Status.TIMED_OUT
    assert passes(stand, done.id)[-1].status is Status.CANCELLED
    assert done.status is Status.TIMED_OUT
