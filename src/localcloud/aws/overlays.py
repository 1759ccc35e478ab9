"""Which operations the local cloud carries out itself, instead of or beyond moto: the table of their owners.

An owner is a module with `operations(world) -> Mapping[(service, operation), Operation]`. An operation that is not
called with ordinary SigV4 says so with `@authenticated_by(...)`; one that waits or calls other operations is fine:
overlays run outside moto's lock.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, TypeVar

from localcloud.aws.call import Operation

if TYPE_CHECKING:
    from localcloud.world import World

Authentication = Literal["sigv4", "node-key", "none"]
OperationT = TypeVar("OperationT", bound=Callable[..., object])

OWNERS = (
    "localcloud.aws.identity",
    "localcloud.aws.iam.operations",
    "localcloud.aws.iam.operations",
    "localcloud.aws.ssm.operations",
    "localcloud.aws.functions.operations",
    "localcloud.aws.cloudformation.operations",
    "localcloud.aws.apigateway.operations",
)


def authenticated_by(kind: Authentication) -> Callable[[OperationT], OperationT]:
    """Declare how callers of an operation prove who they are: `none`, or `node-key` (RSA-PSS by a managed node)."""

    def declare(operation: OperationT) -> OperationT:
        operation.authentication = kind  # type: ignore[attr-defined]
        return operation

    return declare


def authentication_of(operation: Operation | None) -> Authentication:
    """How callers of `operation` prove who they are; SigV4 unless it declares something else."""
    declared: Authentication = getattr(operation, "authentication", "sigv4")
    return declared


def overlays(world: "World") -> Mapping[tuple[str, str], Operation]:
    """All operations of all owners for one world; of two that claim the same operation the later in OWNERS wins."""
    found: dict[tuple[str, str], Operation] = {}
    for name in OWNERS:
        try:
            owner = importlib.import_module(name)
        except ImportError:
            continue
        found.update(owner.operations(world))
    return found
