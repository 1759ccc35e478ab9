"""Selectors: the JSONPath dialect of a step's `outputs`.

`.key`, `..key` (deep scan), `[n]`, `['key']`, `[?(@.key == 'value')]` with one comparison, a bare `$`, and paths
without the leading `$.`. A deep scan or a filter always gives a list. Nothing here raises on any selector or value.
Source: Systems Manager User Guide, "Working with JSONPath"; the forms that published runbooks use besides.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from localcloud.automation import values
from localcloud.automation.document import Output, ValueType


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()  # the path leads nowhere: the output does not exist


class UnknownSelector(ValueError):
    """The text is no selector of the dialect."""


@dataclass(frozen=True, slots=True)
class _Key:
    name: str


@dataclass(frozen=True, slots=True)
class _Index:
    at: int


@dataclass(frozen=True, slots=True)
class _Scan:
    name: str


@dataclass(frozen=True, slots=True)
class _Filter:
    path: tuple[str, ...]
    operator: str  # "" asks only whether the path is there
    wanted: Any


_Part = _Key | _Index | _Scan | _Filter

_NAME = r"[^\s.\[\]()'\"?@,*]+"
_TOKEN = re.compile(
    rf"\.\.(?P<scan>{_NAME})"
    rf"|\.?(?P<key>{_NAME})"
    r"|\.?\[\s*(?P<index>[0-9]{1,9})\s*\]"
    r"|\.?\[\s*(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\")\s*\]"
    r"|\.?\[\?\(\s*@(?P<path>(?:\.[\w\-:/]+|\['[^']*'\])*)\s*"
    r"(?:(?P<operator>==|!=|>=|<=|>|<)\s*(?P<wanted>'[^']*'|\"[^\"]*\"|[^\s)'\"]+)\s*)?\)\]"
)
_STEP_OF_PATH = re.compile(r"\.([\w\-:/]+)|\['([^']*)'\]")


def select(root: Any, selector: str) -> Any:
    """What `selector` finds under `root`, or MISSING; a selector that is none finds nothing."""
    try:
        parts = parse(selector)
    except UnknownSelector:
        return MISSING
    found, many = [root], False
    for part in parts:
        many = many or isinstance(part, _Scan | _Filter)
        found = [each for value in found for each in _apply(part, value)]
    if many:
        return found
    return found[0] if found else MISSING


def read(root: Any, output: Output) -> Any:
    """The value of a step's output, converted to its type; MISSING if there is none. Raises values.CannotConvert."""
    found = select(root, output.selector)
    if found is MISSING or found is None:
        return MISSING
    if found == [] and output.type not in (ValueType.STRING_LIST, ValueType.MAP_LIST):
        return MISSING
    return values.convert(found, output.type)


@lru_cache(maxsize=4096)
def parse(selector: str) -> tuple[_Part, ...]:
    """The parts of a selector; raises UnknownSelector if it is none of this dialect."""
    text = selector.strip()
    text = text[1:] if text.startswith("$") else text
    if not text and selector.strip() != "$":
        raise UnknownSelector("a selector cannot be empty")
    parts: list[_Part] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token.end() == at:
            raise UnknownSelector(f"selector {selector} is not understood from {text[at:]!r} on")
        parts.append(_part(token))
        at = token.end()
    return tuple(parts)


def _part(token: re.Match[str]) -> _Part:
    if token["scan"] is not None:
        return _Scan(token["scan"])
    if token["index"] is not None:
        return _Index(int(token["index"]))
    if token["path"] is not None:
        path = tuple(one or other for one, other in _STEP_OF_PATH.findall(token["path"]))
        return _Filter(path, token["operator"] or "", _constant(token["wanted"] or ""))
    return _Key(next(each for each in (token["key"], token["single"], token["double"]) if each is not None))


def _constant(text: str) -> Any:
    if text[:1] in ("'", '"'):
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    if text == "null":
        return None
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _apply(part: _Part, value: Any) -> Iterator[Any]:
    match part:
        case _Key(name):
            if isinstance(value, Mapping) and name in value:
                yield value[name]
        case _Index(at):
            if isinstance(value, list) and at < len(value):
                yield value[at]
        case _Scan(name):
            yield from _deep(value, name)
        case _Filter():
            for each in value if isinstance(value, list) else ():
                if _passes(part, each):
                    yield each


def _deep(value: Any, name: str) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            if name in one:
                yield one[name]
            waiting.extend(reversed(list(one.values())))
        elif isinstance(one, list):
            waiting.extend(reversed(one))


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    ">": lambda left, right: bool(left > right),
    "<": lambda left, right: bool(left < right),
    ">=": lambda left, right: bool(left >= right),
    "<=": lambda left, right: bool(left <= right),
}


def _passes(test: _Filter, element: Any) -> bool:
    for name in test.path:
        if not isinstance(element, Mapping) or name not in element:
            return test.operator == "!="
        element = element[name]
    if not test.operator:
        return True
    wanted = test.wanted
    if isinstance(element, bool) != isinstance(wanted, bool):
        return test.operator == "!="
    if test.operator in ("==", "!="):
        return _COMPARISONS[test.operator](element, wanted)
    comparable = (isinstance(element, str) and isinstance(wanted, str)) or (
        isinstance(element, int | float) and isinstance(wanted, int | float)
    )
    return comparable and _COMPARISONS[test.operator](element, wanted)
