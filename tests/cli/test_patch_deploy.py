"""`moorings patch deploy` and `remove`: from options to a stack and back."""

from pathlib import Path

import pytest
from tests.cli.conftest import Cli

from localcloud.cloud import LocalCloud

SCOPE = "/subscriptions/11111111-2222-3333-4444-555555555555"
NO_EXECUTION = "00000000-0000-4000-8000-000000000000"
GIVEN = ("--stack-name", "cli-patching", "--document-name", "cli-runbook", "--scope", SCOPE)


@pytest.fixture
def patching(cli: Cli, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A command line that builds for this host, as the local cloud's own surroundings say."""
    monkeypatch.setenv("MOORINGS_FUNCTION_PLATFORM", cloud.function_platform)
    return cli


def test_it_is_deployed_and_removed(patching: Cli) -> None:
    deployed = patching("patch", "deploy", *GIVEN, "--outcome-topic", "wrong", "--yes", "--json")

    assert deployed.code == 0, deployed.err
    assert deployed.json["runbook"] == "cli-runbook"
    assert deployed.json["outputs"]["OutcomeTopicArn"]
    assert "no trust anchors were bundled" in deployed.err

    # The stack's own keeper answers, with its own rights.
    asked = patching("patch", "gc", "--execution", NO_EXECUTION, "--stack-name", "cli-patching", "--yes")
    assert (asked.code, "has no record in this stack" in asked.err) == (3, True), asked.err
    assert patching("patch", "status", "--stack-name", "cli-patching", "--json").json == {"executions": []}

    again = patching("patch", "deploy", "--stack-name", "cli-patching", "--dry-run", "--json")
    assert again.json["stacks"] == [{"stack": "cli-patching", "creates": False, "changes": []}]

    would = patching("patch", "remove", "--stack-name", "cli-patching", "--dry-run", "--json")
    assert would.json == {"dry_run": True, "stacks": ["cli-patching"]}

    removed = patching("patch", "remove", "--stack-name", "cli-patching", "--yes", "--json")
    assert removed.json["stacks"] == ["cli-patching"]
    assert removed.json["artifacts"] == 3


def test_a_dry_run_shows_what_a_new_stack_would_hold(patching: Cli) -> None:
    planned = patching("patch", "deploy", *GIVEN, "--dry-run")

    assert planned.code == 0
    assert "AWS::SSM::Document" in planned.out
    assert "AzureManagedDiskSnapshots" in planned.out


def test_anchors_come_from_the_surroundings_or_an_option(
    patching: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOORINGS_ANCHORS", str(tmp_path))

    refused = patching("patch", "deploy", *GIVEN, "--dry-run")

    assert refused.code == 2
    assert f"{tmp_path} holds no trust anchors" in refused.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "which VMs may be patched has to be said"),
        (("--scope", "web"), "'web' is no Azure scope"),
        (("--scope", SCOPE, "--layer", "bucket/key"), "write --layer s3://BUCKET/KEY"),
        (("--scope", SCOPE, "--parameter", "Name"), "write --parameter NAME=VALUE"),
        (("--scope", SCOPE, "--outcome-topic", "some"), "some"),
    ],
)
def test_what_is_missing_or_wrong_is_named(patching: Cli, options: tuple[str, ...], told: str) -> None:
    refused = patching("patch", "deploy", "--stack-name", "none", *options, "--yes")

    assert refused.code == 2
    assert told in refused.err


def test_removing_what_is_not_there_says_so(patching: Cli) -> None:
    assert "there is no stack none" in patching("patch", "remove", "--stack-name", "none", "--dry-run").out
    assert "removed: no stack" in patching("patch", "remove", "--stack-name", "none", "--yes").out
