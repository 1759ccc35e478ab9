"""What moto leaves out when policies are stored: AWS managed ones to attach, and a look at every document.

A document that could not be evaluated is refused when it is stored, as by AWS, not when a function first needs it.
"""

from collections.abc import Mapping
from typing import Any

from localcloud.aws import motobridge
from localcloud.aws.call import Call, Operation
from localcloud.aws.iam import managed
from localcloud.aws.iam.documents import MalformedPolicy, PolicyKind, parse
from localcloud.errors import ServiceError
from localcloud.wire import Response
from localcloud.world import World

# (service, operation) → the parameter with the document, and what it is going to be.
_DOCUMENTS: Mapping[tuple[str, str], tuple[str, PolicyKind]] = {
    ("iam", "PutRolePolicy"): ("PolicyDocument", PolicyKind.IDENTITY),
    ("iam", "CreatePolicy"): ("PolicyDocument", PolicyKind.IDENTITY),
    ("iam", "CreatePolicyVersion"): ("PolicyDocument", PolicyKind.IDENTITY),
    ("iam", "CreateRole"): ("AssumeRolePolicyDocument", PolicyKind.TRUST),
    ("iam", "UpdateAssumeRolePolicy"): ("PolicyDocument", PolicyKind.TRUST),
    ("kms", "CreateKey"): ("Policy", PolicyKind.RESOURCE),
    ("kms", "PutKeyPolicy"): ("Policy", PolicyKind.RESOURCE),
}
_KMS_CODE = "MalformedPolicyDocumentException"


class StoredPolicies:
    """The operations that store and attach policies."""

    def __init__(self, world: World) -> None:
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

    def store(self, call: Call) -> Response:
        """Check the document that `call` brings, then let moto store it."""
        parameter, kind = _DOCUMENTS[call.service, call.operation]
        if document := call.params.get(parameter):
            try:
                parse(str(document), name=parameter, kind=kind)
            except MalformedPolicy as error:
                if call.service == "kms":
                    raise ServiceError(_KMS_CODE, error.message) from error
                raise
        return motobridge.pass_on(self._world, call)


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """IAM's and KMS's operations of this module."""
    policies = world.part(StoredPolicies)
    return {("iam", "AttachRolePolicy"): policies.attach_role_policy, **dict.fromkeys(_DOCUMENTS, policies.store)}
