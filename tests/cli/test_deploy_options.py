"""From options to a plan: what has to be said, what may be left out, what contradicts."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Cli, Deployed

from localcloud.cloud import LocalCloud


def test_the_endpoint_must_be_made_or_named(cli: Cli) -> None:
    """Every missing option is named at once."""
    refused = cli("enrolment", "deploy", "--stack-name", "new", "--allow-network-proof", "--vpc", "vpc-1", "--yes")

    assert refused.code == 2
    assert "needs --subnet, --cidr" in refused.err


def test_an_endpoint_cannot_be_named_and_made(cli: Cli) -> None:
    """One or the other."""
    refused = cli("enrolment", "deploy", "--vpc-endpoint", "vpce-0123456789abcdef0", "--vpc", "vpc-1", "--yes")

    assert refused.code == 2
    assert "one or the other" in refused.err


def test_the_network_proof_is_an_explicit_choice(cli: Cli) -> None:
    """Neither is a safe default for a first deployment."""
    refused = cli("enrolment", "deploy", "--stack-name", "new", "--vpc-endpoint", "vpce-0123456789abcdef0", "--yes")

    assert refused.code == 2
    assert "--no-allow-network-proof" in refused.err


@pytest.mark.parametrize("option", ["--parameter", "--tag"])
def test_pairs_are_written_with_an_equals_sign(cli: Cli, option: str) -> None:
    """The option is named in the error."""
    given = ("--vpc-endpoint", "vpce-0123456789abcdef0", "--no-allow-network-proof", option, "Name", "--yes")

    refused = cli("enrolment", "deploy", "--stack-name", "new", *given)

    assert refused.code == 2
    assert f"write {option} NAME=VALUE" in refused.err


def test_a_bad_document_is_refused_before_anything_is_made(cli: Cli, tmp_path: Path) -> None:
    """No bucket, no zip, no stack."""
    file = tmp_path / "pools.toml"
    file.write_text('[[pool]]\nname = "web"\nregistration_limit = 0\n')
    given = ("--vpc-endpoint", "vpce-0123456789abcdef0", "--no-allow-network-proof", "--pools", str(file), "--yes")

    refused = cli("enrolment", "deploy", "--stack-name", "new", *given)

    assert refused.code == 2
    assert "pool[0].registration_limit" in refused.err
    assert cli("enrolment", "remove", "--stack-name", "new", "--dry-run", "--json").json["stacks"] == []


def test_an_unknown_parameter_is_refused_with_the_known_ones(cli: Cli) -> None:
    """A misspelt setting must not be ignored."""
    given = ("--vpc-endpoint", "vpce-0123456789abcdef0", "--no-allow-network-proof", "--parameter", "Nope=1", "--yes")

    refused = cli("enrolment", "deploy", "--stack-name", "new", *given)

    assert refused.code == 2
    assert "Nope cannot be given" in refused.err
    assert "ApiConcurrency" in refused.err


def test_without_a_terminal_a_deployment_needs_a_yes_before_it_begins(cli: Cli, stack: Deployed) -> None:
    """Nothing is planned that nobody could approve."""
    refused = cli("enrolment", "deploy", "--stack-name", stack.name, "--no-allow-network-proof")

    assert refused.code == 2
    assert "--yes" in refused.err


def test_a_stack_name_that_cloudformation_would_refuse_is_refused_here(cli: Cli) -> None:
    """Before any call."""
    refused = cli("enrolment", "deploy", "--stack-name", "9 lives", "--yes")

    assert refused.code == 2
    assert "'9 lives' is no stack name" in refused.err


def test_an_endpoint_that_was_left_for_another_is_not_gone_back_to(
    cli: Cli, stack: Deployed, cloud: LocalCloud
) -> None:
    """What is not given stays: the stack beside still stands, but no request comes through it any more."""
    template = {
        "Parameters": {name: {"Type": "String"} for name in ("VpcIdForApiGateway", "AllowedIPRange")},
        "Resources": {"Mark": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "x"}}},
        "Outputs": {"VpcEndpoint": {"Value": "vpce-0fedcba9876543210"}},
    }
    client, name = cloud.client("cloudformation"), f"{stack.name}-endpoint"
    given = {"VpcIdForApiGateway": "vpc-1", "AllowedIPRange": "10.0.0.0/8"}
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    client.create_stack(StackName=name, TemplateBody=json.dumps(template), Parameters=parameters)
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})

    shown = cli("enrolment", "deploy", "--stack-name", stack.name, "--allow-network-proof", "--dry-run", "--json")

    assert shown.code == 0, shown.err
    assert [each["stack"] for each in shown.json["stacks"]] == [stack.name]
