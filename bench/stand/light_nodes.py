"""Managed nodes without machines: at the server's end of a control channel, on VMs whose disks are plain directories.

They take each command from the outbox as a channel would, and answer it in the agent's words; agent, frames and
programs are left out. What a node has is on its disk: `version`, which patching changes, and `broken`, if the patch
breaks it, so that a disk from a snapshot brings the former node back. Reports of patching are PutInventory calls under
the node's own role.
"""

import base64
import json
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from localcloud.automation.scheduler import Scheduler
from localcloud.aws.ssm.automation.clients import ActingClient, SharedClients
from localcloud.aws.ssm.commands.book import Commands
from localcloud.aws.ssm.commands.messages import SEND_TOPIC
from localcloud.aws.ssm.commands.model import Reply, StepResult
from localcloud.aws.ssm.commands.outbox import Message
from localcloud.aws.ssm.document_model import steps_of
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.azure.hardware import PlainDirectories
from localcloud.azure.imds import Metadata
from localcloud.azure.service import Azure
from localcloud.azure.vms import Vm

if TYPE_CHECKING:
    from localcloud.world import World

NODE_ROLE = "fleet-node"
VERSION, BROKEN = "version", "broken"
BEFORE = "1\n"
# Emulated.
LOOK, PATCH = timedelta(seconds=2), timedelta(seconds=30)
HEARTBEAT = timedelta(minutes=5)
_STAMP = "%Y-%m-%dT%H:%M:%SZ"
_REPORT = {"Title": "update", "KBId": "KB1", "Classification": "SecurityUpdates", "Severity": "Important"}


@dataclass(slots=True, kw_only=True)
class LightNode:
    """A node. `breaks`: its service is dead once it is patched; `online` False: nobody ever hears of it."""

    id: str
    vm: Vm
    breaks: bool = False
    online: bool = True
    boot: str = ""
    installs: int = 0

    @property
    def files(self) -> dict[str, str]:
        """What is on the disk that the VM boots from."""
        return {each.name: each.read_text() for each in sorted(self.vm.os_disk_path.iterdir())}


class _Hardware(PlainDirectories):
    """Plain directories that tell when a VM goes on."""

    def __init__(self, home: Path, *, booted: Callable[[str], None]) -> None:
        super().__init__(home)
        self._booted = booted

    def power_on(self, vm: str) -> None:
        if not self.running(vm):
            super().power_on(vm)
            self._booted(vm)


