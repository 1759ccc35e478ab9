"""AWS managed policies: their real content, put into moto's IAM backend when one is first attached.

moto ships the content of all of them but loads none unless told to, for the whole process, by an environment variable.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy

from localcloud.world import World


def ensure(world: World, arn: str) -> None:
    """Make the AWS managed policy `arn` attachable. Does nothing for other policies and for names that AWS lacks."""
    if ":iam::aws:policy/" not in arn:
        return
    with world.moto_lock:
        backend = world.backend("iam")
        data = _shipped().get(arn.rsplit("/", 1)[-1])
        if arn in backend.managed_policies or data is None:
            return
        policy = AWSManagedPolicy.from_data(arn.rsplit("/", 1)[-1], world.account, backend.region_name, dict(data))
        if policy.arn == arn:
            backend.managed_policies[arn] = policy


@cache
def _shipped() -> Mapping[str, Mapping[str, Any]]:
    shipped: Mapping[str, Mapping[str, Any]] = json.loads(aws_managed_policies_data)
    return shipped
