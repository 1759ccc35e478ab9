"""Reading the inputs of a step: what must be there, and of which type. All failures are those of input validation."""

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.automation.actions.wording import invalid_input


def require(inputs: Mapping[str, Any], *names: str) -> None:
    """Fail unless every name has a value."""
    missing = [name for name in names if inputs.get(name) in (None, "")]
    if missing:
        raise invalid_input(f"Missing required input: {', '.join(missing)}")


def only(inputs: Mapping[str, Any], known: Iterable[str]) -> None:
    """Fail if an input has a name that the action does not take."""
    strange = sorted(set(inputs) - set(known))
    if strange:
        raise invalid_input(f"Unknown input: {', '.join(strange)}")


def text(inputs: Mapping[str, Any], name: str, default: str = "") -> str:
    """An input that must be text."""
    value = inputs.get(name, default)
    if value is None:
        return default
    if not isinstance(value, str):
        raise invalid_input(f"Input {name} must be a String, not {_named(value)}")
    return value


def texts(inputs: Mapping[str, Any], name: str) -> list[str]:
    """An input that must be a list of texts; one text stands for a list of one."""
    value = inputs.get(name)
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise invalid_input(f"Input {name} must be a StringList, not {_named(value)}")
    return list(value)


def choice(inputs: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    """An input that is one of a few words; the first is the default."""
    value = text(inputs, name, allowed[0]) or allowed[0]
    if value not in allowed:
        raise invalid_input(f"Input {name} must be one of {', '.join(allowed)}, not {value}")
    return value


def _named(value: Any) -> str:
    kinds = {bool: "Boolean", int: "Integer", str: "String", list: "a list", dict: "a map"}
    return kinds.get(type(value), type(value).__name__)
