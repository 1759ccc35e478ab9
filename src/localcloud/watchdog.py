"""Cleans up for a local cloud that was killed: a process that outlives it by a moment, and nothing else after it.

Run as a program of its own it needs the standard library alone. It waits until its standard input ends, which is when
the cloud's process is gone (or has stopped it); then it kills every process that runs from the cloud's folders and
deletes these.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # run by its path, it finds the standard library alone
    from localcloud.world import World

PATIENCE_SECONDS = 10.0  # for machines to lose their power, which keeps their folders busy
_LOOK_AGAIN_SECONDS = 0.1


class Watchdog:
    """The watchdog of a world: `world.part(Watchdog)` starts it."""

    def __init__(self, world: "World") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(world.state_dir)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the local cloud, which then ends it
            text=True,
        )

    def watch(self, folder: Path) -> None:
        """Let another folder than the world's go the same way."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """Let it clean up and end; returns once it is gone. Safe to repeat."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Entry point: the first argument is the folder to watch, each line of standard input one more."""
    folders = [Path(sys.argv[1]), *(Path(line.removesuffix("\n")) for line in sys.stdin)]
    until = time.monotonic() + PATIENCE_SECONDS
    while (folders := [folder for folder in folders if not _gone(folder)]) and time.monotonic() < until:
        time.sleep(_LOOK_AGAIN_SECONDS)


def _gone(folder: Path) -> bool:
    _end_programs(folder)
    shutil.rmtree(folder, onerror=_open_up)
    # Once more: what was on its way while the folder was still there.
    return not _end_programs(folder) and not folder.exists()


def _end_programs(folder: Path) -> bool:
    """Kill what runs from a folder; whether there was anything, or may be."""
    found = False
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program = (process / "cmdline").read_bytes().partition(b"\0")[0]
            if program.startswith(f"{folder}/".encode()):
                found = True
                os.killpg(int(process.name), signal.SIGKILL)  # each leads a group of its own
            elif not program and _is_starting(process):
                found = True
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def _is_starting(process: Path) -> bool:
    """Whether a process may still become one of ours: between exec and its first step it has no command line.

    Raises FileNotFoundError for what has no program, as the dead and the kernel's own.
    """
    (process / "exe").readlink()
    return _started(process) >= _started(Path("/proc/self"))


def _started(process: Path) -> int:
    """When, in the kernel's ticks. Source: proc_pid_stat(5), the 22nd field."""
    return int((process / "stat").read_text().rpartition(")")[2].split()[19])


def _open_up(_: object, path: str, __: object) -> None:
    """Machines of ordinary users leave folders that their owner may not enter; the next look removes them."""
    if Path(path).is_dir() and not Path(path).is_symlink():
        Path(path).chmod(0o700)


if __name__ == "__main__":
    main()
