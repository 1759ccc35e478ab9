"""Ledger items as they would be if time had passed: deployed functions keep the real time, so their items are aged."""

from collections.abc import Mapping
from typing import Any

_SECONDS = frozenset({"expires_at", "until", "granted_at", "expires"})
_MILLISECONDS = frozenset({"lease_until"})


def older(item: Mapping[str, Any], seconds: int) -> dict[str, Any]:
    """An item's attributes (or those of a map in it) with every time moved back by `seconds`."""
    moved: dict[str, Any] = {}
    for name, value in item.items():
        if name in _SECONDS:
            moved[name] = {"N": str(int(value["N"]) - seconds)}
        elif name in _MILLISECONDS:
            moved[name] = {"N": str(int(value["N"]) - seconds * 1_000)}
        elif "M" in value:
            moved[name] = {"M": older(value["M"], seconds)}
        else:
            moved[name] = value
    return moved
