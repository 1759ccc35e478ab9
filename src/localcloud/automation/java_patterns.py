r"""`allowedPattern` is a regular expression of Java; here it becomes Python's, or is known to be none.

The same in both: most syntax, possessive quantifiers, atomic groups, lookaround. Rewritten: `\p{Alpha}` and the like,
`\Q…\E`, `\h`, `\z`, names of groups; `\w`, `\d` and `\s` mean ASCII, as in Java. Not expressible: intersections and
unions of classes, `\X`, `\R`, `\G`, flags in the middle. Such a pattern is not enforced, and `advice` says so.
"""

import re
from functools import lru_cache

_CLASSES = {
    "Alpha": "A-Za-z",
    "IsAlphabetic": "A-Za-z\u00aa-\uffdc",
    "Digit": "0-9",
    "Alnum": "A-Za-z0-9",
    "Upper": "A-Z",
    "Lower": "a-z",
    "Punct": r"!-/:-@\[-`{-~",
    "Space": r"\s",
    "Blank": r" \t",
    "XDigit": "0-9A-Fa-f",
    "ASCII": r"\x00-\x7f",
    "Graph": r"!-~",
    "Print": r" -~",
    "Cntrl": r"\x00-\x1f\x7f",
}
_TOKEN = re.compile(
    r"\\Q(?P<quoted>.*?)(?:\\E|$)"
    r"|\\(?P<sign>[pP])\{(?P<class>\w+)\}"
    r"|\\k<(?P<back>\w+)>"
    r"|\(\?<(?P<group>[A-Za-z]\w*)>"
    r"|\\(?P<escape>.)"
    r"|(?P<open>\[\^?\]?)"
    r"|(?P<plain>.)",
    re.DOTALL,
)
_ESCAPES = {"z": r"\Z", "h": r"[ \t\xa0]"}
_ESCAPES_IN_CLASS = {"h": r" \t\xa0"}
_INEXPRESSIBLE = frozenset("XRGNKHVv")


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str] | None:
    """The pattern as Python's, to be matched against a whole value as `String.matches` does; None if it has none."""
    text = _translated(pattern)
    if text is None:
        return None
    try:
        return re.compile(text, re.ASCII)
    except (re.error, RecursionError, OverflowError, ValueError):
        return None


def _translated(pattern: str) -> str | None:
    parts: list[str] = []
    in_class = False
    for token in _TOKEN.finditer(pattern):
        if in_class and (token["open"] or (token.group(0) == "&" and "&&" in pattern)):
            return None  # a union or an intersection of classes
        if token["open"]:
            in_class = True
        elif token.group(0) == "]":
            in_class = False
        part = _part(token, in_class=in_class)
        if part is None:
            return None
        if in_class and part == "-" and parts[-1] in ("[", "[^", "-"):
            part = r"\-"  # Python reserves two in a row for later
        parts.append(part)
    return "".join(parts)


def _part(token: re.Match[str], *, in_class: bool) -> str | None:
    text = token.group(0)
    if token["class"]:
        return _class(token["class"], negated=token["sign"] == "P", in_class=in_class)
    if token["escape"]:
        known = _ESCAPES_IN_CLASS if in_class else _ESCAPES
        return None if token["escape"] in _INEXPRESSIBLE else known.get(token["escape"], text)
    if token["quoted"] is not None:
        text = re.escape(token["quoted"])
    elif token["back"]:
        text = f"(?P={token['back']})"
    elif token["group"]:
        text = f"(?P<{token['group']}>"
    elif token["open"]:
        text = text.replace("]", r"\]")
    elif in_class and text in "&|~":
        text = f"\\{text}"  # Python reserves these for later
    return text


def _class(name: str, *, negated: bool, in_class: bool) -> str | None:
    inner = _CLASSES.get(name)
    if inner is None or (negated and in_class):
        return None
    if in_class:
        return inner
    return f"[^{inner}]" if negated else f"[{inner}]"
