"""The running agent: keeps its token fresh, reports itself, and polls for messages.

One thread does everything on a timetable; a second one sits in the long poll. Cadences that the emulated service
measures (heartbeats, associations, long silences after a refusal) are scaled; pauses between retries are not.
"""

import heapq
import random
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localcloud.machines.agent import credentials, fingerprint
from localcloud.machines.agent.calls import CallFailed, Services
from localcloud.machines.agent.folders import prepare_folders
from localcloud.machines.agent.places import AGENT_NAME, AGENT_VERSION
from localcloud.machines.agent.polling import Poll
from localcloud.machines.agent.registration import Agent
from localcloud.machines.agent.signing import NodeKey, Token
from localcloud.machines.agent.vault import Registration

HEARTBEAT_SECONDS = 300.0
HIBERNATE_SECONDS = 300.0
MAX_HIBERNATE_SECONDS = 3600.0
REFUSED_TOKEN_SECONDS = (1500.0, 1800.0)
FAILED_TOKEN_SECONDS = (10.0, 20.0)
ASSOCIATIONS_FIRST_SECONDS = (7.0, 54.0)
ASSOCIATIONS_AGAIN_SECONDS = 30.0
ASSOCIATIONS_SECONDS = 600.0
CHANNEL_FIRST_SECONDS = (5.0, 10.0)
MAX_CHANNEL_SECONDS = 2400.0
EXPIRY_MARGIN_SECONDS = 5.0
REFUSALS = frozenset({"MachineFingerprintDoesNotMatch", "AccessDeniedException"})

Wait = Callable[[float], bool]  # seconds -> whether the agent must stop


