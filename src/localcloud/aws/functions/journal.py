"""What one environment writes: its output as lines, between the lines of the platform (START, END, REPORT).

Source: AWS Lambda, "Viewing CloudWatch logs" and "Lambda advanced logging controls" for the JSON form.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localcloud.aws.functions.model import LOG_TAIL, Deployed


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One log event."""

    at: int  # milliseconds since 1970, as CloudWatch Logs counts
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What Lambda measures of an invocation; `init_seconds` only if it started its environment."""

    seconds: float
    memory_used_mb: int
    init_seconds: float | None = None
    status: str = ""  # "", "error" or "timeout"


class Journal:
    """Collects the lines of one environment and hands them over at the end of each invocation. One thread at a time."""

    def __init__(self, *, function: Deployed, deliver: Callable[[list[Line]], None]) -> None:
        self._function = function
        self._deliver = deliver
        self._lines: list[Line] = []
        self._partial = b""

    def feed(self, output: bytes) -> None:
        """Take raw output of the process."""
        *whole, self._partial = (self._partial + output).split(b"\n")
        for line in whole:
            self._add(line.decode("utf-8", "replace"))

    def init_start(self, version: str) -> None:
        """The first line of an environment; `version` is the interpreter's."""
        text = f"INIT_START Runtime Version: python:{version}"
        self._platform("initStart", {"runtimeVersion": f"python:{version}"}, text)

    def start(self, request_id: str) -> None:
        """Open an invocation."""
        self._platform(
            "start",
            {"requestId": request_id, "version": self._function.version},
            f"START RequestId: {request_id} Version: {self._function.version}",
        )

    def note(self, text: str) -> None:
        """A remark of the platform, such as a timeout."""
        self._add(text)

    def end(self, request_id: str, report: Report) -> bytes:
        """Close the invocation: hand all lines over and return its last 4 KB."""
        if self._partial:
            self.feed(b"\n")
        self._platform(
            "runtimeDone",
            {"requestId": request_id, "status": report.status or "success"},
            f"END RequestId: {request_id}",
        )
        self._platform(
            "report", _metrics(request_id, report, self._function), _report(request_id, report, self._function)
        )
        lines, self._lines = self._lines, []
        self._deliver(lines)
        return "\n".join(line.text for line in lines).encode()[-LOG_TAIL:]

    def _platform(self, kind: str, record: Mapping[str, Any], text: str) -> None:
        if self._function.log_format == "JSON":
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            text = json.dumps({"time": at, "type": f"platform.{kind}", "record": record})
        self._add(text)

    def _add(self, text: str) -> None:
        self._lines.append(Line(at=int(time.time() * 1000), text=text))


def _metrics(request_id: str, report: Report, function: Deployed) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "durationMs": round(report.seconds * 1000, 3),
        "billedDurationMs": _billed(report),
        "memorySizeMB": function.memory_mb,
        "maxMemoryUsedMB": report.memory_used_mb,
    }
    if report.init_seconds is not None:
        metrics["initDurationMs"] = round(report.init_seconds * 1000, 3)
    return {"requestId": request_id, "metrics": metrics, "status": report.status or "success"}


def _report(request_id: str, report: Report, function: Deployed) -> str:
    fields = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {report.seconds * 1000:.2f} ms",
        f"Billed Duration: {_billed(report)} ms",
        f"Memory Size: {function.memory_mb} MB",
        f"Max Memory Used: {report.memory_used_mb} MB",
    ]
    if report.init_seconds is not None:
        fields.append(f"Init Duration: {report.init_seconds * 1000:.2f} ms")
    if report.status:
        fields.append(f"Status: {report.status}")
    return "\t".join(fields)


def _billed(report: Report) -> int:
    return int((report.seconds + (report.init_seconds or 0.0)) * 1000) + 1
