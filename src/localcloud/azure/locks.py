"""Management locks: what they forbid, and how they are listed."""

import threading
from dataclasses import dataclass
from typing import Any, Literal

from localcloud.azure.errors import ArmError
from localcloud.azure.ids import key, within

Level = Literal["CanNotDelete", "ReadOnly"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock on a subscription, a group or a resource; it binds everything below."""

    name: str
    scope: str
    level: Level
    notes: str = ""

    @property
    def id(self) -> str:
        """The lock's own resource id."""
        return f"{self.scope.rstrip('/')}/providers/Microsoft.Authorization/locks/{self.name}"

    def view(self) -> dict[str, Any]:
        """The lock as a resource."""
        properties = {"level": self.level} | ({"notes": self.notes} if self.notes else {})
        return {
            "id": self.id,
            "name": self.name,
            "type": "Microsoft.Authorization/locks",
            "properties": properties,
        }


class Locks:
    """The locks of one tenant. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, Lock] = {}

    def add(self, scope: str, level: Level = "CanNotDelete", *, name: str = "lock", notes: str = "") -> Lock:
        """Lock a scope, by its id."""
        lock = Lock(name=name, scope=scope, level=level, notes=notes)
        with self._lock:
            self._locks[key(lock.id)] = lock
        return lock

    def remove(self, lock: Lock) -> None:
        """Take a lock away. Safe to repeat."""
        with self._lock:
            self._locks.pop(key(lock.id), None)

    def at(self, scope: str, *, below: bool = True) -> list[Lock]:
        """The locks at `scope` and above it, with `below` also those of what it holds."""
        with self._lock:
            return [
                lock
                for lock in self._locks.values()
                if within(scope, lock.scope) or (below and within(lock.scope, scope))
            ]

    def check(self, method: str, scope: str) -> None:
        """409 ScopeLocked if a lock at or above `scope` forbids the method. Reading is always allowed."""
        if method == "GET":
            return
        with self._lock:
            binding = [lock for lock in self._locks.values() if within(scope, lock.scope)]
        levels = {"ReadOnly", "CanNotDelete"} if method == "DELETE" else {"ReadOnly"}
        hits = [lock for lock in binding if lock.level in levels]
        if hits:
            verb = "delete" if method == "DELETE" else "write"
            raise ArmError(
                409,
                "ScopeLocked",
                f"The scope '{scope}' cannot perform {verb} operation because following scope(s) are locked: "
                f"'{', '.join(lock.scope for lock in hits)}'. Please remove the lock and try again.",
            )
