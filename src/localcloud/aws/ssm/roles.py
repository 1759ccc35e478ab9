"""The node role: CreateActivation takes a role only if it exists and trusts Systems Manager."""

from localcloud.aws.iam.roles import find_role
from localcloud.aws.iam.trust import SSM, may_assume
from localcloud.errors import ServiceError
from localcloud.world import World


def require_node_role(world: World, role: str, *, region: str) -> None:
    """Return if `role` (a name, with or without its path) exists in the account and trusts Systems Manager there.

    Raises ServiceError ValidationException otherwise, also for service-linked roles.
    """
    found = find_role(world, role)
    service_linked = found is not None and ":role/aws-service-role/" in found.arn
    source_arn = f"arn:aws:ssm:{region}:{world.account}:*"
    if service_linked or not may_assume(world, role, SSM, source_arn=source_arn):
        raise ServiceError("ValidationException", f"Not existing role: arn:aws:iam::{world.account}:role/{role}")
