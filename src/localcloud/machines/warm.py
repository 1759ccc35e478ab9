"""The local cloud's end of the warm process: start it, ask it to boot a machine, let it go."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import localcloud
from localcloud.errors import CannotRun
from localcloud.machines.inside import messages

PROBE_SECONDS = 20.0


class Zygote:
    """The process that forks machines; it and all machines end when this object closes or this process dies."""

    def __init__(self) -> None:
        self._requests, theirs = messages.pair()
        self._lock = threading.Lock()
        sources = str(Path(localcloud.__file__).resolve().parents[1])
        # A clean environment: what machines run must not see the operator's proxies or credentials.
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.pathsep.join(filter(None, (sources, os.environ.get("PYTHONPATH", "")))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            "MALLOC_ARENA_MAX": "1",
        }
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "localcloud.machines.inside.zygote", str(theirs.fileno())],
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the local cloud, which then ends it
                pass_fds=[theirs.fileno()],
            )

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def boot(self, boot_file: Path, *, control: socket.socket, console: int) -> None:
        """Fork a machine that obeys `control` and writes to `console`; CannotRun if the warm process has died."""
        self._ask({"do": "boot", "boot": str(boot_file)}, [control.fileno(), console])

    def probe(self, directory: Path, *, user_namespace: bool) -> str:
        """Why machines cannot live below `directory`; empty if they can."""
        ours, theirs = messages.pair()
        with ours:
            with theirs:
                question = {"do": "probe", "directory": str(directory), "user_namespace": user_namespace}
                self._ask(question, [theirs.fileno()])
            ours.settimeout(PROBE_SECONDS)
            answer = messages.receive(ours)
        return str(answer[0]["why"]) if answer is not None else "the warm process gave no answer"

    def close(self) -> None:
        """End it. Machines that still run lose their power by their own control sockets."""
        self._requests.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, message: dict[str, object], files: list[int]) -> None:
        try:
            with self._lock:
                messages.send(self._requests, message, files)
        except OSError as error:
            raise CannotRun(f"the process that makes simulated servers has died: {error}") from error
