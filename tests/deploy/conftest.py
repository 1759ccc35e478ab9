"""An emulated account with a VPC, reached without a socket, and time that passes only when somebody waits."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from localcloud.cloud import LocalCloud
from moorings.clouds.aws import Aws


class WaitingClock:
    """A product clock on which waiting takes no time."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.waited: list[timedelta] = []

    def now(self) -> datetime:
        return self.time

    def wait(self, duration: timedelta) -> None:
        self.waited.append(duration)
        self.time += duration


class BriefClock:
    """Real time, but never more than a moment of waiting: the emulated CloudFormation works in a thread of its own."""

    MOMENT = 0.02

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, duration: timedelta) -> None:
        time.sleep(min(duration.total_seconds(), self.MOMENT))


@dataclass(frozen=True)
class Account:
    """An account with one VPC."""

    cloud: LocalCloud
    aws: Aws
    vpc: str
    subnets: tuple[str, ...]


def new_account(cloud: LocalCloud) -> Account:
    aws = Aws(region=cloud.world.region, session=cloud.session())
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24")["Subnet"]["SubnetId"] for n in (1, 2)]
    return Account(cloud=cloud, aws=aws, vpc=vpc, subnets=tuple(subnets))


@pytest.fixture
def clock() -> WaitingClock:
    return WaitingClock()


@pytest.fixture
def fresh_account() -> Iterator[Account]:
    """An account in which nothing but the VPC exists."""
    with LocalCloud(in_process=True) as cloud:
        yield new_account(cloud)


@pytest.fixture(scope="package")
def account() -> Iterator[Account]:
    """One account for all tests that keep to their own `name`: an account with its clients takes a second to make."""
    with LocalCloud(in_process=True) as cloud:
        yield new_account(cloud)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A stack name that no other test uses."""
    return f"t{hashlib.sha256(request.node.name.encode()).hexdigest()[:10]}"
