"""Where patch commands work: a deployed patching stack, put together from its outputs."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moorings.cli.options import checked_stack_name
from moorings.clock import SystemClock
from moorings.errors import CloudFault, Conflict, Invalid, Misconfigured

if TYPE_CHECKING:
    from moorings.clouds.aws import Aws
    from moorings.deploy.stacks import Stack
    from moorings.patching.archive import DynamoArchive
    from moorings.patching.automations import SsmAutomations

EXECUTION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NODE_ID = re.compile(r"mi-[0-9a-f]{17}")
_DOCUMENT, _TABLE, _KEEPER = "AWSSystemsManagerAutomationRunbookName", "GuardTable", "KeeperFunctionName"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patched:
    """A deployed patching stack."""

    aws: "Aws"
    stack: "Stack"
    automations: "SsmAutomations"
    archive: "DynamoArchive"

    @property
    def document(self) -> str:
        """The runbook's name."""
        return self.stack.outputs[_DOCUMENT]

    @property
    def role(self) -> str:
        """The role that runs take on; whoever starts one must be allowed to pass it."""
        return self.stack.outputs.get("AutomationRoleArn", "")

    def ask_keeper(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The keeper's answer to an event; CloudFault if it ended in an error."""
        return self._asked("keeper", _KEEPER, "KeeperLogGroup", event)

    def ask_function(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The function's answer to an event; CloudFault if it ended in an error."""
        return self._asked("function", "AzureLambdaFunctionName", "FunctionLogGroup", event)

    def _asked(self, who: str, function: str, log: str, event: Mapping[str, Any]) -> dict[str, Any]:
        from moorings.clouds.aws import calling

        call = "lambda:Invoke"
        with calling(call):
            answered = self.aws.client("lambda").invoke(
                FunctionName=self.stack.outputs[function], Payload=json.dumps(event).encode()
            )
            answer = json.loads(answered["Payload"].read() or b"null")
        if answered.get("FunctionError") or not isinstance(answer, dict):
            told = answer.get("errorMessage", "") if isinstance(answer, dict) else ""
            raise CloudFault(
                f"the {who} failed: {told or 'it did not answer'}",
                call=call,
                remedy=f"look at its log: {self.stack.outputs.get(log, 'the stack names it')}",
            )
        return answer


def open_patching(aws: "Aws", name: str) -> Patched:
    """The patching stack of that name; Misconfigured if there is none, Conflict if it does not stand."""
    from moorings.deploy.stacks import Stacks
    from moorings.patching.archive import DynamoArchive
    from moorings.patching.automations import SsmAutomations

    clock = SystemClock()
    stack = Stacks(aws, clock=clock).find(checked_stack_name(name))
    if stack is None:
        raise Misconfigured(
            f"there is no patching stack {name} in {aws.region}",
            remedy="make it with `moorings patch deploy`, or name another by --stack-name and --region",
        )
    if not {_DOCUMENT, _TABLE, _KEEPER} <= stack.outputs.keys():
        raise Conflict(
            f"stack {name} in {aws.region} is {stack.status} and shows no outputs of patching",
            remedy="wait until it stands, deploy it again, or name another by --stack-name",
        )
    archive = DynamoArchive(client=aws.client("dynamodb"), table=stack.outputs[_TABLE], clock=clock)
    return Patched(aws=aws, stack=stack, automations=SsmAutomations(client=aws.client("ssm")), archive=archive)


def checked_execution(text: str) -> str:
    """The id of an automation execution; Invalid if it is none."""
    if not EXECUTION_ID.fullmatch(text):
        raise Invalid(
            f"{text!r} is no id of an execution", remedy="they look like 01234567-89ab-…: `moorings patch status`"
        )
    return text
