"""The AWS endpoint lets in only who can sign: refusals in each service's own words."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.request import urlopen

import boto3
import pytest
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.exceptions import ClientError

from localcloud.aws.seam import as_request
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from localcloud.principals import Credentials, Kind, Principal
from localcloud.wire import Headers, Request, Response


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as running:
        yield running


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("ssm", "describe_parameters", "UnrecognizedClientException", 400),
        ("lambda", "list_functions", "UnrecognizedClientException", 403),
        ("iam", "list_roles", "InvalidClientTokenId", 403),
        ("s3", "list_buckets", "InvalidAccessKeyId", 403),
        ("ec2", "describe_vpcs", "AuthFailure", 401),
    ],
)
def test_an_unknown_key_is_refused(cloud: LocalCloud, service: str, operation: str, code: str, status: int) -> None:
    stranger = dataclasses.replace(cloud.world.root, access_key="AKIASTRANGEREXAMPLE0")

    refused = _refusal(cloud, stranger, service, operation)

    assert (refused["Error"]["Code"], refused["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("dynamodb", "list_tables", "InvalidSignatureException"),
        ("cloudformation", "list_stacks", "SignatureDoesNotMatch"),
        ("s3", "list_buckets", "SignatureDoesNotMatch"),
        ("ec2", "describe_vpcs", "AuthFailure"),
    ],
)
def test_a_wrong_secret_is_refused(cloud: LocalCloud, service: str, operation: str, code: str) -> None:
    forger = dataclasses.replace(cloud.world.root, secret_key="guessed")

    assert _refusal(cloud, forger, service, operation)["Error"]["Code"] == code


def test_a_session_token_must_be_the_issued_one(cloud: LocalCloud) -> None:
    issued = _operator(cloud, expires_at=datetime.now(UTC) + timedelta(hours=1))
    other = dataclasses.replace(issued, session_token="another")

    assert cloud.client("sts", credentials=issued).get_caller_identity()["Account"] == cloud.world.account
    assert _refusal(cloud, other, "ssm", "describe_parameters")["Error"]["Code"] == "UnrecognizedClientException"


def test_an_unsigned_request_is_refused(cloud: LocalCloud) -> None:
    answer = _dispatch(
        cloud, Request(method="POST", path="/", headers=_target("AmazonSSM.DescribeParameters"), body=b"{}")
    )

    assert answer.status == 400
    assert b"MissingAuthenticationTokenException" in answer.body


def test_a_body_changed_on_the_way_is_refused(cloud: LocalCloud) -> None:
    signed = _signed(cloud, b'{"Name": "/a"}')

    assert _dispatch(cloud, signed).status == 400  # ParameterNotFound: the signature was good
    answer = _dispatch(cloud, dataclasses.replace(signed, body=b'{"Name": "/b"}'))
    assert b"InvalidSignatureException" in answer.body


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_clock_that_is_off_by_more_than_five_minutes_is_refused(cloud: LocalCloud, minutes: int) -> None:
    answer = _dispatch(cloud, _signed(cloud, b'{"Name": "/a"}', at=datetime.now(UTC) + timedelta(minutes=minutes)))

    assert b"InvalidSignatureException" in answer.body
    assert (b"Signature expired" if minutes < 0 else b"Signature not yet current") in answer.body


@pytest.mark.parametrize("minutes", [-4, 4])
def test_a_clock_that_is_off_by_less_than_five_minutes_is_good_enough(cloud: LocalCloud, minutes: int) -> None:
    answer = _dispatch(cloud, _signed(cloud, b'{"Name": "/a"}', at=datetime.now(UTC) + timedelta(minutes=minutes)))

    assert b"ParameterNotFound" in answer.body


def test_a_stepped_clock_locks_nobody_out_but_ends_temporary_credentials() -> None:
    """SDKs sign with the host's time, which a stepped clock does not move; tokens expire by the world's clock."""
    clock = SteppedClock()
    with LocalCloud(clock=clock, in_process=True) as cloud:
        issued = _operator(cloud, expires_at=clock.now() + timedelta(hours=1))
        clock.step(timedelta(days=3))

        assert cloud.client("sts").get_caller_identity()["Account"] == cloud.world.account
        assert _refusal(cloud, issued, "ssm", "describe_parameters")["Error"]["Code"] == "ExpiredTokenException"
        assert _refusal(cloud, issued, "iam", "list_roles")["Error"]["Code"] == "ExpiredToken"


def test_a_presigned_link_works_until_it_expires(cloud: LocalCloud) -> None:
    store = cloud.client("s3", config=Config(signature_version="s3v4"))
    store.create_bucket(Bucket=f"signed-{cloud.world.account}")
    store.put_object(Bucket=f"signed-{cloud.world.account}", Key="a/b c", Body=b"hello")
    link = store.generate_presigned_url(
        "get_object", Params={"Bucket": f"signed-{cloud.world.account}", "Key": "a/b c"}, ExpiresIn=60
    )

    with urlopen(link) as answer:
        assert answer.read() == b"hello"


def test_an_s3_body_may_be_left_out_of_the_signature(cloud: LocalCloud) -> None:
    store = cloud.client("s3", config=Config(s3={"payload_signing_enabled": False}))
    store.create_bucket(Bucket=f"unsigned-{cloud.world.account}")

    store.put_object(Bucket=f"unsigned-{cloud.world.account}", Key="k", Body=b"x" * 70_000)

    assert store.head_object(Bucket=f"unsigned-{cloud.world.account}", Key="k")["ContentLength"] == 70_000


def _operator(cloud: LocalCloud, *, expires_at: datetime) -> Credentials:
    principal = Principal(kind=Kind.ROOT, arn=f"arn:aws:iam::{cloud.world.account}:root")
    return cloud.world.credentials.issue(principal, expires_at=expires_at)


def _refusal(cloud: LocalCloud, who: Credentials, service: str, operation: str) -> dict[str, dict[str, object]]:
    with pytest.raises(ClientError) as refused:
        getattr(cloud.client(service, credentials=who), operation)()
    return refused.value.response  # type: ignore[return-value]


def _dispatch(cloud: LocalCloud, request: Request) -> Response:
    return cloud.world.endpoint.dispatch(request)


def _target(name: str) -> Headers:
    return Headers((("X-Amz-Target", name), ("Content-Type", "application/x-amz-json-1.1"), ("Host", "127.0.0.1")))


def _signed(cloud: LocalCloud, body: bytes, *, at: datetime | None = None) -> Request:
    """GetParameter, signed by botocore for a given moment."""
    root = cloud.world.root
    headers = {"X-Amz-Target": "AmazonSSM.GetParameter", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest(method="POST", url="http://127.0.0.1/", data=body, headers=headers)
    signer = _At(BotocoreCredentials(root.access_key, root.secret_key), "ssm", cloud.world.region)
    signer.moment = at or datetime.now(UTC)
    signer.add_auth(request)
    return as_request(request.prepare())


class _At(SigV4Auth):
    """botocore's signer, at a chosen moment."""

    moment: datetime

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        request.context["timestamp"] = self.moment.strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)


def test_the_sdk_finds_the_endpoint_by_its_environment_alone(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`environment()` is all that the AWS CLI or an SDK needs."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)

    assert boto3.Session().client("sts").get_caller_identity()["Account"] == cloud.world.account
