"""Values that a template does not take: refused before anything is made, as CloudFormation would refuse them."""

import pytest
from tests.deploy.cfn import template
from tests.deploy.conftest import Account, BriefClock

from localcloud.aws.cloudformation.parameters import given_values
from localcloud.aws.cloudformation.template import Template
from localcloud.errors import ServiceError
from moorings.deploy import templates
from moorings.deploy.constraints import require_fitting
from moorings.deploy.enrolment import EnrolmentPlan, ExistingEndpoint, NewEndpoint, deploy
from moorings.errors import Misconfigured

VPCE = ExistingEndpoint(id="vpce-0123456789abcdef0")
VALUES = (
    "", "0", "1", "2", "many", "1e9", "yes", "no", "maybe", "none", "10.0.0.0/8", "10.0.0.0/8,10.1.0.0/16", "10.0.0.0",
    "10.0.0.0/8, 10.1.0.0/16", "29d", "99d", "a b", "a\nb", "vpce-0123456789abcdef0", "/moorings/azure", "https://m.example/a",
    "arn:aws:iam::111122223333:role/x", "arn:aws:sns:eu-central-1:111122223333:alarms", "x" * 3_000, "OFF", "arm64",
)  # fmt: skip


@pytest.mark.parametrize("name", [templates.STACK, templates.ENDPOINT, templates.PATCHING])
def test_the_verdict_is_that_of_cloudformation(name: str) -> None:
    """Parameter by parameter, value by value; that a VPC exists is for the account to say."""
    text = templates.read(name)
    for parameter, definition in template(name)["Parameters"].items():
        alone = Template(text="", parameters={parameter: definition})
        for value in VALUES:
            assert _ours(text, parameter, value) == _theirs(alone, parameter, value), (parameter, value)


def _ours(text: str, parameter: str, value: str) -> bool:
    try:
        require_fitting(text, {parameter: value})
    except Misconfigured:
        return False
    return True


def _theirs(alone: Template, parameter: str, value: str) -> bool:
    try:
        given_values(alone, {parameter: value}, {}, exists=lambda _type, _value: True)
    except ServiceError:
        return False
    return True


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"parameters": {"LogRetentionDays": "2"}}, "LogRetentionDays must be one of 1, 3, 5,"),
        ({"parameters": {"ThrottlingRateLimit": "many"}}, "must be a number from 1 to 10000, and 'many' was given"),
        ({"parameters": {"DefaultPoolLife": "99d"}}, "must be 1d to 29d, or 12h to 699h, and '99d' was given"),
        ({"endpoint": ExistingEndpoint(id="vpc-1")}, "must be the id of a VPC endpoint"),
        (
            {"endpoint": NewEndpoint(vpc_id="v", subnet_ids=("s",), allowed_cidr="all")},
            "AllowedIPRange .*'all' was given",
        ),
    ],
)
def test_nothing_is_made_for_a_value_that_is_refused_in_the_end(
    fresh_account: Account, changed: dict[str, object], told: str
) -> None:
    """Not the endpoint's stack either, which comes first."""
    plan = EnrolmentPlan(**{"endpoint": VPCE, "allow_network_proof": True, **changed})  # type: ignore[arg-type]

    with pytest.raises(Misconfigured, match=told):
        deploy(plan, aws=fresh_account.aws, clock=BriefClock())

    assert fresh_account.aws.client("s3").list_buckets()["Buckets"] == []
    assert fresh_account.aws.client("cloudformation").describe_stacks()["Stacks"] == []
