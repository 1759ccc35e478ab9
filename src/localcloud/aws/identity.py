"""STS: who the caller is, and credentials for roles of this account."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from localcloud.aws.call import Call, Operation
from localcloud.errors import ServiceError
from localcloud.principals import Kind, Principal

if TYPE_CHECKING:
    from localcloud.world import World


class Identity:
    """The operations of STS that this cloud answers itself, because it, not moto, knows the credentials."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def get_caller_identity(self, call: Call) -> Mapping[str, Any]:
        principal = call.principal
        if principal.kind is Kind.ROOT:
            return {"UserId": call.account, "Account": call.account, "Arn": principal.arn}
        role, session = principal.role_name, principal.arn.rsplit("/", 1)[-1]
        return {"UserId": f"{self._role_id(role)}:{session}", "Account": call.account, "Arn": principal.arn}

    def assume_role(self, call: Call) -> Mapping[str, Any]:
        """Temporary credentials of a role; its trust policy is not evaluated (the caller's rights are)."""
        name = str(call.params["RoleArn"]).rsplit("/", 1)[-1]
        session = str(call.params["RoleSessionName"])
        role_id = self._role_id(name)
        if not role_id:
            raise ServiceError(
                "AccessDenied",
                f"User: {call.principal.arn} is not authorized to perform: sts:AssumeRole on resource: "
                f"{call.params['RoleArn']}",
                status=403,
            )
        arn = f"arn:aws:sts::{call.account}:assumed-role/{name}/{session}"
        issued = self._world.credentials.issue(
            Principal(kind=Kind.ROLE, arn=arn, role_name=name, session=session),
            expires_at=call.now + timedelta(seconds=int(call.params.get("DurationSeconds", 3600))),
        )
        return {
            "Credentials": {
                "AccessKeyId": issued.access_key,
                "SecretAccessKey": issued.secret_key,
                "SessionToken": issued.session_token,
                "Expiration": issued.expires_at,
            },
            "AssumedRoleUser": {"AssumedRoleId": f"{role_id}:{session}", "Arn": arn},
        }

    def _role_id(self, name: str) -> str:
        with self._world.moto_lock:
            roles = self._world.backend("iam").roles.values()
            return next((str(role.id) for role in roles if role.name == name), "")


def operations(world: "World") -> Mapping[tuple[str, str], Operation]:
    """STS's operations of this module."""
    identity = world.part(Identity)
    return {
        ("sts", "GetCallerIdentity"): identity.get_caller_identity,
        ("sts", "AssumeRole"): identity.assume_role,
    }
