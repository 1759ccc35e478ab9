"""The control channel over real sockets: its handshake, its token, a command there and back, its end."""

import http.client
import json
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.localcloud.ssm.agent import private_key, public_text
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from localcloud.aws import front
from localcloud.aws.agent import frames
from localcloud.aws.agent.channels import ControlChannels
from localcloud.aws.ssm.node import PingStatus
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.clock import monotonic
from localcloud.cloud import LocalCloud
from localcloud.server import loopback_socket

NODE = "mi-0123456789abcdef0"
PATH = f"/v1/control-channel/{NODE}"
LIMIT = 60  # seconds (real) for anything: milliseconds are usual, but not on a busy host


@pytest.fixture
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(scale=0.01) as running:
        yield running


@pytest.fixture
def nodes(cloud: LocalCloud) -> ManagedNodes:
    found = cloud.world.part(ManagedNodes)
    found.seed(node_id=NODE, fingerprint="f", public_key=public_text(private_key(0)))
    return found


@pytest.fixture
def signed(cloud: LocalCloud, nodes: ManagedNodes) -> Callable[..., dict[str, str]]:
    """Headers of a request for the channel, signed with the node's role token."""
    token = nodes.issue_token(NODE)
    known = Credentials(token.access_key, token.secret_key, token.session_token)
    allow(cloud)

    def sign(method: str, url: str, body: str = "") -> dict[str, str]:
        headers = {"Content-Type": "application/json"} if body else {}
        request = AWSRequest(method, url, headers=headers, data=body)
        SigV4Auth(known, "ssmmessages", "us-east-1").add_auth(request)
        return dict(request.headers.items())

    return sign


