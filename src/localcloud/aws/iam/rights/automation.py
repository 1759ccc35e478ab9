"""Rights of the calls on automation executions.

Source: Service Authorization Reference, "AWS Systems Manager" (automation-definition/Name:Version,
automation-execution/Id; the listings know no resource types); Systems Manager User Guide, "Setting up Automation"
(whoever starts a runbook with a role passes that role) and "Tagging Systems Manager automations".
"""

from collections.abc import Mapping, Sequence

from localcloud.aws.call import Call
from localcloud.aws.iam.rights.documents import is_owned
from localcloud.aws.iam.rights.model import (
    Directory,
    Entry,
    Right,
    arn,
    partition,
    request_tags,
    resource_tags,
    simple,
)

_TAG_SPELLING = "ssm:resourceTag"


def definition_arn(call: Call, name: str, version: str) -> str:
    """The ARN of a runbook's version; a document's ARN stands for its name."""
    plain = name.rpartition("document/")[2]
    resource = f"automation-definition/{plain}:{version or '$DEFAULT'}"
    if is_owned(plain):
        return f"arn:{partition(call.region)}:ssm:{call.region}::{resource}"
    return arn(call, "ssm", resource)


def _start(call: Call, directory: Directory) -> Sequence[Right]:
    name, version = call.params["DocumentName"], call.params.get("DocumentVersion", "")
    tags = request_tags(call.params.get("Tags"))
    needed = [Right(action="ssm:StartAutomationExecution", resource=definition_arn(call, name, version), keys=tags)]
    if tags:
        execution = arn(call, "ssm", "automation-execution/*")
        needed.append(Right(action="ssm:AddTagsToResource", resource=execution, keys=tags))
    role = directory.automation_role(name, version, call.params.get("Parameters", {}))
    if role:
        keys = {"iam:PassedToService": "ssm.amazonaws.com"}
        needed.append(Right(action="iam:PassRole", resource=role, keys=keys))
    return needed


def _on_execution(operation: str) -> Entry:
    action = f"ssm:{operation}"

    def rights(call: Call, directory: Directory) -> Sequence[Right]:
        execution = call.params["AutomationExecutionId"]
        keys = resource_tags(directory.automation_tags(execution), also=_TAG_SPELLING)
        return [Right(action=action, resource=arn(call, "ssm", f"automation-execution/{execution}"), keys=keys)]

    return Entry(actions=(action,), rights=rights)


ENTRIES: Mapping[tuple[str, str], Entry] = {
    ("ssm", "StartAutomationExecution"): Entry(
        actions=("ssm:StartAutomationExecution", "ssm:AddTagsToResource", "iam:PassRole"), rights=_start
    ),
    ("ssm", "GetAutomationExecution"): _on_execution("GetAutomationExecution"),
    ("ssm", "StopAutomationExecution"): _on_execution("StopAutomationExecution"),
    ("ssm", "SendAutomationSignal"): _on_execution("SendAutomationSignal"),
    ("ssm", "DescribeAutomationExecutions"): simple("ssm:DescribeAutomationExecutions"),
    ("ssm", "DescribeAutomationStepExecutions"): simple("ssm:DescribeAutomationStepExecutions"),
}
