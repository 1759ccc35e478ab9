"""Scripts of runbooks in a process of their own: limits, a directory that goes with it, nothing inherited.

The process is Python in isolated mode (or PowerShell, where the host has it). It finds its work in a file and leaves
its answer in another; whatever it started dies with it. Its environment holds what the execution gives it, and names
for its own directory, so that nobody's ~/.aws is read.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RUNNER = Path(__file__).with_name("sandbox_python.py")
PYTHON_MEMORY = 512 * 1024**2  # bytes
DISK = 512 * 1024**2  # bytes, of one file
OUTPUT_LIMIT = 100 * 1024  # bytes of the returned value as JSON
LIST_LIMIT = 100  # elements of a list that come back
_LOG_LIMIT = 64 * 1024  # bytes of what a script prints that are kept


class ScriptStopped(Exception):
    """The script did not come to its end: out of time, or stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What is to run."""

    text: str
    handler: str  # Python only
    events: Mapping[str, Any]
    context: Mapping[str, str]
    attachment: tuple[str, bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptEnded:
    """How a script ended: `payload` is what it returned, `error` its traceback, "" if there was none."""

    payload: Any = None
    error: str = ""
    printed: str = ""


@dataclass(slots=True)
class Processes:
    """The scripts that run now, by a key of whoever runs them; `kill` may come from any thread."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: dict[int, int] = field(default_factory=dict)
    _closed: bool = False

    def run(
        self, key: int, command: Sequence[str], *, home: Path, environment: Mapping[str, str], timeout: float
    ) -> int:
        """Run a command in a session of its own; its exit status. It and all that it started are dead afterwards.

        Raises ScriptStopped once `timeout` seconds have passed.
        """
        # What is printed goes to a file: of a pipe one would not know whether a process left behind still holds it.
        with (home / "printed").open("wb") as printed:
            process = subprocess.Popen(
                command,
                cwd=home / "work",
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        with self._lock:
            self._running[key] = process.pid
            if self._closed:  # whoever closes kills what runs, and nothing begins afterwards
                _kill(process.pid)
        try:
            over = _wait(process.pid, timeout)
        finally:
            with self._lock:
                del self._running[key]
            # Before the leader is reaped, as its number may then be somebody else's.
            _kill(process.pid)
            process.wait()
        if not over:
            raise ScriptStopped(f"The script ran longer than {timeout:g} seconds")
        return process.returncode

    def kill(self, key: int) -> None:
        """Kill what runs under `key`, if anything does."""
        with self._lock:
            if key in self._running:
                _kill(self._running[key])

    def close(self) -> None:
        """Kill all that runs, or will."""
        with self._lock:
            self._closed = True
            for pid in self._running.values():
                _kill(pid)


def run_python(
    script: Script, *, environment: Mapping[str, str], timeout: float, processes: Processes, key: int
) -> ScriptEnded:
    """Run a Python script's handler; `timeout` in seconds. Raises ScriptStopped if it was cut short."""
    with _home(script.attachment) as home:
        work = {
            "text": script.text,
            "handler": script.handler,
            "events": script.events,
            "context": script.context,
            "attachment": script.attachment[0] if script.attachment else "",
            "memory": PYTHON_MEMORY,
            "disk": DISK,
            "list_limit": LIST_LIMIT,
        }
        (home / "work.json").write_text(json.dumps(work), encoding="utf-8")
        command = (sys.executable, "-I", "-B", str(RUNNER), str(home))
        surroundings = {**_own_environment(home), **environment}
        status = processes.run(key, command, home=home, environment=surroundings, timeout=timeout)
        return _ended(home, status=status)


def run_powershell(
    script: Script, *, environment: Mapping[str, str], timeout: float, processes: Processes, key: int, pwsh: str
) -> ScriptEnded:
    """Run a PowerShell script: its input is `$env:InputPayload`, what it returns comes back."""
    with _home(script.attachment) as home:
        (home / "script.ps1").write_text(script.text, encoding="utf-8")
        (home / "run.ps1").write_text(_POWERSHELL, encoding="utf-8")
        surroundings = {
            **_own_environment(home),
            **environment,
            "InputPayload": json.dumps(script.events),
            "POWERSHELL_TELEMETRY_OPTOUT": "1",
        }
        command = (pwsh, "-NoProfile", "-NonInteractive", "-File", str(home / "run.ps1"), str(home))
        status = processes.run(key, command, home=home, environment=surroundings, timeout=timeout)
        return _ended(home, status=status)


# The script is a block of its own, so that `return` ends it and gives the value.
_POWERSHELL = """\
param([string]$Home_)
$ErrorActionPreference = 'Stop'
try {
  $script = [ScriptBlock]::Create([IO.File]::ReadAllText("$Home_/script.ps1"))
  $value = & $script
  $answer = @{ payload = $value }
} catch {
  $answer = @{ error = "$($_ | Out-String)" }
}
[IO.File]::WriteAllText("$Home_/answer.json", (ConvertTo-Json -InputObject $answer -Depth 100 -Compress))
"""


@contextmanager
def _home(attachment: tuple[str, bytes] | None) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="automation-script-"))
    try:
        (home / "work").mkdir()
        (home / "attachment").mkdir()
        if attachment:
            (home / "attachment" / attachment[0]).write_bytes(attachment[1])
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _own_environment(home: Path) -> dict[str, str]:
    """What is not the execution's: where this process finds tools and its own files, and that there is no metadata."""
    work = str(home / "work")
    return {
        "HOME": work,
        "TMPDIR": work,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _ended(home: Path, *, status: int) -> ScriptEnded:
    printed = (home / "printed").read_bytes()[-_LOG_LIMIT:].decode(errors="replace")
    try:
        answer = json.loads((home / "answer.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        if status < 0:
            how = f"was killed: {(signal.strsignal(-status) or str(-status)).lower()}"
        else:
            how = f"ended with exit status {status} before it returned"
        return ScriptEnded(error=f"The script {how}. {printed[-1000:]}".strip(), printed=printed)
    return ScriptEnded(payload=answer.get("payload"), error=str(answer.get("error") or ""), printed=printed)


def _wait(pid: int, timeout: float) -> bool:
    """Whether the process is over within `timeout` seconds; it is not reaped."""
    watched = os.pidfd_open(pid)
    try:
        return bool(select.select([watched], [], [], timeout)[0])
    finally:
        os.close(watched)


def _kill(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
