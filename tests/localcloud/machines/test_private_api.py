"""A machine and private APIs: through its VPC endpoint with its own address, or refused."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.localcloud.machines.conftest import Make

from localcloud.aws.apigateway.gateway import Gateway
from localcloud.aws.functions.model import Invocation
from localcloud.cloud import LocalCloud

pytestmark = pytest.mark.machines

REGION = "us-east-1"
FUNCTION = f"arn:aws:lambda:{REGION}:111122223333:function:echo"
OPEN = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"},
    ],
}


@dataclass
class Echo:
    """Stands in for Lambda; answers and remembers who asked."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def invoke(self, _name: str, payload: bytes) -> Invocation:
        self.events.append(json.loads(payload))
        body = json.dumps({"statusCode": 200, "body": "through"}).encode()
        return Invocation(status=200, payload=body, function_error="")

    def may_invoke(self, _function: str, _service_principal: str, _source_arn: str) -> bool:
        return True


@pytest.fixture
def echo(cloud: LocalCloud) -> Iterator[Echo]:
    gateway = cloud.world.part(Gateway)
    kept, stand_in = gateway.functions, Echo()
    gateway.functions = stand_in
    yield stand_in
    gateway.functions = kept


@pytest.fixture(scope="module")
def vpce_id(cloud: LocalCloud) -> str:
    """An endpoint that lets 10.0.0.0/8 in."""
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="machines", Description="machines", VpcId=vpc)["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    made = ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName=f"com.amazonaws.{REGION}.execute-api",
        VpcEndpointType="Interface",
        SubnetIds=[subnet],
        SecurityGroupIds=[group],
        PrivateDnsEnabled=False,
    )
    return str(made["VpcEndpoint"]["VpcEndpointId"])


@pytest.fixture
def url(cloud: LocalCloud, echo: Echo, vpce_id: str) -> str:
    """The invoke URL of a private API with one route."""
    assert echo is not None
    client = cloud.client("apigateway")
    api = client.create_rest_api(
        name="private",
        endpointConfiguration={"types": ["PRIVATE"], "vpcEndpointIds": [vpce_id]},
        policy=json.dumps(OPEN),
    )["id"]
    where = {"restApiId": api, "resourceId": client.get_resources(restApiId=api)["items"][0]["id"], "httpMethod": "GET"}
    client.put_method(**where, authorizationType="NONE")
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
    client.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    client.create_stage(restApiId=api, stageName="live", deploymentId=client.create_deployment(restApiId=api)["id"])
    return f"https://{api}.execute-api.{REGION}.amazonaws.com/live/"


def test_a_private_api_sees_the_machines_own_address_and_endpoint(
    make: Make, url: str, vpce_id: str, echo: Echo
) -> None:
    machine = make(vpce_id=vpce_id, ip="10.44.0.9")
    assert machine.run(["curl", "-fsS", "--proto", "=https", url]).stdout == "through"
    identity = echo.events[0]["requestContext"]["identity"]
    assert (identity["sourceIp"], identity["vpceId"]) == ("10.44.0.9", vpce_id)


def test_the_endpoints_own_name_for_an_api_leads_there_too(make: Make, url: str, vpce_id: str) -> None:
    named = url.replace(".execute-api", f"-{vpce_id}.execute-api", 1)
    assert make(vpce_id=vpce_id).run(["curl", "-fsS", named]).stdout == "through"


def test_a_machine_without_an_endpoint_is_forbidden(make: Make, url: str, echo: Echo) -> None:
    asked = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url]
    assert make().run(asked).stdout == "403"
    assert echo.events == []


def test_a_machine_outside_the_security_group_gets_no_answer(make: Make, url: str, vpce_id: str) -> None:
    assert make(vpce_id=vpce_id, ip="192.168.7.7").run(["curl", "-sS", url]).returncode != 0


def test_an_api_made_after_the_boot_is_reached_once_names_are_refreshed(
    make: Make, cloud: LocalCloud, vpce_id: str, request: pytest.FixtureRequest
) -> None:
    machine = make(vpce_id=vpce_id)
    late = request.getfixturevalue("url")
    assert machine.run(["curl", "-sS", late]).returncode == 6
    cloud.machines.refresh_names()
    assert machine.run(["curl", "-fsS", late]).stdout == "through"
