"""Who may deploy: somebody who holds just this policy deploys, updates, examines and removes both halves; he needs all
of it, and nothing is refused."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.conftest import Account, BriefClock, new_account

from localcloud.aws.call import CallRecord
from localcloud.aws.iam import patterns
from localcloud.aws.iam.documents import parse
from localcloud.cloud import LocalCloud
from moorings.clock import SystemClock
from moorings.clouds.aws import Aws
from moorings.deploy import enrolment, patching
from moorings.deploy.package import FunctionPlatform, Package, build, function_platform
from moorings.deploy.rights import LARGEST, Part, Place, Statement, document, size_of, statements
from moorings.doctor.aws import AwsProbes
from moorings.doctor.model import Ask
from moorings.doctor.rights import PURPOSES
from moorings.doctor.service import examine
from moorings.errors import CloudFault, Misconfigured

ROLE = "deployer"
BUS = "ops"
SCOPES = ("/subscriptions/11111111-2222-3333-4444-555555555555",)
TENANT = "aaaaaaaa-0000-0000-0000-000000000001"
POOLS = {
    "pool": [{"name": "default"}],
    "rule": [{"name": "n", "proof": "network", "cidr": ["10.0.0.0/8"], "pools": ["default"]}],
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
# What the local cloud cannot be asked, or does not have → why the policy has it all the same.
NOT_USED_HERE = {
    "servicequotas:GetServiceQuota": "no quotas of services are kept here",
    "cloudwatch:UntagResource": "dashboards bear no tags here",
    "user/*": "deployers may be users; here they are roles",
}


@dataclass(frozen=True)
class Deployer:
    """Somebody with a role, in an account of his own."""

    account: Account
    aws: Aws
    place: Place

    def hold(self, documents: dict[str, list[dict[str, Any]]]) -> None:
        """Give the role just these policies."""
        iam = self.account.aws.client("iam")
        for name in iam.list_role_policies(RoleName=ROLE)["PolicyNames"]:
            iam.delete_role_policy(RoleName=ROLE, PolicyName=name)
        for name, content in documents.items():
            text = json.dumps({"Version": "2012-10-17", "Statement": content})
            iam.put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=text)

    @property
    def calls(self) -> list[CallRecord]:
        return [one for one in self.account.cloud.world.calls.snapshot() if one.principal.role_name == ROLE]


def _layer(_name: str, *, platform: FunctionPlatform, anchors: Path | None = None) -> Package:
    """Any zip will do, as nobody patches with it; the real one takes seconds to build."""
    assert anchors is None
    return build("patching", platform=platform)


def _deployer(cloud: LocalCloud) -> Deployer:
    account = new_account(cloud)
    account.aws.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))
    aws = Aws(region=cloud.world.region, session=cloud.session(cloud.assumed(ROLE)))
    return Deployer(account=account, aws=aws, place=Place(account=cloud.world.account, region=cloud.world.region))


def _written(statement: Statement) -> dict[str, Any]:
    return {
        "Sid": statement.sid,
        "Effect": "Allow",
        "Action": statement.actions,
        "Resource": statement.resources,
        "Condition": statement.conditions,
    }


def _plans(
    deployer: Deployer, *, tags: dict[str, str], further: dict[str, str], federated: bool, **extra: str
) -> tuple[enrolment.EnrolmentPlan, patching.PatchingPlan]:
    endpoint = enrolment.NewEndpoint(
        vpc_id=deployer.account.vpc, subnet_ids=deployer.account.subnets, allowed_cidr="10.0.0.0/8"
    )
    federation = {"FederationTenantId": TENANT, "FederationClientId": TENANT} if federated else {}
    one = enrolment.EnrolmentPlan(
        endpoint=endpoint,
        allow_network_proof=True,
        parameters={"CreateApiGatewayLoggingRole": "yes", **further, **extra},
        configuration=POOLS,
        tags=tags,
    )
    parameters = {"OutcomeTopic": "all", "EventBusName": BUS, **federation, **further}
    return one, patching.PatchingPlan(scopes=SCOPES, parameters=parameters, tags=tags)


def _deploy(deployer: Deployer, *plans: Any, only_look: bool = False) -> None:
    how: dict[str, Any] = {
        "aws": deployer.aws,
        "clock": BriefClock(),
        "platform": function_platform(deployer.account.cloud.function_platform),
    }
    for plan in plans:
        room: Any = enrolment if isinstance(plan, enrolment.EnrolmentPlan) else patching
        (room.preview if only_look else room.deploy)(plan, **how)


def _examine(deployer: Deployer) -> None:
    ask = Ask(
        region=deployer.aws.region,
        enrolment=enrolment.DEFAULT_STACK,
        patching=patching.DEFAULT_STACK,
        vpc=deployer.account.vpc,
    )
    examine(ask, AwsProbes(deployer.aws, clock=SystemClock(), anchors=None))


def _leave_something_to_sweep(deployer: Deployer) -> None:
    """As the functions would have."""
    aws = deployer.account.aws
    mark = f"{enrolment.DEFAULT_STACK}-{uuid.uuid4().hex[:8]}"
    role = aws.client("cloudformation").describe_stack_resource(
        StackName=enrolment.DEFAULT_STACK, LogicalResourceId="NodeRole"
    )["StackResourceDetail"]["PhysicalResourceId"]
    aws.client("ssm").create_activation(IamRole=role, Description=f"moorings stack={mark} pool=default")
    aws.client("ssm").put_parameter(Name=f"/moorings/{mark}/code", Value="code", Type="SecureString")


@pytest.fixture(scope="module")
def deployer() -> Iterator[Deployer]:
    """Somebody who has gone the whole way: deployed with every option, looked, updated twice, looked, removed."""
    with LocalCloud(in_process=True) as cloud, pytest.MonkeyPatch.context() as patch:
        patch.setattr(patching, "build_layer", _layer)
        who = _deployer(cloud)
        root = who.account.aws
        root.client("events").create_event_bus(Name=BUS)
        topic = str(root.client("sns").create_topic(Name="alarms")["TopicArn"])
        by_part: dict[str, list[dict[str, Any]]] = {}
        for each in statements(who.place):
            by_part.setdefault(each.part.value, []).append(_written(each))
        who.hold(by_part)
        edge = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
        made = root.client("iam").create_policy(PolicyName="edge", PolicyDocument=edge)
        bounded = {"PermissionsBoundary": str(made["Policy"]["Arn"])}
        first = _plans(who, tags={"team": "a"}, further=bounded, federated=False, ApiConcurrency="5")
        _deploy(who, *first, only_look=True)
        _deploy(who, *first)
        _examine(who)
        root.client("iam").enable_outbound_web_identity_federation()
        changed = {**bounded, "AlarmTopicArn": topic, "LogRetentionDays": "7"}
        second = _plans(who, tags={"owner": "b"}, further=changed, federated=True, ApiConcurrency="none")
        _deploy(who, *second)
        _examine(who)
        _leave_something_to_sweep(who)
        patching.remove(aws=who.aws, clock=BriefClock())
        enrolment.remove(aws=who.aws, clock=BriefClock())
        yield who


def test_whoever_holds_it_is_refused_nothing(deployer: Deployer) -> None:
    refused = [one for one in deployer.calls if "Denied" in one.error or "Unauthorized" in one.error]

    assert refused == []
    stacks = deployer.account.aws.client("cloudformation").describe_stacks()["Stacks"]
    assert stacks == []
    assert deployer.account.aws.client("s3").list_buckets()["Buckets"] == []


def test_all_of_it_is_needed(deployer: Deployer) -> None:
    """Each action of each statement was used there, and on each of its resources something was."""
    used = {(use.statement, use.action, use.resource) for one in deployer.calls for use in one.uses}

    for each in statements(deployer.place):
        here = [(action, resource) for sid, action, resource in used if sid == each.sid]
        idle = {action for action in each.actions if action not in {one for one, _ in here}}
        assert idle <= NOT_USED_HERE.keys(), f"{each.sid}: {idle}"
        for pattern in each.resources:
            met = any(_covers(pattern, resource) for _, resource in here)
            assert met or pattern.rpartition(":")[2] in NOT_USED_HERE, f"{each.sid}: {pattern}"


def _covers(pattern: str, resource: str) -> bool:
    return patterns.matches(pattern, resource, shape=patterns.Shape.RESOURCE, variables=None)


def test_what_only_the_doctor_asks_is_needed_by_him_alone(deployer: Deployer) -> None:
    """Without that document everything is deployed and removed all the same."""
    doctors = {each.sid for each in statements(deployer.place) if each.part is Part.DOCTOR}

    assert not {use.statement for one in deployer.calls if one.principal.via for use in one.uses} & doctors
    # Direct ones: what no deployment, update or removal calls.
    made = [action for each in statements(deployer.place) if each.sid in doctors for action in each.actions]
    assert not [action for action in made if action.partition(":")[2].startswith(("Create", "Delete", "Put", "Update"))]


def test_an_open_resource_is_where_the_service_knows_none(deployer: Deployer) -> None:
    """Everything that was asked for on a resource of its own is allowed there, not everywhere."""
    asked = {(use.action, use.resource) for one in deployer.calls for use in one.uses}
    everywhere = {action for each in statements(deployer.place) if "*" in each.resources for action in each.actions}

    on_something = {action for action, resource in asked if action in everywhere and resource != "*"}

    # Listed by name, or all of them at once: then they are asked for on `alarm:*`, which no narrower pattern covers.
    assert on_something == {"cloudwatch:DescribeAlarms"}


def test_every_statement_says_what_it_is_for(deployer: Deployer) -> None:
    assert [each.sid for each in statements(deployer.place)] == list(PURPOSES)


def test_nothing_of_a_service_is_given_whole(deployer: Deployer) -> None:
    actions = [action for each in statements(deployer.place) for action in each.actions]

    assert not [action for action in actions if "*" in action]


def test_what_makes_things_makes_them_through_cloudformation_alone(deployer: Deployer) -> None:
    """Roles, keys and networks cannot be touched with these rights but by a change set of these stacks."""
    direct = {action for each in statements(deployer.place) if not each.conditions for action in each.actions}

    assert not {action for action in direct if action.startswith(("iam:Create", "iam:Put", "iam:Attach", "iam:Pass"))}
    assert not {action for action in direct if action.startswith("kms:")}
    iam = deployer.aws.client("iam")
    with pytest.raises(iam.exceptions.ClientError, match="not authorized to perform: iam:CreateRole"):
        iam.create_role(RoleName="moorings-enrolment-mine", AssumeRolePolicyDocument=json.dumps(TRUST))


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-2", "us-gov-west-1"])
@pytest.mark.parametrize("stack", ["moorings-enrolment", "a-name-that-is-long-for-a-stack-but-may-be"])
def test_each_document_fits_into_a_managed_policy(region: str, stack: str) -> None:
    partition = "aws-us-gov" if "gov" in region else "aws"
    place = Place(partition=partition, account="111122223333", region=region, enrolment=stack, patching=f"{stack}-2")

    for part in Part:
        made = document(part, place)
        assert size_of(made) <= LARGEST
        parse(made, name=part.value)


@pytest.mark.parametrize("part", list(Part))
def test_a_document_allows_what_its_statements_do(part: Part) -> None:
    place = Place(account="111122223333", region="eu-central-1")
    mine = [each for each in statements(place) if each.part is part]
    made = document(part, place)["Statement"]

    for each in mine:
        conditions = {operator: {key: list(values) for key, values in tests.items()}
                      for operator, tests in each.conditions.items()}  # fmt: skip
        there = [
            one
            for one in made
            if one.get("Condition", {}) == conditions and set(each.actions) <= set(one["Action"])
            and set(each.resources) <= set(one["Resource"])
        ]  # fmt: skip
        assert len(there) == 1, each.sid
    assert all(one["Resource"] == ["*"] or "*" not in one["Resource"] for one in made)


@pytest.mark.parametrize(("only", "other"), [(Part.ENROLMENT, "patching"), (Part.PATCHING, "enrolment")])
def test_whoever_deploys_one_half_gets_nothing_of_the_other(only: Part, other: str) -> None:
    place = Place(account="111122223333", region="eu-central-1")

    text = json.dumps([document(part, place, parts=(only, Part.DOCTOR)) for part in Part])

    assert f"moorings-{other}" not in text
    assert "/moorings/azure" not in text or only is Part.PATCHING


def test_one_right_less_fails_the_stack_and_names_the_right() -> None:
    """As in AWS: CloudFormation has no rights but those of whoever calls it."""
    with LocalCloud(in_process=True) as cloud:
        who = _deployer(cloud)
        lacking = [
            {**_written(each), "Action": [one for one in each.actions if one != "dynamodb:DescribeContributorInsights"]}
            for each in statements(who.place)
        ]
        who.hold({"deployer": lacking})
        plan = enrolment.EnrolmentPlan(
            endpoint=enrolment.ExistingEndpoint(id="vpce-0123456789abcdef0"), allow_network_proof=True
        )
        platform = function_platform(cloud.function_platform)

        with pytest.raises((CloudFault, Misconfigured), match="dynamodb:DescribeContributorInsights") as told:
            enrolment.deploy(plan, aws=who.aws, clock=BriefClock(), platform=platform)

        assert "Ledger" in str(told.value)
        assert who.account.aws.client("dynamodb").list_tables()["TableNames"] == []
