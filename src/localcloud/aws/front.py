"""The AWS endpoint as an ASGI app: every service over HTTP, and the message gateway's WebSockets."""

import socket
import ssl
from typing import TYPE_CHECKING

from localcloud.aws.agent.channels import ControlChannels
from localcloud.server import ASGIApp, Listener, Receive, Scope, Send, started_server

if TYPE_CHECKING:
    from localcloud.world import World


def listen(world: "World", sock: socket.socket, tls: ssl.SSLContext | None = None) -> Listener:
    """Serve all AWS services of a world on a bound socket."""
    return world.part(started_server).serve(_app(world), sock, tls, websockets=True)


def _app(world: "World") -> ASGIApp:
    server, channels = world.part(started_server), world.part(ControlChannels)
    over_http = server.blocking(world.endpoint.begin)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await channels.serve(server, scope, receive, send)
        else:
            await over_http(scope, receive, send)

    return app
