"""The other side of a bootstrap run: the enrolment API and the package source, over TLS on loopback."""

import json
import ssl
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REGION = "eu-central-1"
PACKAGES = "/mirror/debian_amd64"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the API says next, instead of a grant; status 0: it hangs up without a word."""

    status: int
    body: str = "{}"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(kw_only=True)
class Api:
    """State and script of the server; `url` and `packages` are what a server is told."""

    port: int
    answers: list[Answer] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[dict[str, object]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    grants: dict[str, tuple[str, str]] = field(default_factory=dict)
    file_answers: list[Answer] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/prod"

    @property
    def packages(self) -> str:
        return f"https://127.0.0.1:{self.port}/mirror"

    @property
    def keys(self) -> list[str]:
        return [str(body["key"]) for body in self.asked]

    @property
    def codes(self) -> set[str]:
        return {code for _, code in self.grants.values()}

    def grant(self, key: str) -> Answer:
        """The same key gets the same activation, as from the real API."""
        pair = self.grants.setdefault(key, (str(uuid.uuid4()), uuid.uuid4().hex[:18] + "+/"))
        body = {
            "ActivationId": pair[0],
            "ActivationCode": pair[1],
            "Region": REGION,
            "Pool": "default",
            "Tags": {"a": "b"},
        }
        return Answer(status=200, body=json.dumps(body))


class _Handler(BaseHTTPRequestHandler):
    api: Api
    timeout = 10

    def do_POST(self) -> None:
        assert self.path == "/prod/activations", self.path
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.api.asked.append(body)
        self._say(self.api.answers.pop(0) if self.api.answers else self.api.grant(body["key"]))

    def do_GET(self) -> None:
        self.api.fetched.append(self.path)
        content = self.api.files.get(self.path)
        if self.api.file_answers:
            self._say(self.api.file_answers.pop(0))
        elif content is None:
            self._say(Answer(status=404))
        else:
            self._send(200, (), content)

    def _say(self, answer: Answer) -> None:
        if answer.status:
            self._send(answer.status, answer.headers, answer.body.encode())
        else:
            self.close_connection = True

    def _send(self, status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing: what was asked is in `asked` and `fetched`."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gives up (no trust in us, killed) is part of the tests."""


@contextmanager
def serve(tls: ssl.SSLContext) -> Iterator[Api]:
    """An Api on a free loopback port."""
    server = _Server(("127.0.0.1", 0), _Handler)
    # The handshake belongs to the connection's own thread: a client that hangs there must not stop the others.
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    api = Api(port=server.server_address[1])
    server.RequestHandlerClass = type("Handler", (_Handler,), {"api": api})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def package_files(
    package: bytes, signature: bytes | None, *, folder: str = PACKAGES, kind: str = "deb"
) -> dict[str, bytes]:
    """What a package source holds for one platform."""
    name = f"{folder}/amazon-ssm-agent.{kind}"
    return {name: package} | ({f"{name}.sig": signature} if signature is not None else {})


def script_path() -> Path:
    """The Linux script as it lies in the product."""
    return Path(__file__).resolve().parents[3] / "src/moorings/enrolment/bootstrap/linux.sh"
