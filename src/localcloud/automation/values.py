"""The values that runbooks work with: what type they have, what converts into what, how the API shows them.

A value is what JSON can say: text, integer, boolean, list, map (and, inside maps and lists, number and null).
Source: Systems Manager User Guide, "Using action outputs as inputs"; the wire forms are those of recorded executions.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.automation.document import ValueType
from localcloud.automation.refusals import CannotConvert as CannotConvert  # noqa: PLC0414 - named here for callers

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_BOOLEANS = {"true": True, "false": False}
# The service's answers are written by a library that keeps JSON safe inside HTML: recorded is "=" as \u003d.
_ESCAPED = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "=<>&'\u2028\u2029"})


def convert(value: Any, kind: ValueType) -> Any:
    """`value` as an output, iterator or parameter of the type `kind`; raises CannotConvert where the table ends."""
    converted = _CONVERSIONS[kind](value)
    if converted is None:
        raise CannotConvert(f"{shown(value)} cannot be converted to {kind.value}")
    return converted


def conforms(value: Any, kind: ValueType) -> bool:
    """Whether `value` is of the type `kind` already, without any conversion."""
    match kind:
        case ValueType.STRING:
            return isinstance(value, str)
        case ValueType.INTEGER:
            return is_integer(value)
        case ValueType.BOOLEAN:
            return isinstance(value, bool)
        case ValueType.STRING_LIST:
            return isinstance(value, list) and all(isinstance(each, str) for each in value)
        case ValueType.STRING_MAP:
            return isinstance(value, dict)
        case ValueType.MAP_LIST:
            return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def is_integer(value: Any) -> bool:
    """Whether `value` is an integer; a boolean is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def as_text(value: Any) -> str:
    """`value` as it stands inside a longer text: text as it is, everything else as JSON says it."""
    return value if isinstance(value, str) else compact_json(value)


def as_integer(value: Any) -> int | None:
    """The integer that `value` is or says in decimal; None if it is none."""
    if is_integer(value):
        return int(value)
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value.strip()) else None


def as_boolean(value: Any) -> bool | None:
    """The boolean that `value` is or says (`true`, `False`); None if it is none."""
    if isinstance(value, bool):
        return value
    return _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else None


def compact_json(value: Any) -> str:
    """JSON text without blanks, letters of all languages as they are."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


def shown(value: Any, *, limit: int = 120) -> str:
    """`value` as a message shows it, cut after `limit` characters."""
    text = compact_json(value)
    return text if len(text) <= limit else text[:limit] + "..."


def to_wire(value: Any) -> list[str]:
    """A parameter's or output's value as `Outputs` and `Parameters` of the API show it: a list of texts."""
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [_wire_text(each) for each in value]
    return [_wire_text(value)]


def input_to_wire(value: Any) -> str:
    """A resolved input as `StepExecution.Inputs` shows it: JSON text (`"\\"running\\""`, `"false"`)."""
    return compact_json(value)


def _wire_text(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple):
        return compact_json(value).translate(_ESCAPED)
    return as_text(value)


def _only(value: Any) -> Any:
    """The element of a one-element list, if it is no list or map; else None."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
        return value[0] if isinstance(value[0], str | int | float) else None
    return None


def _to_string(value: Any) -> str | None:
    if value is None:
        return None
    only = _only(value)
    return as_text(value if only is None else only)


def _to_integer(value: Any) -> int | None:
    only = _only(value)
    return as_integer(value if only is None else only)


def _to_boolean(value: Any) -> bool | None:
    only = _only(value)
    return as_boolean(value if only is None else only)


def _to_string_list(value: Any) -> list[str] | None:
    if isinstance(value, list | tuple):
        return None if None in value else [as_text(each) for each in value]
    return None if value is None or isinstance(value, Mapping) else [as_text(value)]


def _to_string_map(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, Mapping) else None


def _to_map_list(value: Any) -> list[Any] | None:
    if isinstance(value, list | tuple) and all(isinstance(each, Mapping) for each in value):
        return list(value)
    return None


_CONVERSIONS = {
    ValueType.STRING: _to_string,
    ValueType.INTEGER: _to_integer,
    ValueType.BOOLEAN: _to_boolean,
    ValueType.STRING_LIST: _to_string_list,
    ValueType.STRING_MAP: _to_string_map,
    ValueType.MAP_LIST: _to_map_list,
}
