"""Streams as what they are: a terminal of some width, with or without colour, or a pipe that wants whole values."""

from typing import TextIO

from rich.console import Console

from moorings.settings import wants_colour

PIPED_WIDTH = 100_000  # columns: whoever reads a pipe wants whole values, whatever the terminal's width


class _Console(Console):
    """Rich's, but for its own way out of a broken pipe, which is another exit code than the door's."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console_on(stream: TextIO) -> Console:
    """What writes text to a stream: no markup, no guesses; colour as NO_COLOR, FORCE_COLOR and the stream have it."""
    terminal = is_terminal(stream)
    colour = wants_colour(terminal=terminal)
    return _Console(
        file=stream,
        highlight=False,
        emoji=False,
        markup=False,
        force_terminal=terminal,
        width=None if terminal else PIPED_WIDTH,
        # A pipe has no colours of its own that could be looked up: who forces them gets those that everything knows.
        color_system=("auto" if terminal else "standard") if colour else None,
    )


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at it."""
    return not stream.closed and stream.isatty()


def clean(text: str) -> str:
    """Text that cannot move the cursor: names come from servers, which may call themselves anything."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
