"""The plugin aws:runShellScript: a script file, run by sh in a session of its own, its output in files."""

import contextlib
import os
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

from localcloud.machines.agent.commands import outputs
from localcloud.machines.agent.commands.documents import Step
from localcloud.machines.agent.commands.plugin import KILLED, AgentStopped, Ended, Place, Stop
from localcloud.machines.agent.commands.results import CANCELLED, TIMED_OUT
from localcloud.machines.agent.commands.substitution import go_print
from localcloud.machines.agent.places import make_directory

DEFAULT_TIMEOUT_SECONDS = 3600.0
TIMEOUT_BOUNDS_SECONDS = (5.0, 172_800.0)
# A scaled timeout still leaves a script this long: what it does takes real time.
LEAST_SECONDS = 3.0
REBOOT_CODE = 194
# Read of an output file; more than is ever reported.
READ_BYTES = 4 * (outputs.STANDARD_LIMIT + 1)
# Leaves its exit code in a file, so that an agent that was restarted meanwhile can find it.
WRAPPER = 'sh -c "$0"; code=$?; echo $code >"$1.new"; mv "$1.new" "$1"; exit $code'

# Scripts outlive their agent, as the real one's do; the machine's init collects them.
_left_running: list["subprocess.Popen[bytes]"] = []


class ShellScript:
    """Runs `runCommand` on this machine."""

    def run(self, step: Step, number: int, place: Place, stop: Stop) -> Ended:
        """Run the script to its end; what an earlier run of the same step has written stays in front."""
        inputs = step.runs[number]
        problem = _problem(inputs)
        if problem:
            return Ended(code=1, errors=problem)
        streams = place.output(step, number)
        make_directory(streams, 0o700)
        note = streams / "exitcode"
        running = _Running.found(streams) if note.exists() or (streams / "pid").exists() else None
        if running is None:
            script = _write_script(place.script(step, number), inputs["runCommand"])
            running = _Running.started(script, streams, place.environment, str(inputs.get("workingDirectory") or ""))
        limit = _timeout(inputs.get("timeoutSeconds"), place.time_scale)
        code, stopped = running.wait(limit, stop)
        return _ended(streams, code, stopped)


class _Running:
    """A script's process, our child or one that an earlier agent has started."""

    def __init__(self, streams: Path, pid: int, child: "subprocess.Popen[bytes] | None") -> None:
        self._streams = streams
        self._pid = pid
        self._child = child

    @classmethod
    def started(cls, script: Path, streams: Path, environment: dict[str, str], directory: str) -> "_Running":
        """Start the script."""
        with contextlib.ExitStack() as files:
            out, err = (files.enter_context((streams / name).open("ab")) for name in ("stdout", "stderr"))
            argv = ["sh", "-c", WRAPPER, str(script), str(streams / "exitcode")]
            try:
                child = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=directory or None,
                    env={**os.environ, **environment},
                    start_new_session=True,
                )
            except OSError as error:
                err.write(f"failed to start the script: {error}\n".encode())
                (streams / "exitcode").write_text("1\n")
                return cls(streams, 0, None)
        (streams / "pid").write_text(f"{child.pid}\n{_boot()}\n")
        return cls(streams, child.pid, child)

    @classmethod
    def found(cls, streams: Path) -> "_Running | None":
        """The process of an earlier agent, if it still runs or has left its exit code."""
        if (streams / "exitcode").exists():
            return cls(streams, 0, None)
        pid, _, boot = (streams / "pid").read_text().strip().partition("\n")
        alive = boot == _boot() and Path("/proc", pid).exists()
        return cls(streams, int(pid), None) if alive else None

    def wait(self, limit: float, stop: Stop) -> tuple[int, str]:
        """The exit code, and for what it was killed. AgentStopped leaves it running."""
        if self._pid == 0:
            return self._noted(), ""
        try:
            watched = os.pidfd_open(self._pid)
        except ProcessLookupError:
            return self._noted(), ""
        ready, wake = os.pipe()
        try:
            stop.wakes(lambda: _poke(wake))
            poll = select.poll()
            poll.register(watched, select.POLLIN)
            poll.register(ready, select.POLLIN)
            events = {descriptor for descriptor, _ in poll.poll(limit * 1000)}
        finally:
            stop.rests()
            for descriptor in (watched, ready, wake):
                os.close(descriptor)
        if watched in events:
            return self._reaped(), ""
        if stop.shutdown.is_set() and not stop.cancelled.is_set():
            if self._child is not None:
                _left_running.append(self._child)
            raise AgentStopped
        self._kill()
        return KILLED, CANCELLED if stop.cancelled.is_set() else TIMED_OUT

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)  # the script leads a process group of its own
        if self._child is not None:
            self._child.wait()

    def _reaped(self) -> int:
        if self._child is None:
            return self._noted()
        code = self._child.wait()
        return code if code >= 0 else 128 - code

    def _noted(self) -> int:
        try:
            return int((self._streams / "exitcode").read_text())
        except (OSError, ValueError):
            return 1


def _ended(streams: Path, code: int, stopped: str) -> Ended:
    for name in ("pid", "exitcode"):
        (streams / name).unlink(missing_ok=True)
    output, errors = (_read(streams / name) for name in ("stdout", "stderr"))
    if code not in {0, REBOOT_CODE} and not stopped:
        errors += f"failed to run commands: exit status {code}"
    return Ended(code=code, output=output, errors=errors, stopped=stopped)


def _problem(inputs: dict[str, Any]) -> str:
    commands = inputs.get("runCommand")
    wrong = ""
    if not isinstance(commands, list):
        if commands is not None:
            wrong = f"{_json_kind(commands)} into Go struct field RunScriptPluginInput.RunCommand of type []string"
    else:
        odd = next((entry for entry in commands if not isinstance(entry, str)), None)
        if odd is not None:
            wrong = f"{_json_kind(odd)} into Go struct field RunScriptPluginInput.RunCommand of type string"
    if not wrong:
        return ""
    return f"Invalid format in plugin properties {go_print(inputs)};\nerror json: cannot unmarshal {wrong}"


def _json_kind(value: Any) -> str:
    kinds = {bool: "bool", int: "number", float: "number", list: "array", dict: "object", str: "string"}
    return kinds.get(type(value), "null")


def _timeout(given: Any, scale: float) -> float:
    try:
        seconds = float(str(given))
    except ValueError:
        seconds = DEFAULT_TIMEOUT_SECONDS
    low, high = TIMEOUT_BOUNDS_SECONDS
    if not low <= seconds <= high:
        seconds = DEFAULT_TIMEOUT_SECONDS
    return max(seconds * scale, LEAST_SECONDS)


def _write_script(folder: Path, commands: list[str] | None) -> Path:
    make_directory(folder, 0o700)
    script = folder / "_script.sh"
    script.write_text("\n".join(commands or ()) + "\n")
    script.chmod(0o700)
    return script


def _read(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        return file.read(READ_BYTES).decode(errors="replace")


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _poke(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, b"!")
