"""What a machine can reach: AWS's endpoints for the agent, private APIs, the package source, its cloud's metadata.

Inside every machine the same addresses (RFC 2544's, which no real network routes) stand for them; the sockets that
listen on these addresses are the machine's own, so whoever answers knows which machine called.
"""

import functools
import socket
import threading
from collections.abc import Callable

from localcloud.aws import front
from localcloud.aws.apigateway.apis import Apis
from localcloud.aws.apigateway.front import PrivateApis
from localcloud.aws.apigateway.network import endpoint
from localcloud.errors import ServiceError
from localcloud.machines.machine import Machine
from localcloud.machines.mirror import Mirror
from localcloud.machines.openpgp import SigningKey, home_below
from localcloud.machines.packages import catalogue
from localcloud.machines.spec import MachineSpec
from localcloud.machines.surroundings import EmulatedClouds
from localcloud.server import Listener, started_server
from localcloud.watchdog import Watchdog
from localcloud.wire import Request, Response
from localcloud.world import World

AWS_ADDRESS = "198.18.0.10"
PACKAGES_ADDRESS = "198.18.0.11"
ENDPOINT_ADDRESS = "198.18.0.12"
PUBLIC_ADDRESS = "198.18.0.13"
# Every cloud's; on a machine of a cloud whose service is not here, and of none, nobody listens.
METADATA_ADDRESS = "169.254.169.254"
HTTPS = 443
HTTP = 80
AGENT_SERVICES = ("ssm", "ec2messages", "ssmmessages")


class PackageSource:
    """The signed packages; made when they are first asked for."""

    def __init__(self, world: World) -> None:
        home = home_below(world.state_dir)
        world.part(Watchdog).watch(home)
        self._key = SigningKey(home)
        self._mirror = Mirror(catalogue(self._key))
        self._key.close()

    @property
    def public_key(self) -> str:
        """The armoured key that verifies every package."""
        return self._key.public_key

    @property
    def mirror(self) -> Mirror:
        """Who answers for the source."""
        return self._mirror


class ServiceListeners:
    """Serves the sockets that machines open inside."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._source: PackageSource | None = None

    addresses = (AWS_ADDRESS, PACKAGES_ADDRESS, ENDPOINT_ADDRESS, PUBLIC_ADDRESS, METADATA_ADDRESS)

    def listeners(self, spec: MachineSpec) -> tuple[tuple[str, str, int], ...]:
        """What a machine opens: (purpose, address, port)."""
        found = [("aws", AWS_ADDRESS), ("packages", PACKAGES_ADDRESS), ("public", PUBLIC_ADDRESS)]
        if spec.vpce_id:
            found.append(("endpoint", ENDPOINT_ADDRESS))
        around = self._world.part(EmulatedClouds).around(spec)
        metadata = () if around is None else (("metadata", METADATA_ADDRESS, HTTP),)
        return (*((purpose, address, HTTPS) for purpose, address in found), *metadata)

    @property
    def source(self) -> PackageSource:
        """The package source; the first look makes key and packages."""
        with self._lock:
            if self._source is None:
                self._source = PackageSource(self._world)
            return self._source

    def serve(self, machine: Machine, sockets: dict[str, socket.socket]) -> Callable[[], None]:
        """Serve one machine's sockets until the returned function is called.

        ServiceError if the machine's VPC endpoint does not exist.
        """
        world, server = self._world, self._world.part(started_server)
        apis, tls = world.part(PrivateApis), world.authority.context_for
        around = world.part(EmulatedClouds).around(machine.spec)
        opened: list[Listener] = [
            front.listen(
                world,
                sockets["aws"],
                tls(name for _, name in _agent_names(world)),
                noticing=None if around is None else functools.partial(around.hear, machine),
            ),
            server.serve_calls(self._from_storage, sockets["packages"], tls(name for _, name in _source_names(world))),
            server.serve_calls(apis.answer_public, sockets["public"], tls(_api_wildcards(world))),
        ]

        def close() -> None:
            for listener in opened:
                listener.close()

        if around is not None:
            answer = functools.partial(around.answer, machine)
            opened.append(server.serve_calls(answer, sockets["metadata"]))
        if machine.spec.vpce_id:
            try:
                opened.append(apis.adopt(sockets["endpoint"], machine.spec.vpce_id, machine.spec.ip))
            except ServiceError:
                close()
                raise
        return close

    def _from_storage(self, request: Request) -> Response:
        """The agent's packages lie in a bucket of their publisher; all other buckets are this cloud's."""
        if request.path.startswith("/amazon-ssm-"):
            return self.source.mirror.answer(request)
        return self._world.endpoint.dispatch(request)


def host_names(world: World, vpce_id: str) -> list[tuple[str, str]]:
    """What resolves inside a machine: (address, name).

    Through a VPC endpoint only its own Region's APIs are reached; all others by their public address.
    """
    apis = world.part(Apis)
    private = endpoint(world, vpce_id).region if vpce_id else ""
    names = _agent_names(world) + _source_names(world)
    for region in sorted(apis.regions()):
        address = ENDPOINT_ADDRESS if region == private else PUBLIC_ADDRESS
        for api in apis.of_region(region):
            names.append((address, f"{api.id}.execute-api.{region}.amazonaws.com"))
            if region == private:
                names.append((address, f"{api.id}-{vpce_id}.execute-api.{region}.amazonaws.com"))
    return names


def _regions(world: World) -> list[str]:
    return sorted({world.region, *world.part(Apis).regions()})


def _agent_names(world: World) -> list[tuple[str, str]]:
    return [(AWS_ADDRESS, f"{name}.{region}.amazonaws.com") for region in _regions(world) for name in AGENT_SERVICES]


def _source_names(world: World) -> list[tuple[str, str]]:
    return [(PACKAGES_ADDRESS, f"s3.{region}.amazonaws.com") for region in _regions(world)]


def _api_wildcards(world: World) -> list[str]:
    return [f"*.execute-api.{region}.amazonaws.com" for region in _regions(world)]
