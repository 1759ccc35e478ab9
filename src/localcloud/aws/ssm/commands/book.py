"""The commands of a world: sent within MaxConcurrency, followed on every node, ended by replies or by the clock.

No thread waits for a command: what time changes is settled when somebody looks, and by timers where something depends
on it (the next node's turn). `Commands(world)` is what the API's operations and both of the agent's channels share.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from localcloud.automation.scheduler import Scheduler
from localcloud.aws.ssm import choices
from localcloud.aws.ssm.commands import messages
from localcloud.aws.ssm.commands.model import Command, Invocation, Reply, command_of, merged, message_id
from localcloud.aws.ssm.commands.outbox import Outbox
from localcloud.aws.ssm.commands.record import Record
from localcloud.aws.ssm.commands.status import Detail, advanced, aggregate, reported
from localcloud.aws.ssm.node import ManagedNode
from localcloud.errors import ServiceError
from localcloud.world import World

# What an agent's acknowledgement of a job means; 200 is the rule. Source: the SSM agent's AgentJobAck codes.
_ACCEPTED = frozenset({"200", "51405"})  # 51405: it has the command already
_NO_ROOM = frozenset({"51401", "51402"})
_UNREADABLE = frozenset({"51406", "51408"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A command with its invocations as they are now."""

    command: Command
    invocations: tuple[Invocation, ...]

    @property
    def detail(self) -> Detail:
        """The state of the command as a whole."""
        return aggregate(
            [one.detail for one in self.invocations],
            errors_allowed=self.command.errors_allowed(len(self.invocations)),
            cancelled=self.command.cancelled,
        )


