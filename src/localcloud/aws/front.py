"""The AWS endpoint as an ASGI app: every service over HTTP, and the message gateway's WebSockets."""

import socket
import ssl
from collections.abc import Callable

from localcloud.aws.agent.channels import ControlChannels
from localcloud.server import ASGIApp, Listener, Receive, Scope, Send, started_server
from localcloud.wire import Held, Request, Response
from localcloud.world import World


def listen(
    world: World,
    sock: socket.socket,
    tls: ssl.SSLContext | None = None,
    *,
    noticing: Callable[[Request], None] | None = None,
) -> Listener:
    """Serve all AWS services of a world on a bound socket; `noticing` sees each request over HTTP before them."""
    return world.part(started_server).serve(_app(world, noticing), sock, tls, websockets=True)


def _app(world: World, noticing: Callable[[Request], None] | None) -> ASGIApp:
    server, channels = world.part(started_server), world.part(ControlChannels)
    endpoint = world.endpoint  # now: threads that load moto at the same time meet it half loaded

    def begin(request: Request) -> Response | Held:
        if noticing is not None:
            noticing(request)
        return endpoint.begin(request)

    over_http = server.blocking(begin)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await channels.serve(server, scope, receive, send)
        else:
            await over_http(scope, receive, send)

    return app
