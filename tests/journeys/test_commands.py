"""An operator's day on a local cloud: up, deploy, look, rotate, update, take down; each command is a process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

MOORINGS = [sys.executable, "-c", "from moorings.cli.main import main; main()"]
PATH = {"PYTHONPATH": os.pathsep.join(sys.path)}
LONGEST_SECONDS = 120

Command = Callable[..., Any]


@pytest.fixture
def surroundings() -> Iterator[dict[str, str]]:
    """What `moorings local up --json` says to export, while it runs; it ends well by Ctrl-C."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOORINGS_"))} | PATH
    local = subprocess.Popen(
        [*MOORINGS, "local", "up", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean
    )
    assert local.stdout is not None
    told = b""
    while not _is_json(told):
        line = local.stdout.readline()
        assert line, local.communicate()
        told += line
    yield {**clean, **json.loads(told)["environment"]}
    local.send_signal(signal.SIGINT)
    out, err = local.communicate(timeout=LONGEST_SECONDS)
    assert (local.returncode, out) == (0, b""), err


def _is_json(text: bytes) -> bool:
    try:
        return bool(json.loads(text))
    except ValueError:
        return False


@pytest.fixture
def command(surroundings: dict[str, str]) -> Command:
    def call(*arguments: str) -> Any:
        done = subprocess.run(
            [*MOORINGS, *arguments, "--json"],
            capture_output=True,
            text=True,
            env=surroundings,
            timeout=LONGEST_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def test_a_stack_is_planned_deployed_rotated_updated_and_removed(
    command: Command, surroundings: dict[str, str]
) -> None:
    """Only the surroundings say that this is a local cloud."""
    vpc, subnet = _network(surroundings)
    options = ("--vpc", vpc, "--subnet", subnet, "--cidr", "10.0.0.0/8", "--allow-network-proof")

    planned = command("enrolment", "deploy", *options, "--dry-run")
    assert [each["creates"] for each in planned["stacks"]] == [True, True]
    assert command("enrolment", "remove", "--dry-run")["stacks"] == []

    deployed = command("enrolment", "deploy", *options, "--yes")
    assert deployed["api_url"].startswith("https://")
    assert command("enrolment", "status")["pools"][0]["current"] is None
    assert command("enrolment", "pools", "show")["version"] == 0

    assert command("enrolment", "rotate", "default", "--yes")["retired"] == ""
    again = command("enrolment", "deploy", "--parameter", "LogRetentionDays=60", "--yes")
    assert again["vpc_endpoint"] == deployed["vpc_endpoint"]

    removed = command("enrolment", "remove", "--yes")
    assert removed["stacks"] == ["moorings-enrolment", "moorings-enrolment-endpoint"]
    assert removed["bucket"] is True
    assert command("nodes", "list") == {"nodes": []}


def _network(surroundings: dict[str, str]) -> tuple[str, str]:
    """The account's default VPC, as an operator would look it up."""
    look = (
        "import boto3; ec2 = boto3.client('ec2'); "
        "print(ec2.describe_vpcs()['Vpcs'][0]['VpcId'], ec2.describe_subnets()['Subnets'][0]['SubnetId'])"
    )
    told = subprocess.run(
        [sys.executable, "-c", look],
        capture_output=True,
        text=True,
        env=surroundings,
        check=True,
        timeout=LONGEST_SECONDS,
    )
    vpc, subnet = told.stdout.split()
    return vpc, subnet
