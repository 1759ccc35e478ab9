"""A private API behind a VPC endpoint, with a function that a test hands in."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from localcloud.aws.apigateway.front import PrivateApis
from localcloud.aws.apigateway.gateway import Gateway
from localcloud.aws.functions.model import Invocation
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from localcloud.errors import ServiceError
from localcloud.wire import Headers, Request, Response

REGION = "us-east-1"
FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:enrol"


@dataclass
class FakeLambda:
    """Answers with what the test says; remembers the events."""

    reply: Callable[[dict[str, Any]], Any] = lambda event: {"statusCode": 200, "body": "{}"}
    allowed: bool = True
    function_error: str = ""
    refusal: ServiceError | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def invoke(self, name_or_arn: str, payload: bytes) -> Invocation:
        event = json.loads(payload)
        self.events.append(event)
        if self.refusal is not None:
            raise self.refusal
        reply = self.reply(event)
        body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        return Invocation(status=200, payload=body, function_error=self.function_error, request_id="function-1")

    def may_invoke(self, function: str, service_principal: str, source_arn: str) -> bool:
        self.sources.append(source_arn)
        return self.allowed


@dataclass
class Network:
    """A VPC with one endpoint for execute-api that lets 10.0.0.0/8 in."""

    vpc_id: str
    vpce_id: str
    group_id: str


@pytest.fixture(scope="module")
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture(scope="module")
def cloud(clock: SteppedClock) -> Iterator[LocalCloud]:
    with LocalCloud(clock=clock, in_process=True) as running:
        yield running


@pytest.fixture(scope="module")
def network(cloud: LocalCloud) -> Network:
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="endpoint", Description="endpoint", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
    )
    made = ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName=f"com.amazonaws.{REGION}.execute-api",
        VpcEndpointType="Interface",
        SubnetIds=[subnet],
        SecurityGroupIds=[group],
        PrivateDnsEnabled=False,
    )
    return Network(vpc_id=vpc, vpce_id=made["VpcEndpoint"]["VpcEndpointId"], group_id=group)


@pytest.fixture
def function(cloud: LocalCloud) -> FakeLambda:
    fake = FakeLambda()
    cloud.world.part(Gateway).functions = fake
    return fake


def statement(effect: str, **condition: Mapping[str, Any]) -> dict[str, Any]:
    """A statement of a resource policy over the whole API."""
    made: dict[str, Any] = {
        "Effect": effect, "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
    }  # fmt: skip
    return {**made, "Condition": condition} if condition else made


@dataclass
class Api:
    """A deployed API and how to call it."""

    cloud: LocalCloud
    id: str
    network: Network
    stage: str = "live"

    @property
    def client(self) -> Any:
        return self.cloud.client("apigateway")

    @property
    def host(self) -> str:
        return f"{self.id}.execute-api.{REGION}.amazonaws.com"

    def request(self, method: str, path: str, **parts: Any) -> Request:
        headers = {"Host": self.host, **parts.pop("headers", {})}
        return Request(method=method, path=path, headers=Headers.of(headers), **parts)

    def call(
        self, method: str = "GET", path: str = "/live/", *, source_ip: str = "10.0.0.10", **parts: Any
    ) -> Response:
        front = self.cloud.world.part(PrivateApis)
        return front.answer(self.request(method, path, **parts), self.network.vpce_id, source_ip=source_ip)

    def deploy(self) -> str:
        made: str = self.client.create_deployment(restApiId=self.id)["id"]
        return made

    def redeploy(self) -> None:
        patches = [{"op": "replace", "path": "/deploymentId", "value": self.deploy()}]
        self.client.update_stage(restApiId=self.id, stageName=self.stage, patchOperations=patches)

    def set_stage(self, **values: Any) -> None:
        patches = [{"op": "replace", "path": path, "value": str(value)} for path, value in values["patches"].items()]
        self.client.update_stage(restApiId=self.id, stageName=self.stage, patchOperations=patches)

    def add_method(self, path: str, method: str, *, timeout: int = 29_000) -> None:
        client = self.client
        items = {one["path"]: one["id"] for one in client.get_resources(restApiId=self.id)["items"]}
        parent, known = items["/"], ""
        for part in [part for part in path.split("/") if part]:
            known = f"{known}/{part}"
            if known not in items:
                items[known] = client.create_resource(restApiId=self.id, parentId=parent, pathPart=part)["id"]
            parent = items[known]
        where = {"restApiId": self.id, "resourceId": parent, "httpMethod": method}
        client.put_method(**where, authorizationType="NONE")
        uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
        client.put_integration(
            **where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri, timeoutInMillis=timeout
        )


@pytest.fixture
def make_api(cloud: LocalCloud, network: Network, function: FakeLambda) -> Callable[..., Api]:
    def make(*statements: Mapping[str, Any], routes: tuple[str, ...] = ("GET /",), **settings: Any) -> Api:
        policy = {"Version": "2012-10-17", "Statement": list(statements) or [statement("Allow")]}
        arguments = {"endpointConfiguration": {"types": ["PRIVATE"]}, "policy": json.dumps(policy), **settings}
        client = cloud.client("apigateway")
        api = Api(cloud, client.create_rest_api(name="enrolment", **arguments)["id"], network)
        for route in routes:
            method, path = route.split(" ")
            api.add_method(path, method)
        client.create_stage(restApiId=api.id, stageName="live", deploymentId=api.deploy())
        return api

    return make


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()
