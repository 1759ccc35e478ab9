"""Facts about the runbook's text."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from tests.patching.stage import RUNBOOK, runbook

from localcloud.automation import parsing, validation

LAMBDA, LOOP, BRANCH, SLEEP = "aws:invokeLambdaFunction", "aws:loop", "aws:branch", "aws:sleep"
LARGEST = 64 * 1024
# The service's: a Lambda step is cut off after 300 s, whatever its timeoutSeconds say.
LONGEST_LAMBDA = 300
# What the runbook replaces has these parameters; whoever starts it goes on to do so.
KEPT = {
    "InstanceId": None,
    "AutomationAssumeRole": "",
    "clientid": "",
    "tenantid": "",
    "clientsecret": "",
    "SleepDuration": "PT30S",
}
CALLS = {
    "DescribeVM": "describe",
    "TakeCheckpoint": "checkpoint",
    "CheckpointStatus": "checkpoint-status",
    "PatchProgress": "evidence",
    "GatherEvidence": "evidence",
    "Decide": "judge",
    "Restore": "restore",
    "Verify": "verify",
    "ReleaseCheckpoint": "release",
    "Report": "report",
    "Cancelled": "report",
}


@cache
def text() -> Mapping[str, Any]:
    """The document as it is written."""
    found: Mapping[str, Any] = parsing.load(RUNBOOK.read_text(), format="YAML")
    return found


def steps(*, loops: bool = True) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Every step, and whether it lies in a loop."""
    for step in text()["mainSteps"]:
        yield step, False
        if loops:
            yield from ((inner, True) for inner in step.get("inputs", {}).get("Steps", ()))


def named(name: str) -> Mapping[str, Any]:
    return next(step for step, _ in steps() if step["name"] == name)


def test_the_service_takes_it() -> None:
    assert validation.problems(text()) == []
    assert len(RUNBOOK.read_bytes()) <= LARGEST


@pytest.mark.parametrize("name", [step["name"] for step, _ in steps()])
def test_every_step_says_what_happens_when_it_fails(name: str) -> None:
    step = named(name)

    assert "isCritical" in step
    assert "onFailure" in step
    assert step["action"] == LOOP or "onCancel" in step or name == "Cancelled"
    if step["action"] not in {LOOP, BRANCH, SLEEP}:
        assert step["timeoutSeconds"] > 0


def test_only_the_last_word_is_critical() -> None:
    assert [step["name"] for step, _ in steps() if step["isCritical"]] == ["FailIfWrong"]


@pytest.mark.parametrize("name", [step["name"] for step, _ in steps() if step["action"] == LAMBDA])
def test_calls_of_the_function(name: str) -> None:
    step = named(name)
    payload = step["inputs"]["InputPayload"]

    assert payload["call"] == CALLS[name]
    assert payload["execution"] == "{{ automation:EXECUTION_ID }}"
    assert step["timeoutSeconds"] <= LONGEST_LAMBDA
    assert step["maxAttempts"] == (1 if name == "Cancelled" else 3)
    if payload["call"] not in {"describe", "report"}:
        assert payload["fence"] == "{{ DescribeVM.Fence }}"


@pytest.mark.parametrize("name", [step["name"] for step, in_loop in steps() if in_loop and step["action"] == LAMBDA])
def test_a_round_that_fails_is_a_round_and_not_the_end(name: str) -> None:
    step = named(name)

    assert (step["maxAttempts"], step["onFailure"], step["isCritical"]) == (3, "Continue", False)


@pytest.mark.parametrize("name", [step["name"] for step, _ in steps() if step["action"] == LOOP])
def test_loops_go_on_unless_told_that_they_are_done(name: str) -> None:
    step = named(name)
    inputs = step["inputs"]

    assert set(inputs["LoopCondition"]) == {"Not"}
    assert 1 <= inputs["MaxIterations"] <= 100
    assert step["onFailure"] == f"step:{step['nextStep']}"
    # Reaching the last round is a success of the loop: the step after it looks at the answer itself, or the function.
    assert all(inner["onFailure"] == "Continue" for inner in inputs["Steps"])
    assert any(inner["action"] == SLEEP for inner in inputs["Steps"])


def test_a_cancel_goes_to_the_record_everywhere() -> None:
    found = {step["name"]: step.get("onCancel") for step, _ in steps() if step["action"] != LOOP}
    del found["Cancelled"]

    assert set(found.values()) == {"step:Cancelled"}
    assert named("Cancelled")["isEnd"]


def test_parameters_of_the_runbook_that_it_replaces_keep_name_and_default() -> None:
    parameters = text()["parameters"]

    assert {name: parameters[name].get("default") for name in KEPT} == KEPT
    assert all(parameters[name]["type"] == "String" for name in KEPT)


@pytest.mark.parametrize("name", sorted(text()["parameters"]))
def test_every_parameter_tells_what_it_is_for_and_is_used(name: str) -> None:
    parameter = text()["parameters"][name]

    assert parameter["description"].startswith("(Required) " if "default" not in parameter else "(Optional) ")
    if parameter["type"] == "String":
        assert "allowedPattern" in parameter or "allowedValues" in parameter
    assert f"{{{{ {name} }}}}" in RUNBOOK.read_text()


def test_only_the_node_must_be_given() -> None:
    assert [name for name, parameter in text()["parameters"].items() if "default" not in parameter] == ["InstanceId"]


def test_the_outputs_are_those_of_the_report() -> None:
    wanted = ["Outcome", "Reason", "Remedy", "Snapshots", "RestoredDisk", "FailedDisk", "Evidence"]

    assert text()["outputs"] == [f"Report.{name}" for name in wanted]
    assert set(wanted) <= {output["Name"] for output in named("Report")["outputs"]}


def test_every_output_that_a_step_refers_to_exists() -> None:
    known = {step.name: {output.name for output in step.outputs} for step in runbook().all_steps().values()}

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield from (part.split("}}")[0].strip() for part in value.split("{{")[1:])
        elif isinstance(value, Mapping):
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list | tuple):
            for each in value:
                yield from references(each)

    for step, _ in steps(loops=False):
        for reference in references(step["inputs"]):
            name, dot, output = reference.partition(".")
            if dot and ":" not in reference:
                assert output in known[name] or output == "CommandId", reference


def test_every_command_can_be_found_again_by_its_comment() -> None:
    commands = [step for step, _ in steps() if step["action"] == "aws:runCommand"]

    assert {step["inputs"]["Comment"] for step in commands} == {
        f"moorings {{{{ automation:EXECUTION_ID }}}} {step['name']}" for step in commands
    }
    assert named("InstallPatches")["inputs"]["Comment"] == "moorings {{ automation:EXECUTION_ID }} install"


def test_nothing_is_installed_but_behind_the_question_whether_the_checkpoint_is_usable() -> None:
    """Every way to InstallPatches leads through the one choice of CheckpointUsable that asks for Usable."""
    ways = {
        step["name"]
        for step, _ in steps(loops=False)
        if "HasPrePatch" in {step.get("nextStep"), *(one["NextStep"] for one in step["inputs"].get("Choices", ()))}
    }
    assert ways == {"CheckpointUsable"}
    choice = named("CheckpointUsable")["inputs"]["Choices"]
    assert choice == [{"NextStep": "HasPrePatch", "Variable": "{{ CheckpointStatus.Usable }}", "BooleanEquals": True}]
    names = [step["name"] for step, _ in steps(loops=False)]
    # No step runs into it by mere order: the step before it is a branch whose default goes elsewhere.
    before = named(names[names.index("HasPrePatch") - 1])
    assert before["inputs"]["Default"] == "ReleaseCheckpoint"
