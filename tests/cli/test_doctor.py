"""`moorings doctor` as users run it: table, JSON, exit code."""

from tests.cli.conftest import Cli

from moorings.doctor.catalogue import CHECKS
from moorings.doctor.model import Group, State

STACKS = ("--stack-name", "no-such", "--patch-stack-name", "no-such-either")


def test_before_deploying_nothing_has_to_be_done(cli: Cli) -> None:
    ended = cli("doctor", *STACKS)

    assert ended.code == 0, ended.err
    assert "no-such-either" in ended.out
    assert "nothing has to be done" in ended.out
    assert "moorings anchors update" in ended.out


def test_what_has_to_be_done_ends_with_one_and_its_command(cli: Cli) -> None:
    ended = cli("doctor", *STACKS, "--plan-nodes", "1500")

    assert ended.code == 1
    assert "--setting-value advanced" in ended.out
    assert "1 finding to be acted on" in ended.out


def test_json_is_one_object_with_every_finding(cli: Cli) -> None:
    ended = cli("doctor", *STACKS, "--plan-nodes", "1500", "--json")

    assert ended.code == 1
    assert ended.json["well"] is False
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
