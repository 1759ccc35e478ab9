"""The text of a document: read as JSON or YAML, checked as its type demands, written in the other format.

Source: CreateDocument's errors in the service's model; Systems Manager User Guide, "SSM document schema features and
examples" and "Command document plugin reference".
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from localcloud.automation import java_patterns, parsing, validation
from localcloud.aws.ssm.document_model import AUTOMATION, COMMAND
from localcloud.errors import ServiceError, Unsupported

SCHEMAS = ("1.0", "1.2", "2.0", "2.0.1", "2.0.2", "2.0.3", "2.2")
AUTOMATION_SCHEMA = "0.3"
PARAMETER_TYPES = frozenset({"String", "StringList", "Integer", "Boolean", "MapList", "StringMap"})
PLUGINS = frozenset(
    """
    aws:applications aws:cloudWatch aws:configureDocker aws:configurePackage aws:domainJoin aws:downloadContent
    aws:psModule aws:refreshAssociation aws:runDockerAction aws:runDocument aws:runPowerShellScript aws:runShellScript
    aws:softwareInventory aws:updateAgent aws:updateSsmAgent
    """.split()  # noqa: SIM905 - fifteen quoted names read worse
)
# Kept as they are: nothing here reads them.
_STORED = frozenset(
    {"Policy", "Session", "ApplicationConfiguration", "ApplicationConfigurationSchema", "DeploymentStrategy"}
)
_BOUNDS = ("minItems", "maxItems", "minChars", "maxChars")
_NAME = re.compile(r"[a-zA-Z0-9_]{1,128}")
_PARAMETER_NAME = re.compile(r"[a-zA-Z0-9]{1,64}")
_REFERENCE = re.compile(r"\{\{\s*([^{}\s]+?)\s*\}\}")
# What the agent, or the service, resolves besides parameters.
_NOT_PARAMETERS = re.compile(r"(ssm|ssm-secure|global|automation|resource):.+|platformType")


def read(text: str, *, format: str) -> Mapping[str, Any]:  # noqa: A002 - the API's own word
    """What the text says; a TEXT document says nothing here.

    Raises ServiceError InvalidDocumentContent or MaxDocumentSizeExceeded.
    """
    if format == "TEXT":
        return {}
    try:
        return parsing.load(text, format=format)
    except parsing.DocumentTooLarge as error:
        raise ServiceError("MaxDocumentSizeExceeded", str(error)) from error
    except parsing.InvalidDocument as error:
        raise invalid(str(error)) from error


def check(kind: str, content: Mapping[str, Any]) -> None:
    """Return if `content` is a document of the type `kind`.

    Raises ServiceError InvalidDocumentContent or InvalidDocumentSchemaVersion; Unsupported for a type that would do
    nothing here.
    """
    if kind == AUTOMATION:
        _check_automation(content)
    elif kind == COMMAND:
        _check_command(content)
    elif kind not in _STORED:
        raise Unsupported(f"the local cloud does nothing with documents of the type {kind}")


def write(text: str, *, stored: str, wanted: str) -> str:
    """The text in the format `wanted`; as it was given if it is in that format already, or cannot be translated."""
    if stored == wanted or "TEXT" in (stored, wanted):
        return text
    found = read(text, format=stored)
    if wanted == "JSON":
        return json.dumps(found, indent=2, ensure_ascii=False)
    return yaml.safe_dump(dict(found), sort_keys=False, allow_unicode=True)


def invalid(message: str) -> ServiceError:
    """The refusal of a document whose content is wrong."""
    return ServiceError("InvalidDocumentContent", message)


def _check_automation(content: Mapping[str, Any]) -> None:
    if str(content.get("schemaVersion", "")) != AUTOMATION_SCHEMA:
        raise _wrong_schema(content)
    try:
        validation.runbook(content)
    except validation.InvalidDocument as error:
        raise invalid(str(error)) from error


def _check_command(content: Mapping[str, Any]) -> None:
    schema = content.get("schemaVersion")
    if schema not in SCHEMAS:
        raise _wrong_schema(content)
    parameters = content.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise invalid('"parameters" is not a map.')
    if not isinstance(content.get("files") or {}, Mapping):
        raise invalid('"files" is not a map.')
    for name, declared in parameters.items():
        _check_parameter(str(name), declared)
    body = _old_body(content) if str(schema).startswith("1.") else _steps(content)
    for reference in _references(body):
        if reference not in parameters and not _NOT_PARAMETERS.fullmatch(reference):
            raise invalid(f'Parameter "{reference}" is not declared.')


def _wrong_schema(content: Mapping[str, Any]) -> ServiceError:
    given = content.get("schemaVersion")
    if given is None:
        return invalid('Missing "schemaVersion".')
    return ServiceError("InvalidDocumentSchemaVersion", f"The version of the document schema is not supported: {given}")


def _check_parameter(name: str, declared: Any) -> None:
    if not _PARAMETER_NAME.fullmatch(name):
        raise invalid(f'Parameter name "{name}" is not alpha-numeric.')
    kind = declared.get("type") if isinstance(declared, Mapping) else None
    if not isinstance(kind, str) or kind not in PARAMETER_TYPES:
        raise invalid(f'Parameter "{name}" has no type, or one that is not supported.')
    for bound in _BOUNDS:
        if bound in declared and not str(declared[bound]).isdecimal():
            raise invalid(f'{bound} of parameter "{name}" is not a number.')
    if not isinstance(declared.get("allowedValues") or [], list):
        raise invalid(f'allowedValues of parameter "{name}" is not a list.')
    pattern = declared.get("allowedPattern")
    if pattern is not None and java_patterns.compiled(str(pattern)) is None:
        # A pattern that only Java can read would silently let every value through.
        raise Unsupported(f"the local cloud cannot read allowedPattern of parameter {name}: {pattern}")
    if "default" in declared and not _IS[kind](declared["default"]):
        raise invalid(f'The default value of parameter "{name}" is not of the type {kind}.')


def _old_body(content: Mapping[str, Any]) -> Any:
    plugins = content.get("runtimeConfig")
    if not isinstance(plugins, Mapping) or not plugins:
        raise invalid('Missing "runtimeConfig".')
    for plugin, settings in plugins.items():
        _check_plugin(plugin)
        properties = settings.get("properties") if isinstance(settings, Mapping) else None
        if not properties or not isinstance(properties, Mapping | list):
            raise invalid(f'Missing "properties" in {plugin}.')
    return plugins


def _steps(content: Mapping[str, Any]) -> Any:
    steps = content.get("mainSteps")
    if not isinstance(steps, list) or not steps:
        raise invalid('Missing "mainSteps".')
    seen: set[str] = set()
    for step in steps:
        if not isinstance(step, Mapping):
            raise invalid("A step of mainSteps is not a map.")
        for wanted in ("action", "name"):
            if not step.get(wanted):
                raise invalid(f'Missing "{wanted}" in step detail.')
        _check_plugin(step["action"])
        if not isinstance(step["name"], str) or not _NAME.fullmatch(step["name"]):
            raise invalid(f"StepName: {step['name']} is invalid.")
        if step["name"] in seen:
            raise invalid("Duplicate step names found in mainSteps of the document.")
        seen.add(step["name"])
        _check_precondition(step)
        if not isinstance(step.get("inputs") or {}, Mapping):
            raise invalid(f"The inputs of step {step['name']} are not a map.")
    return [step.get("inputs") for step in steps]


def _check_plugin(plugin: Any) -> None:
    if not isinstance(plugin, str) or plugin not in PLUGINS:
        raise invalid(f"Unknown action: {plugin}")


def _check_precondition(step: Mapping[str, Any]) -> None:
    precondition = step.get("precondition")
    if precondition is None:
        return
    operands = precondition.get("StringEquals") if isinstance(precondition, Mapping) else None
    if operands is None or not _is_list_of_text(operands) or len(operands) != 2 or len(precondition) != 1:
        raise invalid(f"The precondition of step {step['name']} is not StringEquals with two operands.")


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (found[1] for found in _REFERENCE.finditer(value))
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _references(member)
    elif isinstance(value, list):
        for member in value:
            yield from _references(member)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


_IS: Mapping[str, Callable[[Any], bool]] = {
    "String": _is_text,
    "StringList": _is_list_of_text,
    "Integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "Boolean": lambda value: isinstance(value, bool),
    "StringMap": lambda value: isinstance(value, Mapping),
    "MapList": lambda value: isinstance(value, list) and all(isinstance(one, Mapping) for one in value),
}
