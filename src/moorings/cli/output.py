"""How commands speak: results on stdout, talk on stderr, one JSON object when asked for, plain text when piped."""

import getpass
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from moorings.errors import Misconfigured

PIPED_WIDTH = 1_000  # columns: whoever reads a pipe wants whole values, whatever the terminal's width
IDS = frozenset({"NODE", "ACTIVATION"})
MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "note": ("·", "dim")}


class Results:
    """The command's result: text, or with `as_json` exactly one object."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._console = _console(error=False)

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
        if self._console.is_terminal:
            self._console.print(what)
            return
        with self._console.capture() as captured:
            self._console.print(what)
        for line in captured.get().splitlines():
            self._console.out(line.rstrip(), highlight=False)


class Talk:
    """What goes on, on stderr: steps while they happen, then a line for each that is done."""

    def __init__(self) -> None:
        self.console = _console(error=True)
        self._status: Status | None = None

    @property
    def live(self) -> bool:
        """Whether a person watches a terminal."""
        return self.console.is_terminal

    @property
    def answers(self) -> bool:
        """Whether a person can be asked."""
        return self.live and sys.stdin.isatty()

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that `text` goes on until the block ends: a spinner in a terminal, a line elsewhere."""
        if not self.live or self._status is not None:
            self.say(text)
            yield
            return
        self._status = self.console.status(Text(clean(text)))
        try:
            with self._status:
                yield
        finally:
            self._status = None

    @contextmanager
    def looking(self, text: str) -> Iterator[None]:
        """The same for what is over in a moment: a log need not know of it."""
        if self.live:
            with self.working(text):
                yield
        else:
            yield

    def now(self, text: str) -> None:
        """What goes on now: replaces the spinner's text, or is said."""
        if self._status is not None:
            self._status.update(Text(clean(text)))
        else:
            self.say(text)

    def say(self, text: str, *, mark: str = "note") -> None:
        """One line that stays."""
        sign, style = MARKS[mark]
        self.console.print(Text.assemble((f"{sign} ", style), clean(text)), soft_wrap=not self.live)

    def plain(self, text: str, style: str = "") -> None:
        """A line without a mark, such as one of a difference."""
        self.console.print(Text(clean(text), style), soft_wrap=not self.live)

    def ask(self, question: str) -> bool:
        """A yes or no, asked on stderr. Misconfigured if there is nobody to ask."""
        self.require_somebody(question)
        if self._status is not None:
            self._status.stop()  # it would draw over the question
        self.console.print(Text.assemble(clean(question), (" [y/N] ", "bold")), end="")
        answer = sys.stdin.readline().strip().lower()
        if self._status is not None:
            self._status.start()
        return answer in {"y", "yes"}

    def secret(self, question: str) -> str:
        """A secret, typed without showing. Misconfigured if there is nobody to ask."""
        if not sys.stdin.isatty():
            raise Misconfigured(f"this needs a secret: {question}", remedy="pipe it in, and say so: --secret-stdin")
        return getpass.getpass(f"{clean(question)}: ", stream=sys.stderr)

    def require_somebody(self, question: str) -> None:
        """Misconfigured if there is nobody to ask: told before work begins whose end would be a question."""
        if not sys.stdin.isatty():
            raise Misconfigured(f"this needs a yes: {question}", remedy="give --yes, as there is no terminal to ask on")

    def show(self, what: Table) -> None:
        """A table on stderr, such as a plan to decide on."""
        self.console.print(what)


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


def clean(text: str) -> str:
    """Text that cannot move the cursor: names come from servers, which may call themselves anything."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)


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


def _console(*, error: bool) -> Console:
    stream = sys.stderr if error else sys.stdout
    console = Console(file=stream, highlight=False, emoji=False, markup=False)
    return console if console.is_terminal else Console(file=stream, highlight=False, width=PIPED_WIDTH, no_color=True)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} is no JSON value")
