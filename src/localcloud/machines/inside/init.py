"""A machine's first process: network, disk, user data, services, and the power button.

The control socket leads to the local cloud. From here: `pid`, `listening` (files: the sockets), `booted`, `exited`,
`power` (it goes down by itself: off or reboot), `failed`. From there: `go`, `run` (files: stdin, stdout, stderr),
`signal`, `power-off`. When it closes, the machine loses its power.
"""

import heapq
import os
import selectors
import signal
import socket
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from localcloud.machines.agent import main as agent
from localcloud.machines.inside import confinement, messages, namespaces, network, power
from localcloud.machines.inside.configuration import Boot
from localcloud.machines.inside.services import Services
from localcloud.machines.inside.visitors import BELL, Visitor
from localcloud.machines.patching import program as patch

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "SHELL": "/bin/bash",
    "USER": "root",
}
# What a ringing program is in truth; all others are the agent.
PROGRAMS = {"patch": patch.main}
POWER_BUTTONS = frozenset({"shutdown", "reboot", "poweroff", "halt"})
STOP_GRACE_SECONDS = 5.0
POWER_OFF_GRACE_SECONDS = 2.0
CLOUD = Path("/var/lib/cloud")
# A disk that bears this file does not boot; the file says why.
UNBOOTABLE = Path("/boot/unbootable")


