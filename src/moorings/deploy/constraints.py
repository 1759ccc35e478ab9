"""Whether a template's parameters take the values that are given, judged as CloudFormation will in the end.

It is asked before anything is made; CloudFormation itself looks when a stack is planned, which may be after another
stack stands. What only an account knows (whether a VPC exists) is left to it.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from moorings.deploy import templates
from moorings.errors import Misconfigured

_SHOWN = 60  # characters of a value: an armoured key is longer than a line


def require_fitting(text: str, given: Mapping[str, str]) -> None:
    """Misconfigured for the first value that a parameter of the template does not take; it must have that parameter."""
    definitions = yaml.safe_load(templates.section(text, "Parameters"))
    for name, value in given.items():
        definition = definitions[name]
        is_list = definition["Type"].startswith(("CommaDelimitedList", "List<"))
        parts = [part.strip() for part in value.split(",")] if is_list else [value]
        if all(_fits(definition, part) for part in parts) and len(value) <= definition.get("MaxLength", len(value)):
            continue
        shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
        raise Misconfigured(
            f"{name} {_wanted(definition)}, and {shown!r} was given", remedy="correct it; nothing was made yet"
        )


def _fits(definition: Mapping[str, Any], value: str) -> bool:
    allowed = [str(each) for each in definition.get("AllowedValues", ())]
    if allowed and value not in allowed:
        return False
    if "AllowedPattern" in definition and not re.fullmatch(definition["AllowedPattern"], value):
        return False
    return definition["Type"] != "Number" or _is_number(definition, value)


def _is_number(definition: Mapping[str, Any], value: str) -> bool:
    try:
        number = float(value)
    except ValueError:
        return False
    return bool(definition.get("MinValue", number) <= number <= definition.get("MaxValue", number))


def _wanted(definition: Mapping[str, Any]) -> str:
    if said := definition.get("ConstraintDescription"):
        return str(said)
    if allowed := definition.get("AllowedValues"):
        return f"must be one of {', '.join(map(str, allowed))}"
    if definition["Type"] == "Number":
        return f"must be a number from {definition.get('MinValue', 'any')} to {definition.get('MaxValue', 'any')}"
    return f"must have {definition['MaxLength']} characters at most"
