"""Everything that Resource Manager knows, behind one lock; operations that have come to their end take effect first."""

import threading
import uuid
from datetime import datetime, timedelta

from localcloud.azure.errors import group_not_found, not_found, subscription_not_found
from localcloud.azure.ids import key
from localcloud.azure.model import Disk, Document, Group, Resource, Snapshot, VirtualMachine
from localcloud.azure.operations import Operations

KEPT = timedelta(days=1)  # operations after their ends, and what a stale read could show of resources that are gone


class State:
    """The resources of one tenant. Hold `lock` while you read or write."""

    def __init__(self, *, subscription: str) -> None:
        self.lock = threading.RLock()
        self.subscriptions: set[str] = {subscription.lower()}
        self.groups: dict[str, Group] = {}
        self.disks: dict[str, Disk] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.machines: dict[str, VirtualMachine] = {}
        self.operations = Operations()
        # When incremental snapshots were taken, by the source's unique id.
        self.snapshot_times: dict[str, list[datetime]] = {}
        # What a stale read shows: each resource before its last write, None where there was none.
        self.previous: dict[str, Document | None] = {}

    def group(self, subscription: str, name: str) -> Group:
        """The resource group; 404 if it, or the subscription, is not there."""
        if subscription.lower() not in self.subscriptions:
            raise subscription_not_found(subscription)
        found = self.groups.get(key(f"{subscription}/{name}"))
        if found is None:
            raise group_not_found(name)
        return found

    def add_group(self, subscription: str, group: Group) -> Group:
        """The group, made if it is new."""
        return self.groups.setdefault(key(f"{subscription}/{group.name}"), group)

    def resource(self, resource_id: str) -> Resource | None:
        """The disk, snapshot or virtual machine with this id."""
        wanted = key(resource_id)
        return self.disks.get(wanted) or self.snapshots.get(wanted) or self.machines.get(wanted)

    def machine(self, resource_id: str) -> VirtualMachine:
        """The virtual machine with this id; 404 if there is none."""
        found = self.machines.get(key(resource_id))
        if found is None:
            raise missing_resource(resource_id)
        return found

    def forget(self, now: datetime) -> None:
        """Forget what nobody asks for any more, so that a cloud that runs for weeks does not grow with each call."""
        for operation in self.operations.forget_before(now - KEPT):
            for each in operation.holds:
                if self.resource(each) is None:
                    self.previous.pop(each, None)
        for source in [source for source, taken in self.snapshot_times.items() if taken[-1] < now - KEPT]:
            del self.snapshot_times[source]

    def owned_by(self, machine: VirtualMachine) -> list[Disk]:
        """The managed disks that are attached to it."""
        return [disk for disk in self.disks.values() if disk.managed_by and key(disk.managed_by) == machine.key]


def missing_resource(resource_id: str) -> Exception:
    """404 for a resource that somebody refers to."""
    parts = resource_id.strip("/").split("/")
    kind = parts[-2] if len(parts) > 1 else "resources"
    return not_found(kind, parts[-1], parts[3] if len(parts) > 3 else "")


def new_unique_id() -> str:
    """A GUID for a disk, a snapshot or a virtual machine."""
    return str(uuid.uuid4())
