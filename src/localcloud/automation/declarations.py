"""What a document declares besides its steps: parameters, variables, outputs, attachments. Checks, then values.

The texts are those of CreateDocument where somebody has recorded them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.automation import references, values
from localcloud.automation.document import Parameter, ValueType, Variable
from localcloud.automation.parameters import AWS_TYPES, element_type

_NAME = re.compile(r"[A-Za-z0-9]+")
_VARIABLE_NAME = re.compile(r"[A-Za-z0-9_]+")
_TYPES = {kind.value: kind for kind in ValueType}
_FIELDS = frozenset(
    {
        "type", "description", "default", "allowedValues", "allowedPattern", "displayType",
        "minItems", "maxItems", "minChars", "maxChars", "interpolationType",
    }
)  # fmt: skip
_SIZES = ("minItems", "maxItems", "minChars", "maxChars")
MAX_ATTACHMENTS = 5


def kind_of(declared: Any) -> ValueType | None:
    """The type that a declaration names; None if there is no such type."""
    if not isinstance(declared, str):
        return None
    if element_type(declared) in AWS_TYPES:
        return ValueType.STRING_LIST if declared.startswith("List<") else ValueType.STRING
    return _TYPES.get(declared)


def parameter_faults(declared: Any) -> Iterator[str]:
    """What is wrong with the `parameters` of a document."""
    if not isinstance(declared, Mapping):
        yield '"parameters" must be a map.'
        return
    for name, definition in declared.items():
        if not _NAME.fullmatch(name):
            yield f'Parameter name "{name}" is not alpha-numeric.'
        if not isinstance(definition, Mapping):
            yield f'The definition of parameter "{name}" must be a map.'
        else:
            yield from _definition_faults(name, definition)


def _definition_faults(name: str, definition: Mapping[str, Any]) -> Iterator[str]:
    for field in definition:
        if field not in _FIELDS:
            yield f'Unknown property "{field}" in the definition of parameter "{name}".'
    if "type" not in definition:
        yield 'Missing "type" in parameter definition.'
        return
    kind = kind_of(definition["type"])
    if kind is None:
        yield f"Parameter type: {values.as_text(definition['type'])} is invalid."
        return
    yield from _constraint_faults(name, definition)
    default = definition.get("default")
    if default is None:
        return
    if not _is_default(default, kind):
        yield f'Wrong default value for a "{definition["type"]}" parameters'
    elif isinstance(definition.get("allowedValues"), list):
        yield from _allowed_default_faults(name, default, definition["allowedValues"])


def _constraint_faults(name: str, definition: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(definition.get("allowedValues", []), list):
        yield f'allowedValues of parameter "{name}" must be a list.'
    pattern = definition.get("allowedPattern", "")
    if not isinstance(pattern, str):
        yield f'allowedPattern of parameter "{name}" must be text.'
    if not isinstance(definition.get("description", ""), str | None):
        yield f'description of parameter "{name}" must be text.'
    if definition.get("displayType", "textfield") not in ("textfield", "textarea"):
        yield f'displayType of parameter "{name}" must be textfield or textarea.'
    for field in _SIZES:
        size = definition.get(field, 0)
        if values.as_integer(size) is None or int(size) < 0:
            yield f'{field} of parameter "{name}" must be a number from 0.'


def _is_default(default: Any, kind: ValueType) -> bool:
    if isinstance(default, str) and references.holds_any(default):
        return True  # what it becomes is known at the start
    match kind:
        case ValueType.INTEGER:
            return values.as_integer(default) is not None
        case ValueType.STRING:
            return isinstance(default, str)
        case ValueType.STRING_LIST:
            return isinstance(default, list) and all(isinstance(each, str | int | float) for each in default)
        case _:
            return values.conforms(default, kind)


def _allowed_default_faults(name: str, default: Any, allowed: list[Any]) -> Iterator[str]:
    texts = [values.as_text(each) for each in allowed]
    for each in default if isinstance(default, list) else [default]:
        text = values.as_text(each)
        if text and text not in texts and not references.holds_any(text):
            yield f'Default value of parameter "{name}" is not one of its allowedValues.'


def parameters_of(declared: Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters of a document without faults."""
    return {name: _parameter(name, definition) for name, definition in declared.items()}


def _parameter(name: str, definition: Mapping[str, Any]) -> Parameter:
    kind = kind_of(definition["type"]) or ValueType.STRING
    default = definition.get("default")
    if kind is ValueType.INTEGER and not references.holds_any(default):
        default = values.as_integer(default)
    if kind is ValueType.STRING_LIST and isinstance(default, list):
        default = [values.as_text(each) for each in default]
    sizes = {field: values.as_integer(definition.get(field)) for field in _SIZES}
    return Parameter(
        name=name,
        type=kind,
        aws_type=definition["type"] if element_type(definition["type"]) in AWS_TYPES else "",
        description=definition.get("description") or "",
        default=default,
        allowed_values=tuple(definition.get("allowedValues", ())),
        allowed_pattern=definition.get("allowedPattern", ""),
        min_items=sizes["minItems"],
        max_items=sizes["maxItems"],
        min_chars=sizes["minChars"],
        max_chars=sizes["maxChars"],
    )


def variable_faults(declared: Any) -> Iterator[str]:
    """What is wrong with the `variables` of a document."""
    if not isinstance(declared, Mapping):
        yield '"variables" must be a map.'
        return
    for name, definition in declared.items():
        if not _VARIABLE_NAME.fullmatch(name):
            yield f'Variable name "{name}" is invalid.'
        if not isinstance(definition, Mapping) or "type" not in definition:
            yield f'Missing "type" in the definition of variable "{name}".'
            continue
        kind = _TYPES.get(definition["type"]) if isinstance(definition["type"], str) else None
        default = definition.get("default")
        if kind is None:
            yield f"Variable type: {values.as_text(definition['type'])} is invalid."
        elif default is not None and not _is_default(default, kind):
            yield f'Wrong default value for a "{kind.value}" variable: {name}'


def variables_of(declared: Mapping[str, Any]) -> dict[str, Variable]:
    """The variables of a document without faults."""
    return {
        name: Variable(
            name=name,
            type=_TYPES[definition["type"]],
            default=definition.get("default"),
            description=values.as_text(definition.get("description") or ""),
        )
        for name, definition in declared.items()
    }


def output_faults(declared: Any, steps: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the `outputs` of a document whose steps have these names."""
    if not isinstance(declared, list):
        yield '"outputs" must be a list.'
        return
    for output in declared:
        step, dot, name = output.partition(".") if isinstance(output, str) else ("", "", "")
        if not (step and dot and name):
            yield f"Output {values.shown(output)} is not of the form StepName.OutputName."
        elif step not in steps:
            yield f"Unknown step name in named output: {output}"


def file_faults(declared: Any) -> Iterator[str]:
    """What is wrong with the `files` of a document."""
    if not isinstance(declared, Mapping):
        yield '"files" must be a map.'
        return
    if len(declared) > MAX_ATTACHMENTS:
        yield f"The document has {len(declared)} files; at most {MAX_ATTACHMENTS} are allowed."
    for name, definition in declared.items():
        checksums = definition.get("checksums") if isinstance(definition, Mapping) else None
        if not isinstance(checksums, Mapping) or not isinstance(checksums.get("sha256"), str):
            yield f'File "{name}" must have the checksum sha256.'
