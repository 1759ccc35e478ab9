"""What a policy decides, and what is no policy: situations as data, one verdict each."""

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.aws.iam.documents import MalformedPolicy, PolicyKind, parse
from localcloud.aws.iam.policy import (
    Caller,
    Context,
    evaluate,
    evaluate_endpoint_policy,
    evaluate_resource_policy,
)

CASES = Path(__file__).resolve().parents[2] / "cases"
KINDS = {"identity": PolicyKind.IDENTITY, "resource": PolicyKind.RESOURCE, "trust": PolicyKind.TRUST}
PARAMETER = "arn:aws:ssm:us-east-1:123456789012:parameter/moorings/a/code"
INVOKE = Context(
    action="execute-api:Invoke", resource="arn:aws:execute-api:us-east-1:123456789012:api1/prod/GET/", keys={}
)


def _cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in json.loads((CASES / name).read_text())]


@pytest.mark.parametrize("case", _cases("iam-policies.json"))
def test_a_policy_decides_as_iam_does(case: dict[str, Any]) -> None:
    simple = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": case.get("condition", {})}
    document = {"Version": case.get("version", "2012-10-17"), "Statement": case.get("statements", [simple])}
    policy = parse(document, kind=KINDS[case.get("kind", "identity")])

    decision = evaluate(
        [policy],
        Context(
            action=case.get("action", "ssm:GetParameter"),
            resource=case.get("resource", PARAMETER),
            caller=Caller(aws=tuple(case.get("caller", ())), service=case.get("service", "")),
            keys=case.get("keys", {}),
        ),
    )

    verdict = "allowed" if decision.allowed else "explicit deny" if decision.explicit_deny else "denied"
    assert verdict == case["verdict"], decision.reason
    assert "by" not in case or decision.statement == case["by"]


@pytest.mark.parametrize("case", _cases("iam-malformed.json"))
def test_a_malformed_document_is_refused_by_what_is_wrong_with_it(case: dict[str, Any]) -> None:
    document = case.get("document") or {"Version": "2012-10-17", "Statement": case["statement"]}

    with pytest.raises(MalformedPolicy) as refusal:
        parse(document, name="mine", kind=KINDS[case.get("kind", "identity")])

    assert case["says"] in refusal.value.message
    assert refusal.value.message.startswith("mine")
    assert refusal.value.code == "MalformedPolicyDocument"


def test_a_private_api_without_a_policy_lets_nobody_in() -> None:
    assert not evaluate_resource_policy(None, INVOKE).allowed


def test_an_endpoint_without_a_policy_lets_everything_through() -> None:
    assert evaluate_endpoint_policy(None, INVOKE).allowed


def test_an_endpoint_policy_narrows_what_goes_through() -> None:
    only = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "execute-api:Invoke",
        "Resource": "arn:aws:execute-api:*:*:api2/*",
    }

    assert not evaluate_endpoint_policy({"Version": "2012-10-17", "Statement": [only]}, INVOKE).allowed


def test_a_decision_names_the_statement_and_its_policy() -> None:
    document = {"Statement": {"Sid": "Read", "Effect": "Allow", "Action": "ssm:Get*", "Resource": "*"}}

    decision = evaluate([parse(document, name="codes")], Context(action="ssm:GetParameter", resource=PARAMETER))

    assert decision.reason == "allowed by Read of codes"


def test_several_policies_count_as_one() -> None:
    allow = parse({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}, name="allow")
    deny = parse({"Statement": {"Effect": "Deny", "Action": "ssm:*", "Resource": "*"}}, name="deny")

    decision = evaluate([allow, deny], Context(action="ssm:GetParameter", resource=PARAMETER))

    assert decision.explicit_deny
    assert decision.policy == "deny"
