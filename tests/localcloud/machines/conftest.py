"""A cloud whose machines the tests share, and machines that are gone after each test."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.localcloud.machines.bench import Bench

from localcloud.cloud import LocalCloud
from localcloud.errors import CannotRun
from localcloud.machines.machine import Machine
from localcloud.machines.spec import MachineSpec

SCALE = 0.01
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
# What an operator would put into user data to enrol one server by hand.
ENROL = """#!/bin/bash
set -e
cd /tmp
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; esac
package=linux_$arch/amazon-ssm-agent.rpm
if command -v dpkg >/dev/null; then package=debian_$arch/amazon-ssm-agent.deb; fi
curl -fsS -O {source}/$package
file=${{package#*/}}
if command -v dpkg >/dev/null; then dpkg -i $file; else rpm -U $file; fi
systemctl stop amazon-ssm-agent
amazon-ssm-agent -register -code '{code}' -id {id} -region us-east-1
systemctl start amazon-ssm-agent
"""

Make = Callable[..., Machine]


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    """Skips with the reason where the host cannot run machines."""
    with LocalCloud(scale=SCALE) as running:
        try:
            probe = running.machines.create(MachineSpec(name="probe"))
        except CannotRun as error:
            pytest.skip(str(error))
        running.machines.destroy(probe)
        iam = running.client("iam")
        iam.create_role(RoleName="node-role", AssumeRolePolicyDocument=json.dumps(TRUST))
        iam.attach_role_policy(RoleName="node-role", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
        yield running


_numbers = itertools.count(1)


@pytest.fixture
def make(cloud: LocalCloud) -> Iterator[Make]:
    """`make(os=..., user_data=...)`: a machine that has booted; destroyed after the test."""
    made: list[Machine] = []

    def boot(*, boots: bool = True, **options: object) -> Machine:
        spec = MachineSpec(**{"name": f"server-{next(_numbers)}", **options})  # type: ignore[arg-type]
        made.append(cloud.machines.create(spec))
        return made[-1].boot().wait_booted() if boots else made[-1]

    yield boot
    for machine in made:
        cloud.machines.destroy(machine)


@pytest.fixture(scope="module")
def shared(cloud: LocalCloud) -> Iterator[Machine]:
    """One machine for tests that change nothing in it."""
    machine = cloud.machines.create(MachineSpec(name=f"shared-{next(_numbers)}"))
    yield machine.boot().wait_booted()
    cloud.machines.destroy(machine)


@pytest.fixture
def enrolling(cloud: LocalCloud) -> str:
    """User data that enrols a machine with an activation made for it."""
    activation = cloud.client("ssm").create_activation(IamRole="node-role", RegistrationLimit=5)
    return ENROL.format(
        source=cloud.machines.package_source, code=activation["ActivationCode"], id=activation["ActivationId"]
    )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Any]:
    made: list[Bench] = []

    def make(scenario: str, **options: Any) -> Bench:
        made.append(Bench(tmp_path, scenario, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
