"""The demo, from nothing, as a user runs it."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from moorings.cli.demo.scenarios import scenarios

pytestmark = pytest.mark.machines
COMMAND = [sys.executable, "-c", "from moorings.cli.main import main; main()", "demo", "--json"]
LONGEST_SECONDS = 240  # many times what it takes, for a computer that does other things too


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, able_host: None) -> tuple[dict[str, Any], str]:
    """The demo's object, and what it said meanwhile."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    place = tmp_path_factory.mktemp("demo")

    ended = subprocess.run(
        COMMAND, capture_output=True, text=True, timeout=LONGEST_SECONDS, env=environment, check=False, cwd=place
    )

    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    told["report"] = place / told["report"]
    return told, ended.stderr


def test_twelve_servers_enrol_while_the_activation_rotates_and_nothing_is_left(
    shown: tuple[dict[str, Any], str],
) -> None:
    """12 of 12 registered, none over-issued, nothing after removal; one object on stdout and nothing else."""
    told, said = shown

    assert set(told) == {"nodes", "activations", "seconds", "patching", "report"}
    assert len(told["nodes"]) == 12
    assert all(node["registered"] and node["seconds"] > 0 for node in told["nodes"])
    assert len({node["node"] for node in told["nodes"]}) == 12
    assert {node["cloud"] for node in told["nodes"]} == {"azure", "gcp", "on-prem"}
    assert len({node["os"] for node in told["nodes"]}) >= 8
    activations = told["activations"]
    assert set(activations) == {"created", "granted", "over_issued", "live_after"}
    assert (activations["over_issued"], activations["live_after"]) == (0, 0)
    assert activations["granted"] == 12
    assert activations["created"] >= 3, "a limit of 5 makes twelve servers need three activations"
    assert said.count("rotation: ") == 2


def test_every_scenario_of_patching_ends_as_it_has_to(shown: tuple[dict[str, Any], str]) -> None:
    """Each on a node of its own; what was put back is its checkpoint."""
    told, said = shown
    rows = told["patching"]

    assert {row["scenario"] for row in rows} == {each.title for each in scenarios()}
    assert len({row["node"] for row in rows}) == len(rows)
    for row in rows:
        assert set(row) == {"node", "scenario", "outcome", "expected", "disk_equals_checkpoint", "seconds"}
        assert row["outcome"] == row["expected"]
        assert row["seconds"] > 0
        assert row["disk_equals_checkpoint"] is True or row["outcome"] != "ROLLED_BACK"
    assert "20 times faster than in the real ones" in said


def test_a_report_is_left_behind(shown: tuple[dict[str, Any], str]) -> None:
    """A page and an object, on every run."""
    told, _ = shown

    page = told["report"].read_text(encoding="utf-8")
    beside = json.loads(told["report"].with_suffix(".json").read_text(encoding="utf-8"))

    assert {node["node"] for node in beside["nodes"]} == {row["node"] for row in told["patching"]}
    assert all(row["node"] in page for row in told["patching"])
