"""The steps of a document: what CreateDocument refuses in each of them, then their values.

Strings are taken for isEnd, isCritical, timeoutSeconds and maxAttempts, as published runbooks write them. The texts are
the service's where somebody has recorded them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.automation import action_inputs, branches, references, values
from localcloud.automation.action_inputs import BRANCH, LOOP, SCRIPT, UPDATE_VARIABLE
from localcloud.automation.document import Output, Parameter, Step, ValueType

_NAME = re.compile(r"[A-Za-z0-9_]+")
_FIELDS = frozenset(
    {
        "name", "action", "inputs", "description", "maxAttempts", "timeoutSeconds", "onFailure", "onCancel",
        "isEnd", "nextStep", "isCritical", "outputs",
    }
)  # fmt: skip
_JUMP = "step:"
_OUTPUT_TYPES = {kind.value: kind for kind in ValueType}
# Actions that wait for long or make things cannot be what a cancelled run does in its last two minutes.
_NOT_ON_CANCEL = frozenset(
    {
        "aws:approve", "aws:copyImage", "aws:createImage", "aws:createStack", "aws:createTags", "aws:loop",
        "aws:pause", "aws:runInstances", "aws:sleep",
    }
)  # fmt: skip
_WITHOUT_CANCEL = frozenset({LOOP, UPDATE_VARIABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a step's checks need to know of the document around it."""

    actions: Mapping[str, str]  # the steps it may go to, each with its action
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    names: frozenset[str] = frozenset()  # declared parameters and variables: what a bare reference may name
    variables: frozenset[str] = frozenset()
    inside_loop: bool = False


def named(listed: Any) -> list[tuple[str, str]]:
    """Name and action of each map of a list, "" for what is no text; of a loop's steps after it."""
    found = []
    for step in listed if isinstance(listed, list) else ():
        if isinstance(step, Mapping):
            found.append((_text(step.get("name")), _text(step.get("action"))))
            found += named(loop_steps(step))
    return found


def loop_steps(step: Mapping[str, Any]) -> Any:
    """What a loop's step has as its steps; None for every other step."""
    inputs = step.get("inputs")
    return inputs.get("Steps") if step.get("action") == LOOP and isinstance(inputs, Mapping) else None


def own_actions(listed: Any) -> dict[str, str]:
    """The actions of a list's own steps by name, without those inside its loops."""
    steps = [step for step in listed if isinstance(step, Mapping)] if isinstance(listed, list) else []
    return {_text(step.get("name")): _text(step.get("action")) for step in steps}


def step_faults(step: Any, around: Around) -> Iterator[str]:
    """What is wrong with one step, and with those inside it if it is a loop."""
    if not isinstance(step, Mapping):
        yield f"Step {values.shown(step)} must be a map."
        return
    for key in ("name", "action"):
        if not step.get(key):
            yield f'Missing "{key}" in step detail.'
    name, action = step.get("name"), step.get("action")
    if name and (not isinstance(name, str) or not _NAME.fullmatch(name)):
        yield f"StepName: {values.as_text(name)} is invalid."
    for key in step:
        if key not in _FIELDS:
            yield f'Unknown property "{key}" in step {values.as_text(name)}.'
    yield from _property_faults(step, _text(name))
    yield from _target_faults(step, _text(name), around)
    yield from _output_faults(step.get("outputs"), _text(name))
    if action and (not isinstance(action, str) or action not in action_inputs.ACTIONS):
        yield f"Unknown action: {values.as_text(action)}"
    elif action:
        yield from _input_faults(step, _text(name), action, around)


def _property_faults(step: Mapping[str, Any], name: str) -> Iterator[str]:
    if not isinstance(step.get("description", ""), str | None):
        yield f"description of step {name} must be text."
    for key in ("isEnd", "isCritical"):
        if key in step and values.as_boolean(step[key]) is None:
            yield f"{key} of step {name} must be true or false, not {values.shown(step[key])}."
    for key in ("maxAttempts", "timeoutSeconds"):
        number = values.as_integer(step.get(key, 1))
        if number is None or number < 1:
            yield f"{key} of step {name} must be a number from 1, not {values.shown(step[key])}."
    if values.as_boolean(step.get("isEnd")) and step.get("nextStep"):
        yield '"isEnd == true" and nextStep should not exist in same step.'


def _target_faults(step: Mapping[str, Any], name: str, around: Around) -> Iterator[str]:
    following = step.get("nextStep")
    if following is not None and (not isinstance(following, str) or following not in around.actions):
        yield f'Unknown step name: "{values.as_text(following)}" in nextStep'
    for key, words in (("onFailure", ("Abort", "Continue")), ("onCancel", ("Abort",))):
        rule = step.get(key, "Abort")
        if rule in words:
            continue
        if not isinstance(rule, str) or not rule.startswith(_JUMP):
            yield f"{key} of step {name} must be {', '.join(words)} or step:NAME, not {values.shown(rule)}."
        elif rule.removeprefix(_JUMP) not in around.actions:
            yield f'Unknown step name: "{rule.removeprefix(_JUMP)}" in {key}'
        elif key == "onCancel":
            yield from _cancel_faults(step, name, rule.removeprefix(_JUMP), around)


