"""Which services may take on a role."""

from typing import Any

import pytest

from localcloud.aws.iam.trust import LAMBDA, SSM, may_assume


def trust(service: str, **condition: Any) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        "Condition": condition,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_a_role_is_taken_on_by_the_service_it_trusts_alone(account: Any) -> None:
    arn = account.role("nodes", trust=trust(SSM), Path="/mine/")

    assert may_assume(account.world, "nodes", SSM)
    assert may_assume(account.world, "mine/nodes", SSM)
    assert may_assume(account.world, arn, SSM)
    assert not may_assume(account.world, "nodes", LAMBDA)


def test_a_role_that_does_not_exist_is_taken_on_by_nobody(account: Any) -> None:
    assert not may_assume(account.world, "gone", SSM)


@pytest.mark.parametrize(
    ("condition", "trusted"),
    [
        ({"StringEquals": {"aws:SourceAccount": "300000000017"}}, True),
        ({"StringEquals": {"aws:SourceAccount": "111111111111"}}, False),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:ssm:us-east-1:300000000017:*"}}, True),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:ssm:eu-west-1:300000000017:*"}}, False),
    ],
)
def test_systems_manager_asks_in_the_name_of_the_account_and_region(
    account: Any, condition: dict[str, Any], trusted: bool
) -> None:
    account.role("nodes", trust=trust(SSM, **condition))

    assert may_assume(account.world, "nodes", SSM) is trusted


def test_a_trust_policy_may_demand_what_only_the_caller_knows(account: Any) -> None:
    function = "arn:aws:lambda:us-east-1:300000000017:function:f"
    account.role("f", trust=trust(LAMBDA, ArnLike={"aws:SourceArn": function}))

    assert not may_assume(account.world, "f", LAMBDA)
    assert may_assume(account.world, "f", LAMBDA, source_arn=function)
