"""Least privilege as a comparison: what policies allow and what was used."""

from collections.abc import Callable
from typing import Any

import pytest

from localcloud.aws.call import CallRecord
from localcloud.aws.iam.documents import parse
from localcloud.aws.iam.exactness import compare, of_role
from localcloud.principals import Kind, Principal

Allow = Callable[..., dict[str, Any]]


def used(*actions: str, role: str = "f") -> CallRecord:
    principal = Principal(kind=Kind.ROLE, arn=f"arn:aws:sts::1:assumed-role/{role}/s", role_name=role)
    return CallRecord(service="ssm", operation="X", principal=principal, status=200, actions=actions)


def policy(*statements: dict[str, Any]) -> Any:
    return parse({"Version": "2012-10-17", "Statement": list(statements)})


def test_policies_that_allow_just_what_is_used_are_exact(allow: Allow) -> None:
    records = [used("ssm:GetParameter", "kms:Decrypt"), used("ssm:GetParameter"), used("iam:PassRole", role="other")]

    found = compare(records, [policy(allow(["ssm:GetParameter", "kms:decrypt"]))], role_name="f")

    assert (found.not_allowed, found.unused, found.wildcards) == (frozenset(), frozenset(), frozenset())


def test_what_is_allowed_and_never_used_is_named(allow: Allow) -> None:
    found = compare(
        [used("ssm:GetParameter")], [policy(allow(["ssm:GetParameter", "ssm:PutParameter"]))], role_name="f"
    )

    assert found.unused == {"ssm:PutParameter"}


def test_an_action_that_no_table_knows_is_named_too(allow: Allow) -> None:
    found = compare([], [policy(allow("ec2:TerminateInstances"))], role_name="f")

    assert found.unused == {"ec2:TerminateInstances"}


def test_what_is_used_without_being_allowed_is_named(allow: Allow) -> None:
    found = compare([used("ssm:GetParameter")], [policy(allow("ssm:PutParameter"))], role_name="f")

    assert found.not_allowed == {"ssm:GetParameter"}


def test_a_wildcard_is_written_out_and_flagged(allow: Allow) -> None:
    found = compare([used("ssm:GetParameter")], [policy(allow("ssm:GetParameter*"))], role_name="f")

    assert found.wildcards == {"ssm:GetParameter*"}
    assert found.unused == {"ssm:GetParameters", "ssm:GetParametersByPath", "ssm:GetParameterHistory"}


def test_not_action_is_a_wildcard() -> None:
    everything_but = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}

    found = compare([], [policy(everything_but)], role_name="f")

    assert found.wildcards == {"NotAction iam:*"}
    assert "ssm:PutParameter" in found.unused
    assert "iam:PassRole" not in found.unused


def test_what_is_denied_for_good_is_not_allowed(allow: Allow) -> None:
    deny = {"Effect": "Deny", "Action": "ssm:PutParameter", "Resource": "*"}

    found = compare([], [policy(allow(["ssm:PutParameter", "ssm:GetParameter"]), deny)], role_name="f")

    assert found.allowed == {"ssm:GetParameter"}


def test_the_calls_of_a_world_are_compared_with_the_roles_policies(account: Any, allow: Allow) -> None:
    account.role("f", allow(["ssm:GetParameter", "ssm:DeleteParameter"]))
    account.world.calls.append(used("ssm:GetParameter"))

    assert of_role(account.world, "f").unused == {"ssm:DeleteParameter"}
    assert of_role(account.world, "f", since=len(account.world.calls)).used == frozenset()


def test_a_role_that_does_not_exist_cannot_be_compared(account: Any) -> None:
    with pytest.raises(LookupError, match="gone"):
        of_role(account.world, "gone")
