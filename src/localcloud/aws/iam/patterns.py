"""Wildcards and policy variables: turns what a policy says into something that values are matched against.

Sources: IAM User Guide, "IAM JSON policy elements: Resource", "… Condition operators", "… Variables and tags".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

Keys = Mapping[str, Sequence[str]]
"""Context keys, in lower case, each with its values."""

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_DEFAULT = re.compile(r"\s*([^,']+?)\s*,\s*'([^']*)'\s*")
_ARN_PARTS = 6


class Shape(Enum):
    """How far a wildcard reaches."""

    TEXT = "text"  # anywhere
    RESOURCE = "resource"  # within one part of an ARN, unless it ends that part
    ARN = "arn"  # within one part of an ARN, whatever follows


@dataclass(frozen=True, slots=True)
class _Any:
    many: bool  # `*`, else `?`


@dataclass(frozen=True, slots=True)
class _Variable:
    key: str
    default: str | None


_Token = str | _Any | _Variable


def matches(pattern: str, value: str, *, shape: Shape, variables: Keys | None, ignore_case: bool = False) -> bool:
    """Whether `value` fits `pattern`. `variables` None: `${…}` is plain text (policies of version 2008-10-17).

    A variable that has no value, or several, fits nothing. What a variable stands for is literal, wildcards too.
    """
    if pattern == "*":
        return True
    tokens = _resolved(pattern, variables)
    if tokens is None:
        return False
    return _compiled(tokens, shape, ignore_case).fullmatch(value) is not None


def text(pattern: str, variables: Keys | None) -> str | None:
    """`pattern` with its variables filled in and wildcards taken as they are written; None if one has no value."""
    tokens = _resolved(pattern, variables)
    if tokens is None:
        return None
    return "".join(token if isinstance(token, str) else "*" if token.many else "?" for token in tokens)


def has_wildcard(pattern: str) -> bool:
    """Whether `pattern` may stand for more than one thing."""
    return "*" in pattern or "?" in pattern


def _resolved(pattern: str, variables: Keys | None) -> tuple[str | _Any, ...] | None:
    resolved: list[str | _Any] = []
    for token in _tokens(pattern, variables is not None):
        if not isinstance(token, _Variable):
            resolved.append(token)
            continue
        values = (variables or {}).get(token.key, ())
        value = values[0] if len(values) == 1 else token.default
        if value is None:
            return None
        resolved.append(value)
    return tuple(resolved)


@lru_cache(maxsize=4096)
def _tokens(pattern: str, variables: bool) -> tuple[_Token, ...]:
    tokens: list[_Token] = []
    position = 0
    for found in _VARIABLE.finditer(pattern) if variables else ():
        tokens += _wildcards(pattern[position : found.start()])
        tokens.append(_variable(found.group(1)))
        position = found.end()
    return tuple(tokens + _wildcards(pattern[position:]))


def _variable(name: str) -> str | _Variable:
    if name in ("*", "?", "$"):
        return name
    if found := _DEFAULT.fullmatch(name):
        return _Variable(found.group(1).lower(), found.group(2))
    return _Variable(name.strip().lower(), None)


def _wildcards(part: str) -> list[_Token]:
    return [_Any(piece == "*") if piece in ("*", "?") else piece for piece in re.split(r"([*?])", part) if piece]


@lru_cache(maxsize=4096)
def _compiled(tokens: tuple[str | _Any, ...], shape: Shape, ignore_case: bool) -> re.Pattern[str]:
    source: list[str] = []
    colons = 0
    for index, token in enumerate(tokens):
        if isinstance(token, str):
            source.append(re.escape(token))
            colons += token.count(":")
            continue
        free = shape is Shape.TEXT or colons >= _ARN_PARTS - 1
        if shape is Shape.RESOURCE and token.many and not free:
            # "If the * wildcard is the last character of a resource ARN segment, it can expand to match beyond the
            # colon boundaries" (IAM User Guide, Resource element).
            following = tokens[index + 1] if index + 1 < len(tokens) else ":"
            free = isinstance(following, str) and following.startswith(":")
        source.append((".*" if token.many else ".") if free else ("[^:]*" if token.many else "[^:]"))
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return re.compile("".join(source), flags)
