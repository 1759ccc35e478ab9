"""aws:invokeLambdaFunction: one invocation; `$` is what the function returned.

A function that fails fails the step, and what it said stays readable. The step waits 300 s at most: then it has timed
out, while the function goes on.
"""

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError, ReadTimeoutError

from localcloud.automation.actions.api import kind_of
from localcloud.automation.actions.clients import INVOKE_LIMIT
from localcloud.automation.actions.inputs import choice, only, require, text
from localcloud.automation.actions.protocol import ActionFailed, FailureStage, Finished, StepCall, Turn
from localcloud.automation.actions.single import SingleTurn
from localcloud.automation.actions.wording import invalid_input, told

OUTPUT_LIMIT = 200 * 1024  # bytes

_INPUTS = ("FunctionName", "Qualifier", "InvocationType", "LogType", "ClientContext", "InputPayload", "Payload")
_INVOKING = "invoking the Lambda function"


class InvokeFunction(SingleTurn):
    """Invokes a function by name or ARN."""

    name = "aws:invokeLambdaFunction"
    default_timeout = timedelta(seconds=INVOKE_LIMIT)

    def check(self, inputs: Mapping[str, Any]) -> None:
        """The function is named, and every input is of its type."""
        require(inputs, "FunctionName")
        only(inputs, _INPUTS)
        for name in ("FunctionName", "Qualifier", "ClientContext"):
            text(inputs, name)
        _kind(inputs)
        _payload(inputs)

    def begin(self, call: StepCall) -> Turn:
        """The invocation."""
        try:
            answer = call.surroundings.client("lambda").invoke(**_arguments(call.inputs))
            payload = answer["Payload"].read().decode(errors="replace")
        except ReadTimeoutError as error:
            raise ActionFailed(told(_INVOKING, str(error)), timed_out=True) from error
        except ParamValidationError as error:
            raise invalid_input(str(error)) from error
        except ClientError as error:
            raise ActionFailed(told(_INVOKING, str(error)), kind=kind_of(error)) from error
        except BotoCoreError as error:
            raise ActionFailed(told(_INVOKING, str(error))) from error
        return _judged(answer, payload)


def _arguments(inputs: Mapping[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {"FunctionName": text(inputs, "FunctionName"), "InvocationType": _kind(inputs)}
    payload = _payload(inputs)
    if payload:
        arguments["Payload"] = payload.encode()
    if text(inputs, "Qualifier"):
        arguments["Qualifier"] = text(inputs, "Qualifier")
    if inputs.get("LogType"):
        arguments["LogType"] = choice(inputs, "LogType", ("None", "Tail"))
    context = text(inputs, "ClientContext")
    if context:
        # The runbook holds the JSON; the API's header wants base64. What is base64 already goes as it is.
        plain = context.lstrip().startswith("{")
        arguments["ClientContext"] = base64.b64encode(context.encode()).decode() if plain else context
    return arguments


def _kind(inputs: Mapping[str, Any]) -> str:
    kind = choice(inputs, "InvocationType", ("RequestResponse", "Event", "DryRun"))
    if choice(inputs, "LogType", ("None", "Tail")) == "Tail" and kind != "RequestResponse":
        raise invalid_input(f"LogType Tail needs InvocationType RequestResponse, not {kind}")
    return kind


def _payload(inputs: Mapping[str, Any]) -> str:
    """The event as JSON text. InputPayload wins; Payload is JSON text already."""
    given = inputs.get("InputPayload")
    if given is not None:
        if not isinstance(given, Mapping):
            raise invalid_input("Input InputPayload must be a StringMap")
        return json.dumps(given)
    given = inputs.get("Payload")
    return json.dumps(given) if isinstance(given, Mapping | list) else text(inputs, "Payload")


def _judged(answer: Mapping[str, Any], payload: str) -> Finished:
    root = _parsed(payload)
    outputs: dict[str, Any] = {"StatusCode": int(answer["StatusCode"])}
    for name in ("FunctionError", "LogResult"):
        if answer.get(name):
            outputs[name] = answer[name]
    if payload:
        # A function that returns text shows it without the quotes of its JSON.
        outputs["Payload"] = root if isinstance(root, str) else payload
    outputs["OutputPayload"] = json.dumps(outputs)
    if len(payload.encode()) > OUTPUT_LIMIT:
        raise ActionFailed(
            told(_INVOKING, f"The function returned more than {OUTPUT_LIMIT} bytes"),
            stage=FailureStage.POST_VERIFICATION,
            outputs={"StatusCode": outputs["StatusCode"]},
        )
    if "FunctionError" in outputs:
        shown = ", ".join(f"{name}=[{value}]" for name, value in outputs.items() if name != "OutputPayload")
        raise ActionFailed(
            told(_INVOKING, f"The function failed: {{{shown}}}"),
            stage=FailureStage.POST_VERIFICATION,
            root=root,
            outputs=outputs,
        )
    return Finished(root=root, outputs=outputs)


def _parsed(payload: str) -> Any:
    if not payload:
        return {}
    try:
        return json.loads(payload)
    except ValueError:
        return payload
