"""Templates as values: parsing (JSON or YAML with short tags), the structure CloudFormation insists on, references.

Source: CloudFormation user guide, "Template anatomy" and "Intrinsic function reference".
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from localcloud.errors import ServiceError

INLINE_LIMIT = 51_200  # bytes of TemplateBody
S3_LIMIT = 1_048_576  # bytes of a template given by TemplateURL
RESOURCE_LIMIT = 500

_SECTIONS = {
    "AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings", "Conditions", "Resources",
    "Outputs",
}  # fmt: skip
_REFUSED_SECTIONS = {"Transform", "Hooks"}
_RESOURCE_KEYS = {"Type", "Properties", "DependsOn", "Condition", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"}
_PSEUDO = {
    "AWS::AccountId", "AWS::Region", "AWS::StackName", "AWS::StackId", "AWS::Partition", "AWS::URLSuffix",
    "AWS::NoValue", "AWS::NotificationARNs",
}  # fmt: skip
_SUB_NAME = re.compile(r"\$\{([^!][^}]*)\}")


def invalid(message: str) -> ServiceError:
    """CloudFormation's ValidationError."""
    return ServiceError("ValidationError", message, status=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDefinition:
    """One entry of Resources, as written."""

    logical_id: str
    type: str
    properties: Mapping[str, Any]
    depends_on: tuple[str, ...] = ()
    condition: str = ""
    deletion_policy: str = "Delete"
    update_replace_policy: str = "Delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A parsed template; `text` is the body as it was given."""

    text: str
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)
    mappings: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, ResourceDefinition] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation reads it: short function tags; dates and all keys are text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        pairs = [(key.value, self.construct_object(value, deep=deep)) for key, value in node.value]
        made = dict(pairs)
        if len(made) < len(pairs):
            raise yaml.constructor.ConstructorError(problem="duplicate key", problem_mark=node.start_mark)
        return made


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise yaml.constructor.ConstructorError(problem="unsupported node", problem_mark=node.start_mark)
    return {name: value}


_Loader.add_multi_constructor("!", _tagged)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse(text: str) -> Template:
    """The template in `text`. Raises ValidationError in CloudFormation's words."""
    document = _document(text)
    for section in document:
        if section in _REFUSED_SECTIONS:
            raise invalid(f"Unsupported template section: {section} (not made by the local cloud)")
        if section not in _SECTIONS:
            raise invalid(f"Invalid template property or properties [{section}]")
    resources = document.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise invalid("Template format error: At least one Resources member must be defined.")
    if len(resources) > RESOURCE_LIMIT:
        raise invalid(
            f"Template format error: Number of resources, {len(resources)}, is greater than maximum allowed, 500"
        )
    made = Template(
        text=text,
        description=str(document.get("Description", "")),
        metadata=_section(document, "Metadata"),
        parameters=_section(document, "Parameters"),
        rules=_section(document, "Rules"),
        mappings=_section(document, "Mappings"),
        conditions=_section(document, "Conditions"),
        resources={name: _resource(name, entry) for name, entry in resources.items()},
        outputs=_section(document, "Outputs"),
    )
    recheck(made)
    return made


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, Loader=_Loader)  # noqa: S506
    except (ValueError, yaml.YAMLError) as error:
        raise invalid(f"Template format error: not well-formed. ({str(error).splitlines()[0]})") from error
    if not isinstance(document, dict):
        raise invalid("Template format error: unsupported structure.")
    return document


def _section(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name, {})
    if not isinstance(value, dict):
        raise invalid(f"Template format error: {name} must be an object with members.")
    return value


def _resource(name: str, entry: Any) -> ResourceDefinition:
    if not re.fullmatch(r"[A-Za-z0-9]{1,255}", str(name)):
        raise invalid(f"Template format error: Resource name {name} is non alphanumeric.")
    if not isinstance(entry, dict) or not isinstance(entry.get("Type"), str):
        raise invalid(f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member.")
    unknown = sorted(set(entry) - _RESOURCE_KEYS)
    if unknown:
        raise invalid(f"Invalid template resource property '{unknown[0]}' in [/Resources/{name}]")
    depends = entry.get("DependsOn", [])
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        if entry.get(policy, "Delete") not in {"Delete", "Retain", "RetainExceptOnCreate"}:
            raise invalid(f"Template error: {policy} {entry[policy]!r} of {name} is not supported by the local cloud")
    return ResourceDefinition(
        logical_id=name,
        type=entry["Type"],
        properties=entry.get("Properties") or {},
        depends_on=(depends,) if isinstance(depends, str) else tuple(depends),
        condition=entry.get("Condition", ""),
        deletion_policy=entry.get("DeletionPolicy", "Delete"),
        update_replace_policy=entry.get("UpdateReplacePolicy", "Delete"),
    )


def references(value: Any) -> Iterator[str]:
    """Logical names (of resources, parameters, pseudo parameters) that `value` refers to."""
    if isinstance(value, list):
        for entry in value:
            yield from references(entry)
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            if key == "Ref" and isinstance(entry, str):
                yield entry
            elif key == "Fn::GetAtt" and entry:
                yield entry.split(".")[0] if isinstance(entry, str) else str(entry[0])
            elif key == "Fn::Sub":
                yield from _sub_references(entry)
            else:
                yield from references(entry)


def _sub_references(entry: Any) -> Iterator[str]:
    text, given = (entry[0], entry[1]) if isinstance(entry, list) else (entry, {})
    for name in _SUB_NAME.findall(text):
        if name.strip() not in given:
            yield name.strip().split(".")[0]
    yield from references(given)


def _condition_names(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _condition_names(entry)
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            if key == "Fn::If" and isinstance(entry, list) and entry:
                yield str(entry[0])
            if key == "Condition" and isinstance(entry, str) and len(value) == 1:
                yield entry
            yield from _condition_names(entry)


def recheck(made: Template) -> None:
    """Raise ValidationError for a reference, dependency or condition that the template does not define."""
    known = set(made.parameters) | set(made.resources) | _PSEUDO
    for resource in made.resources.values():
        missing = sorted(set(references(resource.properties)) - known) + sorted(
            set(resource.depends_on) - set(made.resources)
        )
        if missing:
            raise invalid(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] "
                "in the Resources block of the template"
            )
        _check_conditions(made, resource.properties, resource.condition)
    for name, output in made.outputs.items():
        if not isinstance(output, Mapping) or "Value" not in output:
            raise invalid(f"Template format error: Output {name} is malformed.")
        missing = sorted(set(references(output)) - known)
        if missing:
            raise invalid(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] "
                "in the Outputs block of the template"
            )
        _check_conditions(made, output.get("Value"), output.get("Condition", ""))
    _check_conditions(made, made.conditions, "")


def _check_conditions(made: Template, value: Any, own: str) -> None:
    # A condition inside a policy document is also called Condition, but there it never stands alone with a text.
    for name in [own, *_condition_names(value)]:
        if name and name not in made.conditions:
            raise invalid(f"Template format error: Unresolved condition dependency {name} in the template")
