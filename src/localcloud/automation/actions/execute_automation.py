"""`aws:executeAutomation`: starts another runbook and waits for it; several, under rate control, if it has targets."""

from collections.abc import Mapping
from typing import Any, Protocol

from localcloud.automation import errors, values
from localcloud.automation.actions.own import Immediate
from localcloud.automation.actions.protocol import ActionFailed, FailureStage, Finished, Held, StepCall, Turn
from localcloud.automation.ports import StartRequest, TargetRequest
from localcloud.automation.records import AutomationExecution, Status
from localcloud.automation.refusals import InvalidParameters
from localcloud.automation.signals import ChildOver, Message

_LISTS = ("Targets", "TargetMaps", "Tags")
MAX_TAGS = 5


class Children(Protocol):
    """What this action needs of the engine."""

    def start_child(self, parent_id: str, request: StartRequest) -> str:
        """The id of the new execution; its end is told to the parent's step."""

    def stop_child(self, execution_id: str) -> None:
        """Cancel it, unless it is over."""


class ExecuteAutomation(Immediate):
    """Runs a child in the name of whoever started the parent; the step ends as the child does."""

    name = "aws:executeAutomation"
    inline = False  # finding a document may take a while
    blocks = True

    def __init__(self, children: Children) -> None:
        self._children = children

    def check(self, inputs: Mapping[str, Any]) -> None:
        """A document's name, lists where lists belong; other accounts and Regions do not exist here."""
        if not inputs.get("DocumentName"):
            raise _invalid("DocumentName is missing.")
        if inputs.get("TargetLocations"):
            raise _invalid("TargetLocations: executions in several accounts or Regions are not supported here.")
        for name in _LISTS:
            if not isinstance(inputs.get(name, []), list):
                raise _invalid(f"{name} must be a list.")
        if len(inputs.get("Tags", [])) > MAX_TAGS:
            raise _invalid(f"At most {MAX_TAGS} tags are allowed.")
        if not isinstance(inputs.get("RuntimeParameters") or {}, Mapping):
            raise _invalid("RuntimeParameters must be a map.")

    def begin(self, call: StepCall) -> Turn:
        """Start the child."""
        try:
            child = self._children.start_child(call.surroundings.execution_id, _request(call.inputs))
        except (errors.AutomationError, InvalidParameters) as error:
            raise ActionFailed(f"Step fails when it is executing/canceling action. {error}") from error
        return Held(state=child)

    def tell(self, call: StepCall, state: Any, message: Message) -> Turn:
        """The child's end is the step's."""
        if not isinstance(message, ChildOver):
            raise errors.SignalRefused(f"Step {call.step.name} waits for its child only.")
        child = message.child
        if child.id != state:
            return Held(state=state)  # of an attempt before this one
        outputs = {"Output": _output(child), "ExecutionId": child.id, "Status": child.status.value}
        if child.status is Status.SUCCESS:
            return Finished(root=outputs, outputs=outputs)
        raise ActionFailed(
            f"Step fails when it is executing/canceling action. Automation execution {child.id} ended with the status "
            f"{child.status.value}. {child.failure_message}".rstrip(),
            root=outputs,
            outputs=outputs,
        )

    def cancel(self, call: StepCall, state: Any) -> None:
        """The child is cancelled with its parent's step."""
        if state:
            self._children.stop_child(state)


def _request(inputs: Mapping[str, Any]) -> StartRequest:
    return StartRequest(
        document_name=str(inputs["DocumentName"]),
        document_version=str(inputs.get("DocumentVersion") or ""),
        parameters=dict(inputs.get("RuntimeParameters") or {}),
        tags=tuple((str(tag["Key"]), str(tag["Value"])) for tag in inputs.get("Tags", [])),
        rate=TargetRequest(
            parameter_name=str(inputs.get("TargetParameterName") or ""),
            targets=tuple(inputs.get("Targets") or ()),
            target_maps=tuple(inputs.get("TargetMaps") or ()),
            max_concurrency=str(inputs.get("MaxConcurrency") or ""),
            max_errors="" if inputs.get("MaxErrors") is None else str(inputs["MaxErrors"]),
        ),
    )


def _output(child: AutomationExecution) -> list[str]:
    return [text for value in child.outputs.values() for text in values.to_wire(value)]


def _invalid(message: str) -> ActionFailed:
    return ActionFailed(message, stage=FailureStage.INPUT_VALIDATION)