class Daemon:
    """One node's agent; `run` returns when `wait` says so."""

    def __init__(
        self, agent: Agent, services: Services, registration: Registration, *, wait: Wait, time_scale: float = 1.0
    ) -> None:
        self._agent = agent
        self._services = services
        self._node = registration
        self._key = NodeKey.from_vault(registration.private_key)
        self._wait = wait
        self._scale = time_scale
        self._timetable: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._token_failures = 0
        self._worker_token: Token | None = None
        self._hibernation = HIBERNATE_SECONDS
        self._channel_pause = 0.0
        self._channel_in_use = ""
        self._poll = Poll(
            services,
            node_id=registration.node_id,
            token=self._current_token,
            stopping=threading.Event(),
            scale=time_scale,
        )

    def run(self) -> None:
        """Work until told to stop."""
        prepare_folders(self._agent.places, self._node.node_id)
        known = credentials.load(self._agent.places, self._node.node_id)
        if known is not None and known.refresh_at > datetime.now(UTC):
            self._start_worker()
            self._at(self._seconds_until(known.refresh_at), self._refresh_token)
        else:
            self._at(0, self._refresh_token)
        while not self._wait(max(0.0, self._timetable[0][0] - time.monotonic()) if self._timetable else 3600.0):
            while self._timetable and self._timetable[0][0] <= time.monotonic():
                heapq.heappop(self._timetable)[2]()
        self._poll.stop()

    # -- the core: the token

    def _refresh_token(self) -> None:
        agent = self._agent
        mark = fingerprint.current(agent.places, agent.vault, agent.console, pause=agent.pause)
        try:
            token, wants_new_key = self._services.request_token(
                node_id=self._node.node_id, key=self._key, fingerprint=mark
            )
        except CallFailed as error:
            agent.console.say("ERROR", f"failed to refresh credentials: {error}")
            self._at(self._pause_after(error), self._refresh_token)
            return
        self._token_failures = 0
        first = self._worker_token is None
        credentials.store(agent.places, self._node.node_id, token)
        self._at(self._seconds_until(token.refresh_at), self._refresh_token)
        if wants_new_key:
            self._renew_key()
        if first:
            self._start_worker()

    def _pause_after(self, error: CallFailed) -> float:
        if error.code in REFUSALS:
            return random.uniform(*REFUSED_TOKEN_SECONDS) * self._scale  # noqa: S311 - spreads load
        growing = 2.0 ** min(self._token_failures, 10)
        self._token_failures += 1
        return random.uniform(*FAILED_TOKEN_SECONDS) + growing  # noqa: S311 - spreads load

    def _renew_key(self) -> None:
        fresh = NodeKey.generate()
        try:
            self._services.update_public_key(node_id=self._node.node_id, key=self._key, new_public_key=fresh.public())
        except CallFailed as error:
            self._agent.console.say("ERROR", f"failed to rotate the node's key: {error}")
            return
        self._key = fresh
        self._node = Registration(node_id=self._node.node_id, region=self._node.region, private_key=fresh.for_vault())
        self._agent.vault.store_registration(self._node)

    # -- the worker: heartbeat, associations, channels

    def _current_token(self) -> Token:
        # The worker looks at the file again only when its own token has run out, as the real one does.
        token = self._worker_token
        if token is None or (token.expires_at - datetime.now(UTC)).total_seconds() < EXPIRY_MARGIN_SECONDS:
            token = credentials.load(self._agent.places, self._node.node_id) or token
            self._worker_token = token
        assert token is not None, "the worker starts after the first token"
        return token

    def _start_worker(self) -> None:
        self._current_token()
        self._open_gate()

    def _open_gate(self) -> None:
        short = {
            "AgentName": AGENT_NAME,
            "AgentVersion": AGENT_VERSION,
            "InstanceId": self._node.node_id,
            "PlatformType": "Linux",
        }
        if not self._call("UpdateInstanceInformation", short):
            self._agent.console.say("WARN", "Entering SSM Agent hibernate")
            self._at(self._hibernation * self._scale, self._open_gate)
            self._hibernation = min(self._hibernation * 2, MAX_HIBERNATE_SECONDS)
            return
        self._hibernation = HIBERNATE_SECONDS
        self._report()
        self._ask_for_channel()
        self._poll.start()
        self._at(self._scaled_between(0, HEARTBEAT_SECONDS), self._heartbeat)
        self._at(self._scaled_between(*ASSOCIATIONS_FIRST_SECONDS), lambda: self._ask_associations(first=True))

    def _heartbeat(self) -> None:
        self._channel_in_use = "ec2messages"
        self._report()
        self._at(HEARTBEAT_SECONDS * self._scale, self._heartbeat)

    def _report(self) -> None:
        name, version = _platform(self._agent)
        full = {
            "AgentName": AGENT_NAME,
            "AgentStatus": "Active",
            "AgentVersion": AGENT_VERSION,
            "AvailabilityZone": "",
            "AvailabilityZoneId": "",
            "ComputerName": fingerprint.full_host_name(),
            "IPAddress": fingerprint.address(),
            "InstanceId": self._node.node_id,
            "PlatformName": name,
            "PlatformType": "Linux",
            "PlatformVersion": version,
            "SSMConnectionChannel": self._channel_in_use,
        }
        self._call("UpdateInstanceInformation", full)

    def _ask_associations(self, *, first: bool) -> None:
        if not self._call("ListInstanceAssociations", {"InstanceId": self._node.node_id, "MaxResults": 20}):
            filters = [{"key": "InstanceId", "value": self._node.node_id}]
            self._call("ListAssociations", {"AssociationFilterList": filters, "MaxResults": 1})
        pause = ASSOCIATIONS_AGAIN_SECONDS if first else ASSOCIATIONS_SECONDS
        self._at(pause * self._scale, lambda: self._ask_associations(first=False))

    def _ask_for_channel(self) -> None:
        try:
            answer = self._services.open_control_channel(self._node.node_id, str(uuid.uuid4()), self._current_token)
            said = "forbidden" if b"<AccessDeniedException>" in answer.body else f"status {answer.status}"
        except OSError as error:
            said = str(error)
        # The simulated agent has no control channel: whatever the answer, it stays with ec2messages.
        self._agent.console.say("WARN", f"no control channel ({said}); polling ec2messages")
        low, high = CHANNEL_FIRST_SECONDS
        fresh = random.uniform(low, high)  # noqa: S311 - spreads load
        self._channel_pause = min(self._channel_pause * 2 if self._channel_pause else fresh, MAX_CHANNEL_SECONDS)
        self._at(self._channel_pause, self._ask_for_channel)

    def _call(self, operation: str, payload: dict[str, Any]) -> bool:
        try:
            self._services.call("ssm", operation, payload, self._current_token)
        except CallFailed as error:
            self._agent.console.say("ERROR", f"error calling {operation}: {error}")
            return False
        return True

    # -- the timetable

    def _at(self, seconds: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._timetable, (time.monotonic() + seconds, self._count, action))

    def _seconds_until(self, instant: datetime) -> float:
        return max(0.0, (instant - datetime.now(UTC)).total_seconds())

    def _scaled_between(self, low: float, high: float) -> float:
        return random.uniform(low, high) * self._scale  # noqa: S311 - spreads load


def _platform(agent: Agent) -> tuple[str, str]:
    path = agent.places.root / "etc/os-release"
    lines = path.read_text().splitlines() if path.is_file() else []
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("NAME", "").strip("\"'"), values.get("VERSION_ID", "").strip("\"'")
