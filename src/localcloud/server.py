"""All listeners of a local cloud on one asyncio loop in one thread; blocking handlers run in a bounded pool of threads.

Sockets come from outside (also from inside a machine's network namespace), so a listener is just a socket that listens.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from localcloud.errors import ConnectionLost
from localcloud.wire import Headers, Held, Request, Response

# API calls that wait for a function which calls the endpoint in turn hold a thread each; threads are made as they are
# needed. Answers that are held back hold none.
POOL_THREADS = 2048
KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048
_BODILESS = frozenset({204, 304})  # the statuses that have neither body nor length. Source: RFC 9110

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Handler = Callable[[Request], Response]
HoldingHandler = Callable[[Request], Response | Held]


class _Protocol(H11Protocol):
    """uvicorn's protocol, which also shows the app its transport, so that a lost answer can cut the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does this only for sockets that were made with an explicit protocol number; without it an answer waits
        # 40 ms for the client's delayed acknowledgement.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}


class Listener:
    """One served socket."""

    def __init__(
        self, server: "Server", listening: asyncio.Server, state: ServerState, address: tuple[Any, ...]
    ) -> None:
        self._server = server
        self._listening = listening
        self._state = state
        self.address = address

    @property
    def port(self) -> int:
        """The TCP port that the socket listens on."""
        return int(self.address[1])

    def close(self) -> None:
        """Stop listening and cut the open connections. Safe to repeat, from any thread."""
        self._server.run(self._close())

    async def _close(self) -> None:
        for listening in self._listening.sockets:
            asyncio.get_running_loop().remove_reader(listening)
        # A connection that was accepted a moment ago still takes its first step in an open listener: a closed one would
        # let go of it without closing it.
        await asyncio.sleep(0)
        self._listening.close()
        for protocol in list(self._state.connections):
            transport = getattr(protocol, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)


class Server:
    """The loop and its thread; start it once, serve any number of sockets at any time from any thread."""

    def __init__(self, *, threads: int = POOL_THREADS) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="localcloud-server", daemon=True)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="localcloud-call")
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()
        self._stopped = False

    def start(self) -> None:
        self._thread.start()

    def serve(
        self, app: ASGIApp, sock: socket.socket, tls: ssl.SSLContext | None = None, *, websockets: bool = False
    ) -> Listener:
        """Serve an ASGI app on a bound socket; returns once it accepts connections.

        Without `websockets` a request to upgrade is an ordinary request to the app.
        """
        listener: Listener = self.run(self._serve(app, sock, tls, websockets=websockets))
        with self._lock:
            self._listeners.append(listener)
        return listener

    def serve_calls(self, handler: HoldingHandler, sock: socket.socket, tls: ssl.SSLContext | None = None) -> Listener:
        """Serve a blocking handler in the pool; if it raises ConnectionLost the connection is cut unanswered."""
        return self.serve(self.blocking(handler), sock, tls)

    def blocking(self, handler: HoldingHandler) -> ASGIApp:
        """An ASGI app around a blocking handler; while it holds an answer back no thread is held."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            request = await read(scope, receive)
            try:
                answer = await self.call(handler, request)
                while isinstance(answer, Held):
                    if not await _ready(answer, receive):
                        return  # the client has gone
                    answer = await self.call(lambda held: held.finish(), answer)
            except (ConnectionLost, asyncio.CancelledError):
                # Cancelled: the server closes, and uvicorn would report it as an error of the application.
                await _cut(scope)
                return
            await _write(answer, send, headed=request.method == "HEAD")

        return app

    async def call(self, work: Callable[[Any], Any], argument: Any) -> Any:
        """Run blocking work in the pool, from the server's own loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, argument)

    def run(self, work: Any) -> Any:
        """Run a coroutine on the loop and wait for its result; nothing happens once the server has stopped."""
        if self._stopped or not self._thread.is_alive():
            work.close()
            return None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close_listeners(self) -> None:
        """Stop listening and cut all connections; handlers that run go on to their ends."""
        with self._lock:
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()

    def close(self) -> None:
        """Close every listener, end the loop and wait for the pool's threads. Safe to repeat."""
        if self._stopped:
            return
        self.close_listeners()
        if self._thread.is_alive():
            self.run(_cancel_everything())
            self.run(_cut_everything())
            self._stopped = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._stopped = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._loop.close()

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _serve(
        self, app: ASGIApp, sock: socket.socket, tls: ssl.SSLContext | None, *, websockets: bool
    ) -> Listener:
        config = Config(
            app,
            http="h11",
            ws="websockets-sansio" if websockets else "none",
            # As the message gateway: it neither pings nor compresses.
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        config.load()
        state = ServerState()
        sock.setblocking(False)
        listening = await self._loop.create_server(
            lambda: _Protocol(config=config, server_state=state, app_state={}, _loop=self._loop),
            sock=sock,
            ssl=tls,
            backlog=BACKLOG,
        )
        return Listener(self, listening, state, sock.getsockname())


def started_server(_world: object) -> Server:
    """The one server of a world, running: `world.part(started_server)`."""
    server = Server()
    server.start()
    return server


def loopback_socket(port: int = 0, *, host: str = "127.0.0.1") -> socket.socket:
    """A TCP socket bound to a free (or given) port of a loopback address."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock


async def read(scope: Scope, receive: Receive) -> Request:
    """The whole request of an HTTP scope."""
    chunks = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return request_of(scope, method=scope["method"], body=b"".join(chunks))


def request_of(scope: Scope, *, method: str, body: bytes = b"") -> Request:
    """The request that began a scope, of HTTP or of a WebSocket."""
    return Request(
        method=method,
        path=scope["raw_path"].decode("ascii", "replace"),
        query=scope["query_string"].decode("latin-1"),
        headers=Headers(tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])),
        body=body,
        source_ip=(scope.get("client") or ("127.0.0.1", 0))[0],
    )


async def _ready(held: Held, receive: Receive) -> bool:
    """Wait until an answer is ready; False if the client went away before."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(event.set)

    end = held.wait(wake)
    ready, gone = asyncio.ensure_future(event.wait()), asyncio.ensure_future(receive())
    try:
        await asyncio.wait({ready, gone}, return_when=asyncio.FIRST_COMPLETED)
        return event.is_set()
    finally:
        end()
        ready.cancel()
        gone.cancel()


async def _write(response: Response, send: Send, *, headed: bool) -> None:
    bodiless = response.status in _BODILESS
    # The answer to HEAD tells the length of a body that is not sent.
    dropped = {"transfer-encoding", "connection"} | (set() if headed and not bodiless else {"content-length"})
    # In their own spelling, as the real services send them: clients that keep headers in a plain dict rely on it.
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.items
        if name.lower() not in dropped
    ]
    if not headed and not bodiless:
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if headed or bodiless else response.body})


async def _cut(scope: Scope) -> None:
    scope["state"]["transport"].abort()
    # Two turns of the loop, so that the protocol has seen the end before the app returns without an answer.
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def _cancel_everything() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _cut_everything() -> None:
    # Also those in the middle of TLS's handshake, which no listener knows yet; asyncio has no public list of them.
    transports: Any = asyncio.get_running_loop()
    for transport in list(transports._transports.values()):
        transport.abort()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
