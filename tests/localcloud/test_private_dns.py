"""Private DNS names of an interface endpoint need DNS in its VPC."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.cloud import LocalCloud

SWITCHES = ("EnableDnsSupport", "EnableDnsHostnames")


@pytest.fixture(scope="module")
def ec2() -> Iterator[Any]:
    with LocalCloud(in_process=True) as cloud:
        yield cloud.client("ec2")


def _vpc(ec2: Any, **dns: bool) -> str:
    vpc = str(ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])
    for name, value in dns.items():
        ec2.modify_vpc_attribute(VpcId=vpc, **{name: {"Value": value}})
    return vpc


def _endpoint(ec2: Any, vpc: str, **given: Any) -> dict[str, Any]:
    named = {"ServiceName": f"com.amazonaws.{ec2.meta.region_name}.execute-api", "VpcEndpointType": "Interface"}
    made: dict[str, Any] = ec2.create_vpc_endpoint(VpcId=vpc, **{**named, **given})["VpcEndpoint"]
    return made


@pytest.mark.parametrize("off", SWITCHES)
@pytest.mark.parametrize("given", [{"PrivateDnsEnabled": True}, {}], ids=["said", "by default"])
def test_without_dns_in_the_vpc_it_is_refused_and_nothing_is_made(ec2: Any, off: str, given: dict[str, bool]) -> None:
    vpc = _vpc(ec2, **{name: name != off for name in SWITCHES})

    with pytest.raises(ClientError) as refused:
        _endpoint(ec2, vpc, **given)

    error = refused.value.response["Error"]
    assert error["Code"] == "InvalidParameter"
    assert error["Message"] == (
        "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for"
        f" {vpc}"
    )
    assert not ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["VpcEndpoints"]


def test_with_dns_in_the_vpc_it_is_made(ec2: Any) -> None:
    vpc = _vpc(ec2, EnableDnsSupport=True, EnableDnsHostnames=True)

    assert _endpoint(ec2, vpc, PrivateDnsEnabled=True)["PrivateDnsEnabled"]


def test_an_endpoint_without_private_names_asks_for_nothing(ec2: Any) -> None:
    vpc = _vpc(ec2)
    gateway = {"VpcEndpointType": "Gateway", "ServiceName": f"com.amazonaws.{ec2.meta.region_name}.s3"}

    assert not _endpoint(ec2, vpc, PrivateDnsEnabled=False)["PrivateDnsEnabled"]
    assert _endpoint(ec2, vpc, **gateway)["VpcEndpointId"]


def test_it_is_switched_on_later_once_the_vpc_allows_it(ec2: Any) -> None:
    vpc = _vpc(ec2)
    endpoint = _endpoint(ec2, vpc, PrivateDnsEnabled=False)["VpcEndpointId"]

    with pytest.raises(ClientError, match=f"set to true for {vpc}"):
        ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PrivateDnsEnabled=True)
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PrivateDnsEnabled=True)

    assert ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]["PrivateDnsEnabled"]
