"""The front on sockets: TLS by the local authority, one listener per endpoint, adopted sockets."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.aws.apigateway.front import PrivateApis
from localcloud.server import loopback_socket


@pytest.fixture
def front(cloud: Any) -> Iterator[PrivateApis]:
    made = PrivateApis(cloud.world)
    yield made
    made.close()


def get(cloud: Any, address: tuple[str, int], host: str, path: str = "/live/") -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=str(cloud.ca_file))
    with (
        socket.create_connection(address, timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=host) as sock,
    ):
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        response = http.client.HTTPResponse(sock)
        response.begin()
        return response.status, response.read()


def test_an_endpoint_answers_over_tls(front: PrivateApis, api: Any, cloud: Any, function: Any) -> None:
    """With a certificate for the API's name from the local authority; callers count as the given source."""
    address = front.address(api.network.vpce_id, source_ip="10.0.0.99")

    status, _ = get(cloud, address, api.host)

    assert address[0] == "127.0.0.1"
    assert front.address(api.network.vpce_id, source_ip="10.0.0.99") == address
    assert (status, function.events[0]["requestContext"]["identity"]["sourceIp"]) == (200, "10.0.0.99")


def test_the_name_with_both_ids_has_a_certificate_too(front: PrivateApis, api: Any, cloud: Any) -> None:
    """The TLS handshake succeeds; whether the name is served is the gateway's business."""
    host = f"{api.id}-{api.network.vpce_id}.execute-api.us-east-1.amazonaws.com"

    assert get(cloud, front.address(api.network.vpce_id), host)[0] == 403


def test_a_socket_from_elsewhere_is_served_with_its_source(
    front: PrivateApis, api: Any, cloud: Any, function: Any
) -> None:
    """As machines hand them in from their network namespaces."""
    sock = loopback_socket()
    address = sock.getsockname()

    listener = front.adopt(sock, api.network.vpce_id, "10.3.2.1")
    status, _ = get(cloud, address, api.host)
    listener.close()

    assert (status, function.events[0]["requestContext"]["identity"]["sourceIp"]) == (200, "10.3.2.1")


def test_the_public_address_refuses_private_apis(front: PrivateApis, api: Any, cloud: Any) -> None:
    """403 Forbidden, over TLS."""
    assert get(cloud, front.public_address, api.host) == (403, b'{"message":"Forbidden"}')


def test_a_source_outside_the_security_group_is_cut_off(front: PrivateApis, api: Any, cloud: Any) -> None:
    """No byte of an answer."""
    address = front.address(api.network.vpce_id, source_ip="192.168.1.1")

    with pytest.raises((http.client.RemoteDisconnected, ConnectionError, ssl.SSLError)):
        get(cloud, address, api.host)
