"""The demo's servers: which kinds there are, and how far each has come."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from moorings.nodes.model import ManagedNode

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud
    from localcloud.machines.machine import Machine
    from localcloud.machines.spec import Arch, Cloud

USER_DATA = """#!/bin/bash
URL={url}
curl -fsS --retry 9 --proto =https "$URL/bootstrap/linux" | bash
"""
MOST_SERVERS = 200
AGENT = "usr/bin/amazon-ssm-agent"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of server."""

    role: str
    cloud: "Cloud"
    os: str
    arch: "Arch | None" = None  # None: this computer's
    snap_agent: bool = False  # the agent is on the image, as a snap


KINDS = (
    Kind("web", "azure", "ubuntu-24.04"),
    Kind("web", "azure", "debian-12"),
    Kind("api", "azure", "rhel-9"),
    Kind("db", "azure", "sles-15"),
    Kind("search", "gcp", "debian-13"),
    Kind("queue", "gcp", "ubuntu-22.04", snap_agent=True),
    Kind("batch", "gcp", "rocky-9"),
    Kind("cache", "gcp", "debian-12", arch="arm64"),
    Kind("erp", "on-prem", "rhel-9"),
    Kind("files", "on-prem", "sles-15"),
    Kind("build", "on-prem", "amazon-linux-2023"),
    Kind("print", "on-prem", "ubuntu-24.04"),
)


@dataclass(slots=True)
class Server:
    """A server on its way to becoming a managed node; `seconds` from power-on until the service registered it."""

    machine: "Machine"
    kind: Kind
    node: str = ""
    registered: bool = False
    seconds: float | None = None

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def os_label(self) -> str:
        """What the server says it runs, with what is special about it."""
        image = self.machine.spec.image
        special = " (snap)" if self.kind.snap_agent else f" ({self.kind.arch})" if self.kind.arch else ""
        return f"{_SHORT.get(image.label, image.label)} {image.version}{special}"

    @property
    def failed(self) -> bool:
        """Whether its user data has ended badly, or it could not boot."""
        return self.machine.state.value == "failed" or self.machine.exit_code not in (None, 0)

    @property
    def stage(self) -> str:
        """How far it is, in a word or two."""
        if self.registered:
            return "managed node"
        if self.failed:
            return f"failed, exit {self.machine.exit_code}" if self.machine.exit_code else "failed to boot"
        if self.node:
            return "registered"
        if self.machine.state.value in {"off", "waiting"}:
            return "powering on"
        return "asking to enrol" if self._has_agent else "installing agent"

    @property
    def _has_agent(self) -> bool:
        return self.kind.snap_agent or (self.machine.disk / AGENT).exists()


_SHORT = {"Debian GNU/Linux": "Debian", "Red Hat Enterprise Linux": "RHEL", "Rocky Linux": "Rocky"}


class Fleet:
    """All servers of a demo: made at once, booted at once, watched by polling."""

    def __init__(self, cloud: "LocalCloud", *, count: int, url: str, vpc_endpoint: str) -> None:
        from localcloud.machines.spec import HOST_ARCH, MachineSpec

        self.servers: list[Server] = []
        self._powered_on = 0.0
        self._powered_on_at = datetime.now(UTC)
        for number in range(count):
            kind = KINDS[number % len(KINDS)]
            spec = MachineSpec(
                name=f"{kind.role}-{number + 1:02}",
                os=kind.os,
                cloud=kind.cloud,
                arch=kind.arch or HOST_ARCH,
                vpce_id=vpc_endpoint,
                user_data=USER_DATA.format(url=url),
                snap_agent=kind.snap_agent,
            )
            self.servers.append(Server(machine=cloud.machines.create(spec), kind=kind))

    def power_on(self) -> None:
        """Switch all on, at once."""
        self._powered_on, self._powered_on_at = time.monotonic(), datetime.now(UTC)
        for server in self.servers:
            server.machine.boot()

    @property
    def elapsed(self) -> float:
        """Seconds since power-on."""
        return time.monotonic() - self._powered_on

    @property
    def settled(self) -> bool:
        """Whether every server is a managed node or has failed."""
        return all(server.registered or server.failed for server in self.servers)

    def update(self, known: Iterable[ManagedNode]) -> list[Server]:
        """Look at every disk and at what the service knows; the servers that became managed nodes by that."""
        online = {node.id: node for node in known if node.online}
        fresh = []
        for server in self.servers:
            if server.registered:
                continue
            server.node = server.machine.node_id
            found = online.get(server.node)
            if found is not None and not server.failed:
                server.registered, server.seconds = True, self._seconds_to(found.registered_at)
                fresh.append(server)
        return fresh

    def _seconds_to(self, moment: datetime | None) -> float:
        """The service's own time of registration; this computer's clock is its clock."""
        return (moment - self._powered_on_at).total_seconds() if moment else self.elapsed
