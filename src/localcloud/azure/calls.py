"""The log of every call that Azure answered, by the right that it needs."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCall:
    """One call. `error_code` is empty if it was carried out; `lost`: it was, or was not, but nobody was answered."""

    action: str  # RBAC's name, such as Microsoft.Compute/disks/write; empty if the path means nothing
    operation: str  # ours, such as disks.put
    method: str
    resource: str  # the id at which the right is needed
    status: int
    error_code: str
    at: datetime
    client_request_id: str
    principal: str
    lost: bool = False


class ArmCalls:
    """All calls, in the order of their ends. Threads may share it."""

    def __init__(self) -> None:
        self._calls: list[ArmCall] = []

    def append(self, call: ArmCall) -> None:
        """Note one call."""
        self._calls.append(call)  # list.append is atomic; readers copy

    def __len__(self) -> int:
        return len(self._calls)

    def snapshot(self) -> list[ArmCall]:
        """All calls so far, as a copy."""
        return list(self._calls)

    def since(self, position: int) -> list[ArmCall]:
        """The calls after the first `position` (take it from `len(calls)` before)."""
        return self._calls[position:]

    def count(self, *, since: int = 0) -> Counter[tuple[str, str]]:
        """How often each (method, action) was called."""
        return Counter((call.method, call.action) for call in self.since(since))

    def actions(self, *, since: int = 0) -> set[str]:
        """The rights that successful calls needed."""
        return {call.action for call in self.since(since) if call.status < 400}
