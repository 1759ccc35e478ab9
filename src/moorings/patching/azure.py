"""Azure's compute API as the ports want it: wire form in, wire form out, no operation is waited for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from azure.core import MatchConditions
from azure.core.rest import HttpRequest
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.compute import models as m

from moorings.clouds.azure_errors import AzureDenied, AzureFault, one_line, translated
from moorings.errors import Misconfigured
from moorings.patching.model import VmRef
from moorings.patching.observed import Disk, Lock, Operation, OperationState, Snapshot, Vm
from moorings.patching.ports import AzureRefused

AUTHORIZATION = "providers/Microsoft.Authorization"
LOCKS_VERSION, PERMISSIONS_VERSION = "2020-05-01", "2022-04-01"
MOST_PAGES = 20
_FAILED = frozenset({"failed", "canceled"})


class ArmCompute:
    """The `Compute` port over one subscription's client."""

    def __init__(self, client: ComputeManagementClient, *, arm: str, unauthenticated: Callable[[], None]) -> None:
        """`arm`: where Resource Manager answers. `unauthenticated` is told when Azure does not take the credentials
        (any more)."""
        self._client = client
        self._home = _host(arm)
        self._unauthenticated = unauthenticated

    # -- reads -----------------------------------------------------------------------------------------------------

    def vm(self, vm: VmRef) -> Vm | None:
        """See `ports.Compute.vm`."""
        wire = self._read(
            "Microsoft.Compute/virtualMachines/read",
            lambda: self._client.virtual_machines.get(vm.group, vm.name, expand="instanceView"),
        )
        return Vm(wire) if wire is not None else None

    def disk(self, resource_id: str) -> Disk | None:
        """See `ports.Compute.disk`."""
        wire = self._read("Microsoft.Compute/disks/read", lambda: self._client.disks.get(*_place(resource_id)))
        return Disk(wire) if wire is not None else None

    def snapshot(self, resource_id: str) -> Snapshot | None:
        """See `ports.Compute.snapshot`."""
        wire = self._read("Microsoft.Compute/snapshots/read", lambda: self._client.snapshots.get(*_place(resource_id)))
        return Snapshot(wire) if wire is not None else None

    def operation(self, monitor: str) -> Operation:
        """See `ports.Compute.operation`. The address is used as Azure gave it, to the byte; but no token leaves for
        another host than Azure's, whatever the record says."""
        if _host(monitor) != self._home:
            return Operation(state=OperationState.GONE)
        with self._refusing("Microsoft.Compute/locations/operations/read"):
            answer = self._client.send_request(HttpRequest("GET", monitor))
            if answer.status_code == 404:
                return Operation(state=OperationState.GONE)
            answer.raise_for_status()
        if answer.status_code == 202:
            return Operation(state=OperationState.RUNNING)
        body = answer.json() if answer.content else {}
        status = str(body.get("status", "Succeeded")).lower()
        if status in _FAILED:
            error = body.get("error") or {}
            return Operation(
                state=OperationState.FAILED,
                code=one_line(str(error.get("code", status))),
                message=one_line(str(error.get("message", ""))),
            )
        return Operation(state=OperationState.SUCCEEDED if status == "succeeded" else OperationState.RUNNING)

    def locks(self, vm: VmRef) -> list[Lock]:
        """See `ports.Compute.locks`."""
        path = f"{vm.id}/{AUTHORIZATION}/locks?api-version={LOCKS_VERSION}&$filter=atScope()"
        found = self._listed("Microsoft.Authorization/locks/read", path)
        return [
            Lock(
                name=str(lock.get("name", "")),
                level=str((lock.get("properties") or {}).get("level", "")),
                scope=str(lock.get("id", "")).rpartition(f"/{AUTHORIZATION}")[0],
            )
            for lock in found
        ]

    def missing_actions(self, scope: str, actions: Iterable[str]) -> list[str]:
        """See `ports.Compute.missing_actions`."""
        path = f"{scope}/{AUTHORIZATION}/permissions?api-version={PERMISSIONS_VERSION}"
        permissions = self._listed("Microsoft.Authorization/permissions/read", path)
        return [action for action in actions if not any(_allows(one, action) for one in permissions)]

    def time(self, subscription: str) -> datetime | None:
        """See `ports.Compute.time`."""
        path = f"/subscriptions/{subscription}/{AUTHORIZATION}/permissions?api-version={PERMISSIONS_VERSION}"
        try:
            with self._refusing("Microsoft.Authorization/permissions/read"):
                answer = self._client.send_request(HttpRequest("GET", path))
                if answer.status_code == 401:
                    answer.raise_for_status()
        except AzureRefused:
            return None
        stamp = answer.headers.get("Date")
        return parsedate_to_datetime(stamp) if stamp else None

    def _listed(self, action: str, path: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        url = path
        for _ in range(MOST_PAGES):
            with self._refusing(action):
                answer = self._client.send_request(HttpRequest("GET", url))
                answer.raise_for_status()
            body = answer.json()
            found += body.get("value") or ()
            url = str(body.get("nextLink") or "")
            if not url:
                return found
            if _host(url) != self._home:
                break  # no token leaves for another host than Azure's
        raise AzureRefused(status=0, code="OddList", message=f"the list for {action} leads elsewhere, or has no end")

    # -- writes ----------------------------------------------------------------------------------------------------

    def put_snapshot(self, resource_id: str, body: Mapping[str, Any]) -> str:
        """See `ports.Compute.put_snapshot`."""
        return self._begun(
            "Microsoft.Compute/snapshots/write",
            self._client.snapshots.begin_create_or_update,
            *_place(resource_id),
            m.Snapshot(dict(body)),
        )

    def put_disk(self, resource_id: str, body: Mapping[str, Any]) -> str:
        """See `ports.Compute.put_disk`."""
        return self._begun(
            "Microsoft.Compute/disks/write",
            self._client.disks.begin_create_or_update,
            *_place(resource_id),
            m.Disk(dict(body)),
        )

    def power_off(self, vm: VmRef, *, hard: bool) -> str:
        """See `ports.Compute.power_off`."""
        return self._begun(
            "Microsoft.Compute/virtualMachines/powerOff/action",
            self._client.virtual_machines.begin_power_off,
            vm.group,
            vm.name,
            skip_shutdown=hard,
        )

    def deallocate(self, vm: VmRef) -> str:
        """See `ports.Compute.deallocate`."""
        return self._begun(
            "Microsoft.Compute/virtualMachines/deallocate/action",
            self._client.virtual_machines.begin_deallocate,
            vm.group,
            vm.name,
        )

    def start(self, vm: VmRef) -> str:
        """See `ports.Compute.start`."""
        return self._begun(
            "Microsoft.Compute/virtualMachines/start/action",
            self._client.virtual_machines.begin_start,
            vm.group,
            vm.name,
        )

    def write_storage(self, vm: Vm, storage: Mapping[str, Any], *, whole: bool) -> str:
        """See `ports.Compute.write_storage`."""
        place = _place(vm.id)
        match: dict[str, Any] = {"etag": vm.etag, "match_condition": MatchConditions.IfNotModified} if vm.etag else {}
        if whole:
            wire = {**vm.wire, "properties": {**vm.properties, "storageProfile": dict(storage)}}
            return self._begun(
                "Microsoft.Compute/virtualMachines/write",
                self._client.virtual_machines.begin_create_or_update,
                *place,
                m.VirtualMachine(wire),
                **match,
            )
        changed = {key: storage[key] for key in ("osDisk", "dataDisks") if key in storage}
        return self._begun(
            "Microsoft.Compute/virtualMachines/write",
            self._client.virtual_machines.begin_update,
            *place,
            m.VirtualMachineUpdate({"properties": {"storageProfile": changed}}),
            **match,
        )

    def tag(self, resource_id: str, tags: Mapping[str, str]) -> None:
        """See `ports.Compute.tag`."""
        if _is_snapshot(resource_id):
            begin: Callable[..., Any] = self._client.snapshots.begin_update
            body: Any = m.SnapshotUpdate(tags=dict(tags))
        else:
            begin, body = self._client.disks.begin_update, m.DiskUpdate(tags=dict(tags))
        self._unless_gone(_action(resource_id, "write"), begin, *_place(resource_id), body)

    def delete(self, resource_id: str) -> None:
        """See `ports.Compute.delete`."""
        kind = self._client.snapshots if _is_snapshot(resource_id) else self._client.disks
        self._unless_gone(_action(resource_id, "delete"), kind.begin_delete, *_place(resource_id))

    def _unless_gone(self, action: str, begin: Callable[..., Any], *arguments: Any) -> None:
        try:
            self._begun(action, begin, *arguments)
        except AzureRefused as refused:
            if refused.status != 404:
                raise

    def _begun(self, action: str, begin: Callable[..., Any], *arguments: Any, **options: Any) -> str:
        """Start an operation, poll nothing, and return its monitor; the client's own poller would start a thread."""
        headers: dict[str, str] = {}

        def note(response: Any) -> None:
            headers.update({name.lower(): value for name, value in response.http_response.headers.items()})

        with self._refusing(action):
            begin(*arguments, polling=False, raw_response_hook=note, **options)
        return headers.get("azure-asyncoperation") or headers.get("location") or ""

    def _read(self, action: str, get: Callable[[], Any]) -> Mapping[str, Any] | None:
        try:
            with self._refusing(action):
                found: Mapping[str, Any] = get().as_dict()
                return found
        except AzureRefused as refused:
            if refused.status == 404:
                return None
            raise

    @contextmanager
    def _refusing(self, action: str) -> Iterator[None]:
        """Azure's own refusals as AzureRefused; what may be otherwise the next time passes as CloudFault or Busy."""
        try:
            with translated(action):
                yield
        except AzureDenied as denied:
            raise AzureRefused(status=403, code="AuthorizationFailed", message=denied.message) from denied
        except Misconfigured:
            self._unauthenticated()
            raise
        except AzureFault as fault:
            if 400 <= fault.status < 500 and fault.status not in {408, 429}:
                raise AzureRefused(status=fault.status, code=fault.code, message=fault.message) from fault
            raise


def _host(url: str) -> tuple[str, str]:
    """(scheme, host and port) of a URL."""
    parts = urlsplit(url.lower())
    return parts.scheme, parts.netloc.removesuffix(":443")


def _place(resource_id: str) -> tuple[str, str]:
    """(resource group, name) of a compute resource's id."""
    parts = resource_id.strip("/").split("/")
    return parts[3], parts[-1]


def _is_snapshot(resource_id: str) -> bool:
    return "/snapshots/" in resource_id.lower()


def _action(resource_id: str, verb: str) -> str:
    return f"Microsoft.Compute/{'snapshots' if _is_snapshot(resource_id) else 'disks'}/{verb}"


def _allows(permission: Mapping[str, Any], action: str) -> bool:
    def listed(name: str) -> bool:
        return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in permission.get(name) or ())

    return listed("actions") and not listed("notActions")
