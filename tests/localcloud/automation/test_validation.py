"""What CreateDocument refuses, and the runbook that a good document says."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.localcloud.automation.test_published import RUNBOOKS

from localcloud.automation import advice, parsing, validation
from localcloud.automation.action_inputs import ACTIONS
from localcloud.automation.document import Runbook, ValueType
from localcloud.automation.validation import InvalidDocument

_NAP = {"name": "Nap", "action": "aws:sleep", "inputs": {"Duration": "PT1S"}}


def _nap(name: str, **properties: Any) -> dict[str, Any]:
    return {**_NAP, "name": name, **properties}


def _document(*steps: Any, **elements: Any) -> dict[str, Any]:
    return {"schemaVersion": "0.3", "mainSteps": list(steps or [_NAP]), **elements}


def _branch(name: str, *choices: Any, **inputs: Any) -> dict[str, Any]:
    return {"name": name, "action": "aws:branch", "inputs": {"Choices": list(choices), **inputs}}


def _choice(following: str) -> dict[str, Any]:
    return {"NextStep": following, "Variable": "a", "StringEquals": "a"}


def _loop(name: str, *steps: Any, **inputs: Any) -> dict[str, Any]:
    inputs = inputs or {"Iterators": ["a"]}
    return {"name": name, "action": "aws:loop", "inputs": {**inputs, "Steps": list(steps)}}


_END_AND_NEXT = '"isEnd == true" and nextStep should not exist in same step.'


def _parameter(**definition: Any) -> dict[str, Any]:
    return _document(parameters={"x": definition})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        # the service's own words
        ({"schemaVersion": "0.3"}, 'Missing "mainSteps" in the document.'),
        ({"schemaVersion": "0.3", "mainSteps": []}, 'Missing "mainSteps" in the document.'),
        (_document({"action": "aws:pause", "inputs": {}}), 'Missing "name" in step detail.'),
        (_document({"name": "a", "inputs": {}}), 'Missing "action" in step detail.'),
        (_document(_nap("a-b")), "StepName: a-b is invalid."),
        (_document(_nap("a"), _nap("a")), "Duplicate step names found in mainSteps of the document."),
        (_document(_nap("a"), _loop("b", _nap("a"))), "Duplicate step names found in mainSteps of the document."),
        (_document({"name": "a", "action": "aws:dance", "inputs": {}}), "Unknown action: aws:dance"),
        (_document(_nap("a", isEnd=True, nextStep="b"), _nap("b")), _END_AND_NEXT),
        (_document(_nap("a", isEnd="true", nextStep="b"), _nap("b")), _END_AND_NEXT),
        (_document(_nap("a", nextStep="b")), 'Unknown step name: "b" in nextStep'),
        (_document(_nap("a", onFailure="step:b")), 'Unknown step name: "b" in onFailure'),
        (_document(_nap("a", onCancel="step:b")), 'Unknown step name: "b" in onCancel'),
        (_document(_branch("a", _choice("b"))), 'Unknown step name: "b" in NextStep'),
        (_document(_branch("a", _choice("c"), Default="b"), _nap("c")), 'Unknown step name: "b" in Default'),
        (_document(outputs=["Gone.x"]), "Unknown step name in named output: Gone.x"),
        (_document(_nap("a", inputs={"Duration": "{{ x }}"})), 'Parameter "x" is not declared.'),
        (_document(assumeRole="{{ x }}"), 'Parameter "x" is not declared.'),
        (_document(parameters={"a_b": {"type": "String"}}), 'Parameter name "a_b" is not alpha-numeric.'),
        (_parameter(type="string"), "Parameter type: string is invalid."),
        (_parameter(type="List<String>"), "Parameter type: List<String> is invalid."),
        (_parameter(description="x"), 'Missing "type" in parameter definition.'),
        (_parameter(type="Integer", default="x"), 'Wrong default value for a "Integer" parameters'),
        (_parameter(type="Integer", default=1.5), 'Wrong default value for a "Integer" parameters'),
        (_parameter(type="Boolean", default="true"), 'Wrong default value for a "Boolean" parameters'),
        (_parameter(type="Boolean", default=1), 'Wrong default value for a "Boolean" parameters'),
        (_parameter(type="String", default=1), 'Wrong default value for a "String" parameters'),
        (_parameter(type="StringList", default="a"), 'Wrong default value for a "StringList" parameters'),
        (_parameter(type="StringMap", default=[]), 'Wrong default value for a "StringMap" parameters'),
        (_parameter(type="MapList", default=["a"]), 'Wrong default value for a "MapList" parameters'),
        (
            _document({"name": "a", "action": "aws:runCommand", "inputs": {"runCommand": []}}),
            "Missing required input names. Required=[ [DocumentName] ], Provided =[ [runCommand] ].",
        ),
        (
            _document({"name": "a", "action": "aws:executeStateMachine", "inputs": {"stateMachineArn": "x", "y": 1}}),
            "Unknown input names provided."
            " Known=[ [stateMachineArn, input, name] ], Provided=[ [stateMachineArn, y] ].",
        ),
        (
            _document(_branch("a", {"NextStep": "Nap", "Or": [{"Variable": "a", "StringEquals": "b"}]}), _NAP),
            "Expect at lease two expressions for operator: Or in step: a. Provided: 1",
        ),
    ],
)  # fmt: skip
def test_a_faulty_document_is_refused_in_the_services_words(content: dict[str, Any], problem: str) -> None:
    assert validation.problems(content) == [problem]
    with pytest.raises(InvalidDocument) as refused:
        validation.runbook(content)
    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"mainSteps": [_NAP]}, "schemaVersion"),
        (_document(schemaVersion="2.2"), "schema version 2.2"),
        (_document(mainSteps={}), "mainSteps"),
        (_document(runtimeConfig={}), 'Unknown property "runtimeConfig"'),
        (_document(description=[]), "description"),
        (_document(outputs={}), "outputs"),
        (_document(outputs=["Nap"]), "StepName.OutputName"),
        (_document(outputs=[1]), "StepName.OutputName"),
        (_document(files=[]), "files"),
        (_document(files={"a.zip": {}}), "sha256"),
        (_document(files={f"{n}.py": {"checksums": {"sha256": "0"}} for n in range(6)}), "at most 5"),
        (_document(parameters=[]), "parameters"),
        (_document(parameters={"x": "String"}), "must be a map"),
        (_parameter(type="String", defaultValue="x"), 'Unknown property "defaultValue"'),
        (_parameter(type="String", allowedValues="x"), "allowedValues"),
        (_parameter(type="String", allowedPattern=1), "allowedPattern"),
        (_parameter(type="String", displayType="wide"), "displayType"),
        (_parameter(type="String", minChars=-1), "minChars"),
        (_parameter(type="String", default="c", allowedValues=["a", "b"]), "allowedValues"),
        (_document(variables=[]), "variables"),
        (_document(variables={"x": {"default": 1}}), "type"),
        (_document(variables={"x": {"type": "Text"}}), "Variable type: Text"),
        (_document(variables={"x": {"type": "Integer", "default": "a"}}), "Wrong default value"),
        (_document(variables={"x y": {"type": "String"}}), "Variable name"),
        (_document(assumeRole="{{ssm:role}}"), "assumeRole"),
        (_document(assumeRole=["x"]), "assumeRole"),
        (_document("step"), "must be a map"),
        (_document(_nap("a", isend=True)), 'Unknown property "isend"'),
        (_document(_nap("a", isEnd="yes")), "isEnd"),
        (_document(_nap("a", isCritical=1)), "isCritical"),
        (_document(_nap("a", timeoutSeconds="1 h")), "timeoutSeconds"),
        (_document(_nap("a", timeoutSeconds=0)), "timeoutSeconds"),
        (_document(_nap("a", maxAttempts="{{ x }}"), parameters={"x": {"type": "Integer"}}), "maxAttempts"),
        (_document(_nap("a", onFailure="Retry")), "onFailure"),
        (_document(_nap("a", onFailure="a")), "onFailure"),
        (_document(_nap("a", onCancel="Continue")), "onCancel"),
        (_document(_nap("a", inputs=[])), "inputs"),
        (_document(_nap("a", outputs={})), "outputs of step a"),
        (_document(_nap("a", outputs=["x"])), "must be a map"),
        (_document(_nap("a", outputs=[{"Name": "x"}])), 'Missing "Selector"'),
        (_document(_nap("a", outputs=[{"Name": "x", "Selector": "$", "Type": "Text"}])), "Output type: Text"),
        (_document(_nap("a", outputs=[{"Name": "x", "Selector": "$", "Kind": "x"}])), 'Unknown property "Kind"'),
        (_document(_nap("a", inputs={"Duration": "{{ssm:x}}"})), "only in the default of a parameter"),
        (_document(_nap("a", inputs={"Duration": "{{ variable:x }}"})), 'Variable "x" is not declared'),
        (_document(_nap("a", inputs={})), "Duration or Timestamp"),
        (_document({**_NAP, "action": "aws:executeScript", "inputs": {"Runtime": "x"}}), "Script or Attachment"),
        (_document({"name": "a", "action": ["x"], "inputs": {}}), "Unknown action"),
        (_document({"name": {"x": 1}, "action": "aws:pause"}), "StepName"),
        # branches
        (_document(_branch("a")), "at least one choice"),
        (_document(_branch("a", "b")), "must be a map"),
        (_document(_branch("a", {"Variable": "a", "StringEquals": "b"})), "NextStep"),
        (_document(_branch("a", {"NextStep": "Nap", "StringEquals": "b"}), _NAP), "Variable"),
        (_document(_branch("a", {"NextStep": "Nap", "Variable": "b"}), _NAP), "one operator"),
        (_document(_branch("a", {**_choice("Nap"), "Contains": "x"}), _NAP), "one operator"),
        (_document(_branch("a", {"NextStep": "Nap", "Variable": "b", "IsPresent": True}), _NAP), "IsPresent"),
        (_document(_branch("a", {"NextStep": "Nap", "Variable": ["b"], "StringEquals": "c"}), _NAP), "Variable"),
        (_document(_branch("a", {"NextStep": "Nap", "Not": ["x"]}), _NAP), "must be a map"),
        (_document(_branch("a", {"NextStep": "Nap", "And": "x"}), _NAP), "Provided: 0"),
        (_document(_branch("a", {**_choice("Nap"), "Not": {"Variable": "a"}}), _NAP), "more than one"),
        # loops
        (_document(_loop("a", _NAP, Iterators=[], LoopCondition=_choice("x"))), "exactly one"),
        (_document(_loop("a", _NAP, MaxIterations=3)), "exactly one"),
        (_document(_loop("a")), "at least one step"),
        (_document(_loop("a", _NAP, Iterators=["x"] * 101)), "at most 100"),
        (_document(_loop("a", _NAP, Iterators="x")), "Iterators"),
        (_document(_loop("a", _NAP, Iterators=[], MaxIterations=101)), "from 1 to 100"),
        (_document(_loop("a", _NAP, Iterators=[], MaxIterations="x")), "MaxIterations"),
        (_document(_loop("a", _NAP, Iterators=[], IteratorDataType="MapList")), "IteratorDataType"),
        (_document(_loop("a", _NAP, LoopCondition="x")), "LoopCondition"),
        (_document(_loop("a", _NAP, LoopCondition={"Variable": "a", "Equals": "b"})), "Unsupported operator: Equals"),
        (_document(_loop("a", _loop("b", _NAP))), "inside another loop"),
        (_document(_loop("a", _nap("b", inputs={"Duration": "{{ gone }}"}))), 'Parameter "gone"'),
        (_document(_loop("a", _nap("b")), _nap("c", nextStep="b")), 'Unknown step name: "b" in nextStep'),
        (_document(_loop("a", _nap("b")), _loop("c", _nap("d", nextStep="b"))), 'Unknown step name: "b" in nextStep'),
        # change templates
        (_document(executableRunBooks=["x"]), "executableRunBooks"),
    ],
)  # fmt: skip
def test_a_faulty_document_is_refused(content: dict[str, Any], says: str) -> None:
    found = validation.problems(content)

    assert any(says in problem for problem in found), found
    with pytest.raises(InvalidDocument):
        validation.runbook(content)


def test_all_problems_are_told_and_the_first_is_raised() -> None:
    content = _document(_nap("a", nextStep="gone"), _nap("b-c", isEnd="maybe"), outputs=["x.y"], extra=1)

    found = validation.problems(content)

    assert len(found) == 5
    with pytest.raises(InvalidDocument) as refused:
        validation.runbook(content)
    assert str(refused.value) == found[0]


def test_a_schema_version_may_be_a_number() -> None:
    assert validation.problems(_document(schemaVersion=0.3)) == []


_NO_ON_CANCEL = [
    "aws:approve", "aws:copyImage", "aws:createImage", "aws:createStack", "aws:createTags", "aws:loop", "aws:pause",
    "aws:runInstances", "aws:sleep",
]  # fmt: skip


def _with(action: str, name: str) -> dict[str, Any]:
    """A step of that action as the document with all of them has it."""
    content = parsing.load((RUNBOOKS / "doc_every_action.yaml").read_text())
    return {**next(step for step in content["mainSteps"] if step["action"] == action), "name": name}


_ALL_DECLARED = {
    key: parsing.load((RUNBOOKS / "doc_every_action.yaml").read_text())[key] for key in ("parameters", "variables")
}


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_a_cancelled_run_may_go_on_only_with_actions_that_end_soon(action: str) -> None:
    target = _with(action, "target") | {"onFailure": "Abort", "isEnd": True}
    if action == "aws:branch":
        target["inputs"] = {"Choices": [_choice("last")]}
    content = _document(_nap("first", onCancel="step:target"), _nap("last", isEnd=True), target, **_ALL_DECLARED)

    found = validation.problems(content)

    assert bool(found) == (action in _NO_ON_CANCEL), found


@pytest.mark.parametrize("action", ["aws:loop", "aws:updateVariable"])
def test_loops_and_updates_of_variables_have_no_flow_for_a_cancel(action: str) -> None:
    step = _with(action, "first")
    last = {"name": "last", "action": "aws:executeScript", "inputs": {"Runtime": "python3.12", "Script": "x"}}

    assert validation.problems(_document({**step, "onCancel": "step:last"}, last, **_ALL_DECLARED))
    assert not validation.problems(_document({**step, "onCancel": "Abort"}, last, **_ALL_DECLARED))


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_every_action_knows_its_inputs(action: str) -> None:
    step = _with(action, "first") | {"onFailure": "Abort"}
    if action == "aws:branch":
        step["inputs"] = {"Choices": [_choice("last")]}
    without = {**step, "inputs": {"nonsense": 1}}
    strange = {**step, "inputs": {**step["inputs"], "nonsense": 1}}

    assert not validation.problems(_document(step, _nap("last"), **_ALL_DECLARED))
    open_to_all = ACTIONS[action].known is None
    for content, wanted in ((without, "Missing required input names"), (strange, "Unknown input names provided")):
        found = validation.problems(_document(content, _nap("last"), **_ALL_DECLARED))
        expected = action != "aws:pause" and not (content is strange and open_to_all)
        assert any(problem.startswith(wanted) for problem in found) == expected, found


@pytest.mark.parametrize(
    ("kind", "name", "fits"),
    [
        ("StringList", "InstanceIds", True), ("String", "InstanceIds", False),
        ("List<AWS::EC2::Instance::Id>", "InstanceIds", True), ("AWS::EC2::Instance::Id", "InstanceIds", False),
        ("String", "Parameters", False), ("StringMap", "Parameters", True), ("MapList", "Targets", True),
        ("StringList", "Targets", False), ("Integer", "TimeoutSeconds", True), ("String", "TimeoutSeconds", True),
        ("StringList", "Comment", False),
    ],
)  # fmt: skip
def test_only_run_command_looks_at_the_types_of_parameters_at_create(kind: str, name: str, fits: bool) -> None:
    inputs = {"DocumentName": "AWS-RunShellScript", name: "{{ x }}"}
    content = _document({"name": "a", "action": "aws:runCommand", "inputs": inputs}, parameters={"x": {"type": kind}})

    assert (validation.problems(content) == []) is fits


def test_a_script_is_not_looked_through_for_references() -> None:
    step = {
        "name": "a",
        "action": "aws:executeScript",
        "inputs": {"Runtime": "python3.11", "Handler": "f", "Script": "{{ gone }} {{ssm:x}} {{ variable:y }}"},
    }

    assert validation.problems(_document(step)) == []


def test_an_output_of_a_step_that_there_is_not_may_be_named_in_inputs() -> None:
    content = _document(_nap("a", inputs={"Duration": "{{ Gone.Output }}"}))

    assert validation.problems(content) == []
    (told,) = advice.advice(validation.runbook(content))
    assert "Gone" in told


def test_a_bare_name_may_be_a_variable() -> None:
    content = _document(
        _branch("a", {"NextStep": "Nap", "Variable": "{{ seen }}", "StringEquals": "x"}),
        _NAP,
        variables={"seen": {"type": "String"}},
    )

    assert validation.problems(content) == []


@pytest.mark.parametrize(
    ("steps", "trace"),
    [
        ([_nap("a", nextStep="a")], "a -> a"),
        ([_nap("a"), _nap("b"), _nap("c", nextStep="b")], "b -> c -> b"),
        ([_nap("a"), _nap("b", onFailure="step:a")], "a -> b -> a"),
        ([_nap("a"), _branch("b", _choice("a"))], "a -> b -> a"),
        ([_nap("a"), _branch("b", _choice("c"), Default="a"), _nap("c")], "a -> b -> a"),
        ([_nap("a"), _loop("b", _nap("c", nextStep="a"))], "a -> b -> a"),
        ([_loop("b", _nap("c", onFailure="step:b"))], "b -> b"),
        ([_loop("b", _nap("c"), _nap("d", nextStep="c"))], "c -> d -> c"),
        ([_nap("a", isEnd=True), _nap("b"), _nap("c", nextStep="b")], "b -> c -> b"),
    ],
)
def test_a_flow_that_comes_back_is_refused_with_its_trace(steps: list[Any], trace: str) -> None:
    assert validation.problems(_document(*steps)) == [f"Cycle detected in the steps of the document: {trace}"]


@pytest.mark.parametrize(
    "steps",
    [
        # jumps back that form no cycle
        [_nap("a", nextStep="c"), _nap("b", isEnd=True), _nap("c", nextStep="b")],
        [_nap("a", nextStep="c"), _nap("b", isEnd=True), _nap("c", onFailure="step:b")],
        [_branch("a", _choice("d")), _nap("b"), _nap("c", isEnd=True), _nap("d", nextStep="b")],
        # a loop's body is left
        [_loop("a", _nap("b", nextStep="d"), _nap("c")), _nap("d")],
        [_nap("e", nextStep="a"), _nap("d", isEnd=True), _loop("a", _nap("b", onFailure="step:d"))],
        # isEnd of a branch ends it if nothing matches
        [{**_branch("a", _choice("c"), Default="b"), "isEnd": True}, _nap("b", isEnd=True), _nap("c", nextStep="b")],
        [_nap("a", isEnd="true"), _nap("b", nextStep="a")],
    ],
)
def test_jumps_back_without_a_cycle_are_fine(steps: list[Any]) -> None:
    assert validation.problems(_document(*steps)) == []


def test_a_cancel_never_makes_a_cycle() -> None:
    clean = {"name": "a", "action": "aws:executeScript", "inputs": {"Runtime": "python3.12", "Script": "x"}}

    assert validation.problems(_document(clean, _nap("b", onCancel="step:a"))) == []


def test_a_runbook_says_what_its_text_says() -> None:
    runbook = validation.runbook(parsing.load((RUNBOOKS / "doc_habits.yaml").read_text()))
    describe, report, tell = (runbook.step(name) for name in ("describeInstance", "report", "tell"))

    assert runbook.assume_role == "{{ AutomationAssumeRole }}"
    assert (describe.timeout_seconds, describe.max_attempts, describe.is_end, describe.critical) == (
        600,
        3,
        False,
        True,
    )
    assert (describe.on_failure, describe.on_cancel) == ("step:report", "step:report")
    assert {"isCritical", "isEnd", "maxAttempts"} <= describe.explicit
    assert [output.type for output in describe.outputs][:2] == [ValueType.STRING, ValueType.MAP_LIST]
    assert (report.critical, report.on_failure, report.next_step) == (False, "Continue", "finish")
    assert "isCritical" not in report.explicit
    assert tell.critical is False
    loop = runbook.step("collect")
    assert [step.name for step in loop.steps] == ["page", "keepToken", "countRound", "enough"]
    assert set(loop.inputs) == {"MaxIterations", "LoopCondition"}
    assert runbook.parameters["WaitSeconds"].default == 30
    assert runbook.parameters["Answer"].allowed_values == ("Yes", "No")
    assert runbook.parameters["Buckets"].aws_type == "List<AWS::S3::Bucket::Name>"
    assert runbook.parameters["Buckets"].type is ValueType.STRING_LIST
    assert runbook.variables["Round"].default == 0
    assert runbook.outputs == ("describeInstance.State", "report.Payload", "nested.Output")


def test_advice_names_what_is_hardly_meant() -> None:
    script = {
        "name": "Script",
        "action": "aws:executeScript",
        "inputs": {"Runtime": "python3.12", "Handler": "f", "Script": "print('{{ Id }} {{ other }}')"},
        "outputs": [{"Name": "x", "Selector": "$.a[*]"}],
    }
    nap = _nap("Rest", inputs={"Duration": "{{ global:TIME }}{{ automation:ID }}"})
    content = _document(script, nap, parameters={"Id": {"type": "String", "allowedPattern": "[a-z&&[^b]]+"}})

    told = advice.advice(validation.runbook(content))

    assert [line.split(":")[0] for line in told] == ["Parameter Id", *["Step Script"] * 2, *["Step Rest"] * 2]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)
_WORDS = st.sampled_from(
    [
        "schemaVersion", "0.3", "description", "parameters", "variables", "mainSteps", "outputs", "files", "assumeRole",
        "name", "action", "inputs", "isEnd", "nextStep", "onFailure", "onCancel", "step:a", "Continue", "isCritical",
        "timeoutSeconds", "type", "default", "String", "StringList", "allowedValues", "allowedPattern", "Choices",
        "NextStep", "Variable", "And", "Or", "Not", "StringEquals", "Default", "Steps", "Iterators", "LoopCondition",
        "MaxIterations", "Name", "Selector", "Type", "Script", "{{ a }}", "{{ a.b }}", "{{ssm:a}}", "a", "b", *ACTIONS,
    ]
)  # fmt: skip
_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 200) | _WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=5),
    max_leaves=25,
)


def _accepted_or_refused(content: Any) -> None:
    found = validation.problems(content)
    assert all(isinstance(problem, str) for problem in found)
    if found:
        with pytest.raises(InvalidDocument) as refused:
            validation.runbook(content)
        assert str(refused.value) == found[0]
    else:
        runbook = validation.runbook(content)
        assert isinstance(runbook, Runbook)
        advice.advice(runbook)


@given(_JSON | _LIKE)
def test_any_value_is_a_runbook_or_is_refused(content: Any) -> None:
    _accepted_or_refused(content)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from _places(each, (*path, key))


def _put(content: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(content)
    changed = copy.deepcopy(content)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = change(holder[path[-1]])
    return changed


_GOOD = [parsing.load(path.read_text()) for path in sorted(RUNBOOKS.glob("doc_*"))]


@settings(max_examples=400)
@given(st.data())
def test_a_good_document_with_anything_in_one_place_is_a_runbook_or_is_refused(data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(_GOOD))
    path = data.draw(st.sampled_from(list(_places(content))))
    value = data.draw(_JSON | _LIKE)

    _accepted_or_refused(_put(content, path, lambda _: value))


def test_what_is_no_value_of_json_is_refused() -> None:
    for content in (_document(description={1: "a"}), _document(x=object()), _document(x=float("nan")), None, [], "x"):
        assert validation.problems(content)  # type: ignore[arg-type]


def test_a_document_that_is_too_deep_is_refused() -> None:
    deep: Any = []
    for _ in range(500):
        deep = [deep]

    assert validation.problems(_document(_nap("a", inputs={"Duration": deep}))) == [
        "The document says too much: its maps and lists are too deep or too many."
    ]
