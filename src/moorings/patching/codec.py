"""Values of this room to JSON and back, by their own types: what a record holds is what its dataclass says."""

import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

ValueT = TypeVar("ValueT")
# Base type, to JSON, and back given the exact type.
_SCALARS: tuple[tuple[type, Callable[[Any], Any], Callable[[Any, Any], Any]], ...] = (
    (Enum, lambda value: value.value, lambda kind, value: kind(value)),
    (datetime, lambda value: value.isoformat(), lambda _, value: datetime.fromisoformat(value)),
    (timedelta, lambda value: value.total_seconds(), lambda _, value: timedelta(seconds=value)),
)


def encode(value: Any) -> str:
    """A dataclass as one line of JSON; members that have their default are left out."""
    return json.dumps(_plain(value), separators=(",", ":"), sort_keys=True)


def decode(kind: type[ValueT], text: str) -> ValueT:
    """The value that `encode` wrote. Members that this version does not know are ignored, so that an older function can
    read what a newer one wrote; ValueError or TypeError for anything else that does not fit."""
    return cast("ValueT", _typed(kind, json.loads(text)))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        members = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: _plain(member) for field, member in members if member != field.default}
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return next((write(value) for kind, write, _ in _SCALARS if isinstance(value, kind)), value)


def _typed(kind: Any, value: Any) -> Any:
    kind = _without_none(kind)
    if value is None:
        return None
    origin = typing.get_origin(kind)
    if origin is tuple:
        return tuple(_typed(typing.get_args(kind)[0], member) for member in value)
    if is_dataclass(kind):
        known = _types(cast("type", kind))
        return cast("type", kind)(
            **{name: _typed(known[name], member) for name, member in value.items() if name in known}
        )
    if isinstance(kind, type):
        return next((read(kind, value) for base, _, read in _SCALARS if issubclass(kind, base)), value)
    return value


@cache
def _types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _without_none(kind: Any) -> Any:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return next(one for one in typing.get_args(kind) if one is not types.NoneType)
    return kind
