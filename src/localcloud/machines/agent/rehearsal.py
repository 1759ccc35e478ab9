"""Do once, before the first fork, what every agent will do: what it loads and sets up then is shared by all."""

import encodings.idna
import json
import socket
import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from localcloud.machines.agent.calls import Services
from localcloud.machines.agent.places import Configuration
from localcloud.machines.agent.signing import NodeKey, Token
from localcloud.machines.agent.wire import trust

NAME = "rehearsal.invalid"
ROUNDS = 3


def rehearse() -> None:
    """Sign with a node's key and a token, over a TLS connection of our own, a few times."""
    encodings.idna.ToASCII(NAME)
    socket.getaddrinfo("localhost", 443, socket.AF_INET)
    key = NodeKey.from_vault(NodeKey.generate().for_vault())
    now = datetime.now(UTC)
    token = Token(access_key=NAME, secret_key=NAME, session_token=NAME, retrieved_at=now, expires_at=now)
    with tempfile.TemporaryDirectory() as folder:
        server = _server_context(Path(folder))
        client = trust(Path(folder, "certificate.pem"))
    client.check_hostname = False
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        audience = threading.Thread(target=_answer, args=(listening, server))
        audience.start()
        endpoints = tuple((name, f"https://127.0.0.1:{port}") for name in ("ssm", "ec2messages"))
        configuration = Configuration(present=True, endpoints=endpoints)
        services = Services(region="x", configuration=configuration, tls=client, pause=lambda _seconds: None)
        for _ in range(ROUNDS):
            services.request_token(node_id="mi-0", key=key, fingerprint="")
            services.call("ssm", "UpdateInstanceInformation", {"A": "<&>"}, lambda: token)
        services.close()
        audience.join()


def _answer(listening: socket.socket, context: ssl.SSLContext) -> None:
    body = json.dumps(
        {"AccessKeyId": "", "SecretAccessKey": "", "SessionToken": "", "TokenExpirationDate": 0, "UpdateKeyPair": False}
    ).encode()
    plain, _ = listening.accept()
    with context.wrap_socket(plain, server_side=True) as connection:
        while received := connection.recv(65536):
            if not received.endswith((b"}", b"0\r\n\r\n")):
                continue
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def _server_context(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
