"""One machine: its power button, its disk, and commands inside it."""

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from localcloud.errors import CannotRun, LocalCloudError
from localcloud.machines.inside import messages
from localcloud.machines.spec import MachineSpec
from localcloud.machines.standard_files import StandardFiles

DEATH_SECONDS = 15.0
REGISTRATION = "var/lib/amazon/ssm/registration"


class State(Enum):
    """What a machine is doing. After a reboot from inside it is WAITING and BOOTING again; after a shutdown, OFF."""

    OFF = "off"
    WAITING = "waiting"  # switched on; its turn to boot has not come yet
    BOOTING = "booting"  # its user data has not ended yet
    RUNNING = "running"
    FAILED = "failed"  # it could not boot; `console` and `failure` say why
    DESTROYED = "destroyed"


@dataclass(slots=True)
class _Run:
    done: threading.Event = field(default_factory=threading.Event)
    code: int | None = None


# How the fleet starts a machine: given the machine's end of the control socket and the console.
Start = Callable[["Machine", socket.socket, int], None]
# What the fleet does with the sockets that listen inside; returns what closes them again.
Serve = Callable[["Machine", dict[str, socket.socket]], Callable[[], None]]


class Machine:
    """A server of the local cloud. Threads may share it."""

    def __init__(
        self, spec: MachineSpec, *, directory: Path, start: Start, serve: Serve, turns: threading.Semaphore
    ) -> None:
        self.spec = spec
        self.directory = directory
        self._disk = directory / "disk"
        self.failure = ""
        self._start = start
        self._serve = serve
        self._turns = turns
        self._state = State.OFF
        self._changed = threading.Condition()
        self._control: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._pidfd = -1
        self._runs: dict[int, _Run] = {}
        self._run_count = 0
        self._exit_code: int | None = None
        self._off = False  # power-off was asked for
        self._going = ""  # the guest goes down by itself: off or reboot

    @property
    def name(self) -> str:
        """Its host name."""
        return self.spec.name

    @property
    def state(self) -> State:
        """What it is doing now."""
        return self._state

    @property
    def disk(self) -> Path:
        """Its files, as a directory for each top-level directory (see the module `disk`)."""
        return self._disk

    @property
    def temporary_disk(self) -> Path:
        """What is /mnt inside, on clouds that give a temporary disk; data disks appear in it while they are moved in.

        It is no part of the disk: no snapshot holds it.
        """
        return self.directory / "temporary"

    def insert_disk(self, disk: Path) -> None:
        """From the next boot on, its files are those at `disk`; CannotRun if it is not off.

        A disk of another place is on the same file system as the machine's directory.
        """
        with self._changed:
            if self._state not in {State.OFF, State.FAILED}:
                raise CannotRun(f"machine {self.name} is {self._state.value}; its disk is exchanged while it is off")
            self._disk = disk

    @property
    def console(self) -> str:
        """Everything that init and the user data have printed since the machine was made."""
        path = self.directory / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def exit_code(self) -> int | None:
        """How the user data ended; None while it runs, or if there was none to run."""
        return self._exit_code

    @property
    def boot_id(self) -> str:
        """The present or last boot's id, as /proc/sys/kernel/random/boot_id says inside; empty before the first."""
        path = self.directory / "boot-id"
        return path.read_text().strip() if path.exists() else ""

    @property
    def node_id(self) -> str:
        """The managed node's id, as the agent's registration file on the disk says; empty without one."""
        path = self.disk / REGISTRATION
        try:
            return str(json.loads(path.read_text()).get("ManagedInstanceID", ""))
        except (OSError, ValueError):
            return ""

    @property
    def agent_running(self) -> bool:
        """Whether an agent's service is active inside."""
        if self._state not in {State.BOOTING, State.RUNNING}:
            return False
        units = ("amazon-ssm-agent", "snap.amazon-ssm-agent.amazon-ssm-agent")
        return any(self.run(["systemctl", "is-active", "-q", unit]).returncode == 0 for unit in units)

    def boot(self) -> "Machine":
        """Switch it on and return at once; a machine that is on stays as it is. Use `wait_booted` to wait."""
        with self._changed:
            if self._state is State.DESTROYED:
                raise CannotRun(f"machine {self.name} is destroyed")
            if self._state not in {State.OFF, State.FAILED}:
                return self
            self._set(State.WAITING)
            self._off = False
            self._thread = threading.Thread(target=self._live, name=f"machine-{self.name}", daemon=True)
            self._thread.start()
        return self

    def wait_booted(self, timeout: float = 120.0) -> "Machine":
        """Wait until its user data has ended. CannotRun if it did not boot; TimeoutError with its console's end."""
        ended = {State.RUNNING, State.FAILED, State.OFF, State.DESTROYED}
        with self._changed:
            self._changed.wait_for(lambda: self._state in ended, timeout)
            state = self._state
        if state is State.RUNNING:
            return self
        if state in ended:
            raise CannotRun(
                f"machine {self.name} did not boot (it is {state.value}): {self.failure or self._last_words()}"
            )
        raise TimeoutError(f"machine {self.name} has not booted within {timeout:g} s: {self._last_words()}")

    def power_off(self) -> None:
        """Shut it down: its processes get a moment to end. Returns once all are gone; the disk stays."""
        self._go_off(lambda control: messages.send(control, {"do": "power-off"}))

    def cut_power(self) -> None:
        """Stop it dead, as a pulled plug does; the disk stays as it is. Safe to repeat."""
        self._go_off(lambda _control: signal.pidfd_send_signal(self._pidfd, signal.SIGKILL))

    def _go_off(self, how: Callable[[socket.socket], None]) -> None:
        with self._changed:
            self._off = True
            thread = self._thread
            if self._control is not None:
                with contextlib.suppress(OSError):  # it is going down already
                    how(self._control)
        if thread is not None and thread is not threading.current_thread():
            thread.join(DEATH_SECONDS)

    def run(
        self,
        argv: Sequence[str],
        input: str | bytes | None = None,  # noqa: A002 - as subprocess.run names it
        *,
        timeout: float = 60.0,
        environment: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program inside as root, with a clean environment; subprocess.TimeoutExpired kills it."""
        given = input.encode() if isinstance(input, str) else input
        with StandardFiles(given) as files:
            number, run = self._ask_to_run(argv, dict(environment or {}), files)
            if not run.done.wait(timeout):
                self._kill_run(number)
                run.done.wait(DEATH_SECONDS)
                raise subprocess.TimeoutExpired(list(argv), timeout, files.output, files.errors)
            code = 255 if run.code is None else run.code  # None: the machine lost its power meanwhile
            return subprocess.CompletedProcess(list(argv), code, files.output, files.errors)

    def destroyed(self) -> None:
        """For the fleet: the directory is gone."""
        with self._changed:
            self._set(State.DESTROYED)

    # -- one life, from power-on to power-off

    def _live(self) -> None:
        again = True
        while again:
            failure, again = self._one_life()
            if not again:
                self._end(failure)

    def _one_life(self) -> tuple[str, bool]:
        """From power-on to power-off: why it failed (empty if it did not), and whether it restarts itself."""
        failure = ""
        close: Callable[[], None] = _nothing
        with _Turn(self._turns) as turn:
            if self._off:
                return "", False
            self._going = ""
            control, theirs = messages.pair()
            try:
                self._switch_on(theirs)
                close = self._receive_sockets(control)
                failure = self._listen(control, turn)
            except (LocalCloudError, OSError) as error:
                failure = str(error)
            finally:
                with self._changed:
                    self._control = None
                control.close()
                close()
                self._await_death()
            if self._going != "reboot" or self._off:
                return failure, False
            self._lose_runs()
            self._set(State.WAITING)
            return "", True

    def _switch_on(self, theirs: socket.socket) -> None:
        console = os.open(self.directory / "console", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            with theirs:
                self._start(self, theirs, console)
        finally:
            os.close(console)

    def _receive_sockets(self, control: socket.socket) -> Callable[[], None]:
        """Wait for the machine's process and its listening sockets, serve these, and let it go on."""
        close: Callable[[], None] | None = None
        while close is None or self._pidfd < 0:
            received = messages.receive(control)
            if received is None:
                raise CannotRun(f"it went down at once: {self._last_words()}")
            message, files = received
            if "failed" in message:
                raise CannotRun(str(message["failed"]))
            if "pid" in message:
                self._pidfd = _pidfd(message["pid"])
            if "listening" in message:
                sockets = [socket.socket(fileno=descriptor) for descriptor in files]
                close = self._serve(self, dict(zip(message["listening"], sockets, strict=True)))
        with self._changed:
            self._control = control
            self._set(State.BOOTING)
        messages.send(control, {"go": True})
        return close

    def _listen(self, control: socket.socket, turn: "_Turn") -> str:
        if self._off:
            messages.send(control, {"do": "power-off"})
        while (received := messages.receive(control)) is not None:
            message = received[0]
            if "failed" in message:
                return str(message["failed"])
            if "booted" in message:
                turn.give_back()
                self._booted(message["booted"])
            if "exited" in message:
                self._run_ended(message)
            self._going = str(message.get("power", self._going))
        return "" if self._off or self._going else "it lost its power"

    def _booted(self, code: int | None) -> None:
        with self._changed:
            if code is not None:
                self._exit_code = code
            self._set(State.RUNNING)

    def _await_death(self) -> None:
        if self._pidfd < 0:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self._pidfd, selectors.EVENT_READ)
            selector.select(DEATH_SECONDS)
        os.close(self._pidfd)
        self._pidfd = -1

    def _end(self, failure: str) -> None:
        with self._changed:
            self._lose_runs()
            self.failure = failure
            self._set(State.FAILED if failure else State.OFF)

    def _lose_runs(self) -> None:
        with self._changed:
            runs, self._runs = list(self._runs.values()), {}
        for run in runs:
            run.done.set()

    def _set(self, state: State) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def _last_words(self) -> str:
        return " | ".join(self.console.splitlines()[-5:]) or "its console is empty"

    # -- commands

    def _ask_to_run(self, argv: Sequence[str], environment: dict[str, str], files: StandardFiles) -> tuple[int, _Run]:
        run = _Run()
        with self._changed:
            if self._control is None:
                raise CannotRun(f"machine {self.name} is {self._state.value}; boot it first")
            self._run_count += 1
            number = self._run_count
            self._runs[number] = run
            request: dict[str, Any] = {"do": "run", "id": number, "argv": list(argv), "environment": environment}
            messages.send(self._control, request, files.descriptors)
        return number, run

    def _kill_run(self, number: int) -> None:
        with self._changed:
            if self._control is not None:
                messages.send(self._control, {"do": "signal", "id": number, "number": 9})

    def _run_ended(self, message: dict[str, Any]) -> None:
        with self._changed:
            run = self._runs.pop(message["exited"], None)
        if run is not None:
            run.code = message["code"]
            run.done.set()


class _Turn:
    """A place among the machines that boot at the same time; given back once, at boot or at the end."""

    def __init__(self, turns: threading.Semaphore) -> None:
        self._turns = turns
        self._held = False

    def __enter__(self) -> "_Turn":
        self._turns.acquire()
        self._held = True
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Let the next machine boot. Safe to repeat."""
        if self._held:
            self._held = False
            self._turns.release()


def _nothing() -> None:
    """There is nothing to close yet."""


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        # Gone already: a descriptor that is readable at once says the same.
        ready, other = os.pipe()
        os.close(other)
        return ready
