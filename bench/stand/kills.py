"""What became of a path whose functions were killed: counted, and every point that failed by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

When = Literal["before", "after"]


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
