"""What a step came to, and the replies that tell the service of it, field by field as recorded."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from localcloud.machines.agent.commands import outputs
from localcloud.machines.agent.places import AGENT_NAME, AGENT_VERSION, go_json

IN_PROGRESS = "InProgress"
SUCCESS = "Success"
FAILED = "Failed"
TIMED_OUT = "TimedOut"
CANCELLED = "Cancelled"
SKIPPED = "Skipped"
REBOOT = "SuccessAndReboot"
# The first of these that any step has is the document's.
_PRECEDENCE = (REBOOT, FAILED, TIMED_OUT, CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """One step's end. `output` is both streams together, cut to its own limit."""

    action: str
    status: str
    code: int = 0
    output: str = ""
    standard_output: str = ""
    standard_error: str = ""
    started: str
    ended: str

    def wire(self) -> dict[str, Any]:
        """The fields of one entry of `runtimeStatus`, in the agent's order."""
        return {
            "status": self.status,
            "code": self.code,
            "name": self.action,
            "output": self.output,
            "startDateTime": self.started,
            "endDateTime": self.ended,
            "outputS3BucketName": "",
            "outputS3KeyPrefix": "",
            "stepName": "",
            "standardOutput": self.standard_output,
            "standardError": self.standard_error,
        }

    def stored(self) -> dict[str, Any]:
        """For the state file; `StepResult(**stored)` reads it."""
        return asdict(self)


def of_streams(
    action: str, status: str, *, code: int, output: str, errors: str, started: str, remark: str = ""
) -> StepResult:
    """The result of a step that ran; `remark` is what ends the document early, said in both streams."""
    after = f"\n{remark}" if remark else ""
    return StepResult(
        action=action,
        status=status,
        code=code,
        output=outputs.joined(output, errors),
        standard_output=outputs.standard(output + after),
        standard_error=outputs.standard(errors + after),
        started=started,
        ended=stamp(),
    )


def without_run(action: str, status: str, text: str, *, code: int = 0) -> StepResult:
    """The result of a step that never began."""
    now = stamp()
    return StepResult(action=action, status=status, code=code, output=text, started=now, ended=now)


def document_status(results: Mapping[str, StepResult]) -> str:
    """What all steps together come to; skipped ones count as success."""
    found = {result.status for result in results.values()}
    return next((status for status in _PRECEDENCE if status in found), SUCCESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One message about a job. `steps` None: nothing is known of steps yet."""

    job_id: str
    topic: str
    status: str
    steps: Mapping[str, StepResult] | None = None
    counts: Mapping[str, int] | None = None
    trace: str = ""

    def payload(self, *, control_channel_open: bool | None = None) -> str:
        """The JSON text; over ec2messages it also says whether the control channel could be opened."""
        about: dict[str, Any] = {
            "agent": {"lang": "en-US", "name": AGENT_NAME, "os": "linux", "osver": "1", "ver": AGENT_VERSION},
            "dateTime": stamp(),
            "runId": "",
            "runtimeStatusCounts": None if self.counts is None else dict(self.counts),
        }
        if control_channel_open is not None:
            about["ableToOpenMGSConnection"] = control_channel_open
        steps = None if self.steps is None else {name: result.wire() for name, result in self.steps.items()}
        return go_json(
            {
                "additionalInfo": about,
                "documentStatus": self.status,
                "documentTraceOutput": self.trace,
                "runtimeStatus": steps,
            }
        )

    def stored(self) -> dict[str, Any]:
        """For the reply's file; `reply_from` reads it."""
        steps = None if self.steps is None else {name: result.stored() for name, result in self.steps.items()}
        return {
            "job_id": self.job_id,
            "topic": self.topic,
            "status": self.status,
            "steps": steps,
            "counts": None if self.counts is None else dict(self.counts),
            "trace": self.trace,
        }


def reply_from(stored: dict[str, Any]) -> Reply:
    """What `Reply.stored` gave."""
    steps = stored["steps"]
    read = None if steps is None else {name: StepResult(**result) for name, result in steps.items()}
    return Reply(**{**stored, "steps": read})


def counted(results: Mapping[str, StepResult]) -> dict[str, int]:
    """How many steps have each status, in alphabetical order."""
    return dict(sorted(Counter(result.status for result in results.values()).items()))


def stamp(now: datetime | None = None) -> str:
    """An instant as the agent writes it: UTC, milliseconds."""
    instant = now or datetime.now(UTC)
    return f"{instant.strftime('%Y-%m-%dT%H:%M:%S')}.{instant.microsecond // 1000:03d}Z"
