"""Template parameters: what the caller gave, held to the constraints, converted for use.

Source: CloudFormation user guide, "Parameters" (types, constraints, and the wording of refusals).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.aws.cloudformation.template import Template, invalid

MASKED = "****"

_LISTS = re.compile(r"(?:CommaDelimitedList|List<.+>)")
_KNOWN = re.compile(
    r"String|Number|CommaDelimitedList|List<Number>|List<String>|AWS::SSM::Parameter::(?:Name|Value<String>)"
    r"|(?:List<)?AWS::EC2::(?:VPC::Id|Subnet::Id|SecurityGroup::Id|SecurityGroup::GroupName|KeyPair::KeyName"
    r"|AvailabilityZone::Name|Image::Id|Instance::Id|Volume::Id)>?"
)

# Says whether a value of an AWS-specific type exists in the account; the type is given without List<>.
Existing = Callable[[str, str], bool]


def given_values(
    template: Template, given: Mapping[str, str | None], previous: Mapping[str, str], *, exists: Existing
) -> dict[str, str]:
    """The text of every parameter: as given, kept from before (None means UsePreviousValue), or its default.

    Raises ValidationError for unknown, missing and refused values.
    """
    unknown = sorted(set(given) - set(template.parameters))
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values, missing = {}, []
    for name, definition in template.parameters.items():
        text = given.get(name, None if name in given else definition.get("Default"))
        if text is None and name in given:
            if name not in previous:
                raise invalid(f"Parameters: [{name}] must have values")
            text = previous[name]
        if text is None:
            missing.append(name)
            continue
        values[name] = _as_text(text)
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    for name, text in values.items():
        _check(name, template.parameters[name], text, exists=exists)
    return values


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def usable(template: Template, values: Mapping[str, str]) -> dict[str, Any]:
    """The values as Ref yields them: lists for list types, text for the rest."""
    made: dict[str, Any] = {}
    for name, text in values.items():
        is_list = _LISTS.fullmatch(_type(template.parameters[name]))
        made[name] = [part.strip() for part in text.split(",")] if is_list and text else [] if is_list else text
    return made


def shown(template: Template, values: Mapping[str, str]) -> list[dict[str, str]]:
    """Parameters as DescribeStacks shows them: NoEcho ones masked."""
    return [
        {"ParameterKey": name, "ParameterValue": MASKED if is_hidden(template.parameters[name]) else text}
        for name, text in values.items()
    ]


def is_hidden(definition: Mapping[str, Any]) -> bool:
    """Whether a parameter is NoEcho."""
    return str(definition.get("NoEcho", "false")).lower() == "true"


def _type(definition: Mapping[str, Any]) -> str:
    return str(definition.get("Type", "String"))


def _check(name: str, definition: Mapping[str, Any], text: str, *, exists: Existing) -> None:
    kind = _type(definition)
    if not _KNOWN.fullmatch(kind):
        raise invalid(f"Template format error: Unrecognized parameter type: {kind}")
    is_list = bool(_LISTS.fullmatch(kind))
    parts = [part.strip() for part in text.split(",")] if is_list else [text]
    explanation = definition.get("ConstraintDescription")

    def refuse(message: str) -> Exception:
        return invalid(f"Parameter '{name}' {explanation or message}")

    allowed = [_as_text(value) for value in definition.get("AllowedValues", [])]
    pattern = definition.get("AllowedPattern")
    for part in parts:
        if allowed and part not in allowed:
            raise refuse(f"must be one of AllowedValues [{', '.join(allowed)}]")
        if pattern is not None and not re.fullmatch(str(pattern), part):
            raise refuse(f"must match pattern {pattern}")
        if "Number" in kind:
            _check_number(part, definition, refuse)
    if "MinLength" in definition and len(text) < int(definition["MinLength"]):
        raise refuse(f"must contain at least {definition['MinLength']} characters")
    if "MaxLength" in definition and len(text) > int(definition["MaxLength"]):
        raise refuse(f"must contain at most {definition['MaxLength']} characters")
    if "AWS::EC2::" in kind:
        _check_existing(name, kind, parts, exists)


def _check_number(part: str, definition: Mapping[str, Any], refuse: Callable[[str], Exception]) -> None:
    try:
        number = float(part)
    except ValueError:
        raise refuse("must be a number") from None
    if "MinValue" in definition and number < float(definition["MinValue"]):
        raise refuse(f"must be a number not less than {definition['MinValue']}")
    if "MaxValue" in definition and number > float(definition["MaxValue"]):
        raise refuse(f"must be a number not greater than {definition['MaxValue']}")


def _check_existing(name: str, kind: str, parts: list[str], exists: Existing) -> None:
    single = kind.removeprefix("List<").removesuffix(">")
    for part in parts:
        if not exists(single, part):
            raise invalid(
                f"Parameter validation failed: parameter value {part} for parameter name {name} does not exist"
            )
