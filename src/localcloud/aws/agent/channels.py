"""The control channels of a world: created by a POST, opened by an upgrade to WebSocket, each one asynchronous task.

While `ManagedNodes.control_channel` is off, creating one is refused with `<AccessDeniedException>` in the body, which
keeps agents on ec2messages; any other refusal would make one deaf that has stopped polling.
"""

import asyncio
import json
import secrets
import threading
from typing import Any
from xml.sax.saxutils import escape

from localcloud.aws.agent.caller import speaking_node
from localcloud.aws.agent.channel import ControlChannel
from localcloud.aws.call import Call
from localcloud.aws.ssm.commands.book import Commands
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.errors import ConnectionLost, ServiceError
from localcloud.server import Receive, Scope, Send, Server, request_of
from localcloud.wire import Headers, Response
from localcloud.world import World

SCHEMA = "1.0"
SWITCHING = 101
POLICY_VIOLATION = 1008  # the WebSocket's close code for a token that is not good
_TOKENS_KEPT = 8  # of one node: an agent that loses an answer asks again
_REFUSED = "the control channel is not available"


class ControlChannels:
    """Tokens and open channels of all nodes. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._nodes = world.part(ManagedNodes)
        self._commands = world.part(Commands)
        self._tokens: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def create(self, call: Call) -> Response:
        """CreateControlChannel: 201 and XML, as the agent wants it, with the token for the channel's first message."""
        node_id = self._permitted(call)
        token = secrets.token_urlsafe(48)
        with self._lock:
            kept = self._tokens.setdefault(node_id, [])
            kept.append(token)
            del kept[:-_TOKENS_KEPT]
        body = (
            f"<CreateControlChannelResponse><MessageSchemaVersion>{SCHEMA}</MessageSchemaVersion>"
            f"<TokenValue>{escape(token)}</TokenValue></CreateControlChannelResponse>"
        )
        named = (("Content-Type", "application/xml"), ("x-amzn-RequestId", call.id))
        return Response(status=201, headers=Headers(named), body=body.encode())

    def upgrade(self, call: Call) -> Response:
        """OpenControlChannel: 101 if this node may have a channel; whoever serves the socket then opens it."""
        self._permitted(call)
        return Response(status=SWITCHING)

    def accepts(self, node_id: str, first: str) -> bool:
        """Whether the first message of a channel shows a token of its node; the token is used up."""
        try:
            found = json.loads(first)
        except ValueError:
            return False
        token = found.get("TokenValue") if isinstance(found, dict) else None
        with self._lock:
            kept = self._tokens.get(node_id, [])
            if token not in kept:
                return False
            kept.remove(token)
        return self._nodes.find(node_id) is not None

    def channel(self, node_id: str, send: Any) -> ControlChannel:
        """A channel of a node that may have one; `send` takes the frames for it, on any thread."""
        return ControlChannel(
            node_id=node_id,
            commands=self._commands,
            clock=self._world.clock,
            send=send,
            takes_replies=lambda: self._nodes.takes_replies,
        )

    async def serve(self, server: Server, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket (an ASGI scope of that type) until either side ends it."""
        await receive()  # websocket.connect
        request = request_of(scope, method="GET")
        try:
            answer = await server.call(self._world.endpoint.dispatch, request)
        except ConnectionLost:
            answer = Response(status=503)
        if answer.status != SWITCHING:
            await _refuse(answer, send)
            return
        await send({"type": "websocket.accept"})
        await self._talk(request.path.rstrip("/").rpartition("/")[2], receive, send)

    async def _talk(self, node_id: str, receive: Receive, send: Send) -> None:
        first = await receive()
        if first["type"] != "websocket.receive":
            return
        if not self.accepts(node_id, first.get("text") or ""):
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        loop, outgoing = asyncio.get_running_loop(), asyncio.Queue[bytes]()

        def enqueue(data: bytes) -> None:
            loop.call_soon_threadsafe(outgoing.put_nowait, data)

        channel = self.channel(node_id, enqueue)
        sender = asyncio.ensure_future(_send_all(outgoing, send))
        channel.open()
        self._nodes.channel_opened(node_id)
        try:
            while (message := await receive())["type"] == "websocket.receive":
                data = message.get("bytes")
                if data and self._nodes.find(node_id) is not None:
                    channel.receive(data)
        finally:
            self._nodes.channel_closed(node_id)
            channel.close()
            sender.cancel()

    def _permitted(self, call: Call) -> str:
        if not self._nodes.control_channel:
            raise ServiceError("AccessDeniedException", _REFUSED, status=403)
        node_id: str = call.params["ChannelId"]
        try:
            speaking_node(self._nodes, call, about=node_id)
        except ServiceError as error:
            raise ServiceError(error.code, error.message, status=403) from error
        return node_id


async def _send_all(outgoing: "asyncio.Queue[bytes]", send: Send) -> None:
    while True:
        await send({"type": "websocket.send", "bytes": await outgoing.get()})


async def _refuse(answer: Response, send: Send) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items]
    await send({"type": "websocket.http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": answer.body})
