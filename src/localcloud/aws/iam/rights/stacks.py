"""Rights of CloudFormation calls. What its resource handlers need beside: `cloudformation/permissions.py`.

Source: Service Authorization Reference, "AWS CloudFormation" (a call that names a stack asks for `stack/Name/*`). A
change set with a transform needs CreateChangeSet on the transform as well: CloudFormation User Guide, "Controlling
access with IAM", of `…:cloudformation:region:aws:transform/Name`.
"""

import re
from collections.abc import Mapping, Sequence

from localcloud.aws.call import Call
from localcloud.aws.iam.policy import Values
from localcloud.aws.iam.rights.model import Directory, Entry, Right, arn, partition, request_tags, simple

_ON_STACK = (
    "ContinueUpdateRollback", "DeleteChangeSet", "DeleteStack", "DescribeChangeSet", "DescribeStackEvents",
    "DescribeStackResource", "DescribeStackResources", "DescribeStacks", "ExecuteChangeSet", "GetTemplate",
    "ListChangeSets", "ListStackResources", "UpdateTerminationProtection",
)  # fmt: skip
_MAKING = ("CreateChangeSet", "CreateStack", "UpdateStack")
_ANYWHERE = ("GetTemplateSummary", "ListExports", "ListImports", "ListStacks", "ValidateTemplate")
_INCLUDE = re.compile(r"""["']?Name["']?\s*:\s*["']?AWS::Include\b""")


def _stack(call: Call) -> str:
    name = str(call.params.get("StackName") or "")
    if name.startswith("arn:"):
        return name
    # A change set that is named by its id alone is asked for itself.
    return arn(call, "cloudformation", f"stack/{name}/*") if name else str(call.params.get("ChangeSetName") or "*")


def _on_stack(operation: str) -> Entry:
    action = f"cloudformation:{operation}"

    def rights(call: Call, _: Directory) -> Sequence[Right]:
        keys: dict[str, Values] = {}
        if given := call.params.get("ChangeSetName"):
            keys["cloudformation:ChangeSetName"] = str(given)
        return [Right(action=action, resource=_stack(call), keys=keys)]

    return Entry(actions=(action,), rights=rights)


def _making(operation: str) -> Entry:
    action = f"cloudformation:{operation}"

    def rights(call: Call, _: Directory) -> Sequence[Right]:
        needed = [Right(action=action, resource=_stack(call), keys=request_tags(call.params.get("Tags")))]
        if operation == "CreateChangeSet" and _INCLUDE.search(str(call.params.get("TemplateBody", ""))):
            transform = f"arn:{partition(call.region)}:cloudformation:{call.region}:aws:transform/Include"
            needed.append(Right(action=action, resource=transform))
        return needed

    return Entry(actions=(action,), rights=rights)


ENTRIES: Mapping[tuple[str, str], Entry] = {
    **{("cloudformation", operation): _on_stack(operation) for operation in _ON_STACK},
    **{("cloudformation", operation): _making(operation) for operation in _MAKING},
    **{("cloudformation", operation): simple(f"cloudformation:{operation}") for operation in _ANYWHERE},
}
