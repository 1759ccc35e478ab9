"""What patching needs from the outside, in its own words. Every call may fail with CloudFault, or Busy when throttled.

One suite of contracts (tests/contracts) runs on the fakes and on the real adapters alike.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from moorings.errors import Conflict
from moorings.patching.model import CredentialNames, Guard, Run, VmRef
from moorings.patching.observed import (
    CommandResult,
    Disk,
    Lock,
    Node,
    Operation,
    PatchState,
    Snapshot,
    Vm,
)


class AzureRefused(Exception):
    """Azure said no to this request, and would again: its status, code and message. Throttling is Busy instead."""

    def __init__(self, *, status: int, code: str, message: str) -> None:
        super().__init__(f"{code or status}: {message}")
        self.status = status
        self.code = code
        self.message = message


class Overtaken(Conflict):
    """Somebody else works on the run by now: its report, the keeper, another try of the same call. It was not told to
    stop, for nobody can tell it; and whoever else it is goes on."""


class Compute(Protocol):
    """Azure's compute API as one identity sees it. Reads answer None for what does not exist.

    Writes start an operation and return its monitor's URL at once (empty if it was over at once); none waits. They
    raise AzureRefused if Azure refuses; a lost answer raises CloudFault, and the write may have had its effect.
    """

    def vm(self, vm: VmRef) -> Vm | None:
        """The VM with its instance view."""

    def disk(self, resource_id: str) -> Disk | None:
        """A managed disk."""

    def snapshot(self, resource_id: str) -> Snapshot | None:
        """A snapshot."""

    def operation(self, monitor: str) -> Operation:
        """How far an operation is; asking costs less of Azure's budget than reading the VM."""

    def locks(self, vm: VmRef) -> list[Lock]:
        """The management locks at the VM or above it."""

    def missing_actions(self, scope: str, actions: Iterable[str]) -> list[str]:
        """Which of these actions this identity may not do at `scope` (an ARM id), by name, in the order asked."""

    def time(self, subscription: str) -> datetime | None:
        """Azure's own clock, as it dates an answer; None if it does not. Misconfigured if it does not take the
        credentials; what they allow is not asked."""

    def put_snapshot(self, resource_id: str, body: Mapping[str, Any]) -> str:
        """Take a snapshot. The same again changes nothing."""

    def put_disk(self, resource_id: str, body: Mapping[str, Any]) -> str:
        """Make a disk. The same again changes nothing."""

    def power_off(self, vm: VmRef, *, hard: bool) -> str:
        """Power the VM off; `hard` without asking its operating system."""

    def deallocate(self, vm: VmRef) -> str:
        """Stop the VM and release its host."""

    def start(self, vm: VmRef) -> str:
        """Start the VM."""

    def write_storage(self, vm: Vm, storage: Mapping[str, Any], *, whole: bool) -> str:
        """Write the VM as it was read, with this storage profile, if it has not changed since (its etag). `whole`: all
        of the VM is sent back (PUT); else the storage profile alone (PATCH)."""

    def tag(self, resource_id: str, tags: Mapping[str, str]) -> None:
        """Replace all tags of a disk or snapshot; nothing happens if it is gone."""

    def delete(self, resource_id: str) -> None:
        """Begin to delete a disk or snapshot; nothing happens if it is gone. The rule is asked before, not here."""


class Clouds(Protocol):
    """Who opens Azure for a run."""

    def compute(self, names: CredentialNames, *, subscription: str) -> Compute:
        """Azure's compute API with the credentials that these parameters hold, or the stack's federation if the names
        are empty. Invalid if a name lies outside the stack's prefix or only some are given; Misconfigured if a
        parameter does not exist or nothing is configured. Credentials are read once per warm function."""


class Documents(Protocol):
    """Who verifies attested documents."""

    def verify(self, encoded: str, *, nonce: str, now: datetime) -> tuple[str, str]:
        """(subscription id, VM GUID) of a genuine document bound to `nonce`, in lower case. Refused with the reason for
        any other; Misconfigured, with the command to run, while no anchors are set."""


class Nodes(Protocol):
    """Systems Manager's view of a node."""

    def node(self, node_id: str) -> Node | None:
        """The managed node; None if there is none of that id."""

    def command(self, command_id: str, node_id: str, *, plugin: str = "") -> CommandResult:
        """What became of a command on the node; `plugin` is the step of a document that has several."""

    def find_command(self, node_id: str, *, comment: str, after: datetime) -> str:
        """The id of the command that bears this comment; empty if none does."""

    def patch_state(self, node_id: str) -> PatchState | None:
        """The node's patch state; None before its first scan."""

    def installed_since(self, node_id: str, since: datetime) -> int | None:
        """How many patches the node says were installed at `since` or later; None if it does not tell when."""

    def report_compliance(self, node_id: str, run: Run) -> None:
        """Record a run's outcome as a compliance item of the node; nothing happens if the node is gone."""


class Executions(Protocol):
    """Systems Manager's view of automation executions."""

    def over(self, execution: str) -> bool:
        """Whether an execution has ended, in any way, or is not known any more."""

    def listens(self, execution: str) -> bool:
        """Whether an execution waits for what its steps answer: no more once it is over, or being cancelled."""

    def began(self, execution: str, steps: Iterable[str]) -> bool:
        """Whether any of these steps of an execution was started."""


class Guards(Protocol):
    """One guard per VM; every write is one conditional write."""

    def take(self, vm: VmRef, *, owner: str, until: datetime, seen: Guard | None) -> Guard | None:
        """Become the owner, with a fencing number above all before; None if the guard changed since it was `seen`."""

    def of(self, vm: VmRef) -> Guard | None:
        """The guard as it is now (consistent read); None if nobody ever held it."""

    def hold(self, vm: VmRef, *, owner: str, fence: int, until: datetime) -> bool:
        """Go on until then; False if it is ours no more, and then nothing may be written to the VM."""

    def release(self, vm: VmRef, *, owner: str, fence: int) -> None:
        """Give it up if it is still ours."""


class Records(Protocol):
    """The records of runs."""

    def load(self, execution: str) -> Run | None:
        """The record as it is now (consistent read)."""

    def save(self, run: Run) -> Run:
        """Write the record if nobody has since it was read; returns it with its new version. Overtaken if
        somebody has."""

    def postpone(self, run: Run, until: datetime) -> None:
        """Let the keeper look again then. The record itself stays as it is, so no call of the run is in the way of it;
        nothing happens if the record has changed since: whoever changed it said when to look."""

    def due(self, now: datetime, *, limit: int) -> list[str]:
        """Executions that the keeper should look at, the longest waiting first."""


class News(Protocol):
    """Who is told of outcomes."""

    def announce(self, run: Run) -> None:
        """Publish the outcome as an event. The same run may be announced twice."""


class Journal(Protocol):
    """Logs and metrics; never a secret."""

    def record(self, event: str, **facts: object) -> None:
        """One log record."""

    def count(self, metric: str, value: float = 1) -> None:
        """Add to a metric."""


class Countdown(Protocol):
    """How long this call may still take."""

    def remaining(self) -> timedelta:
        """Until our own deadline; zero or less: return now."""
