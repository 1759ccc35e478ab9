"""What commands answer, on stdout: text and tables, or one JSON object; plain and whole when piped."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.text import Text

from moorings.cli.listing import Listing, fold, listing
from moorings.cli.streams import says_everything
from moorings.cli.terminal import clean, console_on


class Results:
    """The command's result: text, or with `as_json` exactly one object, and no text then, whoever prints it."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._console = console_on(sys.stdout)

    def json(self, value: Mapping[str, Any]) -> None:
        """Print the one object."""
        escaped = not says_everything(sys.stdout)
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=escaped, default=_plain) + "\n")
        sys.stdout.flush()

    def line(self, text: str = "", style: str = "") -> None:
        """Print one line of text, which the terminal may break where it ends: what can be copied stays whole."""
        if not self.as_json:
            self._console.print(Text(clean(text), style), soft_wrap=True)

    def prose(self, text: str, style: str = "") -> None:
        """Print a sentence; a terminal gets it broken between words, all lines but the first a bit further in."""
        if self.as_json:
            return
        text = clean(text)
        blank = " " * (len(text) - len(text.lstrip()) + 2)
        for number, line in enumerate(fold(Text(text, style), self._console.width, further=len(blank))):
            self._console.print(Text(blank) + line if number else line, soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Iterable[str | Text]]) -> None:
        """Print rows under headings, as wide as the terminal is; in a pipe every row is a line."""
        self.show(listing(columns, rows))

    def show(self, what: Listing) -> None:
        """Print rows that are made already."""
        for line in what.lines(self._console.width) if not self.as_json else ():
            self._console.print(line, soft_wrap=True)


def counted(number: int, word: str) -> str:
    """`1 pool`, `2,000 pools`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that says something."""
    return "never" if moment is None else f"{span(now - moment)} ago"


def age(moment: datetime | None, now: datetime) -> str:
    """The same under a heading that says so: `12 min`, not `12 min ago`."""
    return "" if moment is None else span(now - moment)


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
