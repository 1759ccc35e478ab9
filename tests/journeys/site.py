"""A deployed enrolment stack on a local cloud, with what the journeys do there: ask, boot, keep, look, age."""

import itertools
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from tests.enrolment.ageing import older

from localcloud.aws.seam import attach
from localcloud.aws.ssm.activations import Activation, Activations
from localcloud.cloud import LocalCloud
from localcloud.machines.machine import Machine
from localcloud.machines.spec import MachineSpec
from moorings.cli.demo.truth import Truth, counted
from moorings.cli.surroundings import Enrolled, open_enrolment
from moorings.cli.talk import Talk
from moorings.clouds.aws import Aws
from moorings.deploy import enrolment
from moorings.deploy.enrolment import Deployed, EnrolmentPlan, ExistingEndpoint, NewEndpoint, Removed
from moorings.deploy.package import function_platform
from moorings.enrolment.oversight import Part, PoolStatus

STACK = "site"
NETWORK = "10.20.0.0/16"
LISTED = "10.20.0.7"  # an address that the rules let in
UNLISTED = "10.99.0.7"  # the endpoint's security group lets it in, no rule does
BOOT_SECONDS = 90.0  # many times what it takes, for a computer that does other things too
FETCH = """#!/bin/bash
set -o pipefail
curl -fsS --proto =https {patience}'{url}/bootstrap/linux' | env {environment} bash
"""
# As the manual's defaults, but for the pauses: a server has a second to wait where a person would not notice.
TUNING = {"MOORINGS_RETRY_BASE": "0.05", "MOORINGS_RETRY_CAP": "0.5", "MOORINGS_START_POLL": "0.05"}


