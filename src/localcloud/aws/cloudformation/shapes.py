"""Shapes of resource properties: what a supported type takes, how text becomes numbers, and what is not made.

A reviewed table per resource type is a `Struct`. Whatever a template sets beside it is reported by name, before
anything is made where the value is literal. Parameters arrive as text, so leaves convert as CloudFormation does.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Malformed(ValueError):
    """A property has the wrong type, or a required one is absent; the message carries its JSON pointer."""


class Shape(Protocol):
    """What a property may hold."""

    def unmade(self, value: Any, path: str) -> Iterator[str]:
        """Names (dotted) of the properties inside `value` that are not made; unresolved functions are passed over."""

    def convert(self, value: Any, path: str) -> Any:
        """`value`, fully resolved, in this shape. Raises Malformed."""


def is_function(value: Any) -> bool:
    """Whether `value` is an intrinsic function call that is still to be resolved."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    name = next(iter(value))
    return name == "Ref" or (isinstance(name, str) and name.startswith("Fn::"))


class _Leaf:
    def unmade(self, value: Any, path: str) -> Iterator[str]:
        return iter(())


class Text(_Leaf):
    """A string; numbers and booleans of the template become their text."""

    def convert(self, value: Any, path: str) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
        raise Malformed(f"#/{path}: expected type: String, found: {_kind(value)}")


class Integer(_Leaf):
    """A whole number."""

    def convert(self, value: Any, path: str) -> int:
        try:
            if not isinstance(value, bool) and float(value) == int(float(value)):
                return int(float(value))
        except (TypeError, ValueError):
            pass
        raise Malformed(f"#/{path}: expected type: Integer, found: {_kind(value)}")


class Number(_Leaf):
    """A number."""

    def convert(self, value: Any, path: str) -> float:
        try:
            if not isinstance(value, bool):
                return float(value)
        except (TypeError, ValueError):
            pass
        raise Malformed(f"#/{path}: expected type: Number, found: {_kind(value)}")


class Boolean(_Leaf):
    """true or false, also as text."""

    def convert(self, value: Any, path: str) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        raise Malformed(f"#/{path}: expected type: Boolean, found: {_kind(value)}")


class Document(_Leaf):
    """A free JSON object (a policy, a tag-like map): judged by the service that receives it."""

    def convert(self, value: Any, path: str) -> Any:
        if isinstance(value, str):
            try:
                return json.loads(value)
            except ValueError:
                raise Malformed(f"#/{path}: expected type: JSONObject, found: String") from None
        if isinstance(value, Mapping | list):
            return value
        raise Malformed(f"#/{path}: expected type: JSONObject, found: {_kind(value)}")


class Content(_Leaf):
    """A document given as an object or as its text; the service that receives it reads the text."""

    def convert(self, value: Any, path: str) -> Any:
        if isinstance(value, Mapping | str):
            return value
        raise Malformed(f"#/{path}: expected type: JSONObject, found: {_kind(value)}")


@dataclass(frozen=True)
class ListOf:
    """A list whose entries have one shape."""

    item: Shape

    def unmade(self, value: Any, path: str) -> Iterator[str]:
        for entry in value if isinstance(value, list) else []:
            yield from () if is_function(entry) else self.item.unmade(entry, path)

    def convert(self, value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise Malformed(f"#/{path}: expected type: JSONArray, found: {_kind(value)}")
        return [self.item.convert(entry, f"{path}/{index}") for index, entry in enumerate(value)]


@dataclass(frozen=True)
class MapOf:
    """An object with free keys whose values have one shape."""

    item: Shape

    def unmade(self, value: Any, path: str) -> Iterator[str]:
        return iter(())

    def convert(self, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Malformed(f"#/{path}: expected type: JSONObject, found: {_kind(value)}")
        return {key: self.item.convert(entry, f"{path}/{key}") for key, entry in value.items()}


@dataclass(frozen=True)
class Struct:
    """An object with known members; everything else in it is not made."""

    members: Mapping[str, Shape]
    required: tuple[str, ...] = field(default=())

    def unmade(self, value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, Mapping) or is_function(value):
            return
        for key, entry in value.items():
            inner = f"{path}.{key}" if path else str(key)
            if key not in self.members:
                yield inner
            elif not is_function(entry):
                yield from self.members[key].unmade(entry, inner)

    def convert(self, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Malformed(f"#/{path}: expected type: JSONObject, found: {_kind(value)}")
        for key in self.required:
            if key not in value:
                raise Malformed(f"#{'/' + path if path else ''}: required key [{key}] not found")
        return {key: self.members[key].convert(entry, f"{path}/{key}" if path else key) for key, entry in value.items()}


TEXT, INTEGER, NUMBER, BOOLEAN, DOCUMENT = Text(), Integer(), Number(), Boolean(), Document()
CONTENT = Content()
TAGS = ListOf(Struct({"Key": TEXT, "Value": TEXT}, required=("Key", "Value")))


def _kind(value: Any) -> str:
    names = {bool: "Boolean", int: "Integer", float: "Number", str: "String", list: "JSONArray"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "JSONObject")
