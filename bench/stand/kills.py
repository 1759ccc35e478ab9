"""What became of a path whose functions were killed: counted, and every point that failed by name."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Literal, TypeVar

When = Literal["before", "after"]
PathT, StandT = TypeVar("PathT"), TypeVar("StandT")


@dataclass(slots=True, kw_only=True)
class Report:
    """What became of one path."""

    path: str
    calls: int = 0
    kills: int = 0
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def point(self, name: str) -> Iterator[None]:
        """Note what fails inside: a point that fails must not hide the others."""
        try:
            yield
        except Exception as error:  # whatever it is, it is the point's result
            text = str(error).splitlines() or [""]
            self.failures.append(f"{name}: {type(error).__name__}: {text[0][:400]}")


def side_by_side(
    paths: Sequence[PathT],
    *,
    jobs: int,
    stand: Callable[[], AbstractContextManager[StandT]],
    crash: Callable[[StandT, PathT], Report],
    done: Callable[[Report], None],
) -> list[Report]:
    """All paths, on so many clouds (each made by `stand`) side by side; `done` is told of each as it ends."""
    waiting: SimpleQueue[PathT] = SimpleQueue()
    for path in paths:
        waiting.put(path)
    reports: list[Report] = []
    lock = threading.Lock()

    def work() -> None:
        with stand() as standing:
            while True:
                try:
                    path = waiting.get_nowait()
                except Empty:
                    return
                report = crash(standing, path)
                with lock:
                    reports.append(report)
                    done(report)

    threads = [threading.Thread(target=work) for _ in range(min(jobs, len(paths)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reports
