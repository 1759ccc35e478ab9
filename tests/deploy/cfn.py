"""Templates as plain data for the tests: short tags become their long form, nothing is resolved."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from moorings.deploy import templates


class _Loader(yaml.SafeLoader):
    pass


def _function(loader: _Loader, suffix: str, node: Any) -> Any:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _function)
# Dates stay text, as in CloudFormation.
_Loader.yaml_implicit_resolvers = {
    key: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for key, found in _Loader.yaml_implicit_resolvers.items()
}


@cache
def template(name: str) -> Mapping[str, Any]:
    """The template `name` of the product."""
    loaded: Mapping[str, Any] = yaml.load(templates.read(name), _Loader)
    return loaded


def of_type(name: str, type_: str) -> dict[str, Any]:
    """Logical id → properties of all resources of a type."""
    found = template(name)["Resources"].items()
    return {key: each.get("Properties", {}) for key, each in found if each["Type"] == type_}


def leaves(value: Any) -> Iterator[Any]:
    """Every scalar below `value`, keys included."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield key
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield value
