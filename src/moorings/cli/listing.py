"""Rows under headings that survive any width: columns where they fit, else a few named lines for each row.

What people copy, such as an id, is never broken: where a row has no room for it, it gets a line of its own.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from moorings.cli.terminal import clean

GAPS = (2, 1)  # blanks between columns; the narrower gap where only it has room
LEAST_PROSE = 24  # columns that a text needs, of which there are more than twice as many
_INDENT = 2  # blanks before all lines of a row but its first
_HOST = re.compile(r"[\w-]+(\.[\w-]+)+")
_LABEL = re.compile(r"(?<=\.)(?=[^\W\d])")  # where a host's name may be broken; ARNs and addresses are copied


@dataclass(frozen=True, slots=True)
class Listing:
    """What `listing` makes; rich draws it as wide as there is room."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Text]]
    right: frozenset[int]  # columns whose cells end under one another

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, max(1, sum(self._natural()) + GAPS[0] * (len(self.columns) - 1)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width)

    def lines(self, width: int) -> Iterator[Text]:
        """All lines; none is longer than `width` unless a word without a break in it is."""
        natural, least = self._natural(), self._least()
        # Rows of one line go before a wider gap, and columns before lines with names.
        for floor in (natural, least):
            for gap in GAPS:
                room = width - gap * (len(self.columns) - 1)
                if sum(floor) <= room and not _cramped(widths := _narrowed(natural, least, room), natural):
                    yield from self._in_columns(widths, gap)
                    return
        for row in self.rows:
            yield from self._named(row, width)

    def _natural(self) -> list[int]:
        return [
            max([len(name), *(row[position].cell_len for row in self.rows)])
            for position, name in enumerate(self.columns)
        ]

    def _least(self) -> list[int]:
        return [
            max([_longest_word(name), *(_longest_word(row[position].plain) for row in self.rows)], default=0)
            for position, name in enumerate(self.columns)
        ]

    def _in_columns(self, widths: Sequence[int], gap: int) -> Iterator[Text]:
        if any(self.columns):
            yield from self._row([Text(name, "bold") for name in self.columns], widths, gap)
        for row in self.rows:
            yield from self._row(row, widths, gap)

    def _row(self, row: Sequence[Text], widths: Sequence[int], gap: int) -> Iterator[Text]:
        folded = [fold(cell, width) for cell, width in zip(row, widths, strict=True)]
        for number in range(max(len(cell) for cell in folded)):
            line = Text()
            for position, cell in enumerate(folded):
                part = cell[number] if number < len(cell) else Text()
                blank = " " * (widths[position] - part.cell_len)
                line.append_text(Text(blank) + part if position in self.right else part + Text(blank))
                line.append(" " * gap)
            line.rstrip()
            yield line

    def _named(self, row: Sequence[Text], width: int) -> Iterator[Text]:
        """The row as lines: its first cell, then each other one behind its column's name."""
        line = row[0].copy()
        line.stylize("bold")
        for name, cell in zip(self.columns[1:], row[1:], strict=True):
            if not cell.plain:
                continue
            pair = Text.assemble((f"{name.lower()} ", "dim"), cell) if name else cell
            if line.cell_len + GAPS[0] + pair.cell_len <= width:
                line.append(" " * GAPS[0]).append_text(pair)
                continue
            yield line
            first, *rest = fold(pair, width - _INDENT)
            for each in (first, *rest[:-1]) if rest else ():
                yield Text(" " * _INDENT) + each
            line = Text(" " * _INDENT) + (rest[-1] if rest else first)
        yield line


def listing(columns: Sequence[str], rows: Iterable[Iterable[str | Text]]) -> Listing:
    """Rows under `columns`; a name that begins with > is of cells that end under one another."""
    return Listing(
        columns=[name.removeprefix(">") for name in columns],
        rows=[[cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row] for row in rows],
        right=frozenset(position for position, name in enumerate(columns) if name.startswith(">")),
    )


def _narrowed(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths that fit into `room`: the widest column that can be made narrower is, again and again."""
    widths = list(natural)
    while sum(widths) > room:
        able = [position for position, width in enumerate(widths) if width > least[position]]
        widths[max(able, key=lambda position: widths[position])] -= 1
    return widths


def _cramped(widths: Sequence[int], natural: Sequence[int]) -> bool:
    """Whether a column has become a ribbon: its row takes fewer lines, and is read more easily, with names."""
    return any(width < LEAST_PROSE and 2 * width < whole for width, whole in zip(widths, natural, strict=True))


def fold(text: Text, width: int, *, further: int = 0) -> list[Text]:
    """`text` in lines of at most `width`, all but the first shorter by `further`.

    They are broken between words; a host's name that is longer is broken after a dot, any other word not at all.
    """
    lines: list[Text] = []
    for paragraph in text.split("\n", allow_blank=True):
        plain, begin, end = paragraph.plain, 0, 0
        for stop in _breaks(plain, width - further):
            room = width - (further if lines else 0)
            if cell_len(plain[begin:stop].rstrip()) > room and end > begin:
                lines.append(_stripped(paragraph[begin:end]))
                begin = end
            end = stop
        lines.append(_stripped(paragraph[begin:]))
    return lines


def _breaks(plain: str, width: int) -> Iterator[int]:
    """Where `plain` may be broken, in order, its end included; within a word only if no line has room for it."""
    for word in re.finditer(r"\s*\S+\s*", plain):
        bare = word[0].strip()
        if cell_len(bare) > width and _HOST.fullmatch(bare):
            yield from (word.start() + each.start() for each in _LABEL.finditer(word[0]))
        yield word.end()


def _longest_word(plain: str) -> int:
    return max((cell_len(part) for word in plain.split() for part in _parts(word)), default=0)


def _parts(word: str) -> list[str]:
    return _LABEL.split(word) if _HOST.fullmatch(word) else [word]


def _stripped(text: Text) -> Text:
    text.rstrip()
    return text
