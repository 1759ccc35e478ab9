"""What moto finds out anew for every call and could remember: names of members, expressions it has read before.

Installed when moto's bridge is loaded. Nothing is answered otherwise than moto answers it; what depends on an object of
its own (aliases that an instance brings) is left to moto.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

import moto.core.responses
from moto.core.serialize import DEFAULT_ALIAS_PROVIDERS, AttributePickerContext, XFormedAttributePicker
from moto.core.utils import method_names_from_class
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.parsing import expressions

_EXPRESSIONS = 4096  # texts that are remembered: programs have some dozens


def install() -> None:
    """Put what remembers in the place of what does not; safe to repeat."""
    replaced: Mapping[tuple[Any, str], Any] = {
        (moto.core.responses, "method_names_from_class"): _method_names,
        (XFormedAttributePicker, "get_possible_keys"): _possible_keys,
        (ConditionExpressionParser, "_lex_condition_expression"): _read_condition,
        (expressions.UpdateExpressionParser, "make"): staticmethod(_read_update),  # type: ignore[attr-defined]
    }
    for (owner, name), ours in replaced.items():
        setattr(owner, name, ours)


_method_names = cache(method_names_from_class)
_ask_moto = XFormedAttributePicker.get_possible_keys
_keys: dict[tuple[Any, ...], tuple[str, ...]] = {}


def _possible_keys(picker: XFormedAttributePicker, context: AttributePickerContext) -> Iterable[str]:
    """Under which keys an answer's member may be found: of any two objects of a class the same."""
    own = hasattr(context.obj, "Meta") or isinstance(context.obj, Exception)  # an error's shape is made for it alone
    if own or picker.alias_providers is not DEFAULT_ALIAS_PROVIDERS:
        return _ask_moto(picker, context)
    shape = context.shape
    place = (context.obj.__class__, context.key, shape, getattr(shape, "parent", None))
    found = _keys.get(place)
    if found is None:
        found = _keys[place] = tuple(dict.fromkeys(_ask_moto(picker, context)))
    return found


_read_anew = ConditionExpressionParser._lex_condition_expression
_make_anew: Callable[[str], Any] = expressions.UpdateExpressionParser.make  # type: ignore[attr-defined]


@lru_cache(maxsize=_EXPRESSIONS)
def _tokens(text: str) -> tuple[Any, ...]:
    return tuple(_read_anew(ConditionExpressionParser(text, None, None)))


def _read_condition(parser: ConditionExpressionParser) -> deque[Any]:
    """The parser consumes what it gets, but changes no token."""
    return deque(_tokens(parser.condition_expression))


@lru_cache(maxsize=_EXPRESSIONS)
def _read_update(text: str) -> Any:
    """The tree of an update expression; moto copies it before it puts values in."""
    return _make_anew(text)
