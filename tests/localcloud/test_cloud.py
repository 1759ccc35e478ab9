"""Starting and stopping local clouds: side by side, without a trace."""

import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from moto.core.base_backend import BackendDict
from moto.dynamodb.models.dynamo_type import Item

from localcloud.cloud import LocalCloud
from localcloud.server import loopback_socket
from localcloud.wire import Headers, Request, Response
from localcloud.world import World

TABLE = {
    "TableName": "ledger",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def test_two_clouds_side_by_side_do_not_see_each_other() -> None:
    """Each has an account of its own: tables, log groups and buckets are its own too."""
    with LocalCloud() as one, LocalCloud() as other:
        one.client("dynamodb").create_table(**TABLE)
        one.client("logs").create_log_group(logGroupName="/aws/lambda/one")
        one.client("s3").create_bucket(Bucket="moorings-packages")

        assert one.world.account != other.world.account
        assert one.client("dynamodb").list_tables()["TableNames"] == ["ledger"]
        assert other.client("dynamodb").list_tables()["TableNames"] == []
        assert other.client("logs").describe_log_groups()["logGroups"] == []
        assert other.client("s3").list_buckets()["Buckets"] == []
        with pytest.raises(ClientError, match="AccessDenied"):
            other.client("s3").list_objects_v2(Bucket="moorings-packages")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"NO_PROXY": "corp.example"}, None),
        ({"https_proxy": "http://10.0.0.1:3128"}, "127.0.0.1,localhost"),
        ({"HTTP_PROXY": "http://10.0.0.1:3128", "NO_PROXY": "corp.example"}, "corp.example,127.0.0.1,localhost"),
        ({"ALL_PROXY": "http://10.0.0.1:3128", "no_proxy": "*"}, "*"),
    ],
)
def test_what_reaches_a_cloud_goes_past_proxies(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str | None
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    with LocalCloud() as cloud:
        told = cloud.environment()

    assert (told.get("NO_PROXY"), told.get("no_proxy")) == (expected, expected)


def test_a_cloud_that_stops_takes_nothing_of_another_along() -> None:
    with LocalCloud(in_process=True) as one:
        one.client("s3").create_bucket(Bucket="stays")
        one.client("s3").put_object(Bucket="stays", Key="k", Body=b"content")
        with LocalCloud(in_process=True) as other:
            other.client("s3").create_bucket(Bucket="goes")
            other.client("s3").put_object(Bucket="goes", Key="k", Body=b"content")

        assert one.client("s3").get_object(Bucket="stays", Key="k")["Body"].read() == b"content"


def test_what_is_overwritten_is_not_kept() -> None:
    """A cloud may take thousands of calls: moto's own list of everything it ever made would grow with each."""
    with LocalCloud(in_process=True) as cloud:
        table = cloud.client("dynamodb")
        table.create_table(**TABLE)
        for number in range(20):
            table.put_item(TableName="ledger", Item={"pk": {"S": "often written"}, "n": {"N": str(number)}})

    assert Item.instances_tracked == []


def test_the_keys_of_one_cloud_open_no_other() -> None:
    with (
        LocalCloud(in_process=True) as one,
        LocalCloud(in_process=True) as other,
        pytest.raises(ClientError, match="UnrecognizedClientException"),
    ):
        other.client("ssm", credentials=one.world.root).describe_parameters()


def test_nothing_is_left_after_stop() -> None:
    """No thread, no listening port, no file, nothing in moto."""
    before = set(threading.enumerate())
    cloud = LocalCloud().start()
    cloud.client("s3").create_bucket(Bucket="gone-with-the-cloud")
    cloud.client("dynamodb").create_table(**TABLE)
    account, state, address = cloud.world.account, cloud.world.state_dir, urlsplit(cloud.endpoint_url)
    assert cloud.ca_file.exists()

    cloud.stop()
    cloud.stop()

    assert set(threading.enumerate()) <= before
    assert not state.exists()
    assert not any(account in backends for backends in BackendDict._instances)
    with socket.socket() as probe:
        assert probe.connect_ex((str(address.hostname), int(address.port or 0))) != 0
    with LocalCloud(in_process=True) as next_one:
        next_one.client("s3").create_bucket(Bucket="gone-with-the-cloud")


KILLED = """
import os, signal, subprocess, sys
from localcloud.cloud import LocalCloud
cloud = LocalCloud().start()
program = cloud.world.state_dir / "works"
program.symlink_to("/bin/sleep")
works = subprocess.Popen([program, "600"], start_new_session=True, stdout=subprocess.DEVNULL)
print(works.pid, cloud.world.state_dir, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_cloud_that_is_killed_leaves_neither_processes_nor_files() -> None:
    """A function that sleeps or spins would not notice by itself that nobody wants its answer."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, env=environment) as killed:
        assert killed.stdout is not None
        pid, folder = killed.stdout.readline().split()

    until = time.monotonic() + 60  # seconds; a second is usual, a host with ten times its load takes ten times as long
    while (Path("/proc", pid).exists() or Path(folder).exists()) and time.monotonic() < until:
        select.select([], [], [], 0.02)
    assert not Path("/proc", pid).exists()
    assert not Path(folder).exists()


def test_a_cloud_can_be_started_again() -> None:
    cloud = LocalCloud(in_process=True)
    with cloud:
        cloud.client("dynamodb").create_table(**TABLE)
    with cloud:
        assert cloud.client("dynamodb").list_tables()["TableNames"] == []


def test_an_account_serves_one_cloud_at_a_time() -> None:
    with LocalCloud(account="210987654321", in_process=True) as cloud:
        assert cloud.world.account == "210987654321"
        with pytest.raises(RuntimeError, match="210987654321"):
            LocalCloud(account="210987654321", in_process=True).start()
    with LocalCloud(account="210987654321", in_process=True):
        pass


def test_a_lost_answer_breaks_the_connection_over_http() -> None:
    """The SDK sees what a network failure looks like, after the effect."""
    with LocalCloud() as cloud:
        cloud.faults.lose_answer("dynamodb", "CreateTable", count=1)
        client = cloud.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))

        with pytest.raises(ConnectionClosedError):
            client.create_table(**TABLE)

        assert client.list_tables()["TableNames"] == ["ledger"]


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_may_have_no_body_has_none_and_the_connection_goes_on(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """moto writes `null` behind a 204; on the wire the next answer would begin with it."""
    with LocalCloud() as cloud:
        listener = cloud.server.serve_calls(lambda _: Response(status=status, body=b"null"), loopback_socket())
        connection = HTTPConnection("127.0.0.1", listener.port, timeout=60)
        for _ in range(2):
            connection.request("DELETE", "/")
            answer = connection.getresponse()
            assert (answer.status, answer.read(), answer.getheader("Content-Length")) == (status, b"", None)
        connection.close()

    assert not caplog.records


def test_two_hundred_connections_wait_at_the_same_time() -> None:
    """Long polls of a whole fleet hold a thread each and nobody queues behind them."""
    gate = threading.Barrier(201, timeout=60)

    def wait(_: Request) -> Response:
        gate.wait()
        return Response(status=200, headers=Headers((("Content-Type", "text/plain"),)), body=b"through")

    with LocalCloud() as cloud, ThreadPoolExecutor(200) as clients:
        url = f"http://127.0.0.1:{cloud.server.serve_calls(wait, loopback_socket()).port}/"
        answers = [clients.submit(_get, url) for _ in range(200)]
        gate.wait()

        assert {one.result() for one in answers} == {b"through"}


def test_the_authority_vouches_for_any_name() -> None:
    with LocalCloud() as cloud:
        names = ["ssm.us-east-1.amazonaws.com", "127.0.0.1"]
        tls = cloud.world.authority.context_for(names)
        listener = cloud.server.serve_calls(cloud.world.endpoint.dispatch, loopback_socket(), tls)
        trusting = ssl.create_default_context(cafile=str(cloud.ca_file))

        with (
            socket.create_connection(("127.0.0.1", listener.port)) as plain,
            trusting.wrap_socket(plain, server_hostname="ssm.us-east-1.amazonaws.com") as secure,
        ):
            assert secure.version() in {"TLSv1.2", "TLSv1.3"}


def test_a_closed_listener_takes_no_more_connections() -> None:
    with LocalCloud() as cloud:
        listener = cloud.server.serve_calls(cloud.world.endpoint.dispatch, loopback_socket())

        listener.close()

        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", listener.port)) != 0


def test_a_part_is_made_once_and_closed_with_the_world() -> None:
    closed: list[object] = []

    class Part:
        def __init__(self, world: World) -> None:
            self.world = world

        def close(self) -> None:
            closed.append(self)

    with LocalCloud(in_process=True) as cloud, ThreadPoolExecutor(8) as pool:
        parts = set(pool.map(lambda _: cloud.world.part(Part), range(32)))
        assert {part.world for part in parts} == {cloud.world}

    assert closed == list(parts)


def test_a_cloud_that_does_not_run_says_so() -> None:
    with pytest.raises(RuntimeError, match="start"):
        _ = LocalCloud().world


def test_conditional_writes_of_many_threads_are_serialised() -> None:
    """moto's are not: read and write would interleave."""
    with LocalCloud(in_process=True) as cloud, ThreadPoolExecutor(16) as pool:
        client = cloud.client("dynamodb")
        client.create_table(**TABLE)
        client.put_item(TableName="ledger", Item={"pk": {"S": "pool"}, "issued": {"N": "0"}})

        def take(_: int) -> bool:
            try:
                client.update_item(
                    TableName="ledger",
                    Key={"pk": {"S": "pool"}},
                    UpdateExpression="SET issued = issued + :one",
                    ConditionExpression="issued < :limit",
                    ExpressionAttributeValues={":one": {"N": "1"}, ":limit": {"N": "50"}},
                )
            except client.exceptions.ConditionalCheckFailedException:
                return False
            return True

        assert sum(pool.map(take, range(100))) == 50


def _get(url: str) -> bytes:
    with urlopen(url, timeout=60) as answer:
        return bytes(answer.read())


def test_a_long_poll_ends_with_the_cloud() -> None:
    """Who waits watches `world.stopping`; the connection is cut at once."""
    waiting, ended = threading.Event(), threading.Event()
    cloud = LocalCloud().start()
    world = cloud.world

    def poll(_: Request) -> Response:
        waiting.set()
        if world.stopping.wait(60):
            ended.set()
        return Response(status=200)

    url = f"http://127.0.0.1:{cloud.server.serve_calls(poll, loopback_socket()).port}/"
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(_get, url)
        assert waiting.wait(60)
        cloud.stop()

        assert ended.is_set()
        with pytest.raises(OSError):
            answer.result()


def test_nothing_new_begins_in_a_cloud_that_has_stopped() -> None:
    with LocalCloud(in_process=True) as cloud:
        world = cloud.world

    with pytest.raises(RuntimeError, match="stopped"):
        world.part(dict)  # type: ignore[arg-type]
