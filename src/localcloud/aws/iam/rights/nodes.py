"""Rights of what the agent on a managed node calls with its role's token.

Sources: Service Authorization Reference, "AWS Systems Manager", "Amazon Message Gateway Service", "Amazon Message
Delivery Service"; Systems Manager User Guide, "Reference: ec2messages, ssmmessages, and other API operations".
"""

from collections.abc import Mapping

from localcloud.aws.call import Call
from localcloud.aws.iam.rights.model import Entry, Right, arn, free

# The node signs these with its own key (or has none yet): no role is asked.
_BY_NODE_KEY = ("RegisterManagedInstance", "RequestManagedInstanceRoleToken", "UpdateManagedInstancePublicKey")
_ON_ITSELF = (
    "UpdateInstanceInformation",
    "ListInstanceAssociations",
    "UpdateInstanceAssociationStatus",
    "PutInventory",
    "PutComplianceItems",
    "PutConfigurePackageResult",
    "GetDeployablePatchSnapshotForInstance",
)
_ON_ANYTHING = (
    "DescribeAssociation",
    "ListAssociations",
    "UpdateAssociationStatus",
    "GetDocument",
    "DescribeDocument",
    "GetManifest",
)
_CONTROL = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")
_DELIVERY = ("AcknowledgeMessage", "DeleteMessage", "FailMessage", "GetEndpoint", "GetMessages", "SendReply")


def _on_itself(operation: str) -> Entry:
    def rights(call: Call, _: object) -> list[Right]:
        # Some of these calls do not carry the node's id; then it is the session's.
        node = call.params.get("InstanceId") or call.principal.session
        return [Right(action=f"ssm:{operation}", resource=arn(call, "ssm", f"managed-instance/{node}"))]

    return Entry(actions=(f"ssm:{operation}",), rights=rights)


def _on_anything(service: str, operation: str) -> Entry:
    action = f"{service}:{operation}"
    return Entry(actions=(action,), rights=lambda *_: [Right(action=action)])


ENTRIES: Mapping[tuple[str, str], Entry] = {
    **{("ssm", operation): free() for operation in _BY_NODE_KEY},
    **{("ssm", operation): _on_itself(operation) for operation in _ON_ITSELF},
    **{("ssm", operation): _on_anything("ssm", operation) for operation in _ON_ANYTHING},
    **{("ssmmessages", operation): _on_anything("ssmmessages", operation) for operation in _CONTROL},
    **{("ec2messages", operation): _on_anything("ec2messages", operation) for operation in _DELIVERY},
}
