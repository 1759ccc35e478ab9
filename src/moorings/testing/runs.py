"""Runs of a runbook on the local cloud, and what they came to."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moorings.testing.waiting import FAILURES_ONLY, eventually

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud

__tracebackhide__ = FAILURES_ONLY
SECONDS = 120.0
GOING_ON = frozenset({"Pending", "InProgress", "Waiting", "Cancelling", "PendingApproval", "Approved", "Scheduled"})
JSON = ".json"
Parameters = Mapping[str, str | int | bool | Sequence[str]]
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """One step of a run."""

    name: str
    action: str
    status: str
    failure: str
    outputs: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that is over. As a string it is its story, which is what a failed `assert run.succeeded, run` shows."""

    execution: str
    status: str
    failure: str
    outputs: Mapping[str, Sequence[str]]  # as the service words them: always lists
    steps: Mapping[str, StepRun]  # by name, in the order in which they began; of a loop's steps the last one

    @property
    def succeeded(self) -> bool:
        """Whether the service calls it a success."""
        return self.status == "Success"

    def output(self, name: str) -> str:
        """The first value of an output; KeyError, with those that there are, if there is no such output."""
        if name not in self.outputs:
            raise KeyError(f"{name}; there are: {', '.join(self.outputs) or 'none'}")
        values = self.outputs[name]
        return values[0] if values else ""

    def __str__(self) -> str:
        lines = [f"{self.execution}: {self.status} {self.failure}".rstrip()]
        lines += [f"  {each.name} ({each.action}): {each.status} {each.failure}" for each in self.steps.values()]
        return "\n".join(lines)


class Runbooks:
    """Runs documents of Automation in a local cloud. Threads may share it."""

    def __init__(self, cloud: "LocalCloud") -> None:
        self._cloud = cloud

    def __call__(
        self,
        file: str | Path,
        parameters: Parameters | None = None,
        *,
        within: float = SECONDS,
        attachments: Sequence[Mapping[str, Any]] = (),
    ) -> Run:
        """Make a document of a file and run that to its end; see `document`. ClientError if the file is no runbook.

        `attachments`: as CreateDocument takes them.
        """
        path = Path(file)
        name = f"{path.stem}-{next(_numbers)}"
        self._cloud.client("ssm").create_document(
            Name=name,
            DocumentType="Automation",
            DocumentFormat="JSON" if path.suffix == JSON else "YAML",
            Content=path.read_text(encoding="utf-8"),
            **({"Attachments": list(attachments)} if attachments else {}),
        )
        return self.document(name, parameters, within=within)

    def document(self, name: str, parameters: Parameters | None = None, *, within: float = SECONDS) -> Run:
        """Run a document that is there, as the account's root. Plain values become what the service takes.

        AssertionError with the run's story if it is not over within so many seconds.
        """
        given = {key: _wire(value) for key, value in (parameters or {}).items()}
        # Parameters that are given and empty are refused.
        wish: dict[str, Any] = {"DocumentName": name, **({"Parameters": given} if given else {})}
        started = self._cloud.client("ssm").start_automation_execution(**wish)
        execution = started["AutomationExecutionId"]

        def over() -> Run | None:
            seen = self.seen(execution)
            return None if seen.status in GOING_ON else seen

        ended = eventually(over, within=within, otherwise=lambda: str(self.seen(execution)))
        assert ended is not None
        return ended

    def seen(self, execution: str) -> Run:
        """How a run stands now."""
        said = self._cloud.client("ssm").get_automation_execution(AutomationExecutionId=execution)
        shown = said["AutomationExecution"]
        steps = [
            StepRun(
                name=each["StepName"],
                action=each["Action"],
                status=each["StepStatus"],
                failure=each.get("FailureMessage", ""),
                outputs=each.get("Outputs", {}),
            )
            for each in shown.get("StepExecutions", [])
        ]
        return Run(
            execution=execution,
            status=shown["AutomationExecutionStatus"],
            failure=shown.get("FailureMessage", ""),
            outputs=shown.get("Outputs", {}),
            steps={each.name: each for each in steps},
        )


def _wire(value: str | int | bool | Sequence[str]) -> list[str]:
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, str | int):
        return [str(value)]
    return [str(each) for each in value]
