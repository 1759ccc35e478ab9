"""The node role: CreateActivation takes a role only if it exists and trusts Systems Manager."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from localcloud.errors import ServiceError

if TYPE_CHECKING:
    from localcloud.world import World

SERVICE = "ssm.amazonaws.com"
_ASSUME = frozenset({"sts:AssumeRole", "sts:*", "*"})


def require_node_role(world: "World", role: str) -> None:
    """Return if `role` (a name, with or without its path) exists in the account and trusts Systems Manager.

    Raises ServiceError ValidationException otherwise, also for service-linked roles.
    """
    name = role.rsplit("/", 1)[-1]
    with world.moto_lock:
        found = next((it for it in world.backend("iam").get_roles() if it.name == name), None)
    if found is None or found.path.startswith("/aws-service-role/") or not _trusts(found.assume_role_policy_document):
        raise ServiceError("ValidationException", f"Not existing role: arn:aws:iam::{world.account}:role/{role}")


def _trusts(document: str) -> bool:
    statements = _listed(json.loads(document).get("Statement"))
    return any(_allows(statement) for statement in statements)


def _allows(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    services = _listed(principal.get("Service")) if isinstance(principal, Mapping) else []
    return (
        statement.get("Effect") == "Allow"
        and SERVICE in services
        and not _ASSUME.isdisjoint(_listed(statement.get("Action")))
    )


def _listed(value: Any) -> Iterable[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
