"""Clients of one account and Region, and AWS errors in our own words."""

from pathlib import Path

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
    UnauthorizedSSOTokenError,
)

from localcloud.cloud import LocalCloud
from moorings.clouds.aws import Aws, calling
from moorings.clouds.aws_errors import translated
from moorings.errors import Busy, CloudFault, Misconfigured


def _refusal(code: str, why: str = "why") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": why}, "ResponseMetadata": {"RequestId": "r-1"}}, "Call")


@pytest.mark.parametrize(
    ("error", "family", "remedy"),
    [
        (NoCredentialsError(), Misconfigured, "sign in to AWS"),
        (UnauthorizedSSOTokenError(), Misconfigured, "sign in to AWS"),
        (_refusal("ExpiredToken"), Misconfigured, "sign in to AWS"),
        (_refusal("UnrecognizedClientException"), Misconfigured, "sign in to AWS"),
        (
            _refusal(
                "SignatureDoesNotMatch", "Signature expired: 20261122T074514Z is now earlier than 20261122T075056Z"
            ),
            Misconfigured,
            "set this computer's clock",
        ),
        (_refusal("AccessDeniedException"), Misconfigured, "allow ssm:Call for whoever runs this"),
        (
            ClientError(
                {
                    "Error": {
                        "Code": "AccessDenied",
                        "Message": "User: arn:aws:iam::1:user/x is not authorized to perform: s3:ListBucketVersions on"
                        " resource: y",
                    }
                },
                "Call",
            ),
            Misconfigured,
            "allow s3:ListBucketVersions for whoever runs this; `moorings doctor --only rights` names all",
        ),
        (_refusal("ThrottlingException"), Busy, "try again"),
        (_refusal("InternalServerError"), CloudFault, "try again"),
        (EndpointConnectionError(endpoint_url="https://x.example"), CloudFault, "network"),
        (ProxyConnectionError(proxy_url="http://proxy.example"), CloudFault, "proxy settings"),
        (SSLError(endpoint_url="https://x.example", error="self-signed"), CloudFault, "AWS_CA_BUNDLE"),
        (ReadTimeoutError(endpoint_url="https://x.example"), CloudFault, "try again"),
    ],
)
def test_an_error_tells_who_must_act(error: Exception, family: type[Exception], remedy: str) -> None:
    with (
        pytest.raises(family, match=r"ssm:Call|Could not connect|proxy\.example|SSL validation failed") as raised,
        calling("ssm:Call"),
    ):
        raise error

    assert remedy in raised.value.remedy  # type: ignore[attr-defined]
    assert raised.value.__cause__ is error


def test_a_fault_names_the_call_and_the_request() -> None:
    with pytest.raises(CloudFault) as raised, calling("ssm:Call"):
        raise _refusal("InternalServerError")

    assert (raised.value.call, raised.value.request_id) == ("ssm:Call", "r-1")


def test_a_refusal_where_people_and_functions_call_names_the_right_for_both() -> None:
    with pytest.raises(Misconfigured) as refused, translated("ssm:DescribeInstanceInformation"):
        raise _refusal("AccessDeniedException")

    assert refused.value.remedy.startswith("allow ssm:DescribeInstanceInformation to that identity")


def test_our_own_errors_pass_unchanged() -> None:
    mine = Misconfigured("mine")

    with pytest.raises(Misconfigured) as passed, calling("ssm:Call"):
        raise mine

    assert passed.value is mine


def test_an_unknown_profile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    with pytest.raises(Misconfigured, match="nobody"):
        Aws(region="eu-west-1", profile="nobody")


def test_a_client_is_made_once_is_patient_and_says_who_it_is() -> None:
    aws = Aws(region="eu-west-1", session=boto3.Session(aws_access_key_id="a", aws_secret_access_key="b"))

    client = aws.client("ssm")

    assert aws.client("ssm") is client
    assert client.meta.region_name == "eu-west-1"
    assert client.meta.config.retries == {"mode": "standard", "total_max_attempts": 6}
    assert "moorings" in client.meta.config.user_agent_extra


def test_a_region_that_is_none_is_named() -> None:
    with pytest.raises(Misconfigured, match="'nowhere-1' is no AWS Region"):
        _ = Aws(region="nowhere-1").partition


def test_the_account_is_asked_once() -> None:
    with LocalCloud(in_process=True) as cloud:
        aws = Aws(region=cloud.world.region, session=cloud.session())

        assert aws.account == aws.account == cloud.world.account
        assert [call.operation for call in cloud.world.calls.snapshot()] == ["GetCallerIdentity"]


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_the_partition_follows_the_region(region: str, partition: str) -> None:
    assert Aws(region=region, session=boto3.Session()).partition == partition
