"""A document's parameters get their values: what the start gives, else the default; types, constraints, wire limits.

Source: Systems Manager User Guide, "Data elements and parameters"; StartAutomationExecution's model; the texts of the
refusals are the service's where somebody has recorded them.
"""

import json
from collections.abc import Mapping
from typing import Any

from localcloud.automation import java_patterns, references, values
from localcloud.automation.document import Parameter, Runbook, ValueType
from localcloud.automation.refusals import InvalidParameters as InvalidParameters  # noqa: PLC0414 - named here for callers

MAX_PARAMETERS = 200
MAX_NAME = 50
MAX_ELEMENTS = 50
MAX_CHARACTERS = 512
# An empty text is legal for all of them: documents say "" for "none given".
AWS_TYPES: Mapping[str, str] = {
    "AWS::EC2::Instance::Id": r"^m?i-([a-z0-9]{8}|[a-z0-9]{17})$",
    "AWS::S3::Bucket::Name": r"^[0-9a-z][a-z0-9\-\.]{3,63}$",
    "AWS::IAM::Role::Arn": r"^arn:(aws|aws-cn|aws-us-gov|aws-iso|aws-iso-b):iam::[0-9]{12}:role/.*$",
}


def bind(runbook: Runbook, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an execution, by name.

    `given`: as the API has them (lists of texts, also for scalars, maps as JSON text) or plain values (a command line,
    a parent's RuntimeParameters). References in defaults are still there: they are resolved once, whenever the
    parameter is used, so that dates are those of the step. Raises InvalidParameters.
    """
    if len(given) > MAX_PARAMETERS:
        raise InvalidParameters(f"{len(given)} parameters are given; at most {MAX_PARAMETERS} are allowed.")
    unknown = sorted(set(given) - set(runbook.parameters))
    if unknown:
        raise InvalidParameters(f"Unknown parameters: [{', '.join(unknown)}]. They are not in the document.")
    bound: dict[str, Any] = {}
    for name, parameter in runbook.parameters.items():
        if name in given:
            bound[name] = _given(parameter, given[name])
        elif parameter.default is None:
            raise InvalidParameters(f"Missing required parameter: {name} in user inputs.")
        else:
            bound[name] = parameter.default
    return bound


def stored_names(runbook: Runbook) -> frozenset[str]:
    """The `ssm:` names in the parameters' defaults: the start must read them from Parameter Store."""
    return frozenset(
        reference.name
        for parameter in runbook.parameters.values()
        for reference in references.in_value(parameter.default)
        if reference.kind is references.Kind.STORED
    )


def _given(parameter: Parameter, given: Any) -> Any:
    _require_wire_limits(parameter.name, given)
    value = _typed(parameter, given)
    _require_allowed(parameter, value)
    return value


def _require_wire_limits(name: str, given: Any) -> None:
    if not 1 <= len(name) <= MAX_NAME:
        raise InvalidParameters(f'Parameter name "{name}" must have 1 to {MAX_NAME} characters.')
    listed = given if isinstance(given, list | tuple) else [given]
    if len(listed) > MAX_ELEMENTS:
        raise InvalidParameters(f'Parameter "{name}" has {len(listed)} values; at most {MAX_ELEMENTS} are allowed.')
    for each in listed:
        if len(values.as_text(each)) > MAX_CHARACTERS:
            raise InvalidParameters(f'Parameter "{name}" has a value of over {MAX_CHARACTERS} characters.')


def _typed(parameter: Parameter, given: Any) -> Any:
    kind = parameter.type
    listed = list(given) if isinstance(given, list | tuple) else [given]
    if None in listed:
        found: Any = None
    elif kind is ValueType.STRING_LIST:
        found = [values.as_text(each) for each in listed]
    elif kind is ValueType.MAP_LIST:
        found = _maps(listed)
    elif len(listed) != 1:
        raise InvalidParameters(
            f'Parameter "{parameter.name}" is of the type {kind.value}, but {len(listed)} values are given.'
        )
    elif kind is ValueType.STRING_MAP:
        found = (_maps(listed) or [None])[0]
    else:
        found = {
            ValueType.STRING: values.as_text,
            ValueType.INTEGER: values.as_integer,
            ValueType.BOOLEAN: values.as_boolean,
        }[kind](listed[0])
    if found is None:
        raise InvalidParameters(f'Parameter "{parameter.name}" has a value that is no {kind.value}.')
    return found


def _maps(listed: list[Any]) -> list[Any] | None:
    """The maps that the elements are or say in JSON; one text may say a whole list of them. None if one is no map."""
    found: list[Any] = []
    for each in listed:
        try:
            said = json.loads(each) if isinstance(each, str) else each
        except (ValueError, RecursionError):
            return None
        found += said if isinstance(said, list) else [said]
    return found if all(isinstance(each, Mapping) for each in found) else None


def _require_allowed(parameter: Parameter, value: Any) -> None:
    listed = value if isinstance(value, list) else [value]
    texts = [values.as_text(each) for each in listed]
    allowed = [values.as_text(each) for each in parameter.allowed_values]
    for text in texts if allowed else ():
        if text not in allowed:
            raise InvalidParameters(
                f'Parameter "{parameter.name}" has value "{text}" not found in [{", ".join(allowed)}].'
            )
    for pattern in filter(None, (parameter.allowed_pattern, AWS_TYPES.get(element_type(parameter.aws_type)))):
        _require_pattern(parameter, pattern, texts)
    _require_sizes(parameter, value, texts)


def element_type(aws_type: str) -> str:
    """`AWS::S3::Bucket::Name` of itself and of `List<AWS::S3::Bucket::Name>`."""
    return aws_type.removeprefix("List<").removesuffix(">")


def _require_pattern(parameter: Parameter, pattern: str, texts: list[str]) -> None:
    compiled = java_patterns.compiled(pattern)
    aws = pattern != parameter.allowed_pattern
    for text in texts:
        if compiled is not None and not (aws and not text) and compiled.fullmatch(text) is None:
            raise InvalidParameters(f'Parameter "{parameter.name}" has value "{text}" not matching "{pattern}".')


def _require_sizes(parameter: Parameter, value: Any, texts: list[str]) -> None:
    if isinstance(value, list):
        _require_between(parameter, "items", len(value), parameter.min_items, parameter.max_items)
    elif isinstance(value, str):
        _require_between(parameter, "characters", len(texts[0]), parameter.min_chars, parameter.max_chars)


def _require_between(parameter: Parameter, what: str, size: int, least: int | None, most: int | None) -> None:
    if (least is not None and size < least) or (most is not None and size > most):
        bounds = " and ".join(
            f"{word} {bound}" for word, bound in (("at least", least), ("at most", most)) if bound is not None
        )
        raise InvalidParameters(f'Parameter "{parameter.name}" has {size} {what}; {bounds} are allowed.')
