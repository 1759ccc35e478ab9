"""The server's own end, and its listeners': nothing of a connection stays, however far it had come."""

import gc
import socket
import warnings
from pathlib import Path

import pytest

from localcloud.authority import Authority
from localcloud.server import Server, loopback_socket
from localcloud.wire import Response


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("alone", [True, False], ids=["listener first", "all at once"])
def test_a_connection_that_has_just_begun_is_closed_too(encrypted: bool, alone: bool, tmp_path: Path) -> None:
    """In the middle of TLS's handshake, or not even seen by the protocol: nobody else would ever close it."""
    tls = Authority(tmp_path).context_for(["localhost"]) if encrypted else None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(20):
            server = Server(threads=1)
            server.start()
            listener = server.serve_calls(lambda _: Response(status=200), loopback_socket(), tls)
            clients = [socket.create_connection(("127.0.0.1", listener.port), timeout=60) for _ in range(5)]
            if alone:
                listener.close()
            server.close()
            for client in clients:
                client.close()
            del server, listener
        gc.collect()

    assert [str(one.message) for one in told] == []