class LightNodes:
    """All light nodes of a world. Threads may share it. `watch_install` is told of each node that begins to patch,
    `takes` says how long (emulated) commands take.
    """

    def __init__(self, world: "World", *, group: str) -> None:
        self.watch_install: Callable[[LightNode], None] = lambda _node: None
        self.takes = {"look": LOOK, "patch": PATCH}
        self._world = world
        self._group = group
        self._azure = world.part(Azure)
        self._azure.hardware = _Hardware(world.state_dir / "light-disks", booted=self._booted)
        self._nodes = world.part(ManagedNodes)
        self._commands = world.part(Commands)
        self._metadata = world.part(Metadata)
        self._by_id: dict[str, LightNode] = {}
        self._by_vm: dict[str, LightNode] = {}
        self._timers = Scheduler(world.clock, workers=2)
        self._clients = SharedClients(world, world.region)
        self._key = _public_key()
        self._lock = threading.Lock()
        world.part(self._closer)
        self._timers.at(self._in(HEARTBEAT), self._heartbeats)

    def add(self, name: str, *, breaks: bool = False, online: bool = True) -> LightNode:
        """A VM that runs, and its node."""
        vm = self._azure.vms.create(name, resource_group=self._group)
        vm.os_disk_path.joinpath(VERSION).write_text(BEFORE)
        node_id = f"mi-{uuid.uuid4().hex[:17]}"
        node = LightNode(id=node_id, vm=vm, breaks=breaks, online=online, boot=str(uuid.uuid4()))
        with self._lock:
            self._by_id[node_id] = self._by_vm[vm.vm_id] = node
        self._nodes.seed(node_id=node_id, fingerprint=node_id, public_key=self._key, iam_role=NODE_ROLE)
        self._nodes.set_source(
            node_id, source_id=vm.vm_id, source_type="Microsoft.Compute/virtualMachines", location="eastus"
        )
        if online:
            self._heard(node)
            self._nodes.channel_opened(node_id)
            self._commands.outbox.connect(node_id, self._pushed)
        return node

    def of(self, node_id: str) -> LightNode:
        """The node of this id."""
        return self._by_id[node_id]

    def _closer(self, _world: "World") -> Scheduler:
        """Ends the timers with the world."""
        return self._timers

    def _in(self, duration: timedelta) -> datetime:
        return self._world.clock.now() + self._world.clock.scaled(duration)

    def _booted(self, vm: str) -> None:
        node = self._by_vm.get(vm)
        if node is not None:
            node.boot = str(uuid.uuid4())
            # Once when it is up, and once more: whoever waits for it asks for news from after it was seen running.
            for pause in (timedelta(seconds=10), timedelta(seconds=60)):
                self._timers.at(self._in(pause), lambda: self._heard(node))

    def _heartbeats(self) -> None:
        with self._lock:
            online = [node for node in self._by_id.values() if node.online]
        for node in online:
            self._heard(node)
        self._timers.at(self._in(HEARTBEAT), self._heartbeats)

    def _heard(self, node: LightNode) -> None:
        if not self._azure.hardware.running(node.vm.vm_id):
            return
        reported = {"AgentName": "amazon-ssm-agent", "AgentStatus": "Active", "AgentVersion": "3.3.0.0"}
        reported |= {"PlatformType": "Linux", "PlatformName": "Ubuntu", "PlatformVersion": "24.04"}
        self._nodes.heard(node.id, {**reported, "ComputerName": node.vm.name, "SSMConnectionChannel": "ssmmessages"})

    # -- commands

    def _pushed(self, message: Message) -> None:
        """A command was offered. Whoever offers it may hold the commands' lock, so nothing is answered here."""

        def acknowledge() -> None:
            self._commands.acknowledged(message.id)

        self._timers.at(self._in(timedelta(0)), acknowledge)
        if not message.topic.startswith(SEND_TOPIC):
            return
        job = json.loads(message.payload)
        node = self._by_id[message.node_id]
        patches = job["DocumentName"] == "AWS-RunPatchBaseline"

        def answer() -> None:
            self._timers.soon(lambda: self._answer(node, message, job))

        self._timers.at(self._in(self.takes["patch" if patches else "look"]), answer)

    def _answer(self, node: LightNode, message: Message, job: Mapping[str, Any]) -> None:
        began = datetime.now(UTC)
        if job["DocumentName"] == "AWS-RunPatchBaseline":
            output = self._patched(node, str(job["Parameters"]["Operation"]))
        else:
            output = self._said(node, "\n".join(job["Parameters"]["commands"]))
        steps = tuple(
            _result(step.name, output if step.on_one_platform in ("", "Linux") else None, began)
            for step in steps_of(job["DocumentContent"])
        )
        self._commands.replied(message.id, Reply(id=f"{message.id}-1", status="Success", steps=steps))

    def _said(self, node: LightNode, script: str) -> str:
        """What the runbook's two scripts print."""
        if "attested/document" in script:
            execution = script.partition("printf %s '")[2].partition("'")[0]
            envelope = json.loads(self._metadata.attested(node.vm, execution.replace("-", "")))
            told = {"resource": node.vm.id, "environment": "AzurePublicCloud", "attested": envelope["signature"]}
            return "".join(f"moorings {name} {value}\n" for name, value in told.items())
        return f"moorings boot {node.boot}\nmoorings check 1 {int(BROKEN in node.files)}\n"

    def _patched(self, node: LightNode, operation: str) -> str:
        now = datetime.now(UTC)
        if operation == "Install":
            node.installs += 1
            self.watch_install(node)
            disk = node.vm.os_disk_path
            disk.joinpath(VERSION).write_text(f"2 {now:{_STAMP}}\n")
            if node.breaks:
                disk.joinpath(BROKEN).touch()
        self._report(node, operation, now)
        return f"{operation} is over\n"

    def _report(self, node: LightNode, operation: str, now: datetime) -> None:
        _, _, installed = node.files[VERSION].strip().partition(" ")
        stamp = f"{now:{_STAMP}}"
        summary = {
            "BaselineId": "pb-0123456789abcdef0",
            "Operation": operation,
            "OperationStartTime": stamp,
            "OperationEndTime": stamp,
            "InstalledCount": str(int(bool(installed))),
            "MissingCount": str(int(not installed)),
        }
        row = {**_REPORT, "State": "Installed" if installed else "Missing", "InstalledTime": installed}
        items = [
            {"TypeName": name, "SchemaVersion": "1.0", "CaptureTime": stamp, "Content": [content]}
            for name, content in (("AWS:PatchSummary", summary), ("AWS:PatchCompliance", row))
        ]
        client = ActingClient(self._clients.client("ssm"), self._nodes.issue_token(node.id))
        client.put_inventory(InstanceId=node.id, Items=items)


def _result(name: str, output: str | None, began: datetime) -> StepResult:
    """A step that ran, or (None) one that is for another system."""
    if output is None:
        return StepResult(name=name, word="Skipped", code=0, started_at=began, finished_at=began)
    return StepResult(
        name=name,
        word="Success",
        code=0,
        output=output,
        standard_output=output,
        started_at=began,
        finished_at=datetime.now(UTC),
    )


def _public_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_bytes(serialization.Encoding.DER, form)).decode()
