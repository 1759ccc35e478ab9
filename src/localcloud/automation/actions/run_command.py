"""aws:runCommand: sends a command and waits until it is over; a command that did not succeed fails the step.

Its status is the aggregated one. Output and response code are shown of a single node only, and of a document with one
step only the response code. What a failed command said stays readable.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.automation.actions.api import call_api
from localcloud.automation.actions.inputs import only, require, text, texts
from localcloud.automation.actions.protocol import ActionFailed, Again, FailureStage, Finished, StepCall, Turn
from localcloud.automation.actions.wording import invalid_input, told
from localcloud.automation.choices import COMMAND_POLL_INTERVAL

_PASSED_ON = (
    "DocumentName",
    "DocumentVersion",
    "DocumentHash",
    "DocumentHashType",
    "InstanceIds",
    "Targets",
    "Parameters",
    "Comment",
    "TimeoutSeconds",
    "MaxConcurrency",
    "MaxErrors",
    "NotificationConfig",
    "OutputS3BucketName",
    "OutputS3KeyPrefix",
    "OutputS3Region",
    "ServiceRoleArn",
    "CloudWatchOutputConfig",
    "AlarmConfiguration",
)
_OVER = frozenset({"Success", "Cancelled", "Failed", "TimedOut"})
_TEXTS = frozenset({"MaxConcurrency", "MaxErrors", "DocumentVersion"})  # numbers are fine there too


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    command: str
    single: bool  # one node, named by its id


class RunCommand:
    """Sends the command in the first turn, looks at it in the others."""

    name = "aws:runCommand"
    default_timeout = None  # the command's own timeouts end it

    def __init__(self, *, cancels: bool = False) -> None:
        """`cancels`: a step that is cancelled, or times out, cancels its command too."""
        self._cancels = cancels

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Document and nodes are named."""
        require(inputs, "DocumentName")
        only(inputs, _PASSED_ON)
        text(inputs, "DocumentName")
        if not inputs.get("InstanceIds") and not inputs.get("Targets"):
            raise invalid_input("Missing required input: InstanceIds or Targets")
        texts(inputs, "InstanceIds")
        if not isinstance(inputs.get("Parameters") or {}, Mapping):
            raise invalid_input("Input Parameters must be a map")

    def begin(self, call: StepCall) -> Turn:
        """Send it."""
        sent = call_api(call, service="ssm", api="SendCommand", arguments=_arguments(call.inputs))
        command = str(sent["Command"]["CommandId"])
        return Again(after=COMMAND_POLL_INTERVAL, state=_Sent(command=command, single=_names_one(call.inputs)))

    def resume(self, call: StepCall, state: Any) -> Turn:
        """Look at it."""
        assert isinstance(state, _Sent)
        found = call_api(call, service="ssm", api="ListCommands", arguments={"CommandId": state.command})
        command = next(iter(found["Commands"]), None)
        if command is None or command["Status"] not in _OVER:
            return Again(after=COMMAND_POLL_INTERVAL, state=state)
        result = _result(call, state, status=str(command["Status"]))
        outputs = {**result, "OutputPayload": json.dumps(result)}
        if result["Status"] == "Success":
            return Finished(root=result, outputs=outputs)
        raise _unexpected(state.command, result, outputs)

    def cancel(self, call: StepCall, state: Any) -> None:
        """The command goes on, unless this engine is set to cancel it."""
        if self._cancels and isinstance(state, _Sent):
            call_api(call, service="ssm", api="CancelCommand", arguments={"CommandId": state.command})


def _arguments(inputs: Mapping[str, Any]) -> dict[str, Any]:
    arguments = {name: inputs[name] for name in _PASSED_ON if inputs.get(name) not in (None, "", [], {})}
    for name in _TEXTS & set(arguments):
        arguments[name] = str(arguments[name])
    if "InstanceIds" in arguments:
        arguments["InstanceIds"] = texts(inputs, "InstanceIds")
    if "Parameters" in arguments:
        arguments["Parameters"] = {name: _texts_of(value) for name, value in inputs["Parameters"].items()}
    timeout = arguments.get("TimeoutSeconds")
    if isinstance(timeout, str) and timeout.isdigit():
        arguments["TimeoutSeconds"] = int(timeout)
    return arguments


def _texts_of(value: Any) -> list[str]:
    """A command's parameter as the API takes it: always a list of texts."""
    return [_text_of(each) for each in (value if isinstance(value, list) else [value])]


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _names_one(inputs: Mapping[str, Any]) -> bool:
    ids = texts(inputs, "InstanceIds")
    if ids:
        return len(ids) == 1
    targets = inputs["Targets"]
    by_id = [
        each for each in targets if isinstance(each, Mapping) and str(each.get("Key", "")).lower() == "instanceids"
    ]
    return len(targets) == len(by_id) == 1 and len(by_id[0].get("Values", ())) == 1


def _result(call: StepCall, sent: _Sent, *, status: str) -> dict[str, Any]:
    """Status, ResponseCode, Output and CommandId, as far as the command has them."""
    result: dict[str, Any] = {"Status": status}
    if sent.single:
        arguments = {"CommandId": sent.command, "Details": True}
        listed = call_api(call, service="ssm", api="ListCommandInvocations", arguments=arguments)
        plugins = [each for one in listed["CommandInvocations"] for each in one.get("CommandPlugins", ())]
        if len(plugins) == 1 and "ResponseCode" in plugins[0]:
            result["ResponseCode"] = int(plugins[0]["ResponseCode"])
        if plugins:
            result["Output"] = "\n".join(text for text in (str(each.get("Output", "")) for each in plugins) if text)
    return {**result, "CommandId": sent.command}


def _unexpected(command: str, result: Mapping[str, Any], outputs: Mapping[str, Any]) -> ActionFailed:
    names = ("Status", "ResponseCode", "Output", "OutputPayload", "CommandId")
    shown = ", ".join(f"{name}=[{outputs[name]}]" for name in names if name in outputs)
    return ActionFailed(
        told(
            "verifying the command has completed",
            f"Command {command} returns unexpected invocation result: {{{shown}}}",
        ),
        stage=FailureStage.POST_VERIFICATION,
        root=dict(result),
        outputs=outputs,
    )
