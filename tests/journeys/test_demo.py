"""The demo, from nothing, as a user runs it."""

import json
import os
import subprocess
import sys

import pytest

from localcloud.cloud import LocalCloud
from localcloud.errors import CannotRun

COMMAND = [sys.executable, "-c", "from moorings.cli.main import main; main()", "demo", "--json"]
LONGEST_SECONDS = 240  # many times what it takes, for a computer that does other things too


@pytest.fixture
def _able_host() -> None:
    """Skips with the reason where the host cannot run machines."""
    with LocalCloud() as cloud:
        try:
            cloud.machines.prepare()
        except CannotRun as error:
            pytest.skip(str(error))


@pytest.mark.machines
@pytest.mark.usefixtures("_able_host")
def test_twelve_servers_enrol_while_the_activation_rotates_and_nothing_is_left() -> None:
    """12 of 12 registered, none over-issued, nothing after removal; one object on stdout and nothing else."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    ended = subprocess.run(
        COMMAND, capture_output=True, text=True, timeout=LONGEST_SECONDS, env=environment, check=False
    )

    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    assert set(shown) == {"nodes", "activations", "seconds"}
    assert len(shown["nodes"]) == 12
    assert all(node["registered"] and node["seconds"] > 0 for node in shown["nodes"])
    assert len({node["node"] for node in shown["nodes"]}) == 12
    assert {node["cloud"] for node in shown["nodes"]} == {"azure", "gcp", "on-prem"}
    assert len({node["os"] for node in shown["nodes"]}) >= 8
    activations = shown["activations"]
    assert set(activations) == {"created", "granted", "over_issued", "live_after"}
    assert (activations["over_issued"], activations["live_after"]) == (0, 0)
    assert activations["granted"] == 12
    assert activations["created"] >= 3, "a limit of 5 makes twelve servers need three activations"
    assert ended.stderr.count("rotation: ") == 2
