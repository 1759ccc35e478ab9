"""Programs that ask the machine's init to act for them.

`amazon-ssm-agent` and `systemctl` inside a machine are a few lines of shell: they write their process number to a FIFO
(the bell) and wait for an exit code. Init reads from /proc who they are and what they were called with, and borrows
their open files.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from localcloud.machines.inside import syscalls

BELL = Path("/run/localcloud/bell")
# Where a visitor keeps its standard files; see shims/bell.sh.
KEPT_AT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """One waiting program. `pidfd` becomes readable when it is gone."""

    pid: int
    pidfd: int
    program: str
    arguments: tuple[str, ...]
    environment: dict[str, str]

    @classmethod
    def of(cls, pid: int) -> "Visitor | None":
        """Who rang; None if it is gone already."""
        try:
            pidfd = os.pidfd_open(pid)
            command = _strings(Path(f"/proc/{pid}/cmdline"))
            environment = _strings(Path(f"/proc/{pid}/environ"))
        except OSError:
            return None
        # The command line of a script is: interpreter, script, arguments.
        return cls(
            pid=pid,
            pidfd=pidfd,
            program=Path(command[1]).name,
            arguments=tuple(command[2:]),
            environment=dict(entry.split("=", 1) for entry in environment if "=" in entry),
        )

    def borrow(self, descriptor: int) -> int:
        """Its standard input (0), output (1) or error (2), as an open file of ours."""
        return syscalls.borrow_file(self.pidfd, KEPT_AT + descriptor)

    def write(self, descriptor: int, text: str) -> None:
        """Write to its standard output (1) or error (2); a reader that has gone is no error."""
        if not text:
            return
        try:
            ours = self.borrow(descriptor)
        except OSError:
            return
        try:
            os.write(ours, text.encode())
        except OSError:
            pass
        finally:
            os.close(ours)

    def dismiss(self, code: int) -> None:
        """Let it exit with `code`."""
        try:
            answer = os.open(f"{BELL}.{self.pid}", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return  # it was killed meanwhile
        try:
            os.write(answer, f"{code}\n".encode())
        finally:
            os.close(answer)

    def forget(self) -> None:
        """Clean up after it, once it is gone."""
        os.close(self.pidfd)
        Path(f"{BELL}.{self.pid}").unlink(missing_ok=True)


def _strings(path: Path) -> list[str]:
    return path.read_bytes().decode(errors="surrogateescape").rstrip("\0").split("\0")
