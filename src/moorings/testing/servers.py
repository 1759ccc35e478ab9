"""Simulated servers that are managed nodes."""

import itertools
import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moorings.testing.waiting import FAILURES_ONLY, eventually

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud
    from localcloud.machines.machine import Machine

__tracebackhide__ = FAILURES_ONLY
ROLE = "moorings-testing-node"
SECONDS = 60.0  # many times what a boot takes, for a computer that does other things too
AFTER_FAILURE = 2.0  # seconds for an agent that a failed script has started
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
# The agent is there as a snap, as on images of Ubuntu: to register it takes no package.
_BOOT = """#!/bin/bash
set -e
{setup}
systemctl stop snap.amazon-ssm-agent.amazon-ssm-agent
/snap/amazon-ssm-agent/current/amazon-ssm-agent -register -code '{code}' -id {id} -region {region} -y
systemctl start snap.amazon-ssm-agent.amazon-ssm-agent
"""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """An activation of the local cloud, for a bootstrap script of one's own."""

    id: str
    code: str = field(repr=False)
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledNode:
    """A server that is a managed node."""

    id: str  # mi-…
    machine: "Machine"
    cloud: "LocalCloud"

    @property
    def name(self) -> str:
        """Its host name."""
        return self.machine.name

    @property
    def description(self) -> Mapping[str, Any]:
        """What DescribeInstanceInformation says of it now; empty if it is no managed node any more."""
        filters = [{"Key": "InstanceIds", "Values": [self.id]}]
        found = self.cloud.client("ssm").describe_instance_information(Filters=filters)["InstanceInformationList"]
        return dict(found[0]) if found else {}

    @property
    def online(self) -> bool:
        """Whether the service has heard its agent lately."""
        return self.description.get("PingStatus") == "Online"

    def run(self, script: str, *, timeout: float = 60.0) -> "subprocess.CompletedProcess[str]":
        """Run a shell script on the server as root, not by way of Systems Manager. CannotRun on Windows."""
        return self.machine.run(["bash", "-c", script], timeout=timeout)

    def read(self, path: str) -> str:
        """A file's text. FileNotFoundError if it is not there."""
        done = self.machine.run(["cat", path])
        if done.returncode:
            raise FileNotFoundError(f"{path} on {self.name}: {done.stderr.strip()}")
        return done.stdout


class EnrolledNodes:
    """Makes servers and takes them away again. Not for several threads at once."""

    def __init__(self, cloud: "LocalCloud") -> None:
        self.cloud = cloud
        self._machines: list[Machine] = []

    def __call__(
        self,
        count: int = 1,
        *,
        os: str = "debian-12",
        setup: str = "",
        user_data: str = "",
        within: float = SECONDS,
        **spec: Any,
    ) -> list[EnrolledNode]:
        """That many servers, once they are online.

        `setup` is shell script that runs on each of them, as root, before it registers. `user_data` takes the place of
        all that: a bootstrap script of yours, which has to make it a managed node `within` so many seconds. `spec`:
        further fields of `localcloud.machines.spec.MachineSpec`, such as `updates`, and `replay` for Windows. CannotRun
        with the console's end if a server does not boot, AssertionError with all of it if it does not come online: at
        once if its script has failed.
        """
        made = [self.make(os=os, setup=setup, user_data=user_data, **spec) for _ in range(count)]
        return self.enrolled(made, within=within)

    def enrolled(self, machines: Iterable["Machine"], *, within: float = SECONDS) -> list[EnrolledNode]:
        """Switch servers on, all at once; the managed nodes that they become."""
        booting = [machine.boot() for machine in machines]
        return [self._enrol(machine, within=within) for machine in booting]

    def make(self, *, os: str, setup: str = "", user_data: str = "", **spec: Any) -> "Machine":
        """A server that is off, and that enrols at its first boot."""
        from localcloud.machines.spec import MachineSpec  # noqa: PLC0415 - part of the extra

        chosen: dict[str, Any] = {"name": f"server-{next(_numbers)}", "os": os, **spec}
        if user_data:
            chosen |= {"user_data": user_data}
        elif not os.startswith("windows"):
            mine = self.activation()
            script = _BOOT.format(setup=setup, code=mine.code, id=mine.id, region=mine.region)
            chosen |= {"user_data": script, "snap_agent": True}
        machine = self.cloud.machines.create(MachineSpec(**chosen))
        self._machines.append(machine)
        return machine

    def _enrol(self, machine: "Machine", *, within: float) -> EnrolledNode:
        from localcloud.machines.replayed import ReplayedMachine  # noqa: PLC0415 - part of the extra

        machine.wait_booted(within)
        if isinstance(machine, ReplayedMachine):
            mine = self.activation()
            machine.enrol(activation_id=mine.id, code=mine.code)
        patience = min(within, AFTER_FAILURE) if machine.exit_code else within
        eventually(lambda: machine.node_id, within=patience, otherwise=_story(machine, "registered no managed node"))
        node = EnrolledNode(id=machine.node_id, machine=machine, cloud=self.cloud)

        def introduced() -> bool:
            said = node.description
            # A first heartbeat says only that somebody is there; the second one who it is.
            return said.get("PingStatus") == "Online" and "ComputerName" in said

        eventually(introduced, within=within, otherwise=_story(machine, "registered and was not heard of again"))
        return node

    def activation(self, *, limit: int = 1) -> Activation:
        """An activation for `limit` servers, whose role is that of an ordinary managed node."""
        iam = self.cloud.client("iam")
        try:
            iam.get_role(RoleName=ROLE)
        except iam.exceptions.NoSuchEntityException:
            iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(_TRUST))
            iam.attach_role_policy(RoleName=ROLE, PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
        made = self.cloud.client("ssm").create_activation(IamRole=ROLE, RegistrationLimit=limit)
        return Activation(id=made["ActivationId"], code=made["ActivationCode"], region=self.cloud.world.region)

    def close(self) -> None:
        """Take every server away, and its managed node: a cloud that lives on is as it was. Safe to repeat."""
        ssm = self.cloud.client("ssm")
        while self._machines:
            machine = self._machines.pop()
            node = machine.node_id
            self.cloud.machines.destroy(machine)
            if node:
                try:
                    ssm.deregister_managed_instance(InstanceId=node)
                except ssm.exceptions.InvalidInstanceId:
                    continue  # the test has deregistered it


def _story(machine: "Machine", what: str) -> Callable[[], str]:
    return lambda: f"{machine.name} {what}. Its console:\n{machine.console}"
