"""The doctor on a local cloud: before deploying, with both stacks, and after somebody changed things by hand."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest
from tests.deploy.conftest import Account, BriefClock, new_account

from localcloud.cloud import LocalCloud
from moorings.clock import SystemClock
from moorings.clouds.aws import Aws
from moorings.deploy import enrolment, patching
from moorings.deploy.package import function_platform
from moorings.deploy.rights import Place, Statement, statements
from moorings.doctor.aws import AwsProbes
from moorings.doctor.catalogue import CHECKS
from moorings.doctor.model import Ask, Finding, Group, Report, State
from moorings.doctor.service import examine

SCOPE = "/subscriptions/11111111-2222-3333-4444-555555555555"
TOPIC_NAME = "alarms"


@dataclass(frozen=True)
class Standing:
    """An account with both stacks, and its topic of alarms."""

    account: Account
    ask: Ask
    topic: str


def _ask(account: Account) -> Ask:
    return Ask(region=account.aws.region, enrolment="en", patching="pa", vpc=account.vpc)


def _examined(account: Account, ask: Ask, *groups: Group) -> Report:
    probes = AwsProbes(account.aws, clock=SystemClock(), anchors=None)
    return examine(replace(ask, groups=frozenset(groups or Group)), probes)


def _of(report: Report, check: str) -> list[Finding]:
    return [each for each in report.findings if each.check == check]


@pytest.fixture(scope="module")
def standing() -> Iterator[Standing]:
    with LocalCloud(in_process=True) as cloud:
        account = new_account(cloud)
        topic = str(account.aws.client("sns").create_topic(Name=TOPIC_NAME)["TopicArn"])
        platform = function_platform(cloud.function_platform)
        endpoint = enrolment.NewEndpoint(vpc_id=account.vpc, subnet_ids=account.subnets, allowed_cidr="10.0.0.0/8")
        plan = enrolment.EnrolmentPlan(
            endpoint=endpoint, allow_network_proof=True, stack="en", parameters={"AlarmTopicArn": topic}
        )
        enrolment.deploy(plan, aws=account.aws, clock=BriefClock(), platform=platform)
        wanted = patching.PatchingPlan(scopes=(SCOPE,), stack="pa")
        patching.deploy(wanted, aws=account.aws, clock=BriefClock(), platform=platform)
        yield Standing(account=account, ask=_ask(account), topic=topic)


def test_before_deploying_it_looks_at_what_is_there_and_asks_for_nothing(fresh_account: Account) -> None:
    report = _examined(fresh_account, _ask(fresh_account))

    assert report.well
    assert {each.state for each in _of(report, "stack-status")} == {State.ADVICE}
    assert _of(report, "vpc-dns")[0].state is State.OK
    assert _of(report, "artifact-bucket")[0].state is State.OK
    assert not {each.check for each in report.findings if each.state is State.UNKNOWN} - _not_local()


def test_before_deploying_a_planned_size_and_a_vpc_without_names_are_told(fresh_account: Account) -> None:
    ec2 = fresh_account.aws.client("ec2")
    ec2.modify_vpc_attribute(VpcId=fresh_account.vpc, EnableDnsHostnames={"Value": False})

    report = _examined(fresh_account, replace(_ask(fresh_account), nodes=1_500))

    assert {each.check for each in report.needing_action} == {"vpc-dns"}
    assert _of(report, "hybrid-tier")[0].state is State.UNKNOWN


def test_with_both_stacks_only_what_is_really_missing_is_told(standing: Standing) -> None:
    """Credentials for Azure are not stored yet, and nobody listens to the topic."""
    report = _examined(standing.account, standing.ask)

    assert {each.check for each in report.needing_action} == {"azure-parameters", "alarms-heard"}
    for check in ("stack-status", "function-state", "function-drift", "keeper-schedule", "alarms-there"):
        assert len(_of(report, check)) >= 2
        assert {each.state for each in _of(report, check)} == {State.OK}
    for check in ("vpc-endpoint", "vpc-dns", "artifact-bucket", "runbook-version"):
        assert {each.state for each in _of(report, check)} == {State.OK}
    assert {each.check for each in report.findings} == set(CHECKS) - {"azure-sign-in", "alarms-quiet"}
    assert not {each.check for each in report.findings if each.state is State.UNKNOWN} - _not_local() - {"api-dns"}


def test_every_finding_that_is_not_well_means_something_and_has_one_command(standing: Standing) -> None:
    for each in _examined(standing.account, standing.ask).findings:
        assert each.state is State.OK or (each.means and each.command and "\n" not in each.command), each


def test_what_somebody_changed_by_hand_is_named(standing: Standing) -> None:
    aws, ask = standing.account.aws, standing.ask
    facts = aws.client("cloudformation")
    made = {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for page in facts.get_paginator("list_stack_resources").paginate(StackName=ask.enrolment)
        for each in page["StackResourceSummaries"]
    }
    aws.client("lambda").update_function_configuration(FunctionName=made["KeeperFunction"], Timeout=3)
    aws.client("events").disable_rule(Name=made["KeeperSchedule"])
    aws.client("cloudwatch").delete_alarms(AlarmNames=[made["KeeperErrorsAlarm"]])

    report = _examined(standing.account, ask, Group.FUNCTIONS, Group.ALARMS)

    told = {each.check: each for each in report.needing_action if each.check != "alarms-heard"}
    assert set(told) == {"function-drift", "keeper-schedule", "alarms-there"}
    assert "Timeout is 3, deployed was 300" in told["function-drift"].what
    assert told["keeper-schedule"].command == f"aws events enable-rule --name {made['KeeperSchedule']}"
    assert told["alarms-there"].subject == "KeeperErrorsAlarm"


def test_a_runbook_whose_older_version_is_started_is_named_and_the_command_mends_it(standing: Standing) -> None:
    ssm = standing.account.aws.client("ssm")
    name = "Azure-PatchVMWithRollback"
    content = ssm.get_document(Name=name, DocumentFormat="YAML")["Content"] + "\n# as somebody would have it\n"
    newest = ssm.update_document(Name=name, Content=content, DocumentVersion="$LATEST", DocumentFormat="YAML")
    version = newest["DocumentDescription"]["DocumentVersion"]

    found = _of(_examined(standing.account, standing.ask, Group.STACKS), "runbook-version")[0]
    words = found.command.split()
    ssm.update_document_default_version(Name=words[-3], DocumentVersion=words[-1])

    assert (found.state, words[-1]) == (State.ACT, version)
    assert _of(_examined(standing.account, standing.ask, Group.STACKS), "runbook-version")[0].state is State.OK


def test_rights_are_simulated_by_the_policies_that_a_role_has(standing: Standing) -> None:
    """Before anything is made: whoever holds the policy lacks nothing; a right less is named, and no other."""
    cloud, aws = standing.account.cloud, standing.account.aws
    place = Place(account=aws.account, region=aws.region, enrolment="en", patching="pa")
    held = [each for each in statements(place) if each.sid != "PatchingLayer"]
    for role, given in (("holder", statements(place)), ("lacking", held)):
        _make_role(aws, role, given)

    holder, lacking = (
        examine(
            replace(standing.ask, groups=frozenset({Group.RIGHTS})),
            AwsProbes(
                Aws(region=aws.region, session=cloud.session(cloud.assumed(role))), clock=SystemClock(), anchors=None
            ),
        )
        for role in ("holder", "lacking")
    )

    assert {each.state for each in holder.findings} == {State.OK}
    (found,) = lacking.needing_action
    layer = "lambda:DeleteLayerVersion, lambda:GetLayerVersion, lambda:PublishLayerVersion"
    assert found.means.startswith(f"{layer}: needed to make the layer")


def _make_role(aws: Aws, role: str, held: Sequence[Statement]) -> None:
    iam = aws.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    written = [
        {"Effect": "Allow", "Action": each.actions, "Resource": each.resources, "Condition": each.conditions}
        for each in held
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": written})
    iam.put_role_policy(RoleName=role, PolicyName="held", PolicyDocument=document)


def test_a_group_alone_asks_for_nothing_else(standing: Standing) -> None:
    report = _examined(standing.account, standing.ask, Group.ARTIFACTS)

    assert {CHECKS[each.check].group for each in report.findings} == {Group.ARTIFACTS}


def _not_local() -> set[str]:
    return {name for name, each in CHECKS.items() if not each.local}
