"""Stacks in one account do not know of each other, and what is removed leaves nothing but what is said to stay."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from tests.journeys import inventory
from tests.journeys.inventory import Entry
from tests.journeys.site import BriefClock, Site, remove, second, standing

from moorings.deploy import patching
from moorings.deploy.enrolment import Removed
from moorings.deploy.package import function_platform
from moorings.deploy.patching import PatchingPlan

SCOPE = "/subscriptions/11111111-2222-3333-4444-555555555555"
CREDENTIAL = "/moorings/azure/tenant_id"
# What the account still lists, with the reason; the entries of each are looked at below.
STAYS = {
    "cloudformation:ListStacks": "CloudFormation shows deleted stacks for 90 days",
    "cloudwatch:ListMetrics": "metrics cannot be deleted; AWS drops them after 15 months",
    "ec2:DescribeVpcEndpoints": "EC2 shows deleted endpoints for a while",
    "kms:ListAliases": "the account's default keys belong to AWS, which makes them when they are first used",
    "kms:ListKeys": "keys wait for their deletion, and the default keys of AWS",
    "ssm:DescribeParameters": "credentials for Azure, which other stacks may use",
}


@dataclass(frozen=True)
class Story:
    """What was seen at each step; the tests tell it apart."""

    site: Site
    drawn: dict[str, str]  # stack → activation
    strange: dict[str, list[str]]  # stack → activations that it calls unknown, after both keepers ran
    first: Removed
    other_still_draws: int
    last: Removed
    destroyed: Mapping[str, Any]
    made: frozenset[Entry]  # what the account listed meanwhile, beyond what it had before
    left: frozenset[Entry]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with standing({"name": "default"}, before=inventory.held) as site:
        client = site.cloud.client
        site_stacks = {"site": site, "sister": second(site, "sister")}
        drawn = {name: each.draw().body["ActivationId"] for name, each in site_stacks.items()}
        for each in site_stacks.values():
            each.settle()
            each.keep()
        _patching(site)
        made = inventory.held(client) - site.before
        strange = {name: each.unknown() for name, each in site_stacks.items()}
        first = remove("site", aws=site.aws)
        still = site_stacks["sister"].draw().status
        last = remove("sister", aws=site.aws)
        done = site.command("destroy", "--yes", "--json", "--enrolment-stack", "site", "--patching-stack", "patched")
        assert done.returncode == 0, done.stderr
        left = inventory.held(client) - site.before
        yield Story(site, drawn, strange, first, still, last, json.loads(done.stdout), made, left)


def _patching(site: Site) -> None:
    """The other half with all that is optional, its keeper run once, and a credential."""
    site.cloud.client("ssm").put_parameter(Name=CREDENTIAL, Value="tenant", Type="SecureString")
    plan = PatchingPlan(scopes=(SCOPE,), stack="patched", parameters={"OutcomeTopic": "all"})
    platform = function_platform(site.cloud.function_platform)
    deployed = patching.deploy(plan, aws=site.aws, clock=BriefClock(), platform=platform)
    kept = site.cloud.functions.invoke(deployed.outputs["KeeperFunctionName"], b"{}", region=site.aws.region)
    assert not kept.function_error, kept.payload


def test_each_stack_grants_its_own_activations_and_leaves_the_others_alone(story: Story) -> None:
    assert story.drawn["site"] != story.drawn["sister"]
    assert story.strange == {"site": [], "sister": []}


def test_removing_one_takes_its_activations_and_codes_and_not_the_other(story: Story) -> None:
    assert story.first.stacks == ("site",)
    assert (story.first.activations, story.first.codes) == (2, 2)  # current and standby
    assert story.other_still_draws == 200
    assert story.last.stacks == ("sister",)


def test_the_last_to_go_takes_what_was_shared(story: Story) -> None:
    """The endpoint waited for the stack that was reached through it, the bucket for the last zip in it."""
    assert story.destroyed["patching"]["stacks"] == ["patched"]
    assert story.destroyed["enrolment"]["stacks"] == ["site-endpoint"]
    assert [story.destroyed[half]["bucket"] for half in ("patching", "enrolment")] == [True, False]


def test_at_the_end_the_account_lists_what_it_listed_before_and_what_is_said_to_stay(story: Story) -> None:
    assert {operation for operation, _ in story.left} <= set(STAYS)
    assert {stack["StackStatus"] for stack in _left(story, "cloudformation:ListStacks")} == {"DELETE_COMPLETE"}
    assert {endpoint["State"] for endpoint in _left(story, "ec2:DescribeVpcEndpoints")} <= {"deleted"}
    spaces = {metric["Namespace"] for metric in _left(story, "cloudwatch:ListMetrics")}
    assert spaces <= {"Moorings", "AWS/ApiGateway", "AWS/Lambda"}
    assert all(alias["AliasName"].startswith("alias/aws/") for alias in _left(story, "kms:ListAliases"))
    assert [parameter["Name"] for parameter in _left(story, "ssm:DescribeParameters")] == [CREDENTIAL]
    assert _key_states(story) == ["PendingDeletion"] * 3  # two of codes, one of the topic


def _left(story: Story, operation: str) -> list[Any]:
    return [json.loads(entry) for named, entry in story.left if named == operation]


def _key_states(story: Story) -> list[str]:
    """Of the keys that are ours."""
    managed = {alias.get("TargetKeyId") for alias in _left(story, "kms:ListAliases")}
    kms = story.site.cloud.client("kms")
    keys = [key["KeyId"] for key in _left(story, "kms:ListKeys") if key["KeyId"] not in managed]
    return [kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in keys]


def test_the_look_would_have_seen_each_kind_of_thing_that_was_made(story: Story) -> None:
    """Else it would say little that nothing is left."""
    assert {operation for operation, _ in story.made} >= {
        "apigateway:GetRestApis", "cloudformation:DescribeStacks", "cloudwatch:DescribeAlarms",
        "cloudwatch:ListDashboards", "dynamodb:ListTables", "ec2:DescribeSecurityGroups", "ec2:DescribeVpcEndpoints",
        "events:ListRules", "iam:ListPolicies", "iam:ListRoles", "kms:ListKeys", "lambda:ListFunctions",
        "lambda:ListLayers", "logs:DescribeLogGroups", "s3:ListBuckets", "sns:ListTopics", "ssm:DescribeActivations",
        "ssm:DescribeParameters", "ssm:ListDocuments",
    }  # fmt: skip


def test_what_stays_is_said_with_the_command_that_removes_it(story: Story) -> None:
    said = " ".join([*story.first.kept, *story.destroyed["patching"]["kept"], *story.destroyed["enrolment"]["kept"]])

    assert "KMS key" in said
    assert "`aws ssm delete-parameter --name NAME`" in said
    assert "`moorings nodes list`" in said
    assert "`az resource list --tag moorings-stack=" in said
