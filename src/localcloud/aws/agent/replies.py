"""What an agent reports about a message: the JSON inside a reply of either channel, as a value.

Held to the recorded replies of the real agent.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from localcloud.aws.ssm.commands.model import Reply, StepResult

# The agent cuts longer streams itself; what comes anyway is kept as far as the API could ever show it.
_LONGEST_STREAM = 24_000


def parse(text: str, *, reply_id: str) -> Reply:
    """The reply in `text`; raises ValueError if it is none."""
    found = loaded(text)
    if not isinstance(found, dict) or not isinstance(found.get("documentStatus"), str):
        raise ValueError("a reply has a documentStatus")
    steps = found.get("runtimeStatus") or {}
    if not isinstance(steps, dict):
        raise ValueError("a reply's runtimeStatus is a map")
    return Reply(
        id=reply_id,
        status=found["documentStatus"],
        trace=_text(found, "documentTraceOutput"),
        steps=tuple(_step(name, step) for name, step in steps.items() if isinstance(step, dict)),
    )


def loaded(text: str | bytes) -> Any:
    """What JSON from an agent says; raises ValueError also for what is nested too deep, TypeError for no text."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _step(name: str, step: Mapping[str, Any]) -> StepResult:
    code = step.get("code", -1)
    return StepResult(
        name=name,
        word=_text(step, "status"),
        code=code if isinstance(code, int) else -1,
        output=_text(step, "output"),
        standard_output=_text(step, "standardOutput")[:_LONGEST_STREAM],
        standard_error=_text(step, "standardError")[:_LONGEST_STREAM],
        started_at=_moment(step, "startDateTime"),
        finished_at=_moment(step, "endDateTime"),
    )


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""


def _moment(step: Mapping[str, Any], name: str) -> datetime | None:
    try:
        return datetime.fromisoformat(_text(step, name))
    except ValueError:
        return None  # a step that has not begun, or not ended
