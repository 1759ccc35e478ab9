"""The warm process: it has everything imported that machines' inits and agents need, and forks them in milliseconds.

Started by the local cloud with one end of a socket; it ends when the other end closes. Each message asks for one thing:
`boot` (a machine; files: its control socket and its console) or `probe` (can machines live below this directory?).
"""

import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from localcloud.machines.agent.rehearsal import rehearse
from localcloud.machines.inside import init, messages, namespaces, syscalls
from localcloud.machines.inside.configuration import Boot

# For each size of small objects; more than start-up leaves free.
FILL_BYTES = 128 * 1024
_keep: list[bytes] = []


def serve(requests: socket.socket) -> None:
    """Answer requests until the local cloud goes away."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the local cloud's business
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    rehearse()
    gc.collect()
    _keep.extend(_fill_holes())
    # Objects that the collector never visits stay shared between all forks.
    gc.disable()
    gc.freeze()
    while (received := messages.receive(requests)) is not None:
        message, files = received
        work = {"boot": _boot, "probe": _probe}[message["do"]]
        _fork(work, message, files, requests)
        for descriptor in files:
            os.close(descriptor)


def _fill_holes() -> list[bytes]:
    """Occupy what start-up has freed: else each fork would put its few objects into holes of pages that all share."""
    overhead = sys.getsizeof(b"")
    return [bytes(size - overhead) for size in range(48, 513, 16) for _ in range(FILL_BYTES // size)]


def _fork(
    work: Callable[[dict[str, Any], list[int]], None],
    message: dict[str, Any],
    files: list[int],
    requests: socket.socket,
) -> None:
    if os.fork() != 0:
        return
    code = 1
    try:
        requests.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        work(message, files)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _probe(message: dict[str, Any], files: list[int]) -> None:
    reply = socket.socket(fileno=files[0])
    why = namespaces.overlay_works(Path(message["directory"]), user_namespace=message["user_namespace"])
    messages.send(reply, {"why": why})


def _boot(message: dict[str, Any], files: list[int]) -> None:
    control = socket.socket(fileno=files[0])
    boot = Boot.read(Path(message["boot"]))
    os.dup2(files[1], 1)
    os.dup2(files[1], 2)
    os.close(files[1])
    try:
        namespaces.enter(user_namespace=boot.user_namespace)
        child = os.fork()
    except OSError as error:
        messages.send(control, {"failed": str(error)})
        return
    if child != 0:
        messages.send(control, {"pid": child})
        return
    _become_init(boot, control)


def _become_init(boot: Boot, control: socket.socket) -> NoReturn:
    code = 1
    try:
        syscalls.prctl(syscalls.PR_SET_NAME, b"machine-init")
        code = init.Init(boot, control).run()
    except BaseException as error:
        traceback.print_exc()
        try:
            messages.send(control, {"failed": f"{type(error).__name__}: {error}"})
        except OSError:
            traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    """Entry point: the first argument is the inherited socket's number."""
    serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
