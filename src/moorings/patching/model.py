"""The words of patching as values: what one run wants, has done, has seen, and how it ended."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from moorings.errors import Invalid

TAG_PREFIX = "moorings-"
TAG_EXECUTION = "moorings-execution"
TAG_NAME = "moorings-name"
TAG_ROLE = "moorings-role"
TAG_EXPIRY = "moorings-expiry"
TAG_STACK = "moorings-stack"

# A restore that takes longer is given up: the VM is then started on whichever disk it has.
RESTORE_TIME = timedelta(minutes=45)
# How long a node may stay silent while it patches or boots, unless the run says otherwise. Heartbeats: every 5 minutes.
BOOT_TIME = timedelta(minutes=15)
# A cumulative update of Windows is finished while the system boots, which takes a small VM more than half an hour.
WINDOWS_BOOT_TIME = timedelta(minutes=45)
# Services take a moment after a boot: a failing check is asked again for this long before it counts.
SETTLE_TIME = timedelta(minutes=5)
# A snapshot that is not usable by then counts as stuck.
CHECKPOINT_TIME = timedelta(minutes=25)
# AWS-RunPatchBaseline's own limit is 3 h; delivery and the boot afterwards come on top.
PATCH_TIME = timedelta(hours=3, minutes=40)
# How much longer than the next step may take the guard holds, so that nobody takes over what is alive.
GUARD_MARGIN = timedelta(minutes=15)
RECORD_LIFE = timedelta(days=90)

# A node tells this, and it goes into addresses: letters and digits of any script, and the few signs that Azure takes.
_VM_ID = re.compile(
    r"/subscriptions/(?P<subscription>[0-9a-z-]{1,64})"
    r"/resourceGroups/(?P<group>(?!\.+/)[\w().-]{1,90})"
    r"/providers/Microsoft\.Compute/virtualMachines/(?P<name>\w[\w.-]{0,79})/?",
    re.IGNORECASE,
)
_EXECUTION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VmRef:
    """Which VM, by its place in Azure. Compare with `key`: Azure keeps no letter case."""

    subscription: str
    group: str
    name: str

    @property
    def id(self) -> str:
        """The ARM resource id."""
        return f"{self.group_id}/providers/Microsoft.Compute/virtualMachines/{self.name}"

    @property
    def group_id(self) -> str:
        """The resource group's id."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"

    @property
    def key(self) -> str:
        """The id in one letter case."""
        return self.id.lower()

    def child(self, kind: str, name: str) -> str:
        """The id of a compute resource (`disks`, `snapshots`) of that name in the VM's group."""
        return f"{self.group_id}/providers/Microsoft.Compute/{kind}/{name}"


def vm_ref(resource_id: str) -> VmRef | None:
    """The VM that an ARM id names; None if it names something else."""
    match = _VM_ID.fullmatch(resource_id.strip())
    return VmRef(**match.groupdict()) if match else None


def execution_id(text: str) -> str:
    """The id, checked: names and tags are made of it. Invalid if it is none."""
    if not _EXECUTION.fullmatch(text):
        raise Invalid(f"{text[:60]!r} is no automation execution id", remedy="pass {{ automation:EXECUTION_ID }}")
    return text


def nonce_of(execution: str) -> str:
    """The 32 characters that bind an attested document to one execution."""
    return execution.replace("-", "")


class RollbackOn(Enum):
    """For which verdicts the VM is put back."""

    BAD = "Bad"
    BAD_OR_UNKNOWN = "BadOrUnknown"
    NEVER = "Never"


class Verdict(Enum):
    """What the evidence says."""

    PATCHED = "PATCHED"
    UNTOUCHED = "UNTOUCHED"
    BAD = "BAD"
    UNKNOWN = "UNKNOWN"


class Outcome(Enum):
    """How a run ended."""

    PATCHED = "PATCHED"
    UNCHANGED = "UNCHANGED"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    UNDECIDED = "UNDECIDED"