class Init:
    """PID 1 of one machine; `run` returns its exit code after power-off."""

    def __init__(self, boot: Boot, control: socket.socket) -> None:
        self._boot = boot
        self._control = control
        self._children: dict[int, Callable[[int], None]] = {}
        self._agents: dict[int, int] = {}  # the visitor's process -> the agent that runs for it
        self._runs: dict[int, int] = {}  # the local cloud's number of a run -> its process
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_count = 0
        self._services = Services(self)
        self._selector = selectors.DefaultSelector()
        self._powered = True
        self._power_timer = 0  # the wish for a later shutdown that counts; others were withdrawn

    def run(self) -> int:
        """Boot, then serve until the power goes."""
        if not self._join_network():
            return 0
        namespaces.build_root(self._boot)
        if UNBOOTABLE.exists():
            self._say("cannot boot")
            self._tell({"failed": f"its disk does not boot: {UNBOOTABLE.read_text(errors='replace').strip()}"})
            return 0
        confinement.limit_usage(user_namespace=self._boot.user_namespace)
        confinement.drop_rights()
        self._open_doors()
        self._identify()
        self._say(f"{self._boot.name} boots")
        self._services.start_enabled()
        self._first_boot()
        while self._powered:
            for key, _ in self._selector.select(self._next_timer()):
                key.data()
            self._run_timers()
        self._end_everything()
        return 0

    # -- boot

    def _join_network(self) -> bool:
        network.bring_up(self._boot.addresses)
        sockets = [network.listen(address, port) for _, address, port in self._boot.listeners]
        names = [purpose for purpose, _, _ in self._boot.listeners]
        messages.send(self._control, {"listening": names}, [sock.fileno() for sock in sockets])
        for sock in sockets:
            sock.close()
        answer = messages.receive(self._control)
        return answer is not None and "go" in answer[0]

    def _open_doors(self) -> None:
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 0)
        os.close(null)
        BELL.parent.mkdir(mode=0o755)
        os.mkfifo(BELL, 0o600)
        bell = os.open(BELL, os.O_RDWR | os.O_NONBLOCK)
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        watch = self._selector.register
        watch(self._control, selectors.EVENT_READ, self._obey)
        watch(bell, selectors.EVENT_READ, lambda: self._answer_bell(bell))
        watch(woken, selectors.EVENT_READ, lambda: self._reap(woken))

    def _identify(self) -> None:
        machine_id = Path("/etc/machine-id")
        # As systemd does at the first boot of a golden image.
        if not machine_id.exists() or not machine_id.read_text().strip():
            machine_id.write_text(uuid.uuid4().hex + "\n")

    def _first_boot(self) -> None:
        marker = CLOUD / "data" / "instance-id"
        known = marker.read_text().strip() if marker.exists() else ""
        if known == self._boot.instance_id or not self._boot.user_data:
            self._booted(None)
            return
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(self._boot.instance_id + "\n")
        script = CLOUD / "instance" / "scripts" / "part-001"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(self._boot.user_data)
        script.chmod(0o700)
        self._say("user data begins")
        self.spawn([str(script)], ended=self._booted, files=(0, 1, 2))

    def _booted(self, code: int | None) -> None:
        self._say("has booted" if code is None else f"has booted; its user data ended with exit code {code}")
        self._tell({"booted": code})

    # -- what the local cloud asks

    def _obey(self) -> None:
        received = messages.receive(self._control)
        if received is None or received[0]["do"] == "power-off":
            self._powered = False
            return
        message, files = received
        if message["do"] == "run":
            self._run(message, files)
        elif message["do"] == "signal":
            self._signal_run(message)
        for descriptor in files:
            os.close(descriptor)

    def _run(self, message: dict[str, Any], files: list[int]) -> None:
        number: int = message["id"]

        def ended(code: int) -> None:
            self._runs.pop(number, None)
            self._tell({"exited": number, "code": code})

        self._runs[number] = 0
        pid = self.spawn(message["argv"], ended=ended, files=tuple(files), environment=message["environment"])
        if number in self._runs:
            self._runs[number] = pid

    def _signal_run(self, message: dict[str, Any]) -> None:
        pid = self._runs.get(message["id"], 0)
        if pid:
            _kill(-pid, message["number"])  # each run leads a process group of its own

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            messages.send(self._control, message)
        except OSError:
            self._powered = False

    # -- processes

    def spawn(
        self,
        argv: Sequence[str],
        *,
        ended: Callable[[int], None],
        files: tuple[int, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Start a program as a session of its own; without `files` it reads and writes nothing."""
        opened = [] if files else [os.open("/dev/null", os.O_RDWR)]
        sources = files or tuple(opened) * 3
        actions = [(os.POSIX_SPAWN_DUP2, source, number) for number, source in enumerate(sources)]
        env = {**ENVIRONMENT, **(environment or {})}
        try:
            pid = os.posix_spawnp(
                argv[0],
                list(argv),
                env,
                file_actions=actions,
                setsid=True,
                setsigdef=[signal.SIGPIPE, signal.SIGCHLD, signal.SIGINT],
            )
        except OSError as error:
            os.write(sources[2], f"{argv[0]}: {error.strerror}\n".encode())
            ended(127 if isinstance(error, FileNotFoundError) else 126)
            return 0
        finally:
            for descriptor in opened:
                os.close(descriptor)
        self._children[pid] = ended
        return pid

    def stop(self, pid: int, *, whole_group: bool) -> None:
        """End a service: the agent that runs for it gets the signal; both are killed if that does not help."""
        group = -pid if whole_group else pid
        _kill(self._agents.get(pid, group), signal.SIGTERM)

        def kill() -> None:
            if self._agents.get(pid, 0) in self._children:
                _kill(self._agents[pid], signal.SIGKILL)
            if pid in self._children:
                _kill(group, signal.SIGKILL)

        self._after(STOP_GRACE_SECONDS, kill)

    def power(self, *, reboot: bool) -> None:
        """Go down, and come up again after a reboot."""
        self._tell({"power": "reboot" if reboot else "off"})
        self._powered = False

    def _reap(self, woken: int) -> None:
        os.read(woken, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = self._children.pop(pid, None)
            if ended is not None:
                code = os.waitstatus_to_exitcode(status)
                ended(code if code >= 0 else 128 - code)

    def _end_everything(self) -> None:
        self._say("powers off")
        agents = set(self._agents.values())
        self._children.clear()
        # First, so that no agent takes the end of its scripts for theirs: it takes them up again after a restart.
        for pid in agents:
            _kill(pid, signal.SIGTERM)
        if _await_children(agents):
            _kill(-1, signal.SIGTERM)
            _await_children(None)

    # -- programs that ring

    def _answer_bell(self, bell: int) -> None:
        for word in os.read(bell, 65536).split():
            visitor = Visitor.of(int(word))
            if visitor is not None:
                self._receive(visitor)

    def _receive(self, visitor: Visitor) -> None:
        self._selector.register(visitor.pidfd, selectors.EVENT_READ, lambda: self._visitor_left(visitor))
        if visitor.program == "systemctl":

            def answer(code: int, output: str, errors: str) -> None:
                visitor.write(1, output)
                visitor.write(2, errors)
                visitor.dismiss(code)

            self._services.command(visitor.arguments, answer)
        elif visitor.program in POWER_BUTTONS:
            self._press(visitor)
        else:
            self._run_agent(visitor)

    def _press(self, visitor: Visitor) -> None:
        wish = power.asked(visitor.program, visitor.arguments)
        if wish is None:
            visitor.write(2, f"Failed to parse time specification: {' '.join(visitor.arguments)}\n")
            visitor.dismiss(1)
            return
        visitor.dismiss(0)
        self._power_timer += 1
        number = self._power_timer

        def act() -> None:
            if number == self._power_timer:
                self.power(reboot=wish.reboot)

        if not wish.withdrawn:
            self._after(wish.minutes * 60 * self._boot.time_scale, act)

    def _visitor_left(self, visitor: Visitor) -> None:
        self._selector.unregister(visitor.pidfd)
        visitor.forget()
        running = self._agents.get(visitor.pid)
        if running is not None:
            _kill(running, signal.SIGTERM)
            self._after(
                STOP_GRACE_SECONDS, lambda: _kill(running, signal.SIGKILL) if running in self._children else None
            )

    def _run_agent(self, visitor: Visitor) -> None:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self._become_agent(visitor)

        def ended(code: int) -> None:
            self._agents.pop(visitor.pid, None)
            visitor.dismiss(code)

        self._agents[visitor.pid] = pid
        self._children[pid] = ended

    def _become_agent(self, visitor: Visitor) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in range(3):
                os.dup2(visitor.borrow(number), number)
            self._control.close()
            self._selector.close()
            os.environ.clear()
            os.environ.update(visitor.environment)
            program = PROGRAMS.get(visitor.program, agent.main)
            code = program(visitor.arguments, time_scale=self._boot.time_scale)
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    # -- timers and talk

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._timer_count += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._timer_count, action))

    def _next_timer(self) -> float | None:
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _say(self, text: str) -> None:
        print(f"[{time.strftime('%H:%M:%S', time.gmtime())}] {self._boot.name}: {text}", flush=True)  # noqa: T201


def _await_children(wanted: set[int] | None) -> bool:
    """Wait until these processes (None: all) have ended, but not for ever; whether there are any children left."""
    deadline = time.monotonic() + POWER_OFF_GRACE_SECONDS
    while time.monotonic() < deadline and (wanted is None or wanted):
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            time.sleep(0.01)
        elif wanted:
            wanted.discard(pid)
    return True


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
