"""What commands answer, on stdout: text and tables, or one JSON object; plain and whole when piped."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from moorings.cli.terminal import clean, console_on, is_terminal

IDS = frozenset({"NODE", "ACTIVATION", "EXECUTION"})


class Results:
    """The command's result: text, or with `as_json` exactly one object."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._console = console_on(sys.stdout)

    @property
    def width(self) -> int:
        """Columns that there are; in a pipe, as many as anybody wants."""
        return self._console.width

    def json(self, value: Mapping[str, Any]) -> None:
        """Print the one object."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n")
        sys.stdout.flush()

    def line(self, text: str = "", style: str = "") -> None:
        """Print one line of text."""
        self._console.print(Text(clean(text), style), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Iterable[str | Text]]) -> None:
        """Print rows under headings; in a terminal long cells fold, in a pipe they stay whole."""
        self.show(table(columns, rows))

    def show(self, what: Table) -> None:
        """Print a table that is made already."""
        if is_terminal(sys.stdout):
            self._console.print(what)
            return
        with self._console.capture() as captured:
            self._console.print(what)
        for line in captured.get().splitlines():
            sys.stdout.write(line.rstrip() + "\n")


def table(columns: Sequence[str], rows: Iterable[Iterable[str | Text]]) -> Table:
    """Plain columns: no lines, nothing cut off."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    cells = [[cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row] for row in rows]
    for position, column in enumerate(columns):
        made.add_column(
            column.removeprefix(">"),
            overflow="fold",
            justify="right" if column.startswith(">") else "left",
            # Ids are copied from the screen: whatever else folds, they do not.
            min_width=max((row[position].cell_len for row in cells), default=0) if column in IDS else None,
        )
    for row in cells:
        made.add_row(*row)
    return made


def counted(number: int, word: str) -> str:
    """`1 pool`, `2,000 pools`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that says something."""
    return "never" if moment is None else f"{span(now - moment)} ago"


def until(moment: datetime | None, now: datetime) -> str:
    """How long until then."""
    if moment is None:
        return "-"
    return f"in {span(moment - now)}" if moment > now else "over"


def span(duration: timedelta) -> str:
    """A duration in its two largest units: `28 d 23 h`, `12 min`, `4 s`."""
    seconds = max(0, int(duration.total_seconds()))
    days, hours, minutes = seconds // 86_400, seconds % 86_400 // 3_600, seconds % 3_600 // 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} is no JSON value")
