"""`moorings doctor` as users run it: table, JSON, exit code."""

from tests.cli.conftest import Cli

from localcloud.cloud import LocalCloud
from moorings.doctor.catalogue import CHECKS
from moorings.doctor.model import Group, State

STACKS = ("--enrolment-stack", "no-such", "--patching-stack", "no-such-either")


def test_before_deploying_nothing_has_to_be_done(cli: Cli) -> None:
    ended = cli("doctor", *STACKS)

    assert ended.code == 0, ended.err
    assert "no-such-either" in ended.out
    assert "nothing has to be done" in ended.out
    assert "moorings anchors update" in ended.out


def test_what_has_to_be_done_ends_with_one_and_its_command(cli: Cli, cloud: LocalCloud) -> None:
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]  # without DNS host names, as VPCs are made

    ended = cli("doctor", *STACKS, "--vpc", vpc)

    assert ended.code == 1
    assert f"aws ec2 modify-vpc-attribute --vpc-id {vpc} --enable-dns-hostnames" in ended.out
    assert "1 finding to be acted on" in ended.out


def test_a_limit_that_may_be_gone_is_not_judged(cli: Cli) -> None:
    """AWS says so, and nothing tells whether it is gone here: nobody is sent to pay for another tier."""
    ended = cli("doctor", *STACKS, "--plan-nodes", "1500", "--only", "quotas")

    assert ended.code == 0
    assert "NOT JUDGED" in ended.out
    assert "nothing has to be done; 4 findings could not be judged" in ended.out
    assert "2026-06-30" in ended.out
    assert "--setting-value advanced" in ended.out


def test_json_is_one_object_with_every_finding(cli: Cli) -> None:
    ended = cli("doctor", *STACKS, "--plan-nodes", "1500", "--json")

    assert ended.code == 0
    assert ended.json["well"] is True
    for each in ended.json["findings"]:
        assert set(each) == {"group", "check", "state", "subject", "what", "means", "command"}
        assert CHECKS[each["check"]].group is Group(each["group"])
        assert State(each["state"]) is State.OK or each["command"]


def test_a_group_alone(cli: Cli) -> None:
    ended = cli("doctor", *STACKS, "--only", "stacks", "--only", "artifacts", "--json")

    assert {each["group"] for each in ended.json["findings"]} == {"stacks", "artifacts"}
    assert ended.code == 0


def test_who_is_not_signed_in_is_told_so_and_not_thrown_out(bare: Cli) -> None:
    ended = bare("doctor", "--region", "eu-central-1", "--only", "identity", "--json")

    assert ended.code == 1
    (found,) = ended.json["findings"]
    assert found["check"] == "caller"
    assert "credentials" in found["what"]


def test_commands_lead_to_the_region_that_was_named_here(cli: Cli) -> None:
    ended = cli("doctor", *STACKS, "--plan-nodes", "1500", "--region", "us-west-2", "--json")

    commands = {each["check"]: each["command"] for each in ended.json["findings"]}
    assert commands["hybrid-tier"].endswith("--setting-value advanced --region us-west-2")
    assert commands["anchors"] == "moorings anchors update"


def test_an_unknown_group_is_a_usage_error(cli: Cli) -> None:
    assert cli("doctor", "--only", "weather").code == 2