class Commands:
    """All commands of a world. Threads may share it; commands and invocations are values, changed by replacement.

    Adjustable: `invocation_lag`, how long (emulated) an invocation cannot be found after it was sent.
    """

    def __init__(self, world: World) -> None:
        self.invocation_lag = timedelta(0)
        self._clock = world.clock
        self._timers = Scheduler(world.clock, workers=1)
        self.outbox = Outbox(world.clock, self._timers)
        self._records: dict[str, Record] = {}
        self._open: set[str] = set()
        self._cancels: set[str] = set()
        self._lock = threading.RLock()

    def send(
        self, command: Command, nodes: Sequence[ManagedNode], *, refused: Mapping[str, Detail] | None = None
    ) -> Sent:
        """Note a command and send it to the first nodes. `refused`: nodes to which it does not go, and why."""
        ended = refused or {}
        record = Record(
            command,
            [
                Invocation(node_id=node.id, node_name=node.name, detail=ended.get(node.id, Detail.PENDING))
                for node in nodes
            ],
        )
        with self._lock:
            self._records[command.id] = record
            self._open.add(command.id)
            first = _shown(record)
            self._go_on(record)
        self._timers.at(command.expires_at, lambda: self._settle_by_id(command.id))
        return first

    def find(self, command_id: str, *, region: str) -> Sent:
        """A command as it is now; raises ServiceError InvalidCommandId."""
        with self._lock:
            record = self._records.get(command_id)
            if record is None or record.command.region != region:
                raise ServiceError("InvalidCommandId", f"There is no command {command_id}.")
            self._settle(record)
            return _shown(record)

    def all(self, region: str) -> list[Sent]:
        """Every command of a Region as it is now."""
        with self._lock:
            for command_id in list(self._open):
                self._settle(self._records[command_id])
            return [_shown(one) for one in self._records.values() if one.command.region == region]

    def shows_invocations(self, command: Command) -> bool:
        """Whether its invocations can be found by now."""
        return self._clock.now() >= command.requested_at + self._clock.scaled(self.invocation_lag)

    def cancel(self, command_id: str, *, region: str, node_ids: Iterable[str] = ()) -> None:
        """Cancel a command on some nodes, or (without `node_ids`) on all; what has ended stays as it is.

        Raises ServiceError InvalidCommandId, or InvalidInstanceId for a node to which it was not sent.
        """
        wanted = set(node_ids)
        with self._lock:
            found = self.find(command_id, region=region).invocations
            record = self._records[command_id]
            if unknown := wanted - {one.node_id for one in found}:
                raise ServiceError("InvalidInstanceId", min(unknown))
            chosen = [one for one in found if not one.detail.terminal and (not wanted or one.node_id in wanted)]
            if chosen and len(chosen) == record.open:
                record.command = replace(record.command, cancelled=True)
            for invocation in chosen:
                self._cancel_on(record, invocation)
            self._go_on(record)

    def knows(self, message: str) -> bool:
        """Whether a message of this id was ever sent."""
        with self._lock:
            return self._invocation(message) is not None or message in self._cancels

    def acknowledged(self, message: str, *, code: str = "200") -> bool:
        """An agent's answer to being offered a message; False if there is no such message."""
        with self._lock:
            found = self._invocation(message)
            if found is None:
                return self._acknowledged_cancel(message)
            record, invocation = found
            if code in _NO_ROOM:
                self.outbox.defer(message)
                return True
            self.outbox.remove(message)
            if code in _ACCEPTED:
                news = Detail.IN_PROGRESS
            else:
                news = Detail.FAILED if code in _UNREADABLE else Detail.UNDELIVERABLE
            record.put(replace(invocation, delivered=True, detail=advanced(invocation.detail, news)))
            self._go_on(record)
            return True

    def replied(self, message: str, reply: Reply) -> bool:
        """A reply about a message; the same one again changes nothing. False if there is no such message."""
        with self._lock:
            found = self._invocation(message)
            if found is None:
                return self._acknowledged_cancel(message)
            record, invocation = found
            if reply.id in record.replies:
                return True
            record.replies.add(reply.id)
            news = reported(reply.status)
            if news.terminal:
                self.outbox.remove(message)
            changed = replace(
                invocation,
                delivered=True,
                detail=advanced(invocation.detail, news),
                steps=merged(invocation.steps, reply.steps),
                trace=reply.trace or invocation.trace,
            )
            record.put(changed)
            self._go_on(record)
            return True

    def lose_node(self, node_id: str) -> None:
        """A node was deregistered: what it has not got will not reach it."""
        with self._lock:
            for command_id in list(self._open):
                record = self._records[command_id]
                invocation = record.get(node_id)
                if invocation is not None and not invocation.delivered:
                    self.outbox.remove(message_id(command_id, node_id))
                    record.put(replace(invocation, detail=advanced(invocation.detail, Detail.UNDELIVERABLE)))
                    self._go_on(record)

    def run_due(self) -> None:
        """Do at once what is due by the clock; a thread of its own does so too, a moment later."""
        self._timers.run_due()

    def close(self) -> None:
        """End the timers and wake who waits for messages."""
        self.outbox.close()
        self._timers.close()

    def _invocation(self, message: str) -> tuple[Record, Invocation] | None:
        """What a message is about, with the time that has passed for it taken into account."""
        command_id, node_id = command_of(message)
        record = self._records.get(command_id)
        invocation = record.get(node_id) if record else None
        if record is None or invocation is None:
            return None
        return record, self._age(record, invocation, self._clock.now())

    def _acknowledged_cancel(self, message: str) -> bool:
        if message not in self._cancels:
            return False
        self.outbox.remove(message)
        return True

    def _settle_by_id(self, command_id: str) -> None:
        with self._lock:
            self._settle(self._records[command_id])

    def _settle(self, record: Record) -> None:
        """Let time pass for a command, then let the next nodes have their turn."""
        if record.command.id in self._open:
            now = self._clock.now()
            for invocation in record.all():
                self._age(record, invocation, now)
            self._go_on(record)

    def _age(self, record: Record, invocation: Invocation, now: datetime) -> Invocation:
        later = self._aged(record.command, invocation, now)
        if later is invocation.detail:
            return invocation
        changed = replace(invocation, detail=later)
        record.put(changed)
        if later.terminal:
            self.outbox.remove(message_id(record.command.id, invocation.node_id))
        return changed

    def _aged(self, command: Command, invocation: Invocation, now: datetime) -> Detail:
        present, since = invocation.detail, invocation.cancelling_since
        if present.terminal:
            return present
        if now >= command.expires_at:
            return Detail.DELIVERY_TIMED_OUT
        if since is not None and now >= since + self._clock.scaled(choices.CANCEL_GRACE):
            return Detail.CANCELLED
        if present is Detail.PENDING and invocation.sent_at is not None and not invocation.delivered:
            late = now >= invocation.sent_at + self._clock.scaled(choices.DELAYED_AFTER)
            return Detail.DELAYED if late else present
        return present

    def _go_on(self, record: Record) -> None:
        """Let the next nodes have their turn, or nobody any more."""
        command, now = record.command, self._clock.now()
        stopped = record.errors > command.errors_allowed(record.total)
        limit = command.concurrency(record.total)
        while (stopped or record.running < limit) and (invocation := record.next_unsent()) is not None:
            if stopped:
                record.put(replace(invocation, detail=Detail.TERMINATED))
            else:
                record.put(replace(invocation, sent_at=now))
                self.outbox.put(messages.job(command, invocation.node_id, now=now))
        if not record.open:
            self._open.discard(command.id)

    def _cancel_on(self, record: Record, invocation: Invocation) -> None:
        command, now = record.command, self._clock.now()
        unseen = self.outbox.remove(message_id(command.id, invocation.node_id))
        if invocation.sent_at is None or (unseen and not invocation.delivered):
            record.put(replace(invocation, detail=Detail.CANCELLED))
            return
        if invocation.detail is Detail.CANCELLING:
            return
        record.put(replace(invocation, detail=Detail.CANCELLING, cancelling_since=now))
        cancel = messages.cancellation(command, invocation.node_id, now=now)
        self._cancels.add(cancel.id)
        self.outbox.put(cancel)
        due = now + self._clock.scaled(choices.CANCEL_GRACE)
        self._timers.at(due, lambda: self._settle_by_id(command.id))


def _shown(record: Record) -> Sent:
    return Sent(command=record.command, invocations=record.all())
