"""References in values become what they name: whole values keep their type, embedded ones become text.

A reference that nothing answers stays as it is written, spaces included: the service passes the literal text on, and
documents rely on it (a script fed by two steps of which one ran, a branch that asks whether an output is there).
Source: Systems Manager User Guide, "Automation variables"; see `choices` for what nobody has written down.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from localcloud.automation import references, values


class Scope(Protocol):
    """What references mean at one moment of one execution."""

    def lookup(self, reference: str) -> Any:
        """The value of what stands between the braces, without spaces; raises KeyError if there is none."""


def resolve(value: Any, scope: Scope) -> Any:
    """`value` with its references replaced, once: what comes in is not looked through again. Keys stay as they are.

    Whatever the text, nothing is raised but what `scope` raises besides KeyError.
    """
    if isinstance(value, str):
        return _resolved_text(value, scope)
    if isinstance(value, Mapping):
        return {key: resolve(each, scope) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return _resolved_list(value, scope)
    return value


def is_unresolved(value: Any) -> bool:
    """Whether a resolved value is still nothing but a reference: what it names did not exist."""
    return isinstance(value, str) and references.whole(value) is not None


def _resolved_text(text: str, scope: Scope) -> Any:
    if references.OPENING not in text:  # most are plain
        return text
    whole = references.whole(text)
    if whole is not None:
        try:
            return scope.lookup(whole.text)
        except KeyError:
            return text
    parts: list[str] = []
    end = 0
    for found in references.PATTERN.finditer(text):
        parts += [text[end : found.start()], _embedded(found.group(0), found.group(1), scope)]
        end = found.end()
    return "".join((*parts, text[end:]))


def _embedded(written: str, reference: str, scope: Scope) -> str:
    try:
        return values.as_text(scope.lookup(reference))
    except KeyError:
        return written


def _resolved_list(given: list[Any] | tuple[Any, ...], scope: Scope) -> list[Any]:
    resolved = [resolve(each, scope) for each in given]
    # ["{{ ids }}"] is the list itself, not a list that holds it.
    if len(resolved) == 1 and isinstance(given[0], str) and isinstance(resolved[0], list):
        return list(resolved[0])
    return resolved
