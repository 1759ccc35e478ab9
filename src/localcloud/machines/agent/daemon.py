"""The running agent: keeps its token fresh, reports itself, and has its messages answered.

One thread does this on a timetable; each channel has one of its own, and each running command too. Cadences that the
emulated service measures (heartbeats, associations, long silences after a refusal) are scaled; pauses between retries
are not.
"""

import heapq
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localcloud.machines.agent import credentials, fingerprint
from localcloud.machines.agent.calls import CallFailed, Services
from localcloud.machines.agent.commands.execution import Surroundings
from localcloud.machines.agent.commands.plugin import Plugin
from localcloud.machines.agent.folders import prepare_folders
from localcloud.machines.agent.messaging import RESEND_SECONDS, Messaging, Node
from localcloud.machines.agent.places import AGENT_NAME, AGENT_VERSION
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
EXPIRY_MARGIN_SECONDS = 5.0
REFUSALS = frozenset({"MachineFingerprintDoesNotMatch", "AccessDeniedException"})

Wait = Callable[[float], bool]  # seconds -> whether the agent must stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine under the agent: what it can run, how it is restarted, and what it says it is."""

    plugins: Mapping[str, Plugin]
    reboot: Callable[[], None]
    platform: str = "Linux"
    release: tuple[str, str] | None = None  # name and version; None: as /etc/os-release says
    name: str = ""  # of the computer; empty: as this process sees it, and so the address
    address: str = ""


class Daemon:
    """One node's agent; `run` returns when `wait` says so."""

    def __init__(
        self,
        agent: Agent,
        services: Services,
        registration: Registration,
        *,
        host: Host,
        wait: Wait,
        time_scale: float = 1.0,
    ) -> None:
        self._agent = agent
        self._services = services
        self._node = registration
        self._host = host
        self._key = NodeKey.from_vault(registration.private_key)
        self._wait = wait
        self._scale = time_scale
        self._timetable: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._token_failures = 0
        self._worker_token: Token | None = None
        self._hibernation = HIBERNATE_SECONDS
        self._channel_in_use = ""
        self._messaging = self._make_messaging()

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
        self._messaging.close()

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
            "PlatformType": self._host.platform,
        }
        if not self._call("UpdateInstanceInformation", short):
            self._agent.console.say("WARN", "Entering SSM Agent hibernate")
            self._at(self._hibernation * self._scale, self._open_gate)
            self._hibernation = min(self._hibernation * 2, MAX_HIBERNATE_SECONDS)
            return
        self._hibernation = HIBERNATE_SECONDS
        self._report()
        self._messaging.start()
        self._at(RESEND_SECONDS * self._scale, self._resend)
        self._at(self._scaled_between(0, HEARTBEAT_SECONDS), self._heartbeat)
        self._at(self._scaled_between(*ASSOCIATIONS_FIRST_SECONDS), lambda: self._ask_associations(first=True))

    def _heartbeat(self) -> None:
        self._channel_in_use = self._messaging.channel_in_use
        self._report()
        self._at(HEARTBEAT_SECONDS * self._scale, self._heartbeat)

    def _report(self) -> None:
        name, version = self._release()
        full = {
            "AgentName": AGENT_NAME,
            "AgentStatus": "Active",
            "AgentVersion": AGENT_VERSION,
            "AvailabilityZone": "",
            "AvailabilityZoneId": "",
            "ComputerName": self._host.name or fingerprint.full_host_name(),
            "IPAddress": self._host.address or fingerprint.address(),
            "InstanceId": self._node.node_id,
            "PlatformName": name,
            "PlatformType": self._host.platform,
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

    def _resend(self) -> None:
        self._messaging.resend_polled()
        self._at(RESEND_SECONDS * self._scale, self._resend)

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

    # -- what it is and runs

    def _make_messaging(self) -> Messaging:
        name, version = self._release()
        node = Node(
            id=self._node.node_id,
            region=self._node.region,
            places=self._agent.places,
            console=self._agent.console,
            services=self._services,
            token=self._current_token,
            time_scale=self._scale,
        )
        surroundings = Surroundings(
            platform=self._host.platform,
            plugins=self._host.plugins,
            environment={
                "AWS_SSM_INSTANCE_ID": node.id,
                "AWS_SSM_REGION_NAME": node.region,
                "AWS_SSM_PLATFORM_NAME": name,
                "AWS_SSM_PLATFORM_VERSION": version,
            },
            time_scale=self._scale,
        )
        return Messaging(node, surroundings, reboot=self._host.reboot)

    def _release(self) -> tuple[str, str]:
        if self._host.release is not None:
            return self._host.release
        path = self._agent.places.root / "etc/os-release"
        lines = path.read_text().splitlines() if path.is_file() else []
        values = dict(line.split("=", 1) for line in lines if "=" in line)
        return values.get("NAME", "").strip("\"'"), values.get("VERSION_ID", "").strip("\"'")