class Phase(Enum):
    """How far a run is; each is entered once, in this order, some are left out."""

    DESCRIBED = "described"
    CHECKPOINTING = "checkpointing"
    CHECKPOINTED = "checkpointed"  # from here on patches may be installed
    PATCHING = "patching"
    JUDGED = "judged"
    RESTORING = "restoring"
    RESTORED = "restored"  # the restore is over, well or not
    RELEASING = "releasing"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the run's starter chose. Hours are whole; 0 means at once."""

    operation: str = "Install"  # or Scan
    snapshot_data_disks: bool = False
    restore_data_disks: bool = False
    rollback_on: RollbackOn = RollbackOn.BAD
    keep_snapshot_hours: int = 0
    keep_failed_disk_hours: int = 168
    dry_run: bool = False
    boot_time: timedelta | None = None  # None: as long as the node's system takes, see `Run.boot_time`
    settle_time: timedelta = SETTLE_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialNames:
    """The *names* of Parameter Store parameters that hold Azure credentials; all empty: the stack's federation."""

    client: str = ""
    tenant: str = ""
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointDisk:
    """One disk of the checkpoint. `lun` None: the OS disk. `disk` is its wire form when the snapshot was begun."""

    lun: int | None
    source_id: str
    source_unique_id: str
    snapshot_id: str
    replacement_id: str
    disk: Mapping[str, Any] = field(repr=False)
    attachment: Mapping[str, Any] = field(default_factory=dict, repr=False)  # the VM's entry for it
    begun: bool = False  # Azure has accepted it
    usable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """What the health script printed: the boot it ran in, and each check's exit code in the order given."""

    boot: str = ""
    checks: tuple[int, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether every check passed; without checks, whether the script ran at all."""
        return bool(self.boot) and not any(self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that the verdict rests on."""

    install: str = "unsent"  # a CommandState's value
    install_id: str = ""  # of the command
    install_detail: str = ""
    install_exit: int | None = None
    install_began: bool = False  # a command, ours, began on the node; so the node may have changed
    offline: bool = False  # silent past the boot deadline
    guest: str = ""  # what Azure says of a silent node: ready, not ready, unseen; empty: it was not asked
    last_ping: datetime | None = None
    before: HealthReport | None = None
    after: HealthReport | None = None  # None: nobody could look
    scan_fresh: bool = False
    installed_now: int | None = 0  # patches that this run installed; None: the node does not tell
    pending_reboot: int = 0
    missing: int = 0
    failed: int = 0
    prepatch_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, why, and what a person should know besides."""

    verdict: Verdict
    reason: str
    warnings: tuple[str, ...] = ()
    nothing_to_do: bool = False


class Aim(Enum):
    """Which disks the VM shall run on."""

    OURS = "ours"
    SOURCE = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """How far a restore is, kept between calls. `ended` tells that nothing more will be tried. Counted are moves that
    Azure has answered, and one write more if the answer of the first was lost."""

    began_at: datetime
    deadline: datetime
    rounds: int = 0
    stops: int = 0
    writes: int = 0  # of the VM's disks
    starts: int = 0
    makes: int = 0  # of replacement disks
    down_at: datetime | None = None  # when the VM was stopped first
    not_before: datetime | None = None  # Azure is asked for nothing until then: it was asked too often
    started_at: datetime | None = None  # when the last start of the VM was begun
    deallocate: bool = False  # Azure refused to change the disks of a VM that is only stopped
    patch: bool = False  # Azure refused to take the whole VM back: send the disks alone
    pending: str = ""  # the monitor of the operation that was started last
    pending_kind: str = ""  # stop, write, start, make
    ended_at: datetime | None = None
    ended: str = ""  # where the VM ended: ours, source, mixed, foreign, down, gone
    note: str = ""  # what went wrong last, or why it ended as it did
    online: bool | None = None  # whether the node came back, once somebody has looked


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """How a run ended, in one sentence, with what to do next if something is to be done."""

    outcome: Outcome
    reason: str
    wrong: bool
    remedy: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One entry of a run's timeline: the first time at which it happened, and how often in a row."""

    at: datetime
    what: str
    times: int = 1

    @property
    def told(self) -> str:
        """What happened, for people."""
        return self.what if self.times == 1 else f"{self.what} ({self.times} times)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The record of one automation execution on one node. `version` counts its writes."""

    execution: str
    node: str
    began_at: datetime
    phase: Phase = Phase.DESCRIBED
    platform: str = ""
    vm: VmRef | None = None
    vm_guid: str = ""
    fence: int = 0  # 0: this run holds no guard
    options: Options = field(default_factory=Options)
    credentials: CredentialNames = field(default_factory=CredentialNames)
    refusal: str = ""  # why nothing is touched
    remedy: str = ""
    before: HealthReport | None = None
    checkpoint: tuple[CheckpointDisk, ...] = ()
    checkpoint_began_at: datetime | None = None
    checkpoint_failure: str = ""
    patching_since: datetime | None = None
    looking_since: datetime | None = None  # the first look at health after patching
    evidence: Evidence | None = None
    judgement: Judgement | None = None
    restore: Restore | None = None
    conclusion: Conclusion | None = None
    announced: bool = False  # the event of this conclusion is out
    unfiled: bool = False  # the node's compliance item does not tell this conclusion yet
    leftovers: tuple[str, ...] = ()  # ids of snapshots and disks of ours that still exist, as far as we know
    released: tuple[str, ...] = ()  # those whose deletion Azure has accepted; that may fail later
    expires_at: datetime | None = None  # when the leftovers may go; None: only a person removes them
    look_at: datetime | None = None  # when the keeper looks again; None: it need not
    timeline: tuple[Moment, ...] = ()
    version: int = 0

    @property
    def boot_time(self) -> timedelta:
        """How long its node may be silent while it patches or boots."""
        by_system = WINDOWS_BOOT_TIME if self.platform == "Windows" else BOOT_TIME
        return self.options.boot_time if self.options.boot_time is not None else by_system


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Who may work on a VM: one execution, known by its fencing number, until a time."""

    vm: str  # VmRef.key
    owner: str  # execution id; empty: nobody
    fence: int
    until: datetime
