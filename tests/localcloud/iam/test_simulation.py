"""SimulatePrincipalPolicy over the local cloud's own evaluator."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def _role(account: Any, *statements: dict[str, Any]) -> str:
    account.role("f")
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam = account.client("iam")
    iam.put_role_policy(RoleName="f", PolicyName="p", PolicyDocument=document)
    return str(iam.get_role(RoleName="f")["Role"]["Arn"])


def test_each_action_is_decided_on_each_resource(account: Any) -> None:
    arn = _role(
        account,
        {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::mine/*"},
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"},
    )
    answer = account.client("iam").simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["s3:GetObject", "s3:DeleteObject"],
        ResourceArns=["arn:aws:s3:::mine/a", "arn:aws:s3:::yours/a"],
    )  # fmt: skip

    assert [each["EvalDecision"] for each in answer["EvaluationResults"]] == [
        "allowed",
        "implicitDeny",
        "explicitDeny",
        "explicitDeny",
    ]
    assert answer["EvaluationResults"][0]["EvalActionName"] == "s3:GetObject"
    assert answer["IsTruncated"] is False


def test_without_resources_it_is_any_resource(account: Any) -> None:
    arn = _role(account, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::mine/*"})

    (found,) = account.client("iam").simulate_principal_policy(PolicySourceArn=arn, ActionNames=["s3:GetObject"])[
        "EvaluationResults"
    ]

    assert (found["EvalResourceName"], found["EvalDecision"]) == ("*", "implicitDeny")


def test_context_that_is_given_is_seen_by_conditions(account: Any) -> None:
    condition = {"StringEquals": {"aws:RequestedRegion": "eu-central-1"}}
    arn = _role(account, {"Effect": "Allow", "Action": "ssm:*", "Resource": "*", "Condition": condition})
    entry = {"ContextKeyName": "aws:RequestedRegion", "ContextKeyType": "string", "ContextKeyValues": ["eu-central-1"]}

    (found,) = account.client("iam").simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["ssm:GetParameter"], ContextEntries=[entry]
    )["EvaluationResults"]

    assert found["EvalDecision"] == "allowed"


def test_nobody_of_that_arn_is_told(account: Any) -> None:
    arn = _role(account, {"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}).replace("/f", "/g")

    with pytest.raises(ClientError, match="cannot be found") as refusal:
        account.client("iam").simulate_principal_policy(PolicySourceArn=arn, ActionNames=["ssm:GetParameter"])

    assert refusal.value.response["Error"]["Code"] == "NoSuchEntity"
