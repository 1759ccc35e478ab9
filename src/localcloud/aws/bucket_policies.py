"""Policies of buckets, judged with their conditions: moto looks at action and resource alone.

What stands here decides only what a bucket's policy refuses to everybody; the caller's own rights are `aws/iam`'s.
"""

from typing import Any

from moto.iam.access_control import PermissionResult

from localcloud.aws.iam.policy import Context, evaluate_resource_policy

# The endpoint listens in the clear on loopback; what it stands for is reached by TLS alone.
_KEYS = {"aws:SecureTransport": "true"}


def permission(bucket: Any, action: str, resource: str) -> PermissionResult:
    """What the policy of moto's bucket says of an action, in moto's words."""
    if bucket.policy is None:
        return PermissionResult.NEUTRAL
    verdict = evaluate_resource_policy(bucket.policy.decode(), Context(action=action, resource=resource, keys=_KEYS))
    if verdict.explicit_deny:
        return PermissionResult.DENIED
    return PermissionResult.PERMITTED if verdict.allowed else PermissionResult.NEUTRAL
