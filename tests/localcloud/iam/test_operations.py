"""Storing and attaching policies through the endpoint."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

TYPO = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*", "Condition": {"StringEqual": {"k:a": "x"}}}
BAD = json.dumps({"Version": "2012-10-17", "Statement": [TYPO]})


def code_of(refusal: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refusal.value.response["Error"]["Code"])


def test_a_malformed_inline_policy_is_not_stored(account: Any) -> None:
    account.role("f")
    iam = account.client("iam")

    with pytest.raises(ClientError, match="unknown condition operator StringEqual") as refusal:
        iam.put_role_policy(RoleName="f", PolicyName="p", PolicyDocument=BAD)

    assert code_of(refusal) == "MalformedPolicyDocument"
    assert iam.list_role_policies(RoleName="f")["PolicyNames"] == []


def test_a_malformed_managed_policy_is_not_stored(account: Any) -> None:
    with pytest.raises(ClientError, match="StringEqual"):
        account.client("iam").create_policy(PolicyName="p", PolicyDocument=BAD)


def test_a_malformed_trust_policy_makes_no_role(account: Any) -> None:
    iam = account.client("iam")

    with pytest.raises(ClientError, match="Resource has no place"):
        iam.create_role(RoleName="f", AssumeRolePolicyDocument=BAD)

    assert iam.list_roles()["Roles"] == []


def test_a_malformed_key_policy_makes_no_key(account: Any) -> None:
    with pytest.raises(ClientError, match="Principal or NotPrincipal is missing") as refusal:
        account.client("kms").create_key(Policy=BAD)

    assert code_of(refusal) == "MalformedPolicyDocumentException"


def test_an_attached_aws_policy_is_listed_and_comes_off_again(account: Any) -> None:
    account.role("f")
    iam = account.client("iam")
    arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"

    iam.attach_role_policy(RoleName="f", PolicyArn=arn)
    iam.attach_role_policy(RoleName="f", PolicyArn=arn)

    attached = iam.list_attached_role_policies(RoleName="f")["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [arn]
    iam.detach_role_policy(RoleName="f", PolicyArn=arn)
    assert iam.list_attached_role_policies(RoleName="f")["AttachedPolicies"] == []
