"""The text of a document becomes maps, lists, text, numbers, booleans and null: nothing that JSON could not say.

YAML is read as the service's own reader does, as far as is known: only `true` and `false` are booleans, a number is
what JSON would take for one, a date is text.
"""

import json
import math
import re
from collections.abc import Hashable, Iterable
from typing import Any

import yaml

from localcloud.automation.choices import MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_NODES
from localcloud.automation.refusals import DocumentTooLarge as DocumentTooLarge  # noqa: PLC0414 - named here for callers
from localcloud.automation.refusals import InvalidDocument as InvalidDocument  # noqa: PLC0414 - named here for callers

JSON, YAML, AUTO = "JSON", "YAML", "auto"


def load(text: str, *, format: str = AUTO) -> dict[str, Any]:  # noqa: A002 - the API's own word (DocumentFormat)
    """What the text says.

    `format`: as DocumentFormat, so YAML text under JSON is refused ("JSON not well-formed."); "auto" tells them apart
    by the first sign. Raises InvalidDocument, DocumentTooLarge above 64 KB.
    """
    text = text.removeprefix("\ufeff")
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_DOCUMENT_BYTES:
        raise DocumentTooLarge(f"The document has {size} bytes; at most {MAX_DOCUMENT_BYTES} (64 KB) are allowed.")
    if format not in (JSON, YAML, AUTO):
        raise InvalidDocument(f"The document format {format} is not supported.")
    as_json = format == JSON or (format == AUTO and text.lstrip(" \t\r\n").startswith("{"))
    found = _json(text) if as_json else _yaml(text)
    if not isinstance(found, dict):
        raise InvalidDocument(f"{JSON if as_json else YAML} not well-formed.")
    require_plain(found)
    return found


def require_plain(content: Any) -> None:
    """Return if `content` is made of JSON's values alone, of bounded depth and number; else raise InvalidDocument."""
    waiting: list[tuple[Any, int]] = [(content, 0)]
    count = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise InvalidDocument("The document says too much: its maps and lists are too deep or too many.")
        inner: Iterable[Any] = ()
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise InvalidDocument("Every key of the document must be text.")
            inner = value.values()
        elif isinstance(value, list | tuple):
            inner = value
        elif isinstance(value, float) and not math.isfinite(value):
            raise InvalidDocument("A number of the document is too large.")
        elif not (value is None or isinstance(value, str | int | float | bool)):
            raise InvalidDocument(f"A {type(value).__name__} is no value of a document.")
        waiting.extend((each, depth + 1) for each in inner)


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise InvalidDocument(f"JSON not well-formed. at Line: {error.lineno}, Column: {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidDocument("JSON not well-formed.") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidDocument(f'Duplicate key "{twice}" in the document.')
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


class _Loader(yaml.SafeLoader):
    """YAML as far as JSON goes."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own attribute

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Keys are text as it is written, `404` and `true` too; none may be there twice. There are no merge keys."""
        found: dict[Hashable, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise InvalidDocument("Every key of the document must be text.")
            if key.value in found:
                raise InvalidDocument(f'Duplicate key "{key.value}" in the document.')
            found[key.value] = self.construct_object(value, deep=deep)
        return found


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", "-+0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def _yaml(text: str) -> Any:
    loader = None
    try:
        loader = _Loader(text)
        return _copied(loader.get_single_data(), [MAX_NODES])
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at Line: {mark.line + 1}, Column: {mark.column + 1}" if mark else ""
        raise InvalidDocument(f"YAML not well-formed.{place}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _copied(value: Any, budget: list[int]) -> Any:
    """The same with aliases written out; raises RecursionError for a value that holds itself."""
    budget[0] -= 1
    if budget[0] < 0:
        raise InvalidDocument("The document says too much: its maps and lists are too deep or too many.")
    if isinstance(value, dict):
        return {key: _copied(each, budget) for key, each in value.items()}
    if isinstance(value, list):
        return [_copied(each, budget) for each in value]
    return value
