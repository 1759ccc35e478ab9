"""The parameters of SendCommand: checked against the document's declarations, and typed for the agent.

The agent itself checks patterns only and runs whatever else is wrong, so all of it is refused here.
Source: InvalidParameters and AllowedPattern in the service's model; Systems Manager User Guide, "Data elements and
parameters"; the recordings of the agent for the form in which values travel.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localcloud.automation import java_patterns
from localcloud.errors import ServiceError

Given = Mapping[str, Sequence[str]]
Declared = Mapping[str, Mapping[str, Any]]

_SCALARS = frozenset({"String", "Integer", "Boolean", "StringMap"})  # one value, not a list of them
_INTEGER = re.compile(r"-?[0-9]+")
# Resolved by the agent, which then checks the pattern.
_FROM_STORE = re.compile(r"\{\{\s*ssm(-secure)?:")


def bind(declared: Declared, given: Given) -> dict[str, Any]:
    """The given values, typed as the document declares them; defaults are left to the agent.

    Raises ServiceError InvalidParameters, naming the parameter.
    """
    for name in given:
        if name not in declared:
            raise _invalid(f"Document does not have a parameter named {name}.")
    for name, declaration in declared.items():
        if name not in given and "default" not in declaration:
            raise _invalid(f"Parameter {name} is required and was not given.")
    return {name: _bound(name, declared[name], list(values)) for name, values in given.items()}


def _bound(name: str, declaration: Mapping[str, Any], values: list[str]) -> Any:
    kind = declaration["type"]
    if kind in _SCALARS and len(values) != 1:
        raise _invalid(f"Parameter {name} of the type {kind} takes one value; {len(values)} were given.")
    _require_counts(name, declaration, values)
    for value in values:
        _require_value(name, declaration, value)
    return _TYPED[kind](name, values)


def _require_counts(name: str, declaration: Mapping[str, Any], values: list[str]) -> None:
    low, high = declaration.get("minItems"), declaration.get("maxItems")
    if low is not None and len(values) < int(low):
        raise _invalid(f"Parameter {name} takes at least {low} values.")
    if high is not None and len(values) > int(high):
        raise _invalid(f"Parameter {name} takes at most {high} values.")


def _require_value(name: str, declaration: Mapping[str, Any], value: str) -> None:
    low, high = declaration.get("minChars"), declaration.get("maxChars")
    if low is not None and len(value) < int(low):
        raise _invalid(f"A value of parameter {name} has at least {low} characters.")
    if high is not None and len(value) > int(high):
        raise _invalid(f"A value of parameter {name} has at most {high} characters.")
    allowed = declaration.get("allowedValues")
    if allowed and value not in [_as_text(one) for one in allowed]:
        raise _invalid(f"Parameter {name} must be one of {', '.join(_as_text(one) for one in allowed)}.")
    pattern = declaration.get("allowedPattern")
    compiled = java_patterns.compiled(str(pattern)) if pattern and not _FROM_STORE.search(value) else None
    if compiled and not compiled.fullmatch(value):
        raise _invalid(f"A value of parameter {name} does not match the allowed pattern {pattern}.")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _integer(name: str, values: list[str]) -> int:
    if not _INTEGER.fullmatch(values[0]):
        raise _invalid(f"Parameter {name} is not an Integer.")
    return int(values[0])


def _boolean(name: str, values: list[str]) -> bool:
    if values[0].lower() not in ("true", "false"):
        raise _invalid(f"Parameter {name} is not a Boolean.")
    return values[0].lower() == "true"


def _map(name: str, values: list[str]) -> dict[str, Any]:
    return _object(name, values[0])


def _maps(name: str, values: list[str]) -> list[dict[str, Any]]:
    return [_object(name, value) for value in values]


def _object(name: str, value: str) -> dict[str, Any]:
    try:
        found = json.loads(value)
    except ValueError as error:
        raise _invalid(f"A value of parameter {name} is not JSON.") from error
    if not isinstance(found, dict):
        raise _invalid(f"A value of parameter {name} is not a map.")
    return found


_TYPED: Mapping[str, Callable[[str, list[str]], Any]] = {
    "String": lambda _, values: values[0],
    "StringList": lambda _, values: values,
    "Integer": _integer,
    "Boolean": _boolean,
    "StringMap": _map,
    "MapList": _maps,
}


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameters", message)
