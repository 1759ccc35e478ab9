"""Attribute values of DynamoDB: each is exactly one type, and keys are what the table's schema says.

Source: DynamoDB API Reference, "AttributeValue", "CreateTable" and "GetItem".
"""

from collections.abc import Mapping
from typing import Any

from localcloud.errors import ServiceError

_ONE = "must contain exactly one of the supported datatypes"
UNFIT = "The provided key element does not match the schema"


def invalid(message: str) -> ServiceError:
    """DynamoDB's ValidationException."""
    return ServiceError("ValidationException", message)


def check_value(value: Mapping[str, Any]) -> None:
    """Raise ServiceError ValidationException if a value, or one inside it, has no type or several."""
    if not value:
        raise invalid(f"Supplied AttributeValue is empty, {_ONE}")
    if len(value) > 1:
        raise invalid(f"Supplied AttributeValue has more than one datatypes set, {_ONE}")
    for one in value.get("L") or ():
        check_value(one)
    check_item(value.get("M") or {})


def check_item(item: Mapping[str, Mapping[str, Any]]) -> None:
    """The same for every attribute of an item, a map or a key."""
    for value in item.values():
        check_value(value)


def check_key(key: Mapping[str, Mapping[str, Any]], types: Mapping[str, str], *, refusal: str = UNFIT) -> None:
    """Raise ServiceError ValidationException (`refusal`) unless `key` is a whole key; `types` by attribute."""
    check_item(key)
    if {name: next(iter(value)) for name, value in key.items()} != dict(types):
        raise invalid(refusal)
