"""Rights of Run Command, inventory, patch state and compliance.

Source: Service Authorization Reference, "AWS Systems Manager": SendCommand needs the document and every node (the
nodes of Targets are asked for one by one: those that may not be used are AccessDenied, the others get the command);
the others here have no resource types.
"""

from collections.abc import Mapping, Sequence

from localcloud.aws.call import Call
from localcloud.aws.iam.rights.documents import document_arn, document_tags
from localcloud.aws.iam.rights.model import Directory, Entry, Right, arn, resource_tags, simple

SEND = "ssm:SendCommand"
_TAG_SPELLING = "ssm:resourceTag"


def on_node(call: Call, node_id: str, tags: Mapping[str, str]) -> Right:
    """The right to send a command to one node."""
    return Right(
        action=SEND,
        resource=arn(call, "ssm", f"managed-instance/{node_id}"),
        keys=resource_tags(tags, also=_TAG_SPELLING),
    )


def _send(call: Call, directory: Directory) -> Sequence[Right]:
    name = call.params["DocumentName"]
    needed = [Right(action=SEND, resource=document_arn(call, name), keys=document_tags(directory, name))]
    needed += [on_node(call, node, directory.node_tags(node)) for node in call.params.get("InstanceIds") or ()]
    role = call.params.get("ServiceRoleArn")
    if role:
        needed.append(Right(action="iam:PassRole", resource=role, keys={"iam:PassedToService": "ssm.amazonaws.com"}))
    return needed


_ON_ANYTHING = (
    "CancelCommand",
    "GetCommandInvocation",
    "ListCommands",
    "ListCommandInvocations",
    "GetInventory",
    "PutComplianceItems",
    "ListComplianceItems",
    "ListComplianceSummaries",
    "ListResourceComplianceSummaries",
    "DescribeInstancePatches",
    "DescribeInstancePatchStates",
)

ENTRIES: Mapping[tuple[str, str], Entry] = {
    ("ssm", "SendCommand"): Entry(actions=(SEND, "iam:PassRole"), rights=_send),
    **{("ssm", operation): simple(f"ssm:{operation}") for operation in _ON_ANYTHING},
}
