"""The policy set: what the field asks of templates, each rule with its reason, held against all of ours.

checkov itself has nothing to say either; where a check of its does not fit, the resource says why.
"""

import json
from copy import deepcopy

import pytest
from tests.deploy.cfn import template
from tests.deploy.conftest import Account
from tests.deploy.rules import RULES, SKIPPED, Rule

from moorings.deploy import templates
from moorings.deploy.artifacts import TAGS, Artifacts

ALL = (templates.STACK, templates.ENDPOINT, templates.PATCHING)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_templates_hold(rule: Rule, name: str) -> None:
    assert list(rule.found(template(name))) == [], f"{rule.what}, because {rule.why}; {rule.remedy} ({rule.model})"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_each_rule_can_fail(rule: Rule) -> None:
    broken = deepcopy(dict(template(rule.on)))
    rule.breaks(broken)

    assert list(rule.found(broken))


def test_what_is_skipped_is_skipped_somewhere() -> None:
    used = {
        skipped["id"]
        for name in ALL
        for resource in template(name)["Resources"].values()
        for skipped in resource.get("Metadata", {}).get("checkov", {}).get("skip", ())
    }

    assert used == set(SKIPPED)


def test_the_bucket_that_deploying_makes_holds_too(fresh_account: Account) -> None:
    """S3.1 and S3.8 (private), S3.5 (TLS alone), S3.14 (versions), S3.17 (encrypted), tags; CKV_AWS_19 to 21."""
    artifacts, s3 = Artifacts(fresh_account.aws), fresh_account.aws.client("s3")
    artifacts.ensure_bucket()
    mine = {"Bucket": artifacts.bucket}

    assert set(s3.get_public_access_block(**mine)["PublicAccessBlockConfiguration"].values()) == {True}
    (denied,) = json.loads(s3.get_bucket_policy(**mine)["Policy"])["Statement"]
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert set(denied["Resource"]) == {f"arn:aws:s3:::{artifacts.bucket}", f"arn:aws:s3:::{artifacts.bucket}/*"}
    assert s3.get_bucket_versioning(**mine)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(**mine)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    tags = {each["Key"]: each["Value"] for each in s3.get_bucket_tagging(**mine)["TagSet"]}
    assert tags.items() >= TAGS.items()
