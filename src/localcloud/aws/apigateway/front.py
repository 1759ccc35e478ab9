"""The listeners of the API front: one per VPC endpoint, those that machines bring along, and the public one."""

import socket
import threading

from localcloud.aws.apigateway.apis import Apis
from localcloud.aws.apigateway.gateway import Gateway
from localcloud.aws.apigateway.network import Endpoint, endpoint
from localcloud.errors import ConnectionLost, ServiceError
from localcloud.server import Handler, Listener, loopback_socket, started_server
from localcloud.wire import Request, Response
from localcloud.world import World

Address = tuple[str, int]

# From where requests to a VPC endpoint's loopback listener are taken to come.
LOOPBACK_SOURCE = "10.0.0.10"
# From where requests to the public listener are taken to come (a documentation address).
PUBLIC_SOURCE = "203.0.113.10"


class PrivateApis:
    """TLS listeners in front of the account's REST APIs; `world.part(PrivateApis)`.

    A request names its API in the Host header (`{api}.execute-api.{region}.amazonaws.com`, `{api}-{vpce}.…`).
    A source that the endpoint's security groups do not let in has its connection cut without an answer.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._gateway = world.part(Gateway)
        self._apis = world.part(Apis)
        self._lock = threading.Lock()
        self._listeners: dict[tuple[str, ...], Listener] = {}
        self._adopted: list[Listener] = []

    def close(self) -> None:
        """Close every listener."""
        with self._lock:
            listeners = [*self._listeners.values(), *self._adopted]
            self._listeners, self._adopted = {}, []
        for listener in listeners:
            listener.close()

    def address(self, vpce_id: str, *, source_ip: str = LOOPBACK_SOURCE) -> Address:
        """Where a VPC endpoint answers on loopback (opened on first use); its callers count as `source_ip`.

        Raises ServiceError if there is no such endpoint for execute-api.
        """
        region = self._endpoint(vpce_id).region
        return self._open(vpce_id, source_ip, _names(region), self._through(vpce_id, source_ip))

    def adopt(self, sock: socket.socket, vpce_id: str, source_ip: str) -> Listener:
        """Serve a bound socket (from a machine's network namespace) as the VPC endpoint; callers are `source_ip`."""
        region = self._endpoint(vpce_id).region
        server = self._world.part(started_server)
        listener = server.serve_calls(
            self._through(vpce_id, source_ip), sock, self._world.authority.context_for(_names(region))
        )
        with self._lock:
            self._adopted.append(listener)
        return listener

    @property
    def public_address(self) -> Address:
        """Where the APIs answer to everybody else: private ones refuse there.

        Its certificate names the Regions that have APIs by now, so it is another address once there is one more.
        """
        regions = sorted({self._world.region, *self._apis.regions()})
        return self._open("", PUBLIC_SOURCE, [name for one in regions for name in _names(one)], self.answer_public)

    def answer(self, request: Request, vpce_id: str, *, source_ip: str = LOOPBACK_SOURCE) -> Response:
        """Answer a request as if it had come through the endpoint from `source_ip`, without a socket.

        Raises ConnectionLost if the endpoint's security groups do not let `source_ip` in.
        """
        try:
            via = self._endpoint(vpce_id)
        except ServiceError as error:
            raise ConnectionLost(f"{vpce_id} is gone") from error
        if not via.lets_in(source_ip):
            raise ConnectionLost(f"no security group of {vpce_id} lets {source_ip} in on port 443")
        return self._gateway.answer(request, via=via, source_ip=source_ip)

    def answer_public(self, request: Request) -> Response:
        """Answer a request that came from the internet, without a socket."""
        return self._gateway.answer(request, via=None, source_ip=PUBLIC_SOURCE)

    def _through(self, vpce_id: str, source_ip: str) -> Handler:
        return lambda request: self.answer(request, vpce_id, source_ip=source_ip)

    def _endpoint(self, vpce_id: str) -> Endpoint:
        return endpoint(self._world, vpce_id)

    def _open(self, vpce_id: str, source_ip: str, names: list[str], handler: Handler) -> Address:
        key = (vpce_id, source_ip, *names)
        with self._lock:
            listener = self._listeners.get(key)
            if listener is None:
                server = self._world.part(started_server)
                listener = server.serve_calls(handler, loopback_socket(), self._world.authority.context_for(names))
                self._listeners[key] = listener
        return "127.0.0.1", listener.port


def _names(region: str) -> list[str]:
    return [f"*.execute-api.{region}.amazonaws.com", f"*.execute-api.{region}.vpce.amazonaws.com"]
