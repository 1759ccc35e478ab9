"""The memory of this process and all that it started, looked at again and again: the most that they held together."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

EVERY = 0.5  # seconds
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class PeakMemory:
    """Use it as a context manager. What processes share is counted for each of them."""

    def __init__(self) -> None:
        self.base_kib = self.peak_kib = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> "PeakMemory":
        self.base_kib = self.peak_kib = held_kib()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.peak_kib = max(self.peak_kib, held_kib())

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self.peak_kib = max(self.peak_kib, held_kib())


def held_kib() -> int:
    """Resident memory of this process and its descendants."""
    own = _text(os.getpid(), "cmdline")
    # A child that has not begun its program yet shows its parent's memory, and its command line or none at all.
    family = [os.getpid(), *(pid for pid in _descendants(os.getpid()) if _text(pid, "cmdline") not in {"", own})]
    return sum(int((_text(pid, "statm") or "0 0").split()[1]) for pid in family) * _PAGE_KIB


def _descendants(pid: int) -> Iterator[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return
    for thread in threads:
        for child in _text(pid, f"task/{thread.name}/children").split():
            yield int(child)
            yield from _descendants(int(child))


def _text(pid: int, name: str) -> str:
    """A file about a process; empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