class BriefClock:
    """Real time, but never more than a moment of waiting: the emulated CloudFormation works in a thread of its own."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, duration: timedelta) -> None:
        time.sleep(min(duration.total_seconds(), 0.02))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back over HTTPS."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    text: str = field(repr=False)

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def retry_after(self) -> int:
        return int(self.headers["retry-after"])


_numbers = itertools.count(1)


@dataclass(kw_only=True)
class Site:
    """One deployed stack. Tests may share it; each keeps to servers and pools of its own."""

    cloud: LocalCloud
    aws: Aws
    plan: EnrolmentPlan
    deployed: Deployed
    vpc: str
    before: Any = None  # what `standing` was asked to look at before anything was deployed

    # -- asking, as a server does but without one

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        source: str = LISTED,
        vpce: str | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        """One HTTPS request through a VPC endpoint (the site's; empty: from the internet) from the address `source`."""
        apis, url = self.cloud.private_apis, urlsplit(self.deployed.api_url)
        via = self.deployed.vpc_endpoint if vpce is None else vpce
        address = apis.address(via, source_ip=source) if via else apis.public_address
        trust = ssl.create_default_context(cafile=str(self.cloud.ca_file))
        connection = HTTPConnection(str(url.hostname))
        with socket.create_connection(address, timeout=40) as plain:
            connection.sock = trust.wrap_socket(plain, server_hostname=url.hostname)
            sent = body if isinstance(body, str | None) else json.dumps(body)
            told = {"Content-Type": "application/json", **headers}
            connection.request(method, f"{url.path}{path}", body=sent, headers=told)
            response = connection.getresponse()
            heard = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(status=response.status, headers=heard, text=response.read().decode())
            connection.close()
        return answer

    def draw(self, *, key: str = "", pool: str = "", source: str = LISTED) -> Answer:
        """Ask for an activation with a key (a new one if none is given)."""
        wanted = {"key": key or str(uuid.uuid4()), **({"pool": pool} if pool else {})}
        return self.ask("POST", "/activations", wanted, source=source)

    # -- servers

    def make(self, *, patient: bool = False, environment: Mapping[str, str] | None = None, **spec: Any) -> Machine:
        """A server that is off; unless `user_data` is given it enrols at its first boot, by the manual's one line.

        `patient`: the script itself is fetched again and again, as the manual's recipe for first boots does.
        """
        line = FETCH.format(
            url=self.deployed.api_url,
            patience="--retry 10 --retry-connrefused " if patient else "",
            environment=" ".join(f"{name}='{value}'" for name, value in {**TUNING, **(environment or {})}.items()),
        )
        chosen = {"name": f"server-{next(_numbers)}", "vpce_id": self.deployed.vpc_endpoint, "user_data": line, **spec}
        return self.cloud.machines.create(MachineSpec(**chosen))

    def boot(self, **options: Any) -> Machine:
        """A server whose first boot is over, however it ended."""
        return self.make(**options).boot().wait_booted(BOOT_SECONDS)

    def bootstrap(self, machine: Machine, *flags: str, **environment: str) -> Any:
        """Run the script again on a server, from a copy that was fetched before: what it asks is its own doing."""
        url = f"{self.deployed.api_url}/bootstrap/linux"
        assert machine.run(["curl", "-fsS", "-o", "/run/bootstrap.sh", url]).returncode == 0
        self.settle()
        return lambda: machine.run(["bash", "/run/bootstrap.sh", *flags], environment={**TUNING, **environment})

    def node(self, machine: Machine) -> Mapping[str, Any]:
        """What Systems Manager says of a server, as the AWS CLI would show it; empty if it is no managed node."""
        wanted = [{"Key": "InstanceIds", "Values": [machine.node_id]}] if machine.node_id else []
        found = self.aws.client("ssm").describe_instance_information(Filters=wanted)["InstanceInformationList"]
        return found[0] if wanted and found else {}

    def online(self, machine: Machine) -> Mapping[str, Any]:
        """The same, once its agent has been heard: the script ends a moment before the first heartbeat."""

        def heard() -> Mapping[str, Any]:
            node = self.node(machine)
            # The first heartbeat says only that the agent is there; the second one who it is.
            return node if node and node["PingStatus"] == "Online" and "ComputerName" in node else {}

        found: Mapping[str, Any] = eventually(heard)
        return found

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a `moorings` command as an operator of this account would."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOORINGS_"))}
        return subprocess.run(
            [sys.executable, "-c", "from moorings.cli.main import main; main()", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**clean, **self.cloud.environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    # -- the stack's own parts

    @property
    def api_function(self) -> str:
        return self.deployed.outputs["ApiFunctionName"]

    @property
    def keeper_function(self) -> str:
        return self.deployed.outputs["KeeperFunctionName"]

    def keep(self) -> None:
        """One full run of the keeper, as its schedule asks for; it must not fail."""
        done = self.cloud.functions.invoke(self.keeper_function, b'{"source": "aws.events"}', region=self.aws.region)
        assert not done.function_error, done.payload

    def settle(self) -> None:
        """Return once no function has anything asynchronous left to do."""
        assert self.cloud.functions.wait_for_events(timedelta(seconds=30))

    @property
    def enrolled(self) -> Enrolled:
        """The stack as its operator's commands see it."""
        return open_enrolment(self.aws, self.deployed.stack, talk=Talk())

    def pool(self, name: str = "default") -> PoolStatus:
        return next(pool for pool in self.enrolled.oversight.overview().pools if pool.name == name)

    def unknown(self) -> list[str]:
        """Activations of this stack that neither ledger nor grant answers for."""
        return [each.id for pool in self.enrolled.oversight.overview().pools for each in pool.part(Part.UNKNOWN)]

    def truth(self) -> Truth:
        """What happened to all activations, by the service's own books."""
        return counted(self.cloud, self.enrolled.oversight.overview(), api_function=self.api_function)

    def issued(self) -> list[Activation]:
        """Every activation that the service ever made in this cloud, deleted ones included, with its code."""
        return self.cloud.world.part(Activations).ever()

    def audit(self, event: str) -> list[Mapping[str, Any]]:
        """The audit records of one kind, from both functions' logs."""
        functions = (self.api_function, self.keeper_function)
        lines = [line for one in functions for line in self.cloud.functions.logs(one, region=self.aws.region)]
        records = [json.loads(line) for line in lines if line.startswith("{") and f'"{event}"' in line]
        facts = [record.get("message") for record in records]
        return [fact for fact in facts if isinstance(fact, dict) and fact.get("event") == event]

    # -- time

    def age(self, by: timedelta) -> None:
        """Let `by` pass for all that the ledger and the service hold: their times move back, the clock stands.

        The functions' clock is real, so what would take an hour is looked at as an hour old instead.
        """
        table, dynamodb = self.deployed.outputs["LedgerTable"], self.cloud.client("dynamodb")
        for item in dynamodb.scan(TableName=table)["Items"]:
            dynamodb.put_item(TableName=table, Item=older(item, int(by.total_seconds())))
        self.cloud.world.part(Activations).age(by)


def document(*pools: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration whose one rule opens all pools to the servers' network."""
    return {
        "pool": [dict(pool) for pool in pools],
        "rule": [{"name": "servers", "proof": "network", "cidr": [NETWORK], "pools": [pool["name"] for pool in pools]}],
    }


def local_packages(cloud: LocalCloud) -> dict[str, Any]:
    """Where servers of the local cloud get their agent from."""
    return {"bootstrap": {"packages": cloud.machines.package_source, "signing_key": cloud.machines.signing_key}}


def network(aws: Aws) -> tuple[str, tuple[str, ...]]:
    """A VPC with two subnets."""
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=NETWORK)["Vpc"]["VpcId"]
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})
    cidrs = ("10.20.101.0/24", "10.20.102.0/24")
    return vpc, tuple(ec2.create_subnet(VpcId=vpc, CidrBlock=cidr)["Subnet"]["SubnetId"] for cidr in cidrs)


