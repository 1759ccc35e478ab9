"""The local cloud's certificate authority: what every TLS listener shows and every machine trusts.

Made anew for each cloud; its key never leaves the process and is never written to disk.
"""

import ssl
import threading
from collections.abc import Iterable
from pathlib import Path

import trustme


class Authority:
    """Issues server certificates for any names; `pem_file` is what clients must trust. Threads may share it."""

    def __init__(self, directory: Path) -> None:
        self._lock = threading.Lock()
        self._directory = directory
        self._ca: trustme.CA | None = None
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}

    @property
    def pem(self) -> bytes:
        """The authority's own certificate."""
        with self._lock:
            return self._made().cert_pem.bytes()

    @property
    def pem_file(self) -> Path:
        """A file that holds `pem`, for `SSL_CERT_FILE`, `AWS_CA_BUNDLE`, `curl --cacert`; gone when the cloud stops."""
        path = self._directory / "authority.pem"
        with self._lock:
            if not path.exists():
                path.write_bytes(self._made().cert_pem.bytes())
        return path

    def context_for(self, names: Iterable[str]) -> ssl.SSLContext:
        """A server context with a certificate for these host names and IP addresses; offers HTTP/1.1 only.

        The real agent's JSON client would take HTTP/2 and its WebSocket client cannot (ssm-agent-protocol, section 1).
        """
        key = tuple(sorted(set(names)))
        if not key:
            raise ValueError("a server certificate needs at least one name")
        with self._lock:
            if key not in self._contexts:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.minimum_version = ssl.TLSVersion.TLSv1_2
                context.set_alpn_protocols(["http/1.1"])
                self._made().issue_cert(*key).configure_cert(context)
                self._contexts[key] = context
            return self._contexts[key]

    def _made(self) -> trustme.CA:
        # Made on first use: a cloud without TLS listeners starts faster.
        if self._ca is None:
            self._ca = trustme.CA(organization_name="Moorings local cloud")
        return self._ca
