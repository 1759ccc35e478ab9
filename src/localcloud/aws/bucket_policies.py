"""Policies of buckets, judged with their conditions: moto looks at action and resource alone.

What stands here decides only what a bucket's policy refuses to everybody; the caller's own rights are `aws/iam`'s.
A call that goes on without some objects names them by `refusing`.
"""

from collections.abc import Iterator, Set
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from moto.iam.access_control import PermissionResult

from localcloud.aws.iam.policy import Context, evaluate_resource_policy

# The endpoint listens in the clear on loopback; what it stands for is reached by TLS alone.
_KEYS = {"aws:SecureTransport": "true"}
_REFUSED: ContextVar[Set[str]] = ContextVar("refused", default=frozenset())


@contextmanager
def refusing(keys: Set[str]) -> Iterator[None]:
    """Have moto deny the call that this thread makes inside what it does with the objects of these keys."""
    token = _REFUSED.set(keys)
    try:
        yield
    finally:
        _REFUSED.reset(token)


def permission(bucket: Any, action: str, resource: str) -> PermissionResult:
    """What the policy of moto's bucket says of an action, in moto's words."""
    if resource.partition("/")[2] in _REFUSED.get():
        return PermissionResult.DENIED
    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    verdict = evaluate_resource_policy(bucket.policy.decode(), Context(action=action, resource=resource, keys=_KEYS))
    if verdict.explicit_deny:
        return PermissionResult.DENIED
    return PermissionResult.PERMITTED if verdict.allowed else PermissionResult.NEUTRAL
