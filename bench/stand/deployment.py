"""Enrolment as an operator deploys it (real templates, real zip), on a local cloud of its own."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from localcloud.aws.call import CallRecord
from localcloud.aws.seam import attach
from localcloud.cloud import LocalCloud
from localcloud.principals import Kind
from localcloud.wire import Headers, Request, Response
from moorings.clock import SystemClock
from moorings.clouds.aws import Aws
from moorings.deploy.enrolment import Deployed, EnrolmentPlan, NewEndpoint, deploy
from moorings.deploy.package import function_platform

STACK = "storm"
CIDR = "10.0.0.0/8"


class Glancing(SystemClock):
    """The emulated CloudFormation is done in moments: nobody needs to wait seconds before looking again."""

    def wait(self, duration: timedelta) -> None:
        super().wait(min(duration, timedelta(milliseconds=50)))


def calls_of(cloud: LocalCloud, function: str, *, since: int = 0) -> list[CallRecord]:
    """The AWS calls that a function made after the first `since` of the world's; writing logs is not one."""
    return [
        record
        for record in cloud.world.calls.since(since)
        if record.principal.kind is Kind.ROLE
        and record.principal.arn.endswith(f"/{function}")
        and record.service != "logs"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A deployed stack, and the ways to it that benchmarks need."""

    cloud: LocalCloud
    aws: Aws
    deployed: Deployed

    @property
    def api_function(self) -> str:
        """Name of the function behind the API."""
        return self.deployed.outputs["ApiFunctionName"]

    @property
    def keeper_function(self) -> str:
        """Name of the keeper."""
        return self.deployed.outputs["KeeperFunctionName"]

    @property
    def table(self) -> str:
        """Name of the ledger's table."""
        return self.deployed.outputs["LedgerTable"]

    def ask(self, method: str, route: str, body: Mapping[str, Any] | None = None, *, source_ip: str) -> Response:
        """One request through the private API's front, without a socket; ConnectionLost if it is cut."""
        host, _, stage = self.deployed.api_url.removeprefix("https://").partition("/")
        request = Request(
            method=method,
            path=f"/{stage}{route}",
            headers=Headers.of({"Host": host, "Content-Type": "application/json"}),
            body=json.dumps(body).encode() if body is not None else b"",
            source_ip=source_ip,
        )
        return self.cloud.private_apis.answer(request, self.deployed.vpc_endpoint, source_ip=source_ip)

    def keep(self, pool: str = "") -> None:
        """A run of the keeper, as its schedule (or, with a pool, the API's function) would have it."""
        payload = json.dumps({"pool": pool} if pool else {}).encode()
        done = self.cloud.functions.invoke(self.keeper_function, payload)
        if done.function_error:
            raise RuntimeError(done.payload.decode())

    def calls_of(self, function: str, *, since: int = 0) -> list[CallRecord]:
        """See `calls_of`."""
        return calls_of(self.cloud, function, since=since)

    def items(self) -> list[dict[str, Any]]:
        """Everything that the ledger holds."""
        pages = self.aws.client("dynamodb").get_paginator("scan").paginate(TableName=self.table)
        return [item for page in pages for item in page["Items"]]


@contextmanager
def standing(*, parameters: Mapping[str, str], account: str | None = None) -> Iterator[Stand]:
    """A new local cloud with enrolment in it; everything is gone afterwards."""
    with LocalCloud(account=account) as cloud:
        session = cloud.session()
        attach(session, cloud.world.endpoint.dispatch)
        aws = Aws(region=cloud.world.region, session=session)
        plan = EnrolmentPlan(
            endpoint=_network(aws),
            allow_network_proof=True,
            stack=STACK,
            parameters=parameters,
        )
        platform = function_platform(cloud.function_platform)
        yield Stand(cloud=cloud, aws=aws, deployed=deploy(plan, aws=aws, clock=Glancing(), platform=platform))


def _network(aws: Aws) -> NewEndpoint:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    return NewEndpoint(vpc_id=vpc, subnet_ids=(subnet,), allowed_cidr=CIDR)
