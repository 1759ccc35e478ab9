"""A managed node as Systems Manager knows it, and when it counts as stale."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedNode:
    """One hybrid managed node. `last_ping` is its last heartbeat, which lags by up to 5 minutes."""

    id: str  # mi- and 17 hexadecimal digits
    name: str  # DefaultInstanceName of its activation, else empty
    computer_name: str
    platform: str  # "Debian GNU/Linux 12"
    address: str
    online: bool
    last_ping: datetime | None
    registered_at: datetime | None
    activation_id: str
    role: str  # IAM role name
    agent_version: str


def stale(nodes: Iterable[ManagedNode], *, after: timedelta, now: datetime) -> list[ManagedNode]:
    """The nodes that are offline and have not been heard of for `after`, longest silent first."""
    silent = [node for node in nodes if not node.online and _last_seen(node) is not None]
    late = [node for node in silent if now - _seen(node) >= after]
    return sorted(late, key=_seen)


def _last_seen(node: ManagedNode) -> datetime | None:
    return node.last_ping or node.registered_at


def _seen(node: ManagedNode) -> datetime:
    seen = _last_seen(node)
    assert seen is not None, "stale() keeps only nodes that were seen"
    return seen
