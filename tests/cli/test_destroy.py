"""`moorings destroy`: both halves go, or neither does."""

import pytest
from tests.cli.conftest import Cli

from localcloud.cloud import LocalCloud

SCOPE = "/subscriptions/11111111-2222-3333-4444-555555555555"
ENROLMENT, PATCHING = "gone-enrolment", "gone-patching"
NAMES = ("--enrolment-stack", ENROLMENT, "--patching-stack", PATCHING)
DEPLOY_ENROLMENT = (
    "enrolment", "deploy", "--stack-name", ENROLMENT, "--vpc-endpoint", "vpce-0123456789abcdef0",
    "--allow-network-proof", "--parameter", "ApiConcurrency=none", "--yes",
)  # fmt: skip
DEPLOY_PATCHING = (
    "patch", "deploy", "--stack-name", PATCHING, "--document-name", "gone-runbook", "--scope", SCOPE, "--yes",
)  # fmt: skip


@pytest.fixture
def here(cli: Cli, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("MOORINGS_FUNCTION_PLATFORM", cloud.function_platform)
    return cli


def test_both_halves_go_or_neither(here: Cli) -> None:
    for line in ((*DEPLOY_ENROLMENT, "--deletion-protection"), DEPLOY_PATCHING):
        deployed = here(*line)
        assert deployed.code == 0, deployed.err

    refused = here("destroy", *NAMES, "--yes")
    assert (refused.code, "protected from deletion" in refused.err) == (3, True)
    assert here(*DEPLOY_ENROLMENT, "--no-deletion-protection").code == 0
    would = here("destroy", *NAMES, "--dry-run", "--json")
    assert would.json == {"dry_run": True, "stacks": [PATCHING, ENROLMENT]}

    done = here("destroy", *NAMES, "--yes", "--json")

    assert done.code == 0, done.err
    assert (done.json["patching"]["stacks"], done.json["enrolment"]["stacks"]) == ([PATCHING], [ENROLMENT])
    assert any("managed nodes stay registered" in each for each in done.json["enrolment"]["kept"])
    assert any("credentials for Azure" in each for each in done.json["patching"]["kept"])


def test_one_half_alone_leaves_the_other_unasked(here: Cli) -> None:
    done = here("destroy", "--only", "patching", *NAMES, "--yes", "--json")

    assert (done.code, set(done.json)) == (0, {"patching"})


def test_without_a_yes_nothing_goes(here: Cli) -> None:
    assert here("destroy", *NAMES).code in {2, 3}
    assert f"there is no stack {PATCHING} or {ENROLMENT}" in here("destroy", *NAMES, "--dry-run").out