def account(cloud: LocalCloud, *, region: str = "") -> Aws:
    """The operator of a local cloud, in its home Region or another. In this process, calls need no socket."""
    session = cloud.session()
    attach(session, cloud.world.endpoint.dispatch)
    return Aws(region=region or cloud.world.region, session=session)


def deploy(plan: EnrolmentPlan, *, cloud: LocalCloud, aws: Aws) -> Deployed:
    """What `moorings enrolment deploy --yes` does."""
    return enrolment.deploy(plan, aws=aws, clock=BriefClock(), platform=function_platform(cloud.function_platform))


def remove(stack: str, *, aws: Aws) -> Removed:
    """What `moorings enrolment remove --yes` does."""
    return enrolment.remove(stack, aws=aws, clock=BriefClock())


@contextmanager
def standing(
    *pools: Mapping[str, Any],
    servers: bool = False,
    scale: float = 1.0,
    parameters: Mapping[str, str] | None = None,
    before: Callable[[Callable[[str], Any]], Any] = lambda _: None,
) -> Iterator[Site]:
    """A local cloud with one deployed stack whose rule opens `pools` to `NETWORK`; `servers`: some will boot there.

    `before` looks at the account, by its clients, when only the network is there.
    """
    with LocalCloud(scale=scale) as cloud:
        aws = account(cloud)
        vpc, subnets = network(aws)
        plan = EnrolmentPlan(
            stack=STACK,
            endpoint=NewEndpoint(vpc_id=vpc, subnet_ids=subnets, allowed_cidr="10.0.0.0/8"),
            allow_network_proof=True,
            configuration={**document(*pools), **(local_packages(cloud) if servers else {})},
            parameters=parameters or {},
        )
        seen = before(cloud.client)
        yield Site(cloud=cloud, aws=aws, plan=plan, deployed=deploy(plan, cloud=cloud, aws=aws), vpc=vpc, before=seen)


def second(site: Site, stack: str, *, allow_network_proof: bool = True) -> Site:
    """A further stack beside a site's, with the same document, reached through the same endpoint."""
    plan = EnrolmentPlan(
        stack=stack,
        endpoint=ExistingEndpoint(id=site.deployed.vpc_endpoint),
        allow_network_proof=allow_network_proof,
        configuration=site.plan.configuration,
    )
    deployed = deploy(plan, cloud=site.cloud, aws=site.aws)
    return Site(cloud=site.cloud, aws=site.aws, plan=plan, deployed=deployed, vpc=site.vpc)


def another_endpoint(site: Site) -> str:
    """A further VPC endpoint beside the site's own, open to everything."""
    ec2 = site.cloud.client("ec2")
    mine = ec2.describe_vpc_endpoints(VpcEndpointIds=[site.deployed.vpc_endpoint])["VpcEndpoints"][0]
    made = ec2.create_vpc_endpoint(
        VpcId=site.vpc,
        ServiceName=mine["ServiceName"],
        VpcEndpointType="Interface",
        SubnetIds=mine["SubnetIds"],
        SecurityGroupIds=[group["GroupId"] for group in mine["Groups"]],
        PrivateDnsEnabled=False,
    )
    return str(made["VpcEndpoint"]["VpcEndpointId"])


def eventually(looked: Callable[[], Any], *, within: float = 30.0) -> Any:
    """What `looked` returns as soon as that is true; AssertionError if it is not by then."""
    end = time.monotonic() + within
    while True:
        found = looked()
        if found:
            return found
        assert time.monotonic() < end, f"not within {within:g} s"
        time.sleep(0.02)
