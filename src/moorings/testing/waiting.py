"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable
from operator import methodcaller
from typing import TypeVar

Seen = TypeVar("Seen")
PAUSE = 0.05
# As the `__tracebackhide__` of a module: pytest shows failures where the test has called it, and other errors whole.
FAILURES_ONLY = methodcaller("errisinstance", AssertionError)
__tracebackhide__ = FAILURES_ONLY


def eventually(look: Callable[[], Seen], *, within: float, otherwise: Callable[[], str]) -> Seen:
    """What `look` returns, as soon as that is true; AssertionError with `otherwise` after `within` seconds."""
    end = time.monotonic() + within
    while not (seen := look()):
        if time.monotonic() > end:
            raise AssertionError(f"after {within:g} s: {otherwise()}")
        time.sleep(PAUSE)
    return seen
