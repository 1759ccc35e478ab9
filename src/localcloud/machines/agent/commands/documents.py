"""A received document of type Command: which steps it has, with their parameters filled in.

Schemas 2.0 to 2.2 (`mainSteps`) and 1.0, 1.2 (`runtimeConfig`, one step named after its plugin).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.machines.agent.commands.substitution import Lookup, Unreadable, replaced, values, with_stored_parameters

OLD_SCHEMAS = frozenset({"1.0", "1.2"})
SCHEMAS = frozenset({"2.0", "2.0.1", "2.0.2", "2.0.3", "2.2"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; `runs` holds the inputs of each of its plugin's runs (one, but for old schemas)."""

    name: str
    action: str
    runs: tuple[dict[str, Any], ...]
    precondition: dict[str, list[str]]
    on_failure: str = ""  # exit | successAndExit
    on_success: str = ""  # exit
    always: bool = False  # finallyStep: runs also after the document has been left

    def unmet(self, platform: str) -> str:
        """Why the precondition does not hold on this platform, in the agent's words; empty if it does."""
        for operator, operands in self.precondition.items():
            if operator != "StringEquals" or len(operands) != 2:
                return f"unrecognized preconditions: '\"{operator}\": [{', '.join(operands)}]'"
            left, right = (platform if word == "platformType" else word for word in operands)
            if left.lower() != right.lower() if "platformType" in operands else left != right:
                return f"unsatisfied preconditions: '\"{operator}\": [{', '.join(operands)}]'"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What one command runs."""

    command_id: str
    name: str
    steps: tuple[Step, ...]
    parameters: Mapping[str, Any]  # every declared one's value


def parse(content: str, lookup: Lookup) -> Document:
    """The document inside a message's content; Unreadable with the reason that the service is told."""
    try:
        message = json.loads(content)
        command_id, document = str(message["CommandId"]), message["DocumentContent"]
        schema = str(document["schemaVersion"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"Encountered error while parsing input - {error}") from error
    if schema not in OLD_SCHEMAS | SCHEMAS:
        raise Unreadable(
            f"Document with schema version {schema} is not supported by this version of ssm agent, "
            "please update to latest version"
        )
    given = with_stored_parameters(message.get("Parameters") or {}, lookup)
    document = with_stored_parameters(document, lookup)
    parameters = values(document.get("parameters") or {}, given)
    steps = _old_steps(document, parameters) if schema in OLD_SCHEMAS else _steps(document, parameters)
    if not steps:
        raise Unreadable("Unsupported schema format: the document has no steps")
    return Document(
        command_id=command_id, name=str(message.get("DocumentName", "")), steps=steps, parameters=parameters
    )


def _steps(document: dict[str, Any], parameters: dict[str, Any]) -> tuple[Step, ...]:
    found = []
    for raw in document.get("mainSteps") or ():
        inputs = replaced(raw.get("inputs") or {}, parameters)
        flow = {**raw, **inputs}  # either place is understood
        found.append(
            Step(
                name=str(raw["name"]),
                action=str(raw["action"]),
                runs=(inputs,),
                precondition=_precondition(raw.get("precondition") or {}, parameters),
                on_failure=str(flow.get("onFailure", "")),
                on_success=str(flow.get("onSuccess", "")),
                always=str(flow.get("finallyStep", "")).lower() == "true",
            )
        )
    return tuple(found)


def _precondition(raw: dict[str, Any], parameters: dict[str, Any]) -> dict[str, list[str]]:
    return {operator: [str(word) for word in replaced(operands, parameters)] for operator, operands in raw.items()}


def _old_steps(document: dict[str, Any], parameters: dict[str, Any]) -> tuple[Step, ...]:
    found = []
    for action, configuration in (document.get("runtimeConfig") or {}).items():
        properties = replaced(configuration.get("properties"), parameters)
        runs = properties if isinstance(properties, list) else [properties or {}]
        found.append(Step(name=action, action=action, runs=tuple(runs), precondition={}))
    return tuple(found)
