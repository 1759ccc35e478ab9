"""From what an action answered to what later steps can read: declared outputs, and those of the document."""

from collections.abc import Mapping
from typing import Any

from localcloud.automation import selectors, values
from localcloud.automation.actions.protocol import ActionFailed, FailureStage, FailureType, Finished
from localcloud.automation.document import Runbook, Step
from localcloud.automation.journal import Journal
from localcloud.automation.records import Status
from localcloud.automation.refusals import CannotConvert

NOT_AVAILABLE = "No output available yet because the step is not successfully executed"
_READABLE = frozenset({Status.SUCCESS, Status.EXITED})


def outputs_of_success(step: Step, answer: Finished) -> dict[str, Any]:
    """Predefined and declared outputs; what a selector does not find is absent.

    Raises ActionFailed (POST_VERIFICATION) if a value cannot be of its declared type.
    """
    outputs = dict(answer.outputs)
    for declared in step.outputs:
        try:
            found = selectors.read(answer.root, declared)
        except CannotConvert as error:
            raise ActionFailed(
                f"Output {declared.name} of step {step.name}: {error}",
                stage=FailureStage.POST_VERIFICATION,
                kind=FailureType.VERIFICATION,
                root=answer.root,
                outputs=answer.outputs,
            ) from error
        if found is not selectors.MISSING:
            outputs[declared.name] = found
    return outputs


def outputs_of_failure(step: Step, failure: ActionFailed) -> dict[str, Any]:
    """What stays readable of a failed step: what it said, and of the declared outputs those that can be had."""
    outputs = dict(failure.outputs)
    for declared in step.outputs:
        try:
            found = selectors.MISSING if failure.root is None else selectors.read(failure.root, declared)
        except CannotConvert:
            continue  # the step has failed already; a second reason would hide the first
        if found is not selectors.MISSING:
            outputs[declared.name] = found
    return outputs


def document_outputs(runbook: Runbook, journal: Journal) -> dict[str, Any]:
    """The document's own outputs, "Step.Output" → value."""
    outputs: dict[str, Any] = {}
    for name in runbook.outputs:
        step, _, output = name.partition(".")
        record = journal.latest(step)
        if record is None or record.status not in _READABLE:
            outputs[name] = NOT_AVAILABLE
        elif output in record.outputs:
            outputs[name] = record.outputs[output]
    return outputs


def shown_loop_outputs(outputs: Mapping[str, Any]) -> str:
    """A loop's current value as text."""
    value = outputs.get("CurrentIteratorValue")
    return "" if value is None else values.to_wire(value)[0]
