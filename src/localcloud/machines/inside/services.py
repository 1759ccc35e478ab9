"""The part of systemd that a machine's services need: start, stop and enable what unit files describe (simulated).

There is no restart after a failure, no dependency between units, and no journal.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from localcloud.machines.inside import units
from localcloud.machines.inside.units import WANTED, Unit, unit_file, unit_name

# systemctl(1): what its exit codes say.
NOT_ACTIVE, NO_SUCH_UNIT, FAILED_TO_START = 3, 4, 5
POWER = {"reboot": True, "poweroff": False, "halt": False}

Answer = Callable[[int, str, str], None]  # exit code, standard output, standard error


class Processes(Protocol):
    """What init does for its services."""

    def spawn(
        self, argv: list[str], *, ended: Callable[[int], None], environment: Mapping[str, str] | None = None
    ) -> int:
        """Start a program as a session of its own; `ended` is called with its exit code."""

    def stop(self, pid: int, *, whole_group: bool) -> None:
        """Ask a started program (and what it has started) to end, and make it end after a while."""

    def power(self, *, reboot: bool) -> None:
        """Switch the machine off, and on again if it is a reboot."""


@dataclass(slots=True)
class _Active:
    """A service that is starting, running, or done and remembered."""

    unit: Unit
    pid: int = 0
    stopping: bool = False
    started: list[Callable[[int], None]] = field(default_factory=list)  # who waits for a oneshot's exit code
    ended: list[Callable[[], None]] = field(default_factory=list)


class Services:
    """All units of one machine."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._active: dict[str, _Active] = {}
        self._failed: dict[str, int] = {}

    def start_enabled(self) -> None:
        """Start what `enable` has marked, as at boot."""
        for name in units.wanted():
            self._start(name, _ignore)

    def command(self, arguments: tuple[str, ...], answer: Answer) -> None:
        """Do what `systemctl ARGUMENTS` asks and answer, at once or when the unit has started or stopped."""
        flags = {argument for argument in arguments if argument.startswith("-")}
        words = [argument for argument in arguments if not argument.startswith("-")]
        verb, names = (words[0], [unit_name(word) for word in words[1:]]) if words else ("list-units", [])
        if verb in {"daemon-reload", "daemon-reexec"}:
            answer(0, "", "")
        elif verb == "reset-failed":
            self._failed = {name: code for name, code in self._failed.items() if names and name not in names}
            answer(0, "", "")
        elif verb in POWER:
            answer(0, "", "")
            self._processes.power(reboot=POWER[verb])
        elif verb in {"list-units", "list-unit-files"}:
            self._list(names, answer)
        elif not names:
            answer(1, "", "Too few arguments.\n")
        elif verb in _VERBS:
            self._each(verb, names, flags, answer)
        else:
            answer(1, "", f"systemctl (simulated): {verb} is not supported\n")

    def _each(self, verb: str, names: list[str], flags: set[str], answer: Answer) -> None:
        """One unit after another; the exit code is the last one that is not 0 (is-active: 0 if any is)."""
        codes: list[int] = []
        texts = ["", ""]

        def next_unit(rest: list[str]) -> None:
            def done(code: int, output: str, errors: str) -> None:
                codes.append(code)
                texts[0], texts[1] = texts[0] + output, texts[1] + errors
                if len(rest) > 1:
                    next_unit(rest[1:])
                    return
                bad = [each for each in codes if each != 0]
                some = verb in {"is-active", "is-failed", "is-enabled"} and len(bad) < len(codes)
                answer(0 if some or not bad else bad[-1], texts[0], texts[1])

            _VERBS[verb](self, rest[0], flags, done)

        next_unit(names)

    # -- starting and ending

    def _start(self, name: str, done: Callable[[int], None]) -> bool:
        """Whether there is such a unit; `done` gets 0, or a oneshot's exit code once it has ended."""
        unit = units.read(name)
        if unit is None:
            return False
        known = self._active.get(name)
        if known is not None:
            if known.unit.oneshot and known.pid:
                known.started.append(done)
            else:
                done(0)
            return True
        self._failed.pop(name, None)
        active = _Active(unit, started=[done] if unit.oneshot else [])
        self._active[name] = active
        self._run(name, active, 0)
        if not unit.oneshot:
            done(0)
        return True

    def _run(self, name: str, active: _Active, number: int) -> None:
        argv, may_fail = active.unit.start[number]
        line = ["/usr/bin/env", "-C", active.unit.directory, *argv] if active.unit.directory else list(argv)

        def ended(code: int) -> None:
            if self._active.get(name) is not active:
                return
            passed = code == 0 or may_fail
            if passed and not active.stopping and number + 1 < len(active.unit.start):
                self._run(name, active, number + 1)
            else:
                self._ended(name, active, 0 if passed else code)

        active.pid = self._processes.spawn(line, ended=ended, environment=dict(active.unit.environment))

    def _ended(self, name: str, active: _Active, code: int) -> None:
        active.pid = 0
        if code == 0 and not active.stopping and active.unit.oneshot and active.unit.remains:
            _call(active.started, code)
            return
        del self._active[name]
        if code != 0 and not active.stopping:
            self._failed[name] = code
        _call(active.started, code)
        for callback in active.ended:
            callback()

    def _stop(self, name: str, then: Callable[[], None]) -> None:
        active = self._active.get(name)
        self._failed.pop(name, None)
        if active is None:
            then()
            return
        active.stopping = True
        for argv in active.unit.stop:
            self._processes.spawn(list(argv), ended=_ignore, environment=dict(active.unit.environment))
        if active.pid == 0:
            del self._active[name]
            then()
            return
        active.ended.append(then)
        self._processes.stop(active.pid, whole_group=active.unit.kills_all)

    # -- words

    def _state(self, name: str) -> tuple[str, str]:
        """ActiveState and SubState, as systemctl names them."""
        active = self._active.get(name)
        if active is None:
            return ("failed", "failed") if name in self._failed else ("inactive", "dead")
        if active.stopping:
            return "deactivating", "stop-sigterm"
        if active.unit.oneshot:
            return ("activating", "start") if active.pid else ("active", "exited")
        return "active", "running"

    def _list(self, names: list[str], answer: Answer) -> None:
        known = [name for name in names if unit_file(name) is not None]
        lines = [f"{name} {'enabled' if units.enabled(name) else 'disabled'}" for name in known]
        answer(0, "".join(f"{line}\n" for line in [*lines, f"{len(known)} unit files listed."]), "")

    def _do_start(self, name: str, _flags: set[str], answer: Answer) -> None:
        def done(code: int) -> None:
            words = f"Job for {name} failed because the control process exited with error code.\n"
            answer(1 if code else 0, "", words if code else "")

        if not self._start(name, done):
            answer(FAILED_TO_START, "", f"Failed to start {name}: Unit {name} not found.\n")

    def _do_stop(self, name: str, _flags: set[str], answer: Answer) -> None:
        if unit_file(name) is None and name not in self._active:
            answer(FAILED_TO_START, "", f"Failed to stop {name}: Unit {name} not loaded.\n")
        else:
            self._stop(name, lambda: answer(0, "", ""))

    def _do_restart(self, name: str, flags: set[str], answer: Answer) -> None:
        self._stop(name, lambda: self._do_start(name, flags, answer))

    def _do_try_restart(self, name: str, flags: set[str], answer: Answer) -> None:
        if name in self._active:
            self._do_restart(name, flags, answer)
        else:
            answer(0, "", "")

    def _do_is_active(self, name: str, flags: set[str], answer: Answer) -> None:
        state, _ = self._state(name)
        answer(0 if state == "active" else NOT_ACTIVE, _unless_quiet(flags, f"{state}\n"), "")

    def _do_is_failed(self, name: str, flags: set[str], answer: Answer) -> None:
        state, _ = self._state(name)
        answer(0 if state == "failed" else 1, _unless_quiet(flags, f"{state}\n"), "")

    def _do_is_enabled(self, name: str, flags: set[str], answer: Answer) -> None:
        if unit_file(name) is None:
            answer(1, "", f"Failed to get unit file state for {name}: No such file or directory\n")
            return
        known = units.enabled(name)
        answer(0 if known else 1, _unless_quiet(flags, "enabled\n" if known else "disabled\n"), "")

    def _do_enable(self, name: str, flags: set[str], answer: Answer) -> None:
        path = unit_file(name)
        if path is None:
            answer(1, "", f"Failed to enable unit: Unit file {name} does not exist.\n")
            return
        WANTED.mkdir(parents=True, exist_ok=True)
        if not units.enabled(name):
            (WANTED / name).symlink_to(path)
        if "--now" in flags:
            self._do_start(name, flags, answer)
        else:
            answer(0, "", "")

    def _do_disable(self, name: str, flags: set[str], answer: Answer) -> None:
        (WANTED / name).unlink(missing_ok=True)
        if "--now" in flags:
            self._stop(name, lambda: answer(0, "", ""))
        else:
            answer(0, "", "")

    def _do_status(self, name: str, _flags: set[str], answer: Answer) -> None:
        path = unit_file(name)
        if path is None:
            answer(NO_SUCH_UNIT, "", f"Unit {name} could not be found.\n")
            return
        state, detail = self._state(name)
        code = f" (exit code {self._failed[name]})" if state == "failed" else f" ({detail})"
        text = f"{name}\n   Loaded: loaded ({path})\n   Active: {state}{code}\n"
        answer(0 if state == "active" else NOT_ACTIVE, text, "")

    def _do_show(self, name: str, _flags: set[str], answer: Answer) -> None:
        state, detail = self._state(name)
        active = self._active.get(name)
        loaded = "loaded" if unit_file(name) is not None else "not-found"
        lines = {"Id": name, "LoadState": loaded, "ActiveState": state, "SubState": detail}
        lines["MainPID"] = str(active.pid if active is not None else 0)
        answer(0, "".join(f"{key}={value}\n" for key, value in lines.items()), "")

    def _do_cat(self, name: str, _flags: set[str], answer: Answer) -> None:
        path = unit_file(name)
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
    "is-failed": Services._do_is_failed,
    "is-enabled": Services._do_is_enabled,
    "enable": Services._do_enable,
    "disable": Services._do_disable,
    "status": Services._do_status,
    "show": Services._do_show,
    "cat": Services._do_cat,
}


def _unless_quiet(flags: set[str], text: str) -> str:
    return "" if flags & {"-q", "--quiet"} else text


def _call(waiting: list[Callable[[int], None]], code: int) -> None:
    callbacks, waiting[:] = list(waiting), []
    for callback in callbacks:
        callback(code)


def _ignore(_code: int) -> None:
    """Nobody asked."""
