"""Whether a content is an Automation document: all that CreateDocument refuses, or the runbook that it says.

Source: the errors of CreateDocument that have been recorded, and the rules of the Systems Manager User Guide; `choices`
lists what nobody has written down.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.automation import control_flow, declarations, references, steps, values
from localcloud.automation.document import Runbook
from localcloud.automation.parsing import require_plain
from localcloud.automation.refusals import InvalidDocument as InvalidDocument  # noqa: PLC0414 - for callers

SCHEMA_VERSION = "0.3"
_FIELDS = frozenset(
    {"schemaVersion", "description", "assumeRole", "parameters", "variables", "mainSteps", "outputs", "files"}
)
CHANGE_TEMPLATE = frozenset({"templateInformation", "executableRunBooks", "emergencyChange", "autoApprovable"})


def runbook(content: Mapping[str, Any]) -> Runbook:
    """The runbook that a content says; raises InvalidDocument with the first of its problems."""
    for problem in _problems(content):
        raise InvalidDocument(problem)
    return _built(content)


def problems(content: Mapping[str, Any]) -> list[str]:
    """Everything that CreateDocument would refuse, each once, in the order of the checks; empty for a good document."""
    try:
        return list(dict.fromkeys(_problems(content)))
    except InvalidDocument as error:
        return [str(error)]


def _problems(content: Any) -> Iterator[str]:
    require_plain(content)
    if not isinstance(content, Mapping):
        yield "The document must be a map."
        return
    yield from _top_faults(content)
    main = content.get("mainSteps")
    if not isinstance(main, list) or not main:
        yield 'Missing "mainSteps" in the document.'
        main = []
    parameters, variables = _maps(content, "parameters"), _maps(content, "variables")
    declared = list(declarations.parameter_faults(parameters))
    yield from declared
    yield from declarations.variable_faults(variables)
    parameters, variables = (each if isinstance(each, Mapping) else {} for each in (parameters, variables))
    yield from _name_faults(main)
    around = steps.Around(
        actions=steps.own_actions(main),
        parameters={} if declared else declarations.parameters_of(parameters),
        names=frozenset({*parameters, *variables}),
        variables=frozenset(variables),
    )
    found = [problem for step in main for problem in steps.step_faults(step, around)]
    yield from found
    yield from declarations.output_faults(_or(content.get("outputs"), []), dict(steps.named(main)))
    yield from declarations.file_faults(_maps(content, "files"))
    yield from _role_faults(content.get("assumeRole"), around.names)
    if main and not found:
        yield from control_flow.cycles([steps.step_of(step) for step in main])


def _top_faults(content: Mapping[str, Any]) -> Iterator[str]:
    for key in content:
        if key not in _FIELDS | CHANGE_TEMPLATE:
            yield f'Unknown property "{key}".'
    version = content.get("schemaVersion")
    if version is None:
        yield 'Missing "schemaVersion" in the document.'
    elif values.as_text(version) != SCHEMA_VERSION:
        yield f"The schema version {values.as_text(version)} is not supported for Automation documents."
    if not isinstance(content.get("description", ""), str | None):
        yield '"description" must be text.'
    runbooks = content.get("executableRunBooks", [])
    if not isinstance(runbooks, list) or not all(isinstance(each, Mapping) and "name" in each for each in runbooks):
        yield '"executableRunBooks" must be a list of maps with a name.'


def _name_faults(main: list[Any]) -> Iterator[str]:
    if any(count > 1 for name, count in Counter(name for name, _ in steps.named(main)).items() if name):
        yield "Duplicate step names found in mainSteps of the document."


def _role_faults(role: Any, names: frozenset[str]) -> Iterator[str]:
    if role is None:
        return
    if not isinstance(role, str):
        yield '"assumeRole" must be text.'
        return
    for found in references.in_text(role):
        if found.kind is not references.Kind.PARAMETER:
            yield f'"assumeRole" may hold the reference to a parameter only, not {{{{{found.text}}}}}.'
        elif found.text not in names:
            yield f'Parameter "{found.text}" is not declared.'


def _built(content: Mapping[str, Any]) -> Runbook:
    return Runbook(
        steps=tuple(steps.step_of(step) for step in content["mainSteps"]),
        description=content.get("description") or "",
        assume_role=content.get("assumeRole") or "",
        parameters=declarations.parameters_of(_maps(content, "parameters")),
        variables=declarations.variables_of(_maps(content, "variables")),
        outputs=tuple(_or(content.get("outputs"), [])),
        files=_maps(content, "files"),
    )


def _maps(content: Mapping[str, Any], key: str) -> Any:
    return _or(content.get(key), {})


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value
