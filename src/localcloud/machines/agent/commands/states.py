"""Commands on the disk: what waits, what runs, and which ids were seen, so that a restart loses nothing."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.machines.agent.commands.results import StepResult
from localcloud.machines.agent.places import go_json, make_directory, write_private

PENDING = "pending"
CURRENT = "current"
# As the real agent spells them.
SEEN = {"send": "idempotency/SendCommand", "cancel": "idempotency/CancelComamnd"}


@dataclass(slots=True, kw_only=True)
class Record:
    """One accepted command: its message, by which channel it came, and how far it has come."""

    job_id: str
    topic: str
    channel: str
    content: str
    runs: int = 0
    results: dict[str, StepResult] = field(default_factory=dict)

    @property
    def command_id(self) -> str:
        """The command's id, out of the job's."""
        return command_of(self.job_id)


def command_of(job_id: str) -> str:
    """The command id in `aws.ssm.<command-id>.<node-id>`; empty if there is none."""
    parts = job_id.split(".")
    return parts[-2] if len(parts) > 1 else ""


class States:
    """The folders below the node's own that hold commands."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def orchestration(self, command_id: str) -> Path:
        """Where a command keeps scripts and outputs; made if need be."""
        path = self._folder / "document" / "orchestration" / command_id
        for each in (path.parent, path):
            make_directory(each, 0o700)
        return path

    def seen(self, kind: str, command_id: str) -> bool:
        """Whether a message of this id came before."""
        return (self._folder / SEEN[kind] / command_id).is_dir()

    def mark(self, kind: str, command_id: str) -> None:
        """Remember the id."""
        path = self._folder / SEEN[kind] / command_id
        for each in (path.parent, path):
            make_directory(each, 0o700)

    def save(self, record: Record, where: str) -> None:
        """Keep a command as it is now; in one place only."""
        raw: dict[str, Any] = {
            "job_id": record.job_id,
            "topic": record.topic,
            "channel": record.channel,
            "content": record.content,
            "runs": record.runs,
            "results": {name: result.stored() for name, result in record.results.items()},
        }
        write_private(self._path(record, where), go_json(raw))
        if where == CURRENT:
            self._path(record, PENDING).unlink(missing_ok=True)

    def forget(self, record: Record) -> None:
        """The command is over and the service has its last reply, or the reply lies on the disk."""
        for where in (PENDING, CURRENT):
            self._path(record, where).unlink(missing_ok=True)

    def left(self, where: str) -> list[Record]:
        """What an earlier agent has left, the oldest first."""
        folder = self._folder / "document" / "state" / where
        paths = [path for path in folder.iterdir() if path.suffix != ".new"] if folder.is_dir() else []
        return [_read(path) for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)]

    def _path(self, record: Record, where: str) -> Path:
        return self._folder / "document" / "state" / where / record.command_id


def _read(path: Path) -> Record:
    raw = json.loads(path.read_text())
    results = {name: StepResult(**result) for name, result in raw.pop("results").items()}
    return Record(results=results, **raw)
