"""The seam: botocore on an endpoint without a socket, its retries and parsers at work."""

from collections.abc import Iterator

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.aws.seam import attach
from localcloud.cloud import LocalCloud

# As fast as botocore's own back-off allows: the first retry waits at most a second, legacy mode's less.
RETRYING = Config(retries={"total_max_attempts": 2, "mode": "legacy"})


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(in_process=True) as running:
        yield running


@pytest.fixture
def session(cloud: LocalCloud) -> boto3.Session:
    root = cloud.world.root
    made = boto3.Session(
        aws_access_key_id=root.access_key, aws_secret_access_key=root.secret_key, region_name=cloud.world.region
    )
    attach(made, cloud.world.endpoint.dispatch)
    return made


def test_clients_keep_the_real_host_names(cloud: LocalCloud, session: boto3.Session) -> None:
    """No endpoint is configured: what the product does in the cloud, it does here."""
    client = session.client("ssm")

    assert client.meta.endpoint_url == "https://ssm.us-east-1.amazonaws.com"
    assert client.describe_parameters()["Parameters"] == []


def test_a_bucket_named_by_the_host_is_found(cloud: LocalCloud, session: boto3.Session) -> None:
    """S3's virtual-hosted addresses."""
    store = session.client("s3")
    store.create_bucket(Bucket=f"host-{cloud.world.account}")
    store.put_object(Bucket=f"host-{cloud.world.account}", Key="k", Body=b"hello")

    assert store.get_object(Bucket=f"host-{cloud.world.account}", Key="k")["Body"].read() == b"hello"
    with pytest.raises(ClientError, match="404"):
        store.head_object(Bucket=f"host-{cloud.world.account}", Key="none")


def test_a_single_client_can_be_attached(cloud: LocalCloud) -> None:
    root = cloud.world.root
    client = boto3.client(
        "sts",
        region_name=cloud.world.region,
        aws_access_key_id=root.access_key,
        aws_secret_access_key=root.secret_key,
    )
    attach(client, cloud.world.endpoint.dispatch)

    assert client.get_caller_identity()["Account"] == cloud.world.account


def test_a_botocore_session_can_be_attached(cloud: LocalCloud) -> None:
    session = botocore.session.Session()
    session.set_credentials(cloud.world.root.access_key, cloud.world.root.secret_key)
    attach(session, cloud.world.endpoint.dispatch)

    client = session.create_client("sts", region_name=cloud.world.region)

    assert client.get_caller_identity()["Account"] == cloud.world.account


def test_botocore_retries_a_lost_answer_as_it_retries_a_broken_connection(
    cloud: LocalCloud, session: boto3.Session
) -> None:
    """So a write whose answer was lost is sent twice, as with the real service."""
    cloud.faults.lose_answer("ssm", "PutParameter", count=1)
    before = len(cloud.world.calls)

    with pytest.raises(ClientError, match="ParameterAlreadyExists"):
        session.client("ssm", config=RETRYING).put_parameter(Name="/twice", Value="v", Type="String")

    assert [one.error for one in cloud.world.calls.since(before)] == ["ConnectionLost", "ParameterAlreadyExists"]


def test_botocore_retries_what_is_throttled(cloud: LocalCloud, session: boto3.Session) -> None:
    cloud.faults.throttle("ssm", "PutParameter", count=1)

    answer = session.client("ssm", config=RETRYING).put_parameter(Name="/patient", Value="v", Type="String")

    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
