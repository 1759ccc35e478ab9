"""What this room needs from Systems Manager."""

from collections.abc import Iterable
from typing import Protocol

from moorings.nodes.model import ManagedNode


class Fleet(Protocol):
    """The hybrid managed nodes of one account and Region."""

    def nodes(self, *, offline_only: bool = False, tag: tuple[str, str] | None = None) -> Iterable[ManagedNode]:
        """All of them, or those whose connection is lost, or that bear `tag` (key and value); page by page, in the
        service's order."""

    def node(self, node_id: str) -> ManagedNode | None:
        """One node; None if the service does not know it."""

    def deregister(self, node_id: str) -> bool:
        """Deregister a node. False: it was gone already. Its agent then fails to get new credentials."""
