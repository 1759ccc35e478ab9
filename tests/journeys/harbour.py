"""A deployed patching stack and VMs of every kind, on which all scenarios were played; the journeys look at it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.journeys.site import BriefClock, account, eventually

from localcloud.aws.functions.service import Functions
from localcloud.azure.calls import ArmCall
from localcloud.azure.entra_applications import Application
from localcloud.cloud import LocalCloud
from localcloud.machines.machine import Machine
from localcloud.machines.recorded import Ask, Recorded
from localcloud.machines.replayed import ReplayedMachine
from localcloud.machines.spec import MachineSpec
from localcloud.machines.updates import Update
from moorings.cli.demo.director import Director
from moorings.cli.demo.harbour import SERVICE, Berth, Connection, Harbour, build, quicken, store_secret
from moorings.cli.demo.patching import SILENCE
from moorings.cli.demo.scenarios import Play, scenarios
from moorings.cli.demo.verdicts import Played
from moorings.deploy.azure_setup import role_definition
from moorings.patching.standing import Standing

SCALE = 0.05
GROUP = "rg-harbour"
STACK = "harbour"
CHANGED = (("/opt/app/version", "2\n"),)
GOOD = (Update(id="app-2", needs_reboot=False, files=CHANGED),)
BREAKS = (Update(id="app-2", needs_reboot=False, files=CHANGED, effects=("stop-service web",)),)
# Beside the scenarios, VMs for single journeys.
FURTHER: Mapping[str, tuple[Update, ...]] = {
    "console": GOOD,
    "by-secret": GOOD,
    "counted-good": GOOD,
    "counted-bad": BREAKS,
    "restored": BREAKS,
    "lost-answer": GOOD,
    "taken-over": GOOD,
    "interrupted": GOOD,
    "protected": BREAKS,
    "updated": GOOD,
    "fleet-1": GOOD,
    "fleet-2": BREAKS,
    "fleet-3": (),
}
WINDOWS = "windows"
# The machines have their agent as a snap, so that nothing has to be installed first.
REGISTER = """#!/bin/bash
{service}
agent=snap.amazon-ssm-agent.amazon-ssm-agent
systemctl stop $agent
/snap/amazon-ssm-agent/current/amazon-ssm-agent -register -code '{code}' -id {id} -region {region} -y
systemctl start $agent
"""
BY_NAME = "/moorings/azure/named"


@dataclass(kw_only=True)
class Port:
    """The stack, its VMs by name, and how the scenarios ended. Journeys keep to VMs of their own."""

    cloud: LocalCloud
    harbour: Harbour
    federated: Application
    named: Application  # whose secret lies in Parameter Store
    berths: dict[str, Berth]
    plays: dict[str, Play]
    played: dict[str, Played]

    def node(self, name: str) -> str:
        """The managed node on a VM."""
        return self.berths[name].node

    def run(self, name: str, **parameters: Sequence[str]) -> Standing:
        """A run on one VM, once it is over."""
        execution = self.harbour.start(self.node(name), parameters=parameters)
        return self.harbour.finished(execution, self.node(name))

    def details(self, execution: str) -> Mapping[str, Any]:
        """What the service tells of an execution."""
        found = self.cloud.client("ssm").get_automation_execution(AutomationExecutionId=execution)
        return dict(found["AutomationExecution"])

    def arm_calls(self, *, since: int = 0) -> list[ArmCall]:
        """The calls to Resource Manager of the stack's functions."""
        mine = {self.federated.object_id, self.named.object_id}
        return [call for call in self.cloud.azure.calls.since(since) if call.principal in mine]

    def keep(self, event: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """One run of the keeper; it must not fail."""
        done = self.cloud.world.part(Functions).invoke(
            self.harbour.deployed.outputs["KeeperFunctionName"], json.dumps(event or {}).encode()
        )
        assert not done.function_error, done.payload
        return dict(json.loads(done.payload))

    def version(self, name: str) -> str:
        """What the VM's disk holds as the version of its application."""
        return (self.berths[name].vm.os_disk_path / "opt/app/version").read_text().strip()

    @property
    def snapshots(self) -> dict[str, dict[str, str]]:
        """The snapshots in the group: names and tags."""
        state = self.cloud.azure.state
        with state.lock:
            return {one.id.name: dict(one.document.get("tags") or {}) for one in state.snapshots.values()}

    @property
    def loose_disks(self) -> dict[str, dict[str, str]]:
        """The disks that no VM has: names and tags."""
        state = self.cloud.azure.state
        with state.lock:
            loose = [one for one in state.disks.values() if not one.managed_by]
            return {one.id.name: dict(one.document.get("tags") or {}) for one in loose}


@contextmanager
def standing(directory: Path) -> Iterator[Port]:
    """A local cloud with the harbour, every VM online, every scenario played."""
    with LocalCloud(scale=SCALE) as cloud:
        aws = account(cloud)
        quicken(cloud, silence=SILENCE)
        federated, named = (cloud.azure.entra.application(name) for name in ("federated", "named"))
        machines = [*_linux(cloud), _windows(cloud)]
        connection = Connection(application=federated)
        harbour = build(
            cloud, aws, stack=STACK, group=GROUP, anchors=directory, clock=BriefClock(), connection=connection
        )
        _name_credentials(cloud, named)
        berths = {machine.name: harbour.berth(machine) for machine in machines}
        _online(cloud, berths)
        told = scenarios()
        others = [berths[each.key] for each in (*told[1:], told[0])]
        plays = [
            Play(scenario=each, harbour=harbour, berth=berths[each.key], other=other)
            for each, other in zip(told, others, strict=True)
        ]
        ended = Director(harbour, plays).run(lambda _: None)
        yield Port(
            cloud=cloud,
            harbour=harbour,
            federated=federated,
            named=named,
            berths=berths,
            plays={play.scenario.key: play for play in plays},
            played={each.name: each for each in ended},
        )


def _linux(cloud: LocalCloud) -> list[Machine]:
    updates = {**{each.key: each.updates for each in scenarios()}, **FURTHER}
    code, activation = _activation(cloud, len(updates))
    script = REGISTER.format(service=SERVICE, code=code, id=activation, region=cloud.world.region)
    return [
        cloud.machines.create(
            MachineSpec(name=name, os="ubuntu-24.04", cloud="azure", snap_agent=True, user_data=script, updates=lacking)
        )
        for name, lacking in updates.items()
    ]


def _windows(cloud: LocalCloud) -> Machine:
    replay = (
        Recorded(contains="attested/document", live=_identity),
        Recorded(contains="LastBootUpTime", output="moorings boot {boot_id}\nmoorings check 1 0\n"),
    )
    spec = MachineSpec(name=WINDOWS, os="windows-2022", cloud="azure", replay=replay, updates=GOOD)
    return cloud.machines.create(spec)


def _identity(script: str, ask: Ask) -> str:
    """What the runbook's script prints on a real server: place, cloud, and a document signed for its nonce."""
    base = "http://169.254.169.254/metadata"
    nonce = re.search(r"\$nonce = '([0-9a-f-]+)'", script)
    assert nonce
    text = "?api-version=2021-12-13&format=text"
    signed = ask(f"{base}/attested/document?api-version=2020-09-01&nonce={nonce[1].replace('-', '')}")
    return (
        f"moorings resource {ask(f'{base}/instance/compute/resourceId{text}')}\n"
        f"moorings environment {ask(f'{base}/instance/compute/azEnvironment{text}')}\n"
        f"moorings attested {json.loads(signed)['signature']}\n"
    )


def _activation(cloud: LocalCloud, limit: int) -> tuple[str, str]:
    iam = cloud.client("iam")
    if "node" not in {role["RoleName"] for role in iam.list_roles()["Roles"]}:
        trust = {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName="node", AssumeRolePolicyDocument=document)
        iam.attach_role_policy(RoleName="node", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
    made = cloud.client("ssm").create_activation(IamRole="node", RegistrationLimit=limit)
    return made["ActivationCode"], made["ActivationId"]


def _name_credentials(cloud: LocalCloud, application: Application) -> None:
    """An application of its own, whose id and secret lie under names that only a run can give."""
    scope = cloud.azure.resource_group(GROUP)
    role = role_definition(STACK, (scope,))
    cloud.azure.rbac.assign(principal=application.object_id, role=role, scope=scope)
    store_secret(application, cloud, [f"{BY_NAME}/{name}" for name in ("tenant_id", "client_id", "client_secret")])


def _online(cloud: LocalCloud, berths: Mapping[str, Berth]) -> None:
    windows = berths[WINDOWS].machine
    assert isinstance(windows, ReplayedMachine)
    windows.wait_booted()
    code, activation = _activation(cloud, 1)
    windows.enrol(activation_id=activation, code=code)

    def all_there() -> bool:
        pages = cloud.client("ssm").get_paginator("describe_instance_information").paginate()
        online = {
            node["InstanceId"] for page in pages for node in page["InstanceInformationList"] if "ComputerName" in node
        }
        return all(berth.node in online for berth in berths.values())

    eventually(all_there, within=90)
