"""Roles as the verdict needs them: read from moto's IAM backend, parsed, and kept as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.aws.iam.documents import Policy, PolicyKind, parse
from localcloud.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role with everything that was attached to it, parsed."""

    name: str
    id: str
    arn: str  # with its path
    tags: Mapping[str, str]
    policies: tuple[Policy, ...]  # inline, customer managed, AWS managed
    boundary: Policy | None
    trust: Policy


def find_role(world: World, name: str) -> Role | None:
    """The role of that name (a path or a whole ARN before it is ignored); None if there is none.

    Raises MalformedPolicy if one of its documents is not one that IAM would have stored.
    """
    with world.moto_lock:
        backend = world.backend("iam")
        wanted = name.rsplit("/", 1)[-1]
        found = next((role for role in backend.roles.values() if role.name == wanted), None)
        return None if found is None else _role(found, backend)


def _role(found: Any, backend: Any) -> Role:
    inline = [parse(document, name=name) for name, document in found.policies.items()]
    attached = [_managed(policy) for policy in found.managed_policies.values()]
    boundary = found.permissions_boundary_arn
    return Role(
        name=found.name,
        id=found.id,
        arn=found.arn,
        tags=_tags(found.tags),
        policies=tuple(inline + attached),
        boundary=_managed(backend.get_policy(boundary), PolicyKind.BOUNDARY) if boundary else None,
        trust=parse(found.assume_role_policy_document, name=f"trust policy of {found.name}", kind=PolicyKind.TRUST),
    )


def _managed(policy: Any, kind: PolicyKind = PolicyKind.IDENTITY) -> Policy:
    version = next(one for one in policy.versions if one.version_id == policy.default_version_id)
    return parse(version.document, name=policy.arn, kind=kind)


def _tags(tags: Any) -> Mapping[str, str]:
    listed = tags.values() if isinstance(tags, Mapping) else tags or ()
    return {str(tag["Key"]): str(tag["Value"]) for tag in listed}
