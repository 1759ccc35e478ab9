"""Two stacks in one account do not know of each other, and what is removed leaves nothing but what is said to stay."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.journeys.site import Site, remove, second, standing

from localcloud.aws.ssm.nodes import ManagedNodes
from moorings.deploy.enrolment import Removed


@dataclass(frozen=True)
class Story:
    """What was seen at each step; the tests tell it apart."""

    site: Site
    drawn: dict[str, str]  # stack → activation
    strange: dict[str, list[str]]  # stack → activations that it calls unknown, after both keepers ran
    first: Removed
    other_still_draws: int
    last: Removed
    left: dict[str, Any]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with standing({"name": "default"}) as site:
        site_stacks = {"site": site, "sister": second(site, "sister")}
        drawn = {name: each.draw().body["ActivationId"] for name, each in site_stacks.items()}
        for each in site_stacks.values():
            each.settle()
            each.keep()
        strange = {name: each.unknown() for name, each in site_stacks.items()}
        first = remove("site", aws=site.aws)
        still = site_stacks["sister"].draw().status
        last = remove("sister", aws=site.aws)
        gone = remove("site", aws=site.aws)
        assert gone.stacks == ("site-endpoint",), "it waited for the one that was reached through it"
        yield Story(site, drawn, strange, first, still, last, _standing_in(site))


def test_each_stack_grants_its_own_activations_and_leaves_the_others_alone(story: Story) -> None:
    assert story.drawn["site"] != story.drawn["sister"]
    assert story.strange == {"site": [], "sister": []}


def test_removing_one_takes_its_activations_and_codes_and_not_the_other(story: Story) -> None:
    assert story.first.stacks == ("site",)
    assert (story.first.activations, story.first.codes) == (2, 2)  # current and standby
    assert story.other_still_draws == 200
    assert (story.last.stacks, story.last.bucket) == (("sister",), True)


def test_at_the_end_the_account_holds_nothing_but_keys_that_wait_for_their_deletion(story: Story) -> None:
    keys = story.left.pop("keys")

    assert story.left == {}
    assert keys == ["PendingDeletion", "PendingDeletion"]
    assert all(any("KMS key" in sentence for sentence in removed.kept) for removed in (story.first, story.last))


def _standing_in(site: Site) -> dict[str, Any]:
    """Everything of ours that the account still shows, service by service; empty ones are left out."""
    client = site.cloud.client
    formation, kms = client("cloudformation"), client("kms")
    # The account's own default keys (alias/aws/dynamodb) belong to AWS, which makes them when they are first used.
    managed = {
        alias.get("TargetKeyId")
        for alias in kms.list_aliases()["Aliases"]
        if alias["AliasName"].startswith("alias/aws/")
    }
    keys = [kms.describe_key(KeyId=each["KeyId"])["KeyMetadata"] for each in kms.list_keys()["Keys"]]
    named: dict[str, list[Any]] = {
        "stacks": [
            each["StackName"]
            for each in formation.list_stacks()["StackSummaries"]
            if each["StackStatus"] != "DELETE_COMPLETE"
        ],
        "functions": client("lambda").list_functions()["Functions"],
        "roles": [
            role["RoleName"] for role in client("iam").list_roles()["Roles"] if "service-role" not in role["Path"]
        ],
        "tables": client("dynamodb").list_tables()["TableNames"],
        "apis": client("apigateway").get_rest_apis()["items"],
        "logs": [group["logGroupName"] for group in client("logs").describe_log_groups()["logGroups"]],
        "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
        "dashboards": client("cloudwatch").list_dashboards()["DashboardEntries"],
        "rules": client("events").list_rules()["Rules"],
        "endpoints": [
            each["VpcEndpointId"]
            for each in client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
            if each["State"] != "deleted"
        ],
        "groups": [
            group["GroupId"]
            for group in client("ec2").describe_security_groups()["SecurityGroups"]
            if group["GroupName"] != "default"
        ],
        "activations": client("ssm").describe_activations()["ActivationList"],
        "parameters": client("ssm").describe_parameters()["Parameters"],
        "buckets": client("s3").list_buckets()["Buckets"],
        "topics": client("sns").list_topics()["Topics"],
        "nodes": site.cloud.world.part(ManagedNodes).all(),
        "keys": [key["KeyState"] for key in keys if key["KeyId"] not in managed],
    }
    return {name: found for name, found in named.items() if found}
