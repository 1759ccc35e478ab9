"""The watchdog alone: what it kills and deletes once the cloud's end of its pipe is closed."""

import subprocess
import sys
from pathlib import Path

import pytest

from localcloud import watchdog

# For a moment after exec a process has no command line; this one takes its own away until the folder is gone.
JUST_STARTED = """
import ctypes, os, sys, time
folder = sys.argv[1]
start, end = map(int, open("/proc/self/stat").read().rpartition(")")[2].split()[45:47])
said = ctypes.string_at(start, end - start)
ctypes.memset(start, 0, end - start)
print("started", flush=True)
while os.path.exists(folder):
    time.sleep(0.01)
ctypes.memmove(start, said, len(said))
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "cloud"
    made.mkdir()
    return made


def watching(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-I", "-S", watchdog.__file__, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True)


def test_a_program_that_is_just_being_started_does_not_escape(folder: Path) -> None:
    program = folder / "works"
    program.symlink_to(Path(sys.executable).resolve())
    with watching(folder) as dog:
        command = [program, "-I", "-S", "-c", JUST_STARTED, str(folder)]
        with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as works:
            assert works.stdout is not None
            assert works.stdout.readline() == b"started\n"
            assert dog.stdin is not None
            dog.stdin.close()
            try:
                assert works.wait(60) == -9
            finally:
                works.kill()

    assert dog.returncode == 0
    assert not folder.exists()
