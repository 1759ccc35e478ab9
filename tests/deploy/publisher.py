"""A publisher of certificates on loopback, with authorities of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

from cryptography.hazmat.primitives.serialization import Encoding
from tests.attestation.authority import Holder

from moorings.attestation.authorities import Authority
from moorings.deploy.anchor_sources import Source


@dataclass
class Publisher:
    """What it has, by path, and who asked for what."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def publish(self, name: str, holder: Holder, *, pin: bool = False) -> Source:
        """Put a certificate there, as DER; where it lies."""
        path = f"/{quote(name)}.crt"
        self.files[path] = der(holder)
        fingerprint = Authority(holder.certificate).fingerprint if pin else ""
        return Source(name=name, addresses=(f"{self.url}{path}",), pin=fingerprint)


def der(holder: Holder) -> bytes:
    """The certificate as publishers have it."""
    return holder.certificate.public_bytes(Encoding.DER)


def pem(*holders: Holder) -> bytes:
    """Certificates as operators have them."""
    return b"".join(each.certificate.public_bytes(Encoding.PEM) for each in holders)


@contextmanager
def publishing() -> Iterator[Publisher]:
    """A publisher, for as long as the block lasts."""
    made: list[Publisher] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher = made[0]
            publisher.asked.append(self.path)
            if self.path in publisher.moved:
                self.send_response(302)
                self.send_header("Location", publisher.moved[self.path])
                self.end_headers()
                return
            content = publisher.files.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Nothing: the publisher's own list tells."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.append(Publisher(url=f"http://127.0.0.1:{server.server_port}"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made[0]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
