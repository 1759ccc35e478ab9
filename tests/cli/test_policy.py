"""`moorings policy`: documents that are attached as they are; whoever runs patches needs just his own."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from tests.cli import patchstack
from tests.cli.conftest import Cli
from tests.cli.test_patch_run import sending, sleeping

from localcloud.aws.iam import patterns
from localcloud.cloud import LocalCloud
from moorings.deploy.rights import LARGEST, Part, Place, document, size_of, statements

ROLE = "operator"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.mark.parametrize("part", [each.value for each in Part])
def test_a_document_is_printed_for_an_account_without_anybody_signed_in(bare: Cli, part: str) -> None:
    given = ("--account", "111122223333", "--region", "eu-central-1")

    ended = bare("policy", part, *given)

    assert ended.code == 0, ended.err
    place = Place(account="111122223333", region="eu-central-1")
    assert ended.json == document(Part(part), place)
    assert size_of(ended.json) <= LARGEST


def test_where_somebody_is_signed_in_it_is_for_that_account(cli: Cli, cloud: LocalCloud) -> None:
    ended = cli("policy", "enrolment", "--enrolment-stack", "edge", "--artifact-bucket", "zips")

    text = json.dumps(ended.json)
    assert f":{cloud.world.account}:table/edge-*" in text
    assert "moorings-enrolment" not in text


def test_what_cannot_be_is_refused(bare: Cli) -> None:
    region = ("--region", "eu-central-1")

    assert bare("policy", "shared", "--account", "12", *region).code == 2
    other = bare("policy", "patching", "--only", "enrolment", "--account", "111122223333", *region)
    assert (other.code, "alone needs nothing of patching" in other.err) == (2, True)


@pytest.mark.parametrize(
    "given",
    [
        ("--region", "nowhere-1"),
        ("--region", "eu-central-1", "--artifact-bucket", "*"),
        ("--region", "eu-central-1", "--document-name", "Azure-*"),
        ("--region", "eu-central-1", "--patching-stack", "*"),
    ],
)
def test_a_name_that_would_open_more_than_is_meant_is_refused(bare: Cli, given: tuple[str, ...]) -> None:
    refused = bare("policy", "shared", "--account", "111122223333", *given)

    assert (refused.code, refused.out) == (2, ""), refused.err
    assert given[-1] in refused.err


def test_whoever_runs_patches_needs_all_of_his_policy_and_no_more(
    cli: Cli, cloud: LocalCloud, nodes: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Started, watched, looked at, reported, cancelled, collected: with this policy alone, IAM enforced."""
    stack = patchstack.make(cloud)
    place = Place(account=cloud.world.account, region=cloud.world.region, patching=stack.name, runbook=stack.document)
    held = statements(place, parts=(Part.PATCHING, Part.OPERATOR))
    mine = [each for each in held if each.part is Part.OPERATOR]
    iam, role = cloud.client("iam"), f"{ROLE}-{uuid4().hex[:8]}"
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))
    written = [
        {"Sid": each.sid, "Effect": "Allow", "Action": each.actions, "Resource": each.resources,
         "Condition": each.conditions}
        for each in mine
    ]  # fmt: skip
    text = json.dumps({"Version": "2012-10-17", "Statement": written})
    iam.put_role_policy(RoleName=role, PolicyName="operator", PolicyDocument=text)
    for name, value in cloud.environment(cloud.assumed(role)).items():
        monkeypatch.setenv(name, value)
    mark = len(cloud.world.calls)
    where = ("--stack-name", stack.name)

    ended = cli("patch", "run", *nodes, "--max-errors", "1", "--json", *where)
    assert ended.code == 0, ended.err
    execution = ended.json["executions"][0]
    kept = "abababab-0000-4000-8000-000000000001"
    stack.put(patchstack.undecided(kept, nodes[0]))
    going_on = sleeping(stack, cloud, nodes[1])
    installing = sending(stack, cloud, nodes[0])
    for words in (
        ("watch", execution), ("status",), ("status", nodes[0]), ("explain", execution, "--all"), ("checkpoints",),
        ("report", execution, installing, "-o", str(tmp_path / "report.html")),
        ("cancel", going_on, "--yes"), ("gc", "--execution", kept, "--yes"),
    ):  # fmt: skip
        done = cli("patch", *words, "--json", *where)
        assert "is not allowed" not in done.err, (words, done.err)

    calls = [one for one in cloud.world.calls.since(mark) if one.principal.role_name == role]
    used = {(use.statement, use.action, use.resource) for one in calls for use in one.uses}
    assert [one for one in calls if "Denied" in one.error] == []
    for each in mine:
        here = [(action, resource) for sid, action, resource in used if sid == each.sid]
        assert {action for action, _ in here} == set(each.actions), each.sid
        for pattern in each.resources:
            assert any(
                patterns.matches(pattern, resource, shape=patterns.Shape.RESOURCE, variables=None)
                for _, resource in here
            ), pattern
