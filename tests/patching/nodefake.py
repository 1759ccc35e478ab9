"""A managed node in memory: it runs what is on its VM's disk, answers commands, installs patches well or badly."""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tests.patching.azurefake import VM_GUID, FakeAzure

from moorings.patching.model import Run, VmRef
from moorings.patching.observed import CommandResult, CommandState, Node, PatchState

NODE = "mi-0123456789abcdef0"
COMMAND_TIME = timedelta(seconds=5)
BOOT_DURATION = timedelta(seconds=60)
# Steps of the runbook, lower case, that send AWS-RunPatchBaseline: of its steps one has to be named.
SEVERAL_STEPS = frozenset({"install", "scan", "scanonly"})


@dataclass
class Sent:
    """A command that was sent."""

    id: str
    comment: str
    at: datetime
    result: CommandResult
    ends: datetime | None  # None: it never ends


@dataclass
class FakeNode:
    """One node on one VM. What lies on its disk is `azure.contents[os disk]`: a dict that travels with snapshots.

    Keys of the disk: `missing` (patches), `installed`, `broken` (its service is dead), `unbootable`, `agentless`.
    """

    azure: FakeAzure
    vm: VmRef
    now: Callable[[], datetime]
    platform: str = "Linux"
    guid: str = VM_GUID
    claims: VmRef | None = None  # which VM it says it is
    attested_guid: str = ""
    online: bool = True
    last_ping: datetime | None = None
    boots: int = 1
    scenario: str = "good"
    reboots: bool = False
    patch_time: timedelta = timedelta(minutes=4)
    scan_reports: bool = True
    commands: dict[str, Sent] = field(default_factory=dict)
    state: PatchState | None = None
    installs: list[datetime] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    compliance: list[Run] = field(default_factory=list)
    unhealthy_before: bool = False
    metadata: bool = True
    _up_at: datetime | None = None
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.azure.vms[self.vm.key].on_power = self._power
        self.last_ping = self.now()
        self.disk.setdefault("missing", 3)

    @property
    def disk(self) -> dict[str, Any]:
        """What is on the disk that the VM has now."""
        found: dict[str, Any] = self.azure.contents[self.azure.os_disk_of(self.vm)]
        return found

    # -- the machine

    def _power(self, on: bool) -> None:
        self.online = False
        self.azure.vms[self.vm.key].guest = False
        self._up_at = self.now() + BOOT_DURATION if on else None

    def settle(self) -> None:
        """Boot, if it is time; heartbeat."""
        self.azure.settle()
        running = self.azure.vms[self.vm.key].power == "running"
        if self._up_at is not None and self._up_at <= self.now():
            self._up_at = None
            self.boots += 1
            self.azure.vms[self.vm.key].guest = running and not self.disk.get("unbootable")
            self.online = running and not self.disk.get("unbootable") and not self.disk.get("agentless")
        if self.online and running:
            self.last_ping = self.now()

    # -- commands, as the runbook's steps send them

    def send(self, document: str, parameters: dict[str, Any], comment: str) -> str:
        """Begin a command; its result shows once its time has come."""
        self.settle()
        command = f"c0ffee00-0000-4000-8000-{next(self._numbers):012d}"
        began = self.now()
        sent = Sent(
            id=command,
            comment=comment,
            at=began,
            ends=None,
            result=CommandResult(id=command, state=CommandState.WAITING),
        )
        self.commands[command] = sent
        if not self.online:
            sent.ends = began + timedelta(seconds=150)
            sent.result = CommandResult(id=command, state=CommandState.UNDELIVERED, detail="DeliveryTimedOut")
        elif document == "AWS-RunPatchBaseline":
            self._patch(sent, parameters)
        else:
            sent.ends = began + COMMAND_TIME
            sent.result = self._shell(sent, "\n".join(parameters["commands"]))
        return command

    def result(self, command: str) -> CommandResult:
        """The command as it is now."""
        self.settle()
        sent = self.commands.get(command)
        if sent is None:
            return CommandResult(id=command, state=CommandState.WAITING, detail="InvocationDoesNotExist")
        if sent.ends is None or sent.ends > self.now():
            waiting = CommandResult(id=command, state=CommandState.WAITING, detail="Pending")
            if sent.result.state is CommandState.UNDELIVERED:
                return waiting
            return replace(waiting, detail="InProgress", started_at=sent.at)
        return sent.result

    def _shell(self, sent: Sent, script: str) -> CommandResult:
        output, code = "", 0
        if "metadata" in script:
            output = self._identity(script) if self.metadata else ""
            code = 0 if self.metadata else 1
        elif "moorings boot" in script:
            bad = self.disk.get("broken") or (self.unhealthy_before and self.state is None)
            output = f"moorings boot boot-{self.boots}\nmoorings check 1 0\nmoorings check 2 {3 if bad else 0}\n"
        elif "fail" in script:
            code = 1
        state = CommandState.SUCCESS if code == 0 else CommandState.FAILED
        return CommandResult(
            id=sent.id, state=state, detail=state.value.title(), exit_code=code, output=output, started_at=sent.at,
            ended_at=sent.ends,
        )  # fmt: skip

    def _identity(self, script: str) -> str:
        nonce = re.search(r"printf %s '([0-9a-f-]{36})'|nonce = '([0-9a-f-]{36})'", script)
        assert nonce is not None
        execution = (nonce[1] or nonce[2]).replace("-", "")
        claims = self.claims or self.vm
        return (
            f"moorings resource {claims.id}\nmoorings environment AzurePublicCloud\n"
            f"moorings attested {self.vm.subscription}|{self.attested_guid or self.guid}|{execution}\n"
        )

    def _patch(self, sent: Sent, parameters: dict[str, Any]) -> None:
        scan = parameters["Operation"] == ["Scan"]
        sent.ends = sent.at + (timedelta(seconds=30) if scan else self.patch_time)
        if not scan:
            self._install(sent)
        ended = sent.ends
        outcome = CommandState.SUCCESS
        code = 0
        if not scan and self.scenario == "exit-1":
            outcome, code = CommandState.FAILED, 1
        sent.result = CommandResult(
            id=sent.id, state=outcome, detail=outcome.value.title(), exit_code=code, started_at=sent.at,
            ended_at=ended,
        )  # fmt: skip
        if self.scan_reports or not scan:
            self.state = PatchState(
                operation="Scan" if scan else "Install",
                ended_at=ended,
                installed=self.disk.get("installed", 0),
                missing=self.disk["missing"],
            )

    def _install(self, sent: Sent) -> None:
        disk = self.disk
        if self.scenario == "agent-dies":
            disk["agentless"] = True
            self.online = False
            sent.ends = None
            return
        if self.scenario == "fails-untouched":
            sent.result = replace(sent.result, state=CommandState.FAILED)
            return
        if disk["missing"]:
            disk["installed"] = disk.get("installed", 0) + disk["missing"]
            self.installs += [sent.at] * disk["missing"]
            disk["missing"] = 0
        if self.scenario == "breaks-service":
            disk["broken"] = True
        if self.scenario == "no-boot":
            disk["unbootable"] = True
            self._power(on=False)
            sent.ends = None
            self._up_at = self.now() + BOOT_DURATION
        elif self.reboots:
            self.boots += 1

    # -- the Nodes port

    def node(self, node_id: str) -> Node | None:
        self.settle()
        if node_id != NODE:
            return None
        return Node(
            id=NODE, platform=self.platform, online=self.online, last_ping=self.last_ping, source_id=self.guid,
            source_type="Microsoft.Compute/virtualMachines",
        )  # fmt: skip

    def command(self, command_id: str, node_id: str, *, plugin: str = "") -> CommandResult:
        del node_id
        sent = self.commands.get(command_id)
        if sent is not None and not plugin and sent.comment.rpartition(" ")[2].lower() in SEVERAL_STEPS:
            return CommandResult(id=command_id, state=CommandState.WAITING, detail="InvalidPluginName")
        return self.result(command_id)

    def find_command(self, node_id: str, *, comment: str, after: datetime) -> str:
        del node_id
        found = [sent.id for sent in self.commands.values() if sent.comment == comment and sent.at >= after]
        return next(iter(found), "")

    def patch_state(self, node_id: str) -> PatchState | None:
        del node_id
        self.settle()
        return self.state if self.state is None or (self.state.ended_at or self.now()) <= self.now() else None

    def installed_since(self, node_id: str, since: datetime) -> int:
        del node_id
        return sum(1 for moment in self.installs if moment >= since)

    def report_compliance(self, node_id: str, run: Run) -> None:
        del node_id
        self.compliance.append(run)
