"""How much a command says besides its results: `--quiet` and `--verbose`, for one run of the command line."""

from contextvars import ContextVar
from enum import Enum


class Loudness(Enum):
    """What goes to standard error."""

    QUIET = "quiet"  # errors and questions
    NORMAL = "normal"  # what goes on
    VERBOSE = "verbose"  # every call of a cloud's API, too


_CHOSEN: ContextVar[Loudness] = ContextVar("loudness", default=Loudness.NORMAL)


def loudness() -> Loudness:
    """What was chosen for this run."""
    return _CHOSEN.get()


def choose(loudness: Loudness) -> None:
    """From now on; a run begins with NORMAL."""
    _CHOSEN.set(loudness)
