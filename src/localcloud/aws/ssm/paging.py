"""Pages of a listing that changes meanwhile: a token names the last item shown, so none is shown twice or skipped."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, TypeVar

from localcloud.errors import ServiceError

Item = TypeVar("Item")


def page(
    items: Iterable[Item], *, key: Callable[[Item], str], size: int, token: str, question: Any
) -> tuple[list[Item], str]:
    """Up to `size` items after the one that `token` names, by rising `key`, and the token of the next page or "".

    `question` is what was asked (filters): a token is valid for that question only. Raises ServiceError
    InvalidNextToken.
    """
    asked = _digest(question)
    after = _after(token, asked) if token else ""
    rest = sorted((it for it in items if key(it) > after), key=key)
    shown = rest[:size]
    more = len(rest) > size
    return shown, _token(asked, key(shown[-1])) if more else ""


def page_of_ordered(
    items_after: Callable[[str], Iterable[Item]], *, key: Callable[[Item], str], size: int, token: str, question: Any
) -> tuple[list[Item], str]:
    """The same for items that have an order of their own: no more of them are looked at than the page needs.

    `items_after` gives them behind the one with that key ("": from the first). Raises ServiceError InvalidNextToken.
    """
    asked = _digest(question)
    found = list(islice(items_after(_after(token, asked) if token else ""), size + 1))
    return found[:size], _token(asked, key(found[size - 1])) if len(found) > size else ""


def _digest(question: Any) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _token(asked: str, last: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([asked, last]).encode()).decode()


def _after(token: str, asked: str) -> str:
    try:
        question, last = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError, binascii.Error) as error:
        raise ServiceError("InvalidNextToken", "The specified token is not valid.") from error
    if question != asked or not isinstance(last, str):
        raise ServiceError("InvalidNextToken", "The specified token is not valid.")
    return last
