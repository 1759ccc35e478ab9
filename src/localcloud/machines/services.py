"""What a machine can reach: AWS's endpoints for the agent, private APIs, and the package source.

Inside every machine the same addresses (RFC 2544's, which no real network routes) stand for them; the sockets that
listen on these addresses are the machine's own, so whoever answers knows which machine called.
"""

import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from localcloud.machines.mirror import Mirror
from localcloud.machines.openpgp import SigningKey
from localcloud.machines.packages import catalogue
from localcloud.server import Listener, started_server
from localcloud.wire import Request, Response

if TYPE_CHECKING:
    from localcloud.machines.machine import Machine
    from localcloud.world import World

AWS_ADDRESS = "198.18.0.10"
PACKAGES_ADDRESS = "198.18.0.11"
API_ADDRESS = "198.18.0.12"
HTTPS = 443
AGENT_SERVICES = ("ssm", "ec2messages", "ssmmessages")


class PackageSource:
    """The signed packages; made when they are first asked for."""

    def __init__(self, world: "World") -> None:
        self._key = SigningKey(world.state_dir / "gpg")
        self._mirror = Mirror(catalogue(world.region, self._key))
        self._key.close()

    @property
    def public_key(self) -> str:
        return self._key.public_key

    @property
    def mirror(self) -> Mirror:
        return self._mirror


class ServiceListeners:
    """Serves the sockets that machines open inside."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._lock = threading.Lock()
        self._source: PackageSource | None = None

    addresses = (AWS_ADDRESS, PACKAGES_ADDRESS, API_ADDRESS)
    listeners = (("aws", AWS_ADDRESS, HTTPS), ("packages", PACKAGES_ADDRESS, HTTPS), ("api", API_ADDRESS, HTTPS))

    @property
    def source(self) -> PackageSource:
        """The package source; the first look makes key and packages (about a second)."""
        with self._lock:
            if self._source is None:
                self._source = PackageSource(self._world)
            return self._source

    def serve(self, machine: "Machine", sockets: dict[str, socket.socket]) -> Callable[[], None]:
        """Serve one machine's sockets until the returned function is called."""
        world, server = self._world, self._world.part(started_server)
        region = world.region
        agent_tls = world.authority.context_for(f"{name}.{region}.amazonaws.com" for name in AGENT_SERVICES)
        source_tls = world.authority.context_for([f"s3.{region}.amazonaws.com"])
        opened: list[Listener] = [
            server.serve_calls(world.endpoint.dispatch, sockets["aws"], agent_tls),
            server.serve_calls(self._from_source, sockets["packages"], source_tls),
        ]
        # The VPC sees the machine's address; what comes without an endpoint comes from the internet.

        def close() -> None:
            for listener in opened:
                listener.close()

        return close

    def _from_source(self, request: Request) -> Response:
        return self.source.mirror.answer(request)


def host_names(world: "World") -> list[tuple[str, str]]:
    """What resolves inside a machine: (address, name)."""
    region = world.region
    names = [(AWS_ADDRESS, f"{name}.{region}.amazonaws.com") for name in AGENT_SERVICES]
    names.append((PACKAGES_ADDRESS, f"s3.{region}.amazonaws.com"))
    return names
