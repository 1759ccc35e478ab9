"""How the callers of an operation prove who they are; an operation that is not called with SigV4 declares it."""

from collections.abc import Callable
from typing import Literal, TypeVar

from localcloud.aws.call import Operation

Authentication = Literal["sigv4", "node-key", "none"]
OperationT = TypeVar("OperationT", bound=Callable[..., object])


def authenticated_by(kind: Authentication) -> Callable[[OperationT], OperationT]:
    """Declare the proof that an operation asks for: `none`, or `node-key` (RSA-PSS with a managed node's own key)."""

    def declare(operation: OperationT) -> OperationT:
        operation.authentication = kind  # type: ignore[attr-defined]
        return operation

    return declare


def authentication_of(operation: Operation | None) -> Authentication:
    """The proof that `operation` asks for; SigV4 unless it declares something else."""
    declared: Authentication = getattr(operation, "authentication", "sigv4")
    return declared
