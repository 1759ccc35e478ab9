"""Where Azure's behaviour is not known for certain, what the local cloud does; and the durations that it emulates.

Everything here is a field of `Choices`, so a test can try the other way too. "K" in reference/azure-compute marks what
is general knowledge only. Fixed choices that no switch offers:

- A resource with an operation in progress refuses every other write with 409 Conflict, also the same body again.
- While an update of a virtual machine runs, GET shows the old document; a failed one leaves the old disks attached.
- A virtual machine's etag changes with each accepted PUT, PATCH and attachDetachDataDisks, not with power actions.
- A PUT without tags removes all tags; members of a virtual machine's `properties` that a PUT leaves out stay.
- Monitors answer for a day after their operation's end, then 404; the day is not scaled.
- Monitors are read with the right to `operations/read` (`diskOperations/read`) at any scope inside the subscription.
- `$expand=instanceView` needs virtualMachines/read alone, GET …/instanceView needs instanceView/read.
- Newly attached disks need disks/write as a linked right; every NIC and identity of a written document its own.
- `…/locks` at a scope shows the locks at, above and below it, with `$filter=atScope()` those at and above it.
- powerOff of a deallocated virtual machine, and restart of one that is off, are refused (409 OperationNotAllowed).
- Only snapshots that are copied in the background (v2, Ultra, CopyStart) have a snapshotAccessState; others say 100 %.
- The eighth incremental snapshot of a disk within 5 minutes: 409 OperationNotAllowed.
- Mismatches between a virtual machine and a new OS disk: size, zone, generation, security type, encryption set, each
  409 OperationNotAllowed that names both values; another operating system is PropertyChangeNotAllowed.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal


@dataclass(slots=True, kw_only=True)
class Durations:
    """How long operations take in the real cloud, roughly; the clock scales them."""

    disk: timedelta = timedelta(seconds=4)
    disk_delete: timedelta = timedelta(seconds=4)
    snapshot: timedelta = timedelta(seconds=6)
    snapshot_delete: timedelta = timedelta(seconds=4)
    background_copy: timedelta = timedelta(minutes=5)
    create: timedelta = timedelta(seconds=50)
    update: timedelta = timedelta(seconds=15)
    start: timedelta = timedelta(seconds=25)
    power_off: timedelta = timedelta(seconds=30)
    skip_shutdown: timedelta = timedelta(seconds=8)
    deallocate: timedelta = timedelta(seconds=45)
    restart: timedelta = timedelta(seconds=40)
    delete: timedelta = timedelta(seconds=40)
    snapshot_window: timedelta = timedelta(minutes=5)  # in which at most 7 incremental snapshots of a disk are taken
    throttle_unit: timedelta = timedelta(minutes=1)  # what the published rates are counted in


@dataclass(slots=True, kw_only=True)
class Choices:
    """The switches of one local Azure. Change them before the calls that they concern."""

    durations: Durations = field(default_factory=Durations)
    # The power state in which the OS disk may be exchanged: any; stopped or deallocated; deallocated only.
    swap_needs: Literal["running", "stopped", "deallocated"] = "stopped"
    # Another disk at the same LUN in one write; not known to work.
    same_lun_replacement: bool = False
    # Seconds in Retry-After of an operation's answers before scaling; never sent below 1. None: the header is left out.
    retry_after: int | None = 10
    # Published rates; off, nobody is throttled but by faults.
    throttling: bool = True
    page_size: int = 50
    # Answers spell resource groups in capitals, as the real service does now and then.
    upper_case_groups: bool = False
