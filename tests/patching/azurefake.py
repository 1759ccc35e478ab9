"""An Azure in memory behind the `Compute` port: disks with contents, snapshots, one or more VMs, operations on a clock.

It refuses what Azure refuses here (a swap on a running VM, a busy VM, a stale etag), and fails on demand.
"""

import itertools
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from moorings.errors import Busy, CloudFault, Misconfigured
from moorings.patching.model import CredentialNames, VmRef, vm_ref
from moorings.patching.observed import Disk, Lock, Operation, OperationState, Snapshot, Vm, same_id
from moorings.patching.ports import AzureRefused, Compute

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web"
COMPUTE = f"{GROUP}/providers/Microsoft.Compute"
VM_GUID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

OPERATION_TIME = timedelta(seconds=40)


def copied(value: Any) -> Any:
    """A deep copy; by pickle in a third of the time, and thousands of runs look at disks."""
    return pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


@dataclass
class Pending:
    """One long-running operation."""

    ends: datetime
    effect: Callable[[], None]
    failure: tuple[str, str] | None = None
    target: str = ""
    done: bool = False


@dataclass
class FakeVm:
    """A VM: its wire form, whether it runs, and what happens when it is switched on."""

    wire: dict[str, Any]
    power: str = "running"
    guest: bool = True  # Azure's agent on it reports
    etag: int = 1
    on_power: Callable[[bool], None] = lambda _on: None


