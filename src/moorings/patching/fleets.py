"""How a fleet is patched: which rate-controlled executions are started, in which order, with how much room for errors.

Pure. The service starts at most 300 nodes under one execution, a parent; a larger fleet takes several, one after
another. Percentages are of the whole fleet, and each parent gets what is left of the fleet's budget of errors.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from moorings.errors import Invalid

MOST_NODES = 300  # of one parent. Source: StartAutomationExecution, TargetMaps
DEFAULT_CONCURRENCY, DEFAULT_ERRORS = "10", "0"

_LIMIT = re.compile(r"(?P<number>0|[1-9]\d{0,5})(?P<percent>%?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Nodes to be patched, each once. At most `concurrency` are under way at a time; the error behind the `errors`
    allowed ones is one too many, and no further node is begun."""

    nodes: tuple[str, ...]
    concurrency: int
    errors: int

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """The nodes of each parent, in order."""
        return tuple(self.nodes[at : at + MOST_NODES] for at in range(0, len(self.nodes), MOST_NODES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One execution to start. `rate_controlled` False: a plain one, for the only node of a fleet."""

    nodes: tuple[str, ...]
    concurrency: int
    errors: int
    rate_controlled: bool


def fleet(
    nodes: Iterable[str], *, max_concurrency: str = DEFAULT_CONCURRENCY, max_errors: str = DEFAULT_ERRORS
) -> Fleet:
    """The fleet of these nodes with its limits as numbers. Invalid if a limit is neither a number nor a percentage."""
    unique = tuple(dict.fromkeys(nodes))
    concurrency = _resolved(max_concurrency, len(unique), option="--max-concurrency")
    if not concurrency and not max_concurrency.endswith("%"):
        raise Invalid("--max-concurrency 0 would start nothing", remedy="give at least 1")
    errors = _resolved(max_errors, len(unique), option="--max-errors")
    return Fleet(nodes=unique, concurrency=max(1, concurrency), errors=errors)


def next_start(wanted: Fleet, *, begun: int, failed: int) -> Start | None:
    """What to start after `begun` parents are over and `failed` of their nodes went wrong; None if nothing more."""
    parts = wanted.parts
    if begun >= len(parts) or failed > wanted.errors:
        return None
    return Start(
        nodes=parts[begun],
        concurrency=wanted.concurrency,
        errors=wanted.errors - failed,
        rate_controlled=len(wanted.nodes) > 1,
    )


def _resolved(text: str, of: int, *, option: str) -> int:
    """A number, or a percentage of `of`, rounded down: as the service rounds."""
    match = _LIMIT.fullmatch(text.strip())
    if match is None or (match["percent"] and int(match["number"]) > 100):
        raise Invalid(f"{option} {text!r} is no limit", remedy="give a number such as 5, or a percentage such as 10%")
    number = int(match["number"])
    return of * number // 100 if match["percent"] else number
