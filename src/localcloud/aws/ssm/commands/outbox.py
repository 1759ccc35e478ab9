"""Messages on their way to agents: queued for each node, offered on one channel at a time, kept until acknowledged.

Time line of one message: put → offered (hidden for a while) → acknowledged, or visible again and offered once more. An
open control channel is preferred; if it does not acknowledge after `CHANNEL_OFFERS` offers, polls get the message too.
The agent runs a message once, however often and on whichever channel it comes.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from localcloud.automation.scheduler import Scheduler
from localcloud.clock import Clock

# On the protocol's own time, which is not scaled: real agents answer in it.
REOFFER_AFTER = timedelta(seconds=5)
BUSY_REOFFER_AFTER = timedelta(seconds=10)
CHANNEL_OFFERS = 3

Wake = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What an agent is to get. It is not offered any more from `until` on."""

    id: str
    node_id: str
    topic: str
    payload: str
    created_at: datetime
    until: datetime


Push = Callable[[Message], None]


@dataclass(slots=True)
class _Queued:
    message: Message
    hidden_until: datetime
    offers: int = 0
    pushed: int = 0


class Outbox:
    """The messages of a world. Threads may share it; it calls pushes and wakes without holding its lock."""

    def __init__(self, clock: Clock, timers: Scheduler) -> None:
        self._clock = clock
        self._timers = timers
        self._queues: dict[str, dict[str, _Queued]] = {}
        self._pushes: dict[str, list[Push]] = {}
        self._waiting: dict[str, list[Wake]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def put(self, message: Message) -> None:
        """Offer a message from now on; one of the same id is replaced."""
        with self._lock:
            queue = self._queues.setdefault(message.node_id, {})
            queue[message.id] = _Queued(message=message, hidden_until=self._clock.now())
        self._pump(message.node_id)

    def remove(self, message_id: str) -> bool:
        """Offer it no more; True if it was never offered, so that no agent has it."""
        with self._lock:
            queue = self._queues.get(_node_of(message_id), {})
            queued = queue.pop(message_id, None)
            if not queue:
                self._queues.pop(_node_of(message_id), None)
        return queued is not None and queued.offers == 0

    def defer(self, message_id: str) -> None:
        """The agent has no room for it: offer it again after a while."""
        with self._lock:
            queued = self._queues.get(_node_of(message_id), {}).get(message_id)
            if queued is None:
                return
            queued.hidden_until = self._clock.now() + BUSY_REOFFER_AFTER
            queued.pushed = 0
        self._pump_at(queued.message.node_id, queued.hidden_until)

    def poll(self, node_id: str, *, visibility: timedelta) -> list[Message]:
        """What a poll gets: the messages that are visible now, hidden for `visibility` from now on."""
        now = self._clock.now()
        with self._lock:
            connected = node_id in self._pushes
            visible = self._visible(node_id, now)
            found = [one for one in visible if not connected or one.pushed >= CHANNEL_OFFERS]
            for queued in found:
                queued.offers += 1
                queued.hidden_until = now + visibility
        if found:
            self._pump_at(node_id, now + visibility)
        return [queued.message for queued in found]

    def wait(self, node_id: str, wake: Wake, *, until: datetime) -> Callable[[], None]:
        """Call `wake` once something may be there for a poll, or at `until`; the returned function ends that.

        `wake` may be called more than once, on any thread, and at once.
        """
        with self._lock:
            self._waiting.setdefault(node_id, []).append(wake)
        timer = self._timers.at(until, wake)

        def end() -> None:
            timer.cancel()
            with self._lock:
                waiting = self._waiting.get(node_id, [])
                if wake in waiting:
                    waiting.remove(wake)
                if not waiting:
                    self._waiting.pop(node_id, None)

        # What came between the poll and this call.
        self._pump(node_id)
        if self._closed:
            wake()
        return end

    def connect(self, node_id: str, push: Push) -> None:
        """A control channel of the node is open: the newest one gets the messages, those not acknowledged too."""
        with self._lock:
            self._pushes.setdefault(node_id, []).append(push)
            self._show_pushed(node_id)
        self._pump(node_id)

    def disconnect(self, node_id: str, push: Push) -> None:
        """A control channel is gone; what it was offered and did not acknowledge goes another way."""
        with self._lock:
            pushes = self._pushes.get(node_id, [])
            if push not in pushes:
                return
            newest = pushes[-1] == push
            pushes.remove(push)
            if not pushes:
                del self._pushes[node_id]
            if newest:
                self._show_pushed(node_id)
        self._pump(node_id)

    def close(self) -> None:
        """Wake every poll that waits, and lets none wait any more."""
        self._closed = True
        with self._lock:
            wakes = [wake for waiting in self._waiting.values() for wake in waiting]
        for wake in wakes:
            wake()

    def _pump(self, node_id: str) -> None:
        now = self._clock.now()
        with self._lock:
            push = self._pushes[node_id][-1] if node_id in self._pushes else None
            polled = node_id in self._waiting
            visible = self._visible(node_id, now)
            # If nobody polls, the channel is all there is.
            pushed = [one for one in visible if push and (one.pushed < CHANNEL_OFFERS or not polled)]
            for queued in pushed:
                queued.offers += 1
                queued.pushed += 1
                queued.hidden_until = now + REOFFER_AFTER
            wakes = list(self._waiting.get(node_id, ())) if len(visible) > len(pushed) else []
        if pushed:
            self._pump_at(node_id, now + REOFFER_AFTER)
        for queued in pushed:
            assert push is not None
            push(queued.message)
        for wake in wakes:
            wake()

    def _pump_at(self, node_id: str, when: datetime) -> None:
        self._timers.at(when, lambda: self._pump(node_id))

    def _visible(self, node_id: str, now: datetime) -> list[_Queued]:
        queue = self._queues.get(node_id, {})
        for gone in [key for key, one in queue.items() if one.message.until <= now]:
            del queue[gone]
        return [one for one in queue.values() if one.hidden_until <= now]

    def _show_pushed(self, node_id: str) -> None:
        for queued in self._queues.get(node_id, {}).values():
            if queued.pushed:
                queued.pushed = 0
                queued.hidden_until = self._clock.now()


def _node_of(message_id: str) -> str:
    return message_id.rpartition(".")[2]
