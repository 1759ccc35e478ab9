"""Checks of what decides the way: the choices of a branch, the condition and the limits of a loop.

Source: Systems Manager User Guide, "aws:branch", "aws:loop"; an unsupported operator is an error when the document is
made.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

from localcloud.automation import references, values
from localcloud.automation.conditions import AND, NEXT_STEP, NOT, OPERATORS, OR, VARIABLE

MAX_ITERATIONS = 100
_ITERATOR_TYPES = ("Boolean", "Integer", "String", "StringMap")


def branch_faults(inputs: Mapping[str, Any], *, name: str, targets: Container[str]) -> Iterator[str]:
    """What is wrong with the inputs of the branch `name`, which may go to `targets`."""
    choices = inputs.get("Choices")
    if "Choices" in inputs and (not isinstance(choices, list) or not choices):
        yield f"Choices of step {name} must be a list of at least one choice."
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, Mapping):
            yield f"Choice {values.shown(choice)} of step {name} must be a map."
            continue
        following = choice.get(NEXT_STEP)
        if following is None:
            yield f'Missing "{NEXT_STEP}" in a choice of step {name}.'
        elif not isinstance(following, str) or following not in targets:
            yield f'Unknown step name: "{values.as_text(following)}" in NextStep'
        condition = {key: each for key, each in choice.items() if key != NEXT_STEP}
        yield from condition_faults(condition, name=name)
    default = inputs.get("Default")
    if default is not None and (not isinstance(default, str) or default not in targets):
        yield f'Unknown step name: "{values.as_text(default)}" in Default'


def loop_faults(inputs: Mapping[str, Any], *, name: str) -> Iterator[str]:
    """What is wrong with the inputs of the loop `name`, its steps left out."""
    if ("Iterators" in inputs) == ("LoopCondition" in inputs):
        yield f"Loop {name} must have exactly one of Iterators and LoopCondition."
    if "LoopCondition" in inputs:
        condition = inputs["LoopCondition"]
        if isinstance(condition, Mapping):
            yield from condition_faults(condition, name=name)
        else:
            yield f"LoopCondition of step {name} must be a map."
    yield from _iterator_faults(inputs, name)
    limit = inputs.get("MaxIterations", 1)
    number = values.as_integer(limit)
    if not references.holds_any(limit) and (number is None or not 1 <= number <= MAX_ITERATIONS):
        yield f"MaxIterations of loop {name} must be from 1 to {MAX_ITERATIONS}, not {values.shown(limit)}."


def _iterator_faults(inputs: Mapping[str, Any], name: str) -> Iterator[str]:
    iterators = inputs.get("Iterators", [])
    if isinstance(iterators, list):
        if len(iterators) > MAX_ITERATIONS:
            yield f"Loop {name} has {len(iterators)} iterators; at most {MAX_ITERATIONS} are allowed."
    elif not references.holds_any(iterators):
        yield f"Iterators of loop {name} must be a list or a reference to one."
    if inputs.get("IteratorDataType", "String") not in _ITERATOR_TYPES:
        yield f"IteratorDataType of loop {name} must be one of {', '.join(_ITERATOR_TYPES)}."


def condition_faults(condition: Mapping[str, Any], *, name: str) -> Iterator[str]:
    """What is wrong with a condition of the step `name`; a choice's NextStep is no part of it."""
    combined = [word for word in (AND, OR, NOT) if word in condition]
    if not combined:
        yield from _comparison_faults(condition, name)
        return
    if len(condition) > 1:
        yield f"A condition of step {name} has more than one operator: {', '.join(condition)}."
    word = combined[0]
    if word == NOT:
        parts = [condition[NOT]]
    else:
        parts = condition[word] if isinstance(condition[word], list) else []
        if len(parts) < 2:
            # The service's own spelling.
            yield f"Expect at lease two expressions for operator: {word} in step: {name}. Provided: {len(parts)}"
    for part in parts:
        if isinstance(part, Mapping):
            yield from condition_faults(part, name=name)
        else:
            yield f"Condition {values.shown(part)} of step {name} must be a map."


def _comparison_faults(condition: Mapping[str, Any], name: str) -> Iterator[str]:
    if VARIABLE not in condition:
        yield f'Missing "{VARIABLE}" in a condition of step {name}.'
    operators = [key for key in condition if key != VARIABLE]
    for operator in operators:
        if operator not in OPERATORS:
            yield f"Unsupported operator: {operator} in step: {name}."
    if len(operators) != 1:
        yield f"A condition of step {name} must have one operator, not {len(operators)}."
    for key, operand in condition.items():
        if isinstance(operand, Mapping | list) or operand is None:
            yield f"{key} of a condition of step {name} must be a text, a number or a boolean."
