"""IAM operations that moto does not carry out as AWS does: attaching an AWS managed policy."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localcloud.aws.call import Call, Operation
from localcloud.aws.iam import managed

if TYPE_CHECKING:
    from localcloud.world import World


class Attachments:
    """Attaches managed policies to roles."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def attach_role_policy(self, call: Call) -> Mapping[str, Any]:
        """AttachRolePolicy: as moto's, but it knows every AWS managed policy. Attaching twice changes nothing."""
        role, arn = str(call.params["RoleName"]), str(call.params["PolicyArn"])
        managed.ensure(self._world, arn)
        with self._world.moto_lock:
            backend = self._world.backend("iam")
            if arn not in backend.get_role(role).managed_policies:
                backend.attach_role_policy(policy_arn=arn, role_name=role)
        return {}


def operations(world: "World") -> Mapping[tuple[str, str], Operation]:
    """IAM's operations of this module."""
    return {("iam", "AttachRolePolicy"): world.part(Attachments).attach_role_policy}
