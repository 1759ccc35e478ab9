"""Which operation a request means, the right that it needs, and the scope at which it needs it.

Paths are matched without case; the names in them keep theirs. Versions: reference/azure-compute, sections 1 and 3.
"""

from dataclasses import dataclass
from urllib.parse import unquote

from localcloud.azure.errors import ArmError, unsupported
from localcloud.azure.ids import COMPUTE

COMPUTE_VERSIONS = ("2024-03-01", "2024-07-01", "2024-11-01", "2025-04-01", "2025-11-01", "2026-04-01")
DISK_VERSIONS = ("2023-10-02", "2024-03-02", "2025-01-02", "2026-03-02")
RESOURCE_VERSIONS = ("2020-06-01", "2021-01-01", "2021-04-01", "2022-09-01", "2022-12-01", "2024-03-01", "2025-04-01")
LOCK_VERSIONS = ("2016-09-01", "2017-04-01", "2020-05-01")
PERMISSION_VERSIONS = ("2015-07-01", "2018-01-01-preview", "2018-07-01", "2022-04-01")

# The spelling with which the provider answers, by the spelling without case.
KINDS = {"disks": "disks", "snapshots": "snapshots", "virtualmachines": "virtualMachines"}
VERBS = {"GET": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}
NAMES = {"GET": "get", "PUT": "put", "PATCH": "patch", "DELETE": "delete"}
VM_ACTIONS = {
    action.lower(): action
    for action in ("deallocate", "powerOff", "start", "restart", "redeploy", "reapply", "attachDetachDataDisks")
}
MONITORS = {"operations": "operations", "diskoperations": "DiskOperations"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation on one scope. `operation` is ours (disks.put), `action` RBAC's (Microsoft.Compute/disks/write)."""

    operation: str
    action: str
    scope: str
    versions: tuple[str, ...]
    subscription: str
    group: str = ""
    kind: str = ""
    name: str = ""
    location: str = ""
    # Whether the right may come from an assignment at any scope of the subscription.
    anywhere: bool = False


def find(method: str, path: str) -> Route:
    """The operation behind `path` (percent-encoded); ArmError if there is none, or none here."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    lower = [part.lower() for part in parts]
    if len(parts) < 2 or lower[0] != "subscriptions" or not all(parts):
        raise ArmError(404, "NotFound", f"There is no resource at this path: {path}")
    if len(parts) >= 4 and lower[-2:] in (
        ["microsoft.authorization", "locks"],
        ["microsoft.authorization", "permissions"],
    ):
        return _authorization(method, parts[:-3], lower[-1])
    if len(parts) == 2:
        return _container(method, "subscriptions", parts)
    if lower[2] == "resourcegroups" and len(parts) == 4:
        return _container(method, "groups", parts)
    if lower[2] == "providers" and len(parts) >= 5 and lower[3] == COMPUTE.lower():
        return _below_subscription(method, parts)
    if lower[2] == "resourcegroups" and len(parts) >= 7 and lower[4:6] == ["providers", COMPUTE.lower()]:
        return _below_group(method, parts)
    raise unsupported(f"{method} {'/'.join(parts[2:])}")


def _scope(parts: list[str]) -> str:
    return "/" + "/".join(parts)


def _wrong_method(method: str, parts: list[str]) -> ArmError:
    return ArmError(
        405, "MethodNotAllowed", f"The requested resource does not support http method '{method}': {_scope(parts)}"
    )


def _authorization(method: str, parts: list[str], what: str) -> Route:
    if method != "GET":
        raise unsupported(f"{method} …/Microsoft.Authorization/{what}")
    return Route(
        operation=f"{what}.list",
        action=f"Microsoft.Authorization/{what}/read",
        scope=_scope(parts),
        versions=LOCK_VERSIONS if what == "locks" else PERMISSION_VERSIONS,
        subscription=parts[1],
        group=parts[3] if len(parts) > 3 else "",
    )


def _container(method: str, what: str, parts: list[str]) -> Route:
    if method != "GET":
        raise unsupported(f"{method} of {what}")
    below = "/resourceGroups" if what == "groups" else ""
    return Route(
        operation=f"{what}.get",
        action=f"Microsoft.Resources/subscriptions{below}/read",
        scope=_scope(parts),
        versions=RESOURCE_VERSIONS,
        subscription=parts[1],
        group=parts[3] if len(parts) > 3 else "",
    )


def _below_subscription(method: str, parts: list[str]) -> Route:
    what = parts[4].lower()
    if what == "locations" and len(parts) >= 7:
        return _located(method, parts)
    kind = KINDS.get(what)
    if kind is None or len(parts) != 5:
        raise unsupported(f"{method} {'/'.join(parts[3:])}")
    if method != "GET":
        raise _wrong_method(method, parts)
    return _compute(parts, kind, f"{kind}.list_all", "read", scope=parts[:2])


def _located(method: str, parts: list[str]) -> Route:
    what, location = parts[6].lower(), parts[5]
    if method != "GET":
        raise _wrong_method(method, parts)
    if what in MONITORS and len(parts) == 8:
        word = "diskOperations" if what == "diskoperations" else "operations"
        return Route(
            operation=f"{word}.get",
            action=f"{COMPUTE}/locations/{word}/read",
            scope=_scope(parts[:2]),
            versions=DISK_VERSIONS if what == "diskoperations" else COMPUTE_VERSIONS,
            subscription=parts[1],
            name=parts[7],
            location=location,
            anywhere=True,
        )
    if what == "virtualmachines" and len(parts) == 7:
        return _compute(
            parts, "virtualMachines", "virtualMachines.list_by_location", "read", scope=parts[:2], location=location
        )
    raise unsupported(f"{method} {'/'.join(parts[3:])}")


def _below_group(method: str, parts: list[str]) -> Route:
    kind, rest = KINDS.get(parts[6].lower()), parts[7:]
    if kind is None or len(rest) > 2:
        raise unsupported(f"{method} {'/'.join(parts[5:])}")
    if not rest:
        if method != "GET":
            raise _wrong_method(method, parts)
        return _compute(parts, kind, f"{kind}.list", "read", scope=parts[:4])
    if len(rest) == 1:
        if method not in VERBS:
            raise _wrong_method(method, parts)
        return _compute(parts, kind, f"{kind}.{NAMES[method]}", VERBS[method], scope=parts)
    return _action(method, parts, kind, rest[1])


def _action(method: str, parts: list[str], kind: str, word: str) -> Route:
    scope = parts[:8]
    if kind == "virtualMachines" and method == "GET" and word.lower() == "instanceview":
        return _compute(parts, kind, "virtualMachines.instanceView", "instanceView/read", scope=scope)
    action = VM_ACTIONS.get(word.lower()) if kind == "virtualMachines" else None
    if method != "POST" or action is None:
        raise unsupported(f"{method} {kind}/{word}")
    return _compute(parts, kind, f"virtualMachines.{action}", f"{action}/action", scope=scope)


def _compute(parts: list[str], kind: str, operation: str, right: str, *, scope: list[str], location: str = "") -> Route:
    grouped = len(parts) > 3 and parts[2].lower() == "resourcegroups"
    return Route(
        operation=operation,
        action=f"{COMPUTE}/{kind}/{right}",
        scope=_scope(scope),
        versions=COMPUTE_VERSIONS if kind == "virtualMachines" else DISK_VERSIONS,
        subscription=parts[1],
        group=parts[3] if grouped else "",
        kind=kind,
        name=parts[7] if grouped and len(parts) > 7 else "",
        location=location,
    )
