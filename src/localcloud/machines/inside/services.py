"""The part of systemd that a machine's services need: start, stop and enable what unit files describe (simulated).

There is no restart after a failure, no dependency between units, and no journal.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

UNIT_DIRECTORIES = (Path("/etc/systemd/system"), Path("/lib/systemd/system"), Path("/usr/lib/systemd/system"))
WANTED = Path("/etc/systemd/system/multi-user.target.wants")
# systemctl(1): what its exit codes say.
NOT_ACTIVE, NO_SUCH_UNIT, FAILED_TO_START = 3, 4, 5

Answer = Callable[[int, str, str], None]  # exit code, standard output, standard error


class Processes(Protocol):
    """What init does for its services."""

    def spawn(self, argv: list[str], *, ended: Callable[[int], None]) -> int:
        """Start a program; `ended` is called with its exit code."""

    def stop(self, pid: int) -> None:
        """Ask a started program to end, and make it end after a while."""


@dataclass(slots=True)
class _Running:
    pid: int
    ended: list[Callable[[], None]] = field(default_factory=list)


class Services:
    """All units of one machine."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._running: dict[str, _Running] = {}

    def start_enabled(self) -> None:
        """Start what `enable` has marked, as at boot."""
        if WANTED.is_dir():
            for link in sorted(WANTED.iterdir()):
                if _unit_file(link.name) is not None:
                    self._start(link.name)

    def command(self, arguments: tuple[str, ...], answer: Answer) -> None:
        """Do what `systemctl ARGUMENTS` asks and answer, at once or when the unit has stopped."""
        flags = {argument for argument in arguments if argument.startswith("-")}
        words = [argument for argument in arguments if not argument.startswith("-")]
        verb, units = (words[0], [_unit_name(word) for word in words[1:]]) if words else ("list-units", [])
        if verb in {"daemon-reload", "reset-failed", "daemon-reexec"}:
            answer(0, "", "")
        elif verb in {"list-units", "list-unit-files"}:
            self._list(units, answer)
        elif not units:
            answer(1, "", "Too few arguments.\n")
        elif verb in _VERBS:
            _VERBS[verb](self, units[0], flags, answer)
        else:
            answer(1, "", f"systemctl (simulated): {verb} is not supported\n")

    def _start(self, name: str) -> bool:
        path = _unit_file(name)
        if path is None:
            return False
        if name not in self._running:
            running = _Running(pid=0)
            self._running[name] = running
            running.pid = self._processes.spawn(_exec_start(path), ended=lambda _code: self._ended(name))
        return True

    def _ended(self, name: str) -> None:
        running = self._running.pop(name, None)
        for callback in running.ended if running else ():
            callback()

    def _stop(self, name: str, then: Callable[[], None]) -> None:
        running = self._running.get(name)
        if running is None:
            then()
            return
        running.ended.append(then)
        self._processes.stop(running.pid)

    def _list(self, units: list[str], answer: Answer) -> None:
        known = [name for name in units if _unit_file(name) is not None]
        lines = [f"{name} {'enabled' if _enabled(name) else 'disabled'}" for name in known]
        answer(0, "".join(f"{line}\n" for line in [*lines, f"{len(known)} unit files listed."]), "")

    def _do_start(self, name: str, _flags: set[str], answer: Answer) -> None:
        if self._start(name):
            answer(0, "", "")
        else:
            answer(FAILED_TO_START, "", f"Failed to start {name}: Unit {name} not found.\n")

    def _do_stop(self, name: str, _flags: set[str], answer: Answer) -> None:
        if _unit_file(name) is None and name not in self._running:
            answer(FAILED_TO_START, "", f"Failed to stop {name}: Unit {name} not loaded.\n")
        else:
            self._stop(name, lambda: answer(0, "", ""))

    def _do_restart(self, name: str, flags: set[str], answer: Answer) -> None:
        self._stop(name, lambda: self._do_start(name, flags, answer))

    def _do_try_restart(self, name: str, flags: set[str], answer: Answer) -> None:
        if name in self._running:
            self._do_restart(name, flags, answer)
        else:
            answer(0, "", "")

    def _do_is_active(self, name: str, flags: set[str], answer: Answer) -> None:
        active = name in self._running
        text = "active\n" if active else "inactive\n"
        answer(0 if active else NOT_ACTIVE, "" if flags & {"-q", "--quiet"} else text, "")

    def _do_is_enabled(self, name: str, flags: set[str], answer: Answer) -> None:
        if _unit_file(name) is None:
            answer(1, "", f"Failed to get unit file state for {name}: No such file or directory\n")
            return
        enabled = _enabled(name)
        text = "enabled\n" if enabled else "disabled\n"
        answer(0 if enabled else 1, "" if flags & {"-q", "--quiet"} else text, "")

    def _do_enable(self, name: str, flags: set[str], answer: Answer) -> None:
        path = _unit_file(name)
        if path is None:
            answer(1, "", f"Failed to enable unit: Unit file {name} does not exist.\n")
            return
        WANTED.mkdir(parents=True, exist_ok=True)
        if not _enabled(name):
            (WANTED / name).symlink_to(path)
        if "--now" in flags:
            self._start(name)
        answer(0, "", "")

    def _do_disable(self, name: str, flags: set[str], answer: Answer) -> None:
        (WANTED / name).unlink(missing_ok=True)
        if "--now" in flags:
            self._stop(name, lambda: answer(0, "", ""))
        else:
            answer(0, "", "")

    def _do_status(self, name: str, _flags: set[str], answer: Answer) -> None:
        path = _unit_file(name)
        if path is None:
            answer(NO_SUCH_UNIT, "", f"Unit {name} could not be found.\n")
            return
        active = name in self._running
        state = "active (running)" if active else "inactive (dead)"
        answer(0 if active else NOT_ACTIVE, f"{name}\n   Loaded: loaded ({path})\n   Active: {state}\n", "")

    def _do_cat(self, name: str, _flags: set[str], answer: Answer) -> None:
        path = _unit_file(name)
        if path is None:
            answer(1, "", f"No files found for {name}.\n")
        else:
            answer(0, f"# {path}\n{path.read_text()}", "")


_VERBS: dict[str, Callable[[Services, str, set[str], Answer], None]] = {
    "start": Services._do_start,
    "stop": Services._do_stop,
    "restart": Services._do_restart,
    "try-restart": Services._do_try_restart,
    "reload-or-restart": Services._do_restart,
    "is-active": Services._do_is_active,
    "is-enabled": Services._do_is_enabled,
    "enable": Services._do_enable,
    "disable": Services._do_disable,
    "status": Services._do_status,
    "cat": Services._do_cat,
}


def _unit_name(word: str) -> str:
    known = (".service", ".socket", ".timer", ".target")
    return word if word.endswith(known) else f"{word}.service"


def _unit_file(name: str) -> Path | None:
    return next((folder / name for folder in UNIT_DIRECTORIES if (folder / name).is_file()), None)


def _enabled(name: str) -> bool:
    return (WANTED / name).is_symlink()


def _exec_start(path: Path) -> list[str]:
    for line in path.read_text().splitlines():
        if line.startswith("ExecStart="):
            return line.partition("=")[2].split()
    return ["/bin/false"]