@dataclass
class FakeAzure:
    """All of Azure that a run sees. `calls` lists (action, resource name) of every request."""

    now: Callable[[], datetime]
    disks: dict[str, dict[str, Any]] = field(default_factory=dict)
    snapshots: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, Any] = field(default_factory=dict)  # by resource id, lower case
    vms: dict[str, FakeVm] = field(default_factory=dict)
    lock_list: list[Lock] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    stuck_snapshots: bool = False
    failing_snapshots: bool = False
    failing: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # action → failures of its operation
    refusing: dict[str, list[AzureRefused | Busy | CloudFault]] = field(default_factory=dict)  # at once
    unauthenticated: str = ""
    behind: timedelta = timedelta(0)  # how far Azure's clock is behind
    needs_deallocated: bool = False
    operation_time: timedelta = OPERATION_TIME
    before_call: Callable[[str], None] = lambda _call: None
    after_call: Callable[[str], None] = lambda _call: None
    _operations: dict[str, Pending] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    # -- making

    def add_vm(self, name: str = "web-1", *, data: Iterable[int] = (), guid: str = VM_GUID) -> VmRef:
        """A running VM with its disks."""
        ref = vm_ref(f"{COMPUTE}/virtualMachines/{name}")
        assert ref is not None
        os_disk = self.add_disk(f"{name}-os", ref.id, os_type="Linux")
        entries = [
            {"lun": lun, "name": f"{name}-data{lun}", "createOption": "Attach", "caching": "ReadOnly",
             "managedDisk": {"id": self.add_disk(f"{name}-data{lun}", ref.id)}}
            for lun in data
        ]  # fmt: skip
        wire = {
            "id": ref.id, "name": name, "location": "eastus", "zones": ["1"], "tags": {"env": "prod"},
            "properties": {
                "vmId": guid, "provisioningState": "Succeeded", "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
                "storageProfile": {
                    "osDisk": {"name": f"{name}-os", "osType": "Linux", "createOption": "FromImage",
                               "caching": "ReadWrite", "deleteOption": "Delete", "managedDisk": {"id": os_disk}},
                    "dataDisks": entries,
                },
            },
        }  # fmt: skip
        self.vms[ref.key] = FakeVm(wire=wire)
        return ref

    def add_disk(self, name: str, vm: str = "", *, os_type: str = "", content: Any = None) -> str:
        """A disk, attached to `vm` if given."""
        resource_id = f"{COMPUTE}/disks/{name}"
        wire = {
            "id": resource_id, "name": name, "location": "eastus", "zones": ["1"], "sku": {"name": "Premium_LRS"},
            "tags": {"env": "prod"},
            "properties": {"provisioningState": "Succeeded", "uniqueId": f"u-{next(self._numbers)}", "diskSizeGB": 30,
                           "diskState": "Attached" if vm else "Unattached", "hyperVGeneration": "V2",
                           **({"osType": os_type} if os_type else {})},
        }  # fmt: skip
        if vm:
            wire["managedBy"] = vm
        self.disks[resource_id.lower()] = wire
        self.contents[resource_id.lower()] = {} if content is None else content
        return resource_id

    def os_disk_of(self, ref: VmRef) -> str:
        """The id of the VM's OS disk, lower case."""
        return str(self.vms[ref.key].wire["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"]).lower()

    # -- the Clouds port

    def compute(self, names: CredentialNames, *, subscription: str) -> Compute:
        if self.unauthenticated:
            raise Misconfigured(self.unauthenticated, remedy="store another secret")
        del names, subscription
        return self

    # -- reads

    def vm(self, vm: VmRef) -> Vm | None:
        with self._call("virtualMachines/read", vm.name):
            found = self.vms.get(vm.key)
            return None if found is None else Vm(self._shown(found))

    def disk(self, resource_id: str) -> Disk | None:
        with self._call("disks/read", resource_id):
            found = self.disks.get(resource_id.lower())
            return Disk(copied(found)) if found else None

    def snapshot(self, resource_id: str) -> Snapshot | None:
        with self._call("snapshots/read", resource_id):
            found = self.snapshots.get(resource_id.lower())
            return Snapshot(copied(found)) if found else None

    def operation(self, monitor: str) -> Operation:
        with self._call("operations/read", monitor):
            pending = self._operations.get(monitor)
            if pending is None:
                return Operation(state=OperationState.GONE)
            if not pending.done:
                return Operation(state=OperationState.RUNNING)
            if pending.failure:
                return Operation(state=OperationState.FAILED, code=pending.failure[0], message=pending.failure[1])
            return Operation(state=OperationState.SUCCEEDED)

    def locks(self, vm: VmRef) -> list[Lock]:
        with self._call("locks/read", vm.name):
            return list(self.lock_list)

    def time(self, subscription: str) -> datetime | None:
        del subscription
        return self.now() - self.behind

    def missing_actions(self, scope: str, actions: Iterable[str]) -> list[str]:
        with self._call("permissions/read", scope):
            return [action for action in actions if action in self.missing]

    # -- writes

    def put_snapshot(self, resource_id: str, body: Mapping[str, Any]) -> str:
        with self._call("snapshots/write", resource_id):
            if resource_id.lower() in self.snapshots:
                return ""
            source = body["properties"]["creationData"]["sourceResourceId"]
            disk = self.disks[source.lower()]
            wire = copied(dict(body)) | {"id": resource_id, "name": resource_id.rsplit("/", 1)[-1]}
            wire["properties"]["provisioningState"] = "Updating"
            wire["properties"]["creationData"]["sourceUniqueId"] = disk["properties"]["uniqueId"]
            self.snapshots[resource_id.lower()] = wire
            self.contents[resource_id.lower()] = copied(self.contents[source.lower()])

            def usable() -> None:
                state = "Failed" if self.failing_snapshots else "Succeeded"
                wire["properties"]["provisioningState"] = state

            ends = self.now() + (timedelta(days=9) if self.stuck_snapshots else self.operation_time / 2)
            return self._begin(usable, ends=ends, target=resource_id)

    def put_disk(self, resource_id: str, body: Mapping[str, Any]) -> str:
        with self._call("disks/write", resource_id) as failure:
            source = body["properties"]["creationData"]["sourceResourceId"]
            if resource_id.lower() in self.disks:
                return ""
            if source.lower() not in self.snapshots:
                raise AzureRefused(status=404, code="ResourceNotFound", message="no such snapshot")
            wire = copied(dict(body)) | {"id": resource_id, "name": resource_id.rsplit("/", 1)[-1]}
            wire["properties"] |= {
                "provisioningState": "Creating", "uniqueId": f"u-{next(self._numbers)}", "diskState": "Unattached",
            }  # fmt: skip
            self.disks[resource_id.lower()] = wire
            self.contents[resource_id.lower()] = copied(self.contents[source.lower()])

            def made() -> None:
                if failure:
                    del self.disks[resource_id.lower()]
                else:
                    wire["properties"]["provisioningState"] = "Succeeded"

            return self._begin(made, failure=failure, target=resource_id)

    def power_off(self, vm: VmRef, *, hard: bool) -> str:
        del hard
        return self._power(vm, "powerOff/action", "stopped")

    def deallocate(self, vm: VmRef) -> str:
        return self._power(vm, "deallocate/action", "deallocated")

    def start(self, vm: VmRef) -> str:
        return self._power(vm, "start/action", "running")

    def write_storage(self, vm: Vm, storage: Mapping[str, Any], *, whole: bool) -> str:
        with self._call("virtualMachines/write" + ("" if whole else "(patch)"), vm.name) as failure:
            key = vm.id.lower()
            found = self.vms[key]
            self._require_idle(key)
            if vm.etag != str(found.etag):
                raise AzureRefused(status=412, code="PreconditionFailed", message="etag")
            if found.power not in ({"deallocated"} if self.needs_deallocated else {"stopped", "deallocated"}):
                raise AzureRefused(status=409, code="OperationNotAllowed", message="the VM must be stopped")
            wanted = [storage["osDisk"]["managedDisk"]["id"]]
            wanted += [disk["managedDisk"]["id"] for disk in storage.get("dataDisks", ())]
            for disk_id in wanted:
                holder = self.disks[disk_id.lower()].get("managedBy")
                if holder and not same_id(holder, vm.id):
                    raise AzureRefused(status=409, code="ConflictingUserInput", message="attached elsewhere")

            def written() -> None:
                found.wire["properties"]["storageProfile"] = copied(dict(storage))
                for disk in self.disks.values():
                    held = any(same_id(disk["id"], one) for one in wanted)
                    if held:
                        disk["managedBy"] = vm.id
                        disk["properties"]["diskState"] = "Reserved"
                    elif same_id(disk.get("managedBy", ""), vm.id):
                        disk.pop("managedBy")
                        disk["properties"]["diskState"] = "Unattached"

            return self._begin(written, failure=failure, target=key)

    def tag(self, resource_id: str, tags: Mapping[str, str]) -> None:
        with self._call("tags/write", resource_id):
            for resources in (self.disks, self.snapshots):
                if resource_id.lower() in resources:
                    resources[resource_id.lower()]["tags"] = dict(tags)

    def delete(self, resource_id: str) -> None:
        with self._call("snapshots/delete" if "/snapshots/" in resource_id else "disks/delete", resource_id) as failure:
            key = resource_id.lower()

            def gone() -> None:
                self.snapshots.pop(key, None)
                self.disks.pop(key, None)

            self._begin(gone, failure=failure, target=resource_id)

    # -- inside

    def settle(self) -> None:
        """Let every operation whose time has come take effect."""
        for pending in list(self._operations.values()):
            if not pending.done and pending.ends <= self.now():
                pending.done = True
                if not pending.failure or pending.target.lower() in self.disks:
                    pending.effect()
                found = self.vms.get(pending.target)
                if found is not None:
                    found.wire["properties"]["provisioningState"] = "Failed" if pending.failure else "Succeeded"
                    found.etag += 1

    def _power(self, vm: VmRef, action: str, state: str) -> str:
        with self._call(f"virtualMachines/{action}", vm.name) as failure:
            found = self.vms[vm.key]
            self._require_idle(vm.key)
            before = found.power
            found.power = {"running": "starting", "stopped": "stopping", "deallocated": "deallocating"}[state]

            def reached() -> None:
                found.power = state
                found.on_power(state == "running")

            monitor = self._begin(reached, failure=failure, target=vm.key)
            if failure:
                found.power = before
            return monitor

    def _require_idle(self, key: str) -> None:
        self.settle()
        if any(not pending.done and pending.target == key for pending in self._operations.values()):
            raise AzureRefused(status=409, code="Conflict", message="another operation is in progress")

    def _begin(
        self,
        effect: Callable[[], None],
        *,
        ends: datetime | None = None,
        failure: tuple[str, str] | None = None,
        target: str = "",
    ) -> str:
        monitor = f"https://azure.test/operations/{next(self._numbers)}"
        pending = Pending(ends=ends or self.now() + self.operation_time, effect=effect, failure=failure, target=target)
        self._operations[monitor] = pending
        found = self.vms.get(target)
        if found is not None:
            found.wire["properties"]["provisioningState"] = "Updating"
        return monitor

    def _shown(self, found: FakeVm) -> dict[str, Any]:
        wire: dict[str, Any] = copied(found.wire)
        wire["etag"] = str(found.etag)
        agent = "Ready" if found.guest and found.power == "running" else "Not Ready"
        wire["properties"]["instanceView"] = {
            "statuses": [{"code": f"PowerState/{found.power}"}], "vmAgent": {"statuses": [{"displayStatus": agent}]},
        }  # fmt: skip
        return wire

    def _call(self, action: str, resource: str) -> "_Call":
        return _Call(self, action, resource)


class _Call:
    """One request: logged, refused or failed on demand; `before_call` and `after_call` may raise (a crash)."""

    def __init__(self, azure: FakeAzure, action: str, resource: str) -> None:
        self._azure = azure
        self._action = action
        self._resource = resource

    def __enter__(self) -> tuple[str, str] | None:
        azure = self._azure
        azure.before_call(f"azure {self._action}")
        azure.settle()
        azure.calls.append((self._action, self._resource.rsplit("/", 1)[-1]))
        refusals = azure.refusing.get(self._action)
        if refusals:
            raise refusals.pop(0)
        failures = azure.failing.get(self._action)
        return failures.pop(0) if failures else None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._azure.after_call(f"azure {self._action}")
