"""One execution environment: a process under the runtime interface client, and the protocol by which it gets its work.

Whoever invokes drives it: the calling thread waits for the process, hands over the event, collects output and answer.
There is no thread per environment, so fifty idle ones cost only their memory. A process still runs between two
invocations (Lambda would freeze it), but it gets no answer from the Runtime API then.
"""

import contextlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcloud.aws.functions.journal import Journal, Report
from localcloud.aws.functions.model import SYNCHRONOUS_PAYLOAD, Deployed, Outcome, Work, error_document, failure
from localcloud.aws.functions.runtime_api import Asked, Connection, Posted

_PIPE_READ = 65_536
_WAKE_LIMIT = 10.0  # seconds within which a warm process must ask for its next event


class Gone(Exception):
    """The process ended while nothing was asked of it; the event was not delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start the process."""

    command: Sequence[str]
    directory: Path
    variables: Mapping[str, str]
    limit: float  # seconds that the start may take
    version: str  # of the interpreter, for the log


class _Exited:
    """The process is over (a state that `_listen` reports)."""


class Environment:
    """Runs one invocation at a time by `run`; `kill`, `alive` and `end` may be called from any thread."""

    def __init__(self, *, function: Deployed, session: str, home: Path, journal: Journal) -> None:
        self.function = function
        self.session = session
        self.home = home
        self.used_at = time.monotonic()
        self.request_id = ""  # of the invocation that runs now
        self._journal = journal
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._doomed = False
        self._init_seconds: float | None = None  # of a start that no invocation has reported yet
        self._asking: Connection | None = None
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector.register(self._listener, selectors.EVENT_READ)

    @property
    def api(self) -> str:
        """Host and port of this environment's Runtime API."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def alive(self) -> bool:
        """Is there a process that could take an event?"""
        with self._lock:
            process = self._process
            if process is None or process.returncode is not None:
                return False
            return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None

    def start(self, launch: Launch, work: Work) -> Outcome | None:
        """Start the process for its first invocation; the failure if it does not come up, which `run` then reports."""
        began = time.monotonic()
        self._journal.init_start(launch.version)
        self.request_id = work.request_id
        self._spawn(launch)
        heard = self._listen(began + launch.limit)
        self._init_seconds = time.monotonic() - began
        if isinstance(heard, Asked):
            return None
        if isinstance(heard, Posted):  # init/error: the client reports and leaves
            self._listen(time.monotonic() + 1.0)
            self.kill()
            return Outcome(payload=heard.body, error=True)
        return self._died(work) if isinstance(heard, _Exited) else self._timed_out(work, launch.limit)

    def run(self, work: Work, *, failed: Outcome | None = None) -> Outcome:
        """Carry out one invocation, or report that the start for it failed; the environment may be dead afterwards.

        Raises Gone, without any effect, if the process ended since the last invocation.
        """
        self.request_id = work.request_id
        try:
            init, self._init_seconds = self._init_seconds, None
            if init is None:
                self._await_warm()
            self._journal.start(work.request_id)
            began = time.monotonic()
            status, outcome = ("error", failed) if failed else self._work(work)
            return self._reported(work, outcome, status=status, seconds=time.monotonic() - began, init=init)
        finally:
            self.request_id = ""
            self.used_at = time.monotonic()

    def kill(self) -> None:
        """Kill the process group at once; returns once the process is dead. Safe to repeat."""
        with self._lock:
            self._doomed = True
            process = self._process
            if process is None or process.returncode is not None:
                return
            _kill_group(process.pid)
            # Seen dead, but left for whoever runs it to reap, who wants the exit status.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    def end(self) -> None:
        """Kill and clean up; nobody may be running it. Safe to repeat."""
        self._reap()
        with self._lock:
            if self._process is not None and self._process.stdout:
                self._process.stdout.close()
            if self._pidfd >= 0:
                os.close(self._pidfd)
                self._pidfd = -1
        for key in list((self._selector.get_map() or {}).values()):
            if isinstance(key.data, Connection):
                key.data.close()
        self._selector.close()
        self._listener.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def _spawn(self, launch: Launch) -> None:
        process = subprocess.Popen(
            launch.command,
            cwd=launch.directory,
            env=dict(launch.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        with self._lock:
            self._process = process
            self._pidfd = os.pidfd_open(process.pid)
            if self._doomed:  # killed before it had a process
                _kill_group(process.pid)
        self._selector.register(process.stdout, selectors.EVENT_READ)
        self._selector.register(self._pidfd, selectors.EVENT_READ)

    def _await_warm(self) -> None:
        heard = Asked() if self._asking else self._listen(time.monotonic() + _WAKE_LIMIT)
        if not isinstance(heard, Asked) or not self.alive:
            self.kill()
            raise Gone

    def _work(self, work: Work) -> tuple[str, Outcome]:
        """Hand over the event and wait for the answer, at most the function's timeout."""
        timeout = self.function.timeout.total_seconds()
        until = time.monotonic() + timeout
        connection, self._asking = self._asking, None
        assert connection is not None
        connection.answer(200, work.payload, _event_headers(work, deadline=time.time() + timeout))
        heard = self._listen(until)
        self._drain()
        if isinstance(heard, Posted) and heard.too_large:
            self.kill()
            message = (
                f"Response payload size exceeded maximum allowed payload size ({SYNCHRONOUS_PAYLOAD + 100} bytes)."
            )
            body = error_document("Function.ResponseSizeTooLarge", message)
            return "error", Outcome(payload=body, error=True)
        if isinstance(heard, Posted):
            return ("error" if heard.error else ""), Outcome(payload=heard.body, error=heard.error)
        return ("timeout", self._timed_out(work, timeout)) if heard is None else ("error", self._died(work))

    def _reported(self, work: Work, outcome: Outcome, *, status: str, seconds: float, init: float | None) -> Outcome:
        memory = self._memory_mb()
        if memory > self.function.memory_mb:
            self.kill()
            body = failure(
                "Runtime.OutOfMemory", "Runtime exited with error: signal: killed", request_id=work.request_id
            )
            status, outcome = "error", Outcome(payload=body, error=True)
        report = Report(
            seconds=seconds,
            memory_used_mb=min(memory, self.function.memory_mb),
            init_seconds=init,
            status=status,
        )
        tail = self._journal.end(work.request_id, report)
        return Outcome(payload=outcome.payload, error=outcome.error, log_tail=tail)

    def _timed_out(self, work: Work, seconds: float) -> Outcome:
        self.kill()
        self._drain()
        text = f"Task timed out after {seconds:.2f} seconds"
        self._journal.note(f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}Z {work.request_id} {text}")
        return Outcome(payload=failure("Sandbox.Timedout", text, request_id=work.request_id), error=True)

    def _died(self, work: Work) -> Outcome:
        self._drain()
        text = f"Runtime exited {_exit_words(self._reap())}"
        self._journal.note(f"RequestId: {work.request_id} Error: {text}\nRuntime.ExitError")
        return Outcome(payload=failure("Runtime.ExitError", text, request_id=work.request_id), error=True)

    def _reap(self) -> int:
        """Let go of the process and of whatever it left running; its exit status."""
        with self._lock:
            process = self._process
            if process is None:
                return 0
            if process.returncode is None:
                # The group first: once its leader is reaped, the number may belong to somebody else.
                _kill_group(process.pid)
            return process.wait()

    def _listen(self, until: float) -> Asked | Posted | _Exited | None:
        """The next word of the process: a message, its end, or None once `until` has passed."""
        while True:
            ready = self._selector.select(max(0.0, until - time.monotonic()))
            if not ready:
                return None
            over = False
            for key, _ in ready:
                if key.fileobj is self._listener:
                    connection = Connection(self._listener.accept()[0])
                    self._selector.register(connection.socket, selectors.EVENT_READ, connection)
                    over = False
                    break
                if isinstance(key.data, Connection):
                    message = self._receive(key.data)
                    if message is not None:
                        return message
                elif key.fileobj == self._pidfd:
                    over = True
                else:
                    self._drain()
            # What the process said before it ended comes first, even if both are seen at once.
            if over and not any(isinstance(key.data, Connection) for key, _ in ready):
                return _Exited()

    def _receive(self, connection: Connection) -> Asked | Posted | None:
        try:
            message = connection.receive()
        except EOFError:
            self._selector.unregister(connection.socket)
            connection.close()
            if connection is self._asking:
                self._asking = None
            return None
        if isinstance(message, Asked):
            self._asking = connection
        elif isinstance(message, Posted):
            connection.answer(413 if message.too_large else 202, b'{"status":"OK"}\n')
        return message

    def _drain(self) -> None:
        """Take all output that is there."""
        assert self._process is not None
        assert self._process.stdout is not None
        while True:
            try:
                output = os.read(self._process.stdout.fileno(), _PIPE_READ)
            except BlockingIOError:
                return
            if not output:
                if self._process.stdout in (key.fileobj for key in self._selector.get_map().values()):
                    self._selector.unregister(self._process.stdout)
                return
            self._journal.feed(output)

    def _memory_mb(self) -> int:
        """The most that the process held so far; 0 once it is gone."""
        assert self._process is not None
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        held = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
        return int(held) // 1024


def _event_headers(work: Work, *, deadline: float) -> tuple[tuple[str, str], ...]:
    root = f"{int(time.time()):08x}-{work.request_id.replace('-', '')[:24]}"
    headers = (
        ("Lambda-Runtime-Aws-Request-Id", work.request_id),
        ("Lambda-Runtime-Deadline-Ms", str(int(deadline * 1000))),
        ("Lambda-Runtime-Invoked-Function-Arn", work.arn),
        ("Lambda-Runtime-Trace-Id", f"Root=1-{root};Parent={work.request_id.replace('-', '')[-16:]};Sampled=0"),
    )
    return (*headers, ("Lambda-Runtime-Client-Context", work.client_context)) if work.client_context else headers


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _exit_words(status: int) -> str:
    if status == 0:
        return "without providing a reason"
    if status < 0:
        return f"with error: signal: {(signal.strsignal(-status) or str(-status)).lower()}"
    return f"with error: exit status {status}"
