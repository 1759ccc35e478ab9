"""`moorings deploy`: a plan file, both halves."""

from pathlib import Path

import pytest
from tests.cli.conftest import Cli

from localcloud.cloud import LocalCloud

PLAN = """
[enrolment]
stack_name = "planned-enrolment"
vpc_endpoint = "vpce-0123456789abcdef0"
allow_network_proof = true
parameters = {ApiConcurrency = "none"}

[patching]
stack_name = "planned-patching"
scopes = ["/subscriptions/11111111-2222-3333-4444-555555555555"]
parameters = {DocumentName = "planned-runbook"}
"""
NAMES = ("--enrolment-stack", "planned-enrolment", "--patching-stack", "planned-patching")


@pytest.fixture
def here(cli: Cli, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("MOORINGS_FUNCTION_PLATFORM", cloud.function_platform)
    return cli


def test_both_halves_as_the_file_says(here: Cli, tmp_path: Path) -> None:
    file = tmp_path / "moorings.toml"
    file.write_text(PLAN)

    shown = here("deploy", str(file), "--dry-run", "--json")
    assert [each["stack"] for each in shown.json["stacks"]] == ["planned-enrolment", "planned-patching"]
    done = here("deploy", str(file), "--yes", "--json")

    assert done.code == 0, done.err
    assert done.json["enrolment"]["api_url"].startswith("https://")
    assert done.json["patching"]["runbook"] == "planned-runbook"
    again = here("deploy", str(file), "--only", "patching", "--dry-run", "--json")
    assert again.json["stacks"] == [{"stack": "planned-patching", "creates": False, "changes": []}]
    assert here("destroy", *NAMES, "--yes").code == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[enrolment]\nvpc = 1\n", "vpc in [enrolment] is no text"),
        ("[patching]\nscopes = [1]\n", "scopes in [patching] is no list of texts"),
        ("[patching]\nname = 'x'\n", "[patching] knows no name"),
        ("[paching]\n", "there is no section [paching]"),
        ("[enrolment]\nvpc_endpoint = 'vpce-0123456789abcdef0'\n", "has to be said"),
        ("[enrolment]\nallow_network_proof = true\nvpc = 'vpc-1'\n", "one VPC endpoint"),
        ("[enrolment]\nallow_network_proof = true\nvpc = 'v'\nvpc_endpoint = 'w'\n", "one VPC endpoint"),
        ("[enrolment]\nallow_network_proof = true\n", "one VPC endpoint"),
        ("", "says nothing of what is asked for"),
        ("=", "cannot be read"),
    ],
)
def test_what_the_file_gets_wrong_is_named(bare: Cli, tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "moorings.toml"
    file.write_text(text)

    refused = bare("deploy", str(file), "--yes")

    assert (refused.code, told in refused.err) == (2, True), refused.err
