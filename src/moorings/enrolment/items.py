"""The ledger's items as DynamoDB holds them: values in, attribute maps out, and back. No calls."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorings.clock import epoch, from_epoch
from moorings.enrolment.model import Draining, Grant, PoolState, Prepared, Slot

Item = Mapping[str, Any]  # attribute name → {"S": …} | {"N": …} | {"M": …}
CONFIGURATION_KEY = "configuration"


def pool_key(pool: str) -> dict[str, Any]:
    """The primary key of a pool's item."""
    return {"pk": text(f"pool#{pool}")}


def grant_key(pool: str, key_hash: str) -> dict[str, Any]:
    """The primary key of a key's grant."""
    return {"pk": text(f"grant#{pool}#{key_hash}")}


def text(value: str) -> dict[str, Any]:
    """A string attribute."""
    return {"S": value}


def number(value: int) -> dict[str, Any]:
    """A number attribute."""
    return {"N": str(value)}


def moment(value: datetime) -> dict[str, Any]:
    """A time, as whole epoch seconds."""
    return number(epoch(value))


def milliseconds(value: datetime) -> dict[str, Any]:
    """A time in epoch milliseconds, for leases: of their few seconds none is lost to rounding."""
    return number(round(value.timestamp() * 1000))


def prepared(value: Prepared) -> dict[str, Any]:
    """An activation as a map attribute."""
    return {
        "M": {
            "id": text(value.id),
            "limit": number(value.limit),
            "expires_at": moment(value.expires_at),
            "settings": text(value.settings),
        }
    }


def draining(until: datetime, issued: int) -> dict[str, Any]:
    """An entry of the `draining` map; its key is the activation id. Kept small: it lies in the hot item."""
    return {"M": {"until": moment(until), "issued": number(issued)}}


def pool_state(item: Item | None) -> PoolState:
    """A pool's item; an absent or empty one is a pool that has never been used."""
    if not item:
        return PoolState()
    lease_until = _int(item, "lease_until")
    entries = item.get("draining", {}).get("M", {})
    return PoolState(
        current=_current(item),
        issued=_int(item, "issued"),
        generation=_int(item, "generation"),
        version=_int(item, "version"),
        standby=_prepared(item["standby"]["M"]) if "standby" in item else None,
        draining=tuple(_drained(activation_id, entry["M"]) for activation_id, entry in sorted(entries.items())),
        lease_id=_text(item, "lease_id"),
        lease_until=from_epoch(lease_until / 1000) if lease_until else None,
        hour=_int(item, "hour"),
        granted_in_hour=_int(item, "in_hour"),
    )


def swapped_by(item: Item) -> str:
    """Which attempt made the latest swap of a pool's item; empty if there was none."""
    return _text(item, "swap")


def slot(item: Item) -> Slot:
    """The slot that an update of a pool's item has just taken."""
    return Slot(
        activation_id=_text(item, "activation_id"),
        expires_at=from_epoch(_int(item, "expires_at")),
        generation=_int(item, "generation"),
        issued=_int(item, "issued"),
        limit=_int(item, "limit"),
    )


def grant_item(grant: Grant, *, forget_at: datetime) -> dict[str, Any]:
    """A grant's item; DynamoDB removes it some time after `forget_at`."""
    return {
        **grant_key(grant.pool, grant.key_hash),
        "activation_id": text(grant.activation_id),
        "granted_at": moment(grant.granted_at),
        "expires_at": moment(grant.expires_at),
        "attempt": text(grant.attempt),
        "expires": moment(forget_at),
    }


def grant(item: Item | None, *, pool: str, key_hash: str) -> Grant | None:
    """The grant in an item; None for no item, or for a claim that has not become a grant."""
    if not item or "activation_id" not in item:
        return None
    return Grant(
        pool=pool,
        key_hash=key_hash,
        activation_id=_text(item, "activation_id"),
        granted_at=from_epoch(_int(item, "granted_at")),
        expires_at=from_epoch(_int(item, "expires_at")),
        attempt=_text(item, "attempt"),
    )


def _current(item: Item) -> Prepared | None:
    if "activation_id" not in item:
        return None
    return Prepared(
        id=_text(item, "activation_id"),
        limit=_int(item, "limit"),
        expires_at=from_epoch(_int(item, "expires_at")),
        settings=_text(item, "settings"),
    )


def _prepared(fields: Item) -> Prepared:
    return Prepared(
        id=_text(fields, "id"),
        limit=_int(fields, "limit"),
        expires_at=from_epoch(_int(fields, "expires_at")),
        settings=_text(fields, "settings"),
    )


def _drained(activation_id: str, fields: Item) -> Draining:
    return Draining(id=activation_id, until=from_epoch(_int(fields, "until")), issued=_int(fields, "issued"))


def _text(item: Item, name: str) -> str:
    return str(item.get(name, {}).get("S", ""))


def _int(item: Item, name: str) -> int:
    return int(item.get(name, {}).get("N", 0))
