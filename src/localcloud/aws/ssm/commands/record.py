"""A command's invocations with the counts that its progress depends on, kept as they change.

A command may go to thousands of nodes, each of which reports several times; nothing here looks at all of them for one.
"""

from collections import deque
from collections.abc import Iterable

from localcloud.aws.ssm.commands.model import Command, Invocation
from localcloud.aws.ssm.commands.status import Detail


class Record:
    """One command; who uses it holds a lock."""

    def __init__(self, command: Command, invocations: Iterable[Invocation]) -> None:
        self.command = command
        self.replies: set[str] = set()  # ids of the replies that were taken in
        self.errors = 0
        self.running = 0  # sent, and not over
        self.open = 0  # not over, sent or not
        self._invocations: dict[str, Invocation] = {}
        self._unsent: deque[str] = deque()
        for invocation in invocations:
            self._invocations[invocation.node_id] = invocation
            self._count(invocation, +1)
            if invocation.detail is Detail.PENDING:
                self._unsent.append(invocation.node_id)

    @property
    def total(self) -> int:
        """How many nodes it was meant for."""
        return len(self._invocations)

    def get(self, node_id: str) -> Invocation | None:
        """The invocation on a node, if the command was meant for it."""
        return self._invocations.get(node_id)

    def all(self) -> tuple[Invocation, ...]:
        """Every invocation as it is now, in the order in which they are sent."""
        return tuple(self._invocations.values())

    def put(self, invocation: Invocation) -> None:
        """Replace the invocation of its node."""
        self._count(self._invocations[invocation.node_id], -1)
        self._invocations[invocation.node_id] = invocation
        self._count(invocation, +1)

    def next_unsent(self) -> Invocation | None:
        """The next invocation that waits for its turn; it is handed out once."""
        while self._unsent:
            invocation = self._invocations[self._unsent.popleft()]
            if invocation.detail is Detail.PENDING and invocation.sent_at is None:
                return invocation
        return None

    def _count(self, invocation: Invocation, change: int) -> None:
        detail = invocation.detail
        self.errors += change * detail.error
        self.open += change * (not detail.terminal)
        self.running += change * (invocation.sent_at is not None and not detail.terminal)
