"""The ec2messages long poll, in a thread of its own."""

import http.client
import random
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from localcloud.machines.agent.calls import CallFailed, Services
from localcloud.machines.agent.signing import Token

VISIBILITY_SECONDS = 10
QUICK_ANSWER_SECONDS = 1.0
PAUSE_SECONDS = (2.0, 2.5)
FAILURES_BEFORE_REST = 10
# How long the real one rests is not recorded (longer than 75 s); some value is needed for a node to come back.
REST_SECONDS = 900.0


class Poll:
    """Asks for messages until told to rest or to stop; `deliver` gets each."""

    def __init__(
        self,
        services: Services,
        *,
        node_id: str,
        token: Callable[[], Token],
        deliver: Callable[[dict[str, Any]], None],
        stopping: threading.Event,
        scale: float,
    ) -> None:
        self._services = services
        self._node_id = node_id
        self._token = token
        self._deliver = deliver
        self._stopping = stopping
        self._scale = scale
        self._lock = threading.Lock()
        self._resting = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to poll, or go on; nothing happens if it polls already."""
        with self._lock:
            self._resting = False
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="ec2messages", daemon=True)
                self._thread.start()

    def rest(self) -> None:
        """Ask no more once the present poll is answered, until `start`."""
        with self._lock:
            self._resting = True

    def stop(self) -> None:
        """End the poll, also while it waits for an answer."""
        self._stopping.set()
        self._services.close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=1)

    def _run(self) -> None:
        failures = 0
        while not self._over():
            asked = time.monotonic()
            messages: list[dict[str, Any]] = []
            try:
                messages = self._get().get("Messages") or []
                failures = 0
                for message in messages:
                    self._deliver(message)
            except (CallFailed, OSError, http.client.HTTPException, ValueError):
                # ValueError and the like: the connection was closed under the call, to stop it.
                failures += 1
            if failures >= FAILURES_BEFORE_REST:
                self._stopping.wait(REST_SECONDS * self._scale)
                failures = 0
            elif not messages and time.monotonic() - asked < QUICK_ANSWER_SECONDS:
                self._stopping.wait(random.uniform(*PAUSE_SECONDS))  # noqa: S311 - spreads load

    def _over(self) -> bool:
        with self._lock:
            over = self._resting or self._stopping.is_set()
            if over:
                self._thread = None
            return over

    def _get(self) -> dict[str, Any]:
        payload = {
            "Destination": self._node_id,
            "MessagesRequestId": str(uuid.uuid4()),
            "VisibilityTimeoutInSeconds": VISIBILITY_SECONDS,
        }
        return self._services.call("ec2messages", "GetMessages", payload, self._token)