def _cancel_faults(step: Mapping[str, Any], name: str, target: str, around: Around) -> Iterator[str]:
    if _text(step.get("action")) in _WITHOUT_CANCEL:
        yield f"onCancel is not supported for the action {step['action']} of step {name}."
    elif around.actions[target] in _NOT_ON_CANCEL:
        yield f"onCancel of step {name} cannot go to step {target}: its action is {around.actions[target]}."


def _output_faults(declared: Any, name: str) -> Iterator[str]:
    if declared is None:
        return
    if not isinstance(declared, list):
        yield f"outputs of step {name} must be a list."
        return
    for output in declared:
        if not isinstance(output, Mapping):
            yield f"Output {values.shown(output)} of step {name} must be a map."
            continue
        for key in ("Name", "Selector"):
            if not isinstance(output.get(key), str) or not output[key]:
                yield f'Missing "{key}" in an output of step {name}.'
        for key in output:
            if key not in ("Name", "Selector", "Type"):
                yield f'Unknown property "{key}" in an output of step {name}.'
        kind = output.get("Type", "String")
        if not isinstance(kind, str) or kind not in _OUTPUT_TYPES:
            yield f"Output type: {values.as_text(kind)} is invalid in step {name}."


def _input_faults(step: Mapping[str, Any], name: str, action: str, around: Around) -> Iterator[str]:
    inputs = step.get("inputs", {})
    if inputs is None:
        inputs = {}
    if not isinstance(inputs, Mapping):
        yield f"inputs of step {name} must be a map."
        return
    yield from action_inputs.faults(action, inputs, around.parameters)
    yield from _reference_faults(action, inputs, around)
    if action == BRANCH:
        yield from branches.branch_faults(inputs, name=name, targets=around.actions)
    elif action == LOOP:
        yield from _loop_faults(inputs, name, around)


def _reference_faults(action: str, inputs: Mapping[str, Any], around: Around) -> Iterator[str]:
    # A script is a program's text: braces in it are its own. A loop's steps are looked at one by one.
    apart = {SCRIPT: "Script", LOOP: "Steps"}.get(action)
    for found in dict.fromkeys(references.in_value({key: each for key, each in inputs.items() if key != apart})):
        if found.kind is references.Kind.PARAMETER and found.text not in around.names:
            yield f'Parameter "{found.text}" is not declared.'
        elif found.kind is references.Kind.VARIABLE and found.name not in around.variables:
            yield f'Variable "{found.name}" is not declared.'
        elif found.kind is references.Kind.STORED:
            yield f'"{{{{{found.text}}}}}" is not supported in inputs, only in the default of a parameter.'


def _loop_faults(inputs: Mapping[str, Any], name: str, around: Around) -> Iterator[str]:
    if around.inside_loop:
        yield f"Loop {name} is inside another loop, which is not supported."
        return
    yield from branches.loop_faults(inputs, name=name)
    steps = inputs.get("Steps")
    if not isinstance(steps, list) or not steps:
        yield f"Steps of loop {name} must be a list of at least one step."
        return
    inner = Around(
        actions={**around.actions, **own_actions(steps)},
        parameters=around.parameters,
        names=around.names,
        variables=around.variables,
        inside_loop=True,
    )
    for step in steps:
        yield from step_faults(step, inner)


def step_of(given: Mapping[str, Any]) -> Step:
    """The value of a step without faults."""
    inputs = dict(given.get("inputs") or {})
    inner = inputs.pop("Steps", ()) if given["action"] == LOOP else ()
    on_failure = given.get("onFailure", "Abort")
    critical = values.as_boolean(given.get("isCritical"))
    return Step(
        name=given["name"],
        action=given["action"],
        inputs=inputs,
        description=given.get("description") or "",
        max_attempts=values.as_integer(given.get("maxAttempts")) or 1,
        timeout_seconds=values.as_integer(given.get("timeoutSeconds")),
        on_failure=on_failure,
        on_cancel=given.get("onCancel", "Abort"),
        is_end=bool(values.as_boolean(given.get("isEnd"))),
        next_step=given.get("nextStep") or "",
        critical=on_failure != "Continue" if critical is None else critical,
        outputs=tuple(
            Output(name=each["Name"], selector=each["Selector"], type=_OUTPUT_TYPES[each.get("Type", "String")])
            for each in given.get("outputs") or ()
        ),
        steps=tuple(step_of(each) for each in inner),
        explicit=frozenset(given),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
