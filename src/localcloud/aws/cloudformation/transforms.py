"""Transforms that a template asks for where it needs them: AWS::Include, a part of the template that lies in S3.

Carried out before anything is planned, with the parameters' values; the text that was given stays what it was, so that
an update with the previous template includes anew. Other macros are refused by their names.

Source: CloudFormation template reference, "AWS::Include transform", "Fn::Transform".
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import yaml

from localcloud.aws.cloudformation.functions import Resolver
from localcloud.aws.cloudformation.parameters import usable
from localcloud.aws.cloudformation.template import Template, invalid, recheck
from localcloud.errors import ServiceError

AUTO_EXPAND = "CAPABILITY_AUTO_EXPAND"
INCLUDE = "AWS::Include"
_FUNCTION = "Fn::Transform"

Read = Callable[[str, str], str]  # bucket and key → text; raises ServiceError


def transforms_of(template: Template) -> list[str]:
    """The names of the transforms that a template asks for, each once."""
    asked = _asked([resource.properties for resource in template.resources.values()])
    return sorted({str(each.get("Name", "")) for each in asked})


def expanded(template: Template, values: Mapping[str, str], pseudo: Mapping[str, Any], *, read: Read) -> Template:
    """The template with what it includes in its place.

    Raises ValidationError if something cannot be included, or is no part of a template; the service tells the same as
    the reason of a change set that failed.
    """
    if not transforms_of(template):
        return template
    resolver = Resolver(template, usable(template, values), pseudo)
    resources = {
        name: replace(resource, properties=_expanded(resource.properties, resolver, read))
        for name, resource in template.resources.items()
    }
    made = replace(template, resources=resources)
    recheck(made)
    return made


def _asked(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, list):
        for each in node:
            yield from _asked(each)
    elif isinstance(node, Mapping):
        if isinstance(node.get(_FUNCTION), Mapping):
            yield node[_FUNCTION]
        for each in node.values():
            yield from _asked(each)


def _expanded(node: Any, resolver: Resolver, read: Read) -> Any:
    if isinstance(node, list):
        return [_expanded(each, resolver, read) for each in node]
    if not isinstance(node, Mapping):
        return node
    rest = {key: _expanded(each, resolver, read) for key, each in node.items() if key != _FUNCTION}
    if _FUNCTION not in node:
        return rest
    return {**rest, **_included(node[_FUNCTION], resolver, read)}


def _included(asked: Any, resolver: Resolver, read: Read) -> dict[str, Any]:
    if not isinstance(asked, Mapping) or asked.get("Name") != INCLUDE:
        name = asked.get("Name") if isinstance(asked, Mapping) else asked
        raise invalid(f"No transform named {name} found. (The local cloud has {INCLUDE} alone.)")
    location = resolver.resolve((asked.get("Parameters") or {}).get("Location", ""))
    place = urlsplit(str(location))
    if place.scheme != "s3" or not place.netloc or not place.path.strip("/"):
        raise _failed(f"The value for parameter Location must be a valid S3 URI, not {location}")
    try:
        text = read(place.netloc, place.path.lstrip("/"))
    except ServiceError as error:
        raise _failed(error.message) from error
    return _snippet(text)


def _snippet(text: str) -> dict[str, Any]:
    try:
        # Plain YAML: the short forms of functions are not known in a snippet, as in the service.
        found = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise _failed("The specified S3 object's content should be valid Yaml/JSON") from error
    if not isinstance(found, dict):
        raise _failed("The specified S3 object's content should be valid Yaml/JSON")
    if list(_asked(found)):
        raise _failed("a snippet that itself includes is not supported by the local cloud")
    return found


def _failed(reason: str) -> ServiceError:
    return invalid(f"Transform {INCLUDE} failed with: {reason}.")
