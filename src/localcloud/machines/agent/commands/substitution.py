"""Parameters in a document: `{{ name }}` and `{{ssm:name}}`, replaced as the agent does.

The agent checks only allowedPattern; all else is the service's business when the command is sent. A value that is the
whole text keeps its type, inside a longer text it is written as JSON (a text as it is).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.machines.agent.places import go_json

_REFERENCE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
_STORED = re.compile(r"\{\{\s*(ssm|ssm-secure):([A-Za-z0-9_./:-]+)\s*\}\}")

# (names, decrypted?) -> values by name; Unreadable if one is missing.
Lookup = Callable[[list[str], bool], Mapping[str, str]]


class Unreadable(Exception):
    """The message is no document that this agent can run; the text is the trace output."""


def values(declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every declared parameter's value: given, else its default, else None. Unreadable if a pattern is violated."""
    found: dict[str, Any] = {}
    for name, definition in declared.items():
        value = given.get(name, definition.get("default"))
        pattern = definition.get("allowedPattern")
        if pattern and value is not None:
            for text in value if isinstance(value, list) else [value]:
                if not re.search(pattern, str(text)):
                    raise Unreadable(f"Parameter value for {name} does not match the allowed pattern {pattern}")
        found[name] = value
    return found


def replaced(value: Any, parameters: Mapping[str, Any]) -> Any:
    """`value` with every reference to a known parameter replaced; unknown ones stay as they are."""
    if isinstance(value, list):
        return [replaced(entry, parameters) for entry in value]
    if isinstance(value, dict):
        return {key: replaced(entry, parameters) for key, entry in value.items()}
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value.strip())
    if whole and whole[1] in parameters and not isinstance(parameters[whole[1]], str):
        return parameters[whole[1]]
    return _REFERENCE.sub(lambda found: _text(parameters[found[1]]) if found[1] in parameters else found[0], value)


def with_stored_parameters(content: Any, lookup: Lookup) -> Any:
    """`content` with the values of the parameter store in place of `{{ssm:name}}` and `{{ssm-secure:name}}`."""
    wanted: dict[str, set[str]] = {}
    _collect(content, wanted)
    found = {kind: lookup(sorted(names), kind == "ssm-secure") for kind, names in sorted(wanted.items())}
    return _filled(content, found) if found else content


def go_print(value: Any) -> str:
    """A value as the agent's language prints it in its error messages."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_print(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(go_print(entry) for entry in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else go_json(value)


def _collect(value: Any, wanted: dict[str, set[str]]) -> None:
    if isinstance(value, str):
        for kind, name in _STORED.findall(value):
            wanted.setdefault(kind, set()).add(name)
    elif isinstance(value, (list, dict)):
        for entry in value.values() if isinstance(value, dict) else value:
            _collect(entry, wanted)


def _filled(value: Any, found: Mapping[str, Mapping[str, str]]) -> Any:
    if isinstance(value, str):
        return _STORED.sub(lambda match: found[match[1]][match[2]], value)
    if isinstance(value, list):
        return [_filled(entry, found) for entry in value]
    if isinstance(value, dict):
        return {key: _filled(entry, found) for key, entry in value.items()}
    return value
