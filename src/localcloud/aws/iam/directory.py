"""What the rights table asks about resources, answered from moto's backends and the local cloud's own state."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from localcloud.aws.iam.documents import Policy, PolicyKind, parse
from localcloud.aws.iam.rights.model import StoredParameter
from localcloud.aws.iam.roles import find_role
from localcloud.world import World

_AWS_KEY = "alias/aws/"


class WorldDirectory:
    """One Region of one world; made for a call, keeps nothing."""

    def __init__(self, world: World, region: str) -> None:
        self._world = world
        self._region = region

    def role_arn(self, name: str) -> str | None:
        role = find_role(self._world, name)
        return role.arn if role else None

    def parameter(self, name: str) -> StoredParameter | None:
        with self._world.moto_lock:
            return next(iter(self._parameters([name])), None)

    def parameters_below(self, path: str, *, recursive: bool) -> Sequence[StoredParameter]:
        folder = path.rstrip("/") + "/"
        with self._world.moto_lock:
            names = [str(name) for name in list(self._world.backend("ssm", self._region)._parameters)]
            below = [name for name in names if name.startswith(folder)]
            return self._parameters(name for name in below if recursive or "/" not in name.removeprefix(folder))

    def node_tags(self, node: str) -> Mapping[str, str]:
        from localcloud.aws.ssm.nodes import ManagedNodes  # noqa: PLC0415 - Systems Manager asks IAM about its roles

        found = self._world.part(ManagedNodes).find(node)
        return dict(found.tags) if found else {}

    def document_tags(self, name: str) -> Mapping[str, str]:
        from localcloud.aws.ssm.documents import Documents  # noqa: PLC0415 - Systems Manager asks IAM about its roles

        found = [one for one in self._world.part(Documents).all(self._region) if one.name == name]
        return dict(found[0].tags) if found else {}

    def automation_role(self, name: str, version: str, given: Mapping[str, Any]) -> str | None:
        """The role with which a runbook would run; None if it has none, or if there is no such runbook."""
        from localcloud.automation.errors import AutomationError  # noqa: PLC0415 - as below
        from localcloud.aws.ssm.automation.automations import Automations  # noqa: PLC0415 - asks IAM about its roles

        try:
            return self._world.part(Automations).role(self._region, name=name, version=version, given=given) or None
        except AutomationError:
            return None  # the call itself says what is wrong

    def automation_tags(self, execution: str) -> Mapping[str, str]:
        from localcloud.automation.errors import ExecutionNotFound  # noqa: PLC0415 - as below
        from localcloud.aws.ssm.automation.automations import Automations  # noqa: PLC0415 - asks IAM about its roles

        try:
            return dict(self._world.part(Automations).tags(self._region, execution))
        except ExecutionNotFound:
            return {}

    def key_arn(self, key_id: str) -> str | None:
        with self._world.moto_lock:
            key = self._key(key_id)
            return str(key.arn) if key else None

    def key_policy(self, key_id: str) -> Policy | None:
        """The key policy; for an AWS managed key the one that AWS gives it, which moto does not. None: no such key."""
        with self._world.moto_lock:
            key = self._key(key_id)
            if key is None:
                return None
            service = next((alias.removeprefix(_AWS_KEY) for alias in key.aliases if alias.startswith(_AWS_KEY)), "")
            document = _aws_managed_key(service, self._world.account, self._region) if service else key.policy
        return parse(document, name=f"key policy of {key.arn}", kind=PolicyKind.RESOURCE)

    def partition_key(self, table: str) -> str | None:
        with self._world.moto_lock:
            found = self._world.backend("dynamodb", self._region).tables.get(table)
            return str(found.hash_key_attr) if found else None

    def _parameters(self, names: Iterable[str]) -> list[StoredParameter]:
        backend = self._world.backend("ssm", self._region)
        found = []
        for name in names:
            # Indexing moto's dictionary would create the entry that it does not find.
            versions = backend._parameters.get(stored_name(name), ())
            if versions:
                found.append(_stored(versions[-1], backend._resource_tags))
        return found

    def _key(self, key_id: str) -> Any:
        backend = self._world.backend("kms", self._region)
        plain = backend.get_alias_name(key_id)
        if plain.startswith("alias/"):
            return backend.keys.get(backend.get_key_id_from_alias(plain))
        return backend.keys.get(backend.get_key_id(plain))


def stored_name(name: str) -> str:
    """The name under which moto keeps a parameter: `/one` and `one` are the same."""
    return name.removeprefix("/") if name.count("/") == 1 else name


def _stored(parameter: Any, tags: Any) -> StoredParameter:
    return StoredParameter(
        name=str(parameter.name),
        secure=parameter.parameter_type == "SecureString",
        key_id=str(parameter.keyid or ""),
        tags=dict(tags["Parameter"][parameter.name]) if parameter.name in tags.get("Parameter", {}) else {},
    )


def _aws_managed_key(service: str, account: str, region: str) -> Mapping[str, Any]:
    """The key policy of `aws/<service>`. Source: KMS Developer Guide, "AWS managed keys": everybody in the account, but
    only through the service; so no identity-based policy is needed, and none can be required.
    """
    through = {"StringEquals": {"kms:CallerAccount": account, "kms:ViaService": f"{service}.{region}.amazonaws.com"}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                "Resource": "*",
                "Condition": through,
            },
            {
                "Effect": "Allow",
                "Principal": {"AWS": account},
                "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
                "Resource": "*",
            },
        ],
    }
