"""STS: who the caller is. The local cloud, not moto, knows the credentials."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.call import Call, Operation
from localcloud.principals import Kind
from localcloud.world import World


class Identity:
    """Answers GetCallerIdentity."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get_caller_identity(self, call: Call) -> Mapping[str, Any]:
        """Account, ARN and unique id of the caller; every caller may ask."""
        principal = call.principal
        if principal.kind is Kind.ROOT:
            return {"UserId": call.account, "Account": call.account, "Arn": principal.arn}
        session = principal.arn.rsplit("/", 1)[-1]
        return {
            "UserId": f"{self._role_id(principal.role_name)}:{session}",
            "Account": call.account,
            "Arn": principal.arn,
        }

    def _role_id(self, name: str) -> str:
        with self._world.moto_lock:
            roles = self._world.backend("iam").roles.values()
            return next((str(role.id) for role in roles if role.name == name), "")


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """STS's operations of this module."""
    return {("sts", "GetCallerIdentity"): world.part(Identity).get_caller_identity}