def allow(cloud: LocalCloud) -> None:
    """Make the node role with its managed policy."""
    iam = cloud.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    iam.create_role(RoleName="node-role", AssumeRolePolicyDocument=json.dumps(trust))
    iam.attach_role_policy(RoleName="node-role", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")


def create(cloud: LocalCloud, signed: Callable[..., dict[str, str]]) -> tuple[int, str]:
    """The POST that creates a channel: status and body."""
    where = urlsplit(cloud.endpoint_url)
    body = json.dumps({"MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4())})
    connection = http.client.HTTPConnection(where.netloc, timeout=LIMIT)
    connection.request("POST", PATH, body=body, headers=signed("POST", f"{cloud.endpoint_url}{PATH}", body))
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def token_in(text: str) -> str:
    return text.partition("<TokenValue>")[2].partition("</TokenValue>")[0]


def opened(cloud: LocalCloud, signed: Callable[..., dict[str, str]]) -> ClientConnection:
    url = f"{cloud.endpoint_url}{PATH}?role=subscribe&stream=input"
    return connected(url.replace("http", "ws"), additional_headers=signed("GET", url))


def connected(url: str, **options: Any) -> ClientConnection:
    return connect(url, compression=None, proxy=None, open_timeout=LIMIT, ping_timeout=LIMIT, **options)


def first_words(token: str) -> str:
    said = {"Cookie": None, "MessageSchemaVersion": "1.0", "RequestId": str(uuid.uuid4()), "TokenValue": token}
    return json.dumps(said | {"AgentVersion": "3.3.0.0", "PlatformType": "linux"})


def until(condition: Callable[[], bool]) -> None:
    """Return once something holds; fails after a while."""
    end = monotonic() + LIMIT
    while not condition():
        assert monotonic() < end
        time.sleep(0.005)


def frame(kind: str, payload: dict[str, Any]) -> bytes:
    body = json.dumps(payload).encode()
    return frames.Frame(kind=kind, id=uuid.uuid4(), created_at=datetime.now(UTC), payload=body).encode()


def test_a_command_goes_there_and_its_result_comes_back(
    cloud: LocalCloud, nodes: ManagedNodes, signed: Callable[..., dict[str, str]]
) -> None:
    status, text = create(cloud, signed)
    assert status == 201
    ssm = cloud.client("ssm")
    assert nodes.ping_status(nodes.get(NODE)) is PingStatus.CONNECTION_LOST

    with opened(cloud, signed) as channel:
        channel.send(first_words(token_in(text)))
        until(lambda: nodes.ping_status(nodes.get(NODE)) is PingStatus.ONLINE)
        sent = ssm.send_command(
            InstanceIds=[NODE], DocumentName="AWS-RunShellScript", Parameters={"commands": ["true"]}
        )["Command"]["CommandId"]
        job = frames.decode(bytes(channel.recv(timeout=LIMIT)))  # type: ignore[arg-type]
        told = json.loads(job.payload)
        ack = {"jobId": told["JobId"], "acknowledgedMessageId": str(job.id), "statusCode": "200", "errorMessage": ""}
        channel.send(frame("agent_job_ack", ack))
        step = {"status": "Success", "code": 0, "standardOutput": "well"}
        content = {"documentStatus": "Success", "runtimeStatus": {"aws:runShellScript": step}}
        channel.send(
            frame("agent_job_reply", {"schemaVersion": 1, "jobId": told["JobId"], "content": json.dumps(content)})
        )
        answered = frames.decode(bytes(channel.recv(timeout=LIMIT)))  # type: ignore[arg-type]

        assert answered.kind == "agent_job_reply_ack"
        found = ssm.get_command_invocation(CommandId=sent, InstanceId=NODE)
        assert (found["Status"], found["StandardOutputContent"]) == ("Success", "well")

    until(lambda: nodes.ping_status(nodes.get(NODE)) is PingStatus.CONNECTION_LOST)


def test_a_job_that_was_not_acknowledged_goes_to_the_next_connection(
    cloud: LocalCloud, signed: Callable[..., dict[str, str]]
) -> None:
    with opened(cloud, signed) as first:
        first.send(first_words(token_in(create(cloud, signed)[1])))
        cloud.client("ssm").send_command(
            InstanceIds=[NODE], DocumentName="AWS-RunShellScript", Parameters={"commands": ["true"]}
        )
        lost = json.loads(frames.decode(bytes(first.recv(timeout=LIMIT))).payload)  # type: ignore[arg-type]
        first.socket.shutdown(socket.SHUT_RDWR)

    with opened(cloud, signed) as second:
        second.send(first_words(token_in(create(cloud, signed)[1])))
        again = json.loads(frames.decode(bytes(second.recv(timeout=LIMIT))).payload)  # type: ignore[arg-type]

    assert again["JobId"] == lost["JobId"]


def test_a_channel_is_closed_on_a_wrong_token(cloud: LocalCloud, signed: Callable[..., dict[str, str]]) -> None:
    with opened(cloud, signed) as channel:
        channel.send(first_words("guessed"))

        with pytest.raises(ConnectionClosed) as closed:
            channel.recv(timeout=LIMIT)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_a_token_is_good_once(cloud: LocalCloud, signed: Callable[..., dict[str, str]]) -> None:
    token = token_in(create(cloud, signed)[1])
    channels = cloud.world.part(ControlChannels)

    assert channels.accepts(NODE, first_words(token))
    assert not channels.accepts(NODE, first_words(token))
    assert not channels.accepts(NODE, "no JSON")


def test_an_upgrade_is_refused_in_the_words_that_make_the_agent_poll(
    cloud: LocalCloud, nodes: ManagedNodes, signed: Callable[..., dict[str, str]]
) -> None:
    nodes.control_channel = False

    with pytest.raises(InvalidStatus) as refused, opened(cloud, signed):
        pass

    assert refused.value.response.status_code == 403
    assert b"<AccessDeniedException>" in bytes(refused.value.response.body or b"")


def test_an_upgrade_without_a_signature_is_refused(cloud: LocalCloud, nodes: ManagedNodes) -> None:
    del nodes
    with pytest.raises(InvalidStatus) as refused:
        connected(f"{cloud.endpoint_url}{PATH}".replace("http", "ws"))

    assert refused.value.response.status_code in (400, 403)


def test_the_channel_opens_over_tls_beside_ordinary_calls(
    cloud: LocalCloud, signed: Callable[..., dict[str, str]]
) -> None:
    listener = front.listen(cloud.world, loopback_socket(), cloud.world.authority.context_for(["localhost"]))
    trust = ssl.create_default_context(cafile=str(cloud.ca_file))
    url = f"https://localhost:{listener.port}{PATH}?role=subscribe&stream=input"

    with connected(url.replace("https", "wss"), additional_headers=signed("GET", url), ssl=trust) as channel:
        channel.send(first_words(token_in(create(cloud, signed)[1])))
        assert channel.ping().wait(LIMIT)
        listener.close()

        with pytest.raises(ConnectionClosed):
            channel.recv(timeout=LIMIT)
