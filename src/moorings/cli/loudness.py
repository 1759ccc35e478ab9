"""How much a command says besides its results: `--quiet` and `--verbose`, for one run of the command line."""

from contextvars import ContextVar
from enum import Enum


class Loudness(Enum):
    """What goes to standard error."""

    QUIET = "quiet"  # errors and questions
    NORMAL = "normal"  # what goes on
    VERBOSE = "verbose"  # every call of a cloud's API, too


_CHOSEN: ContextVar[tuple[Loudness, bool]] = ContextVar("loudness", default=(Loudness.NORMAL, False))


def loudness() -> Loudness:
    """What was chosen for this run."""
    return _CHOSEN.get()[0]


def begin() -> None:
    """A new run: NORMAL, until something else is chosen."""
    _CHOSEN.set((Loudness.NORMAL, False))


def choose(loudness: Loudness, *, typed: bool = True) -> None:
    """From now on; what only the surroundings say is nothing to what was typed before."""
    if typed or not _CHOSEN.get()[1]:
        _CHOSEN.set((loudness, typed))
