"""References, `{{ name }}`: how they are written, and which of them a value holds.

Source: Systems Manager User Guide, "Automation variables"; spaces inside the braces are optional.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

# A parameter, Step.Output, or a name with its prefix. Anything else between braces is text of somebody else's template.
OPENING = "{{"
PATTERN = re.compile(
    r"\{\{[ \t\r\n]*("
    r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_.\-]+)?"
    r"|(?:variable|global|automation):[A-Za-z0-9_]+"
    r"|ssm:[A-Za-z0-9_.\-/]+(?::[0-9]+)?"
    r"|ssm-secure:[A-Za-z0-9_.\-/]+(?::[0-9]+)?"
    r"|resolve:[^{}]*"
    r")[ \t\r\n]*\}\}"
)
GLOBALS = ("DATE", "DATE_TIME", "REGION", "ACCOUNT_ID", "AWS_PARTITION")
AUTOMATION = ("EXECUTION_ID",)


class Kind(Enum):
    """What a reference names."""

    PARAMETER = "parameter"
    OUTPUT = "output"
    VARIABLE = "variable"
    GLOBAL = "global"
    AUTOMATION = "automation"
    STORED = "ssm"  # a parameter of Parameter Store
    OTHER = "other"  # a prefix of other kinds of documents


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference: `text` is what stands between the braces, without the spaces."""

    text: str

    @property
    def kind(self) -> Kind:
        """What it names."""
        prefix, colon, _ = self.text.partition(":")
        if colon:
            return _PREFIXES.get(prefix, Kind.OTHER)
        return Kind.OUTPUT if "." in self.text else Kind.PARAMETER

    @property
    def name(self) -> str:
        """The text behind the prefix; the whole text if it has none."""
        return self.text.partition(":")[2] if ":" in self.text else self.text

    @property
    def step(self) -> str:
        """The step that an output is of."""
        return self.text.partition(".")[0]


_PREFIXES = {
    "variable": Kind.VARIABLE,
    "global": Kind.GLOBAL,
    "automation": Kind.AUTOMATION,
    "ssm": Kind.STORED,
}


def in_text(text: str) -> Iterator[Reference]:
    """The references of a text, in order."""
    return (Reference(found.group(1)) for found in PATTERN.finditer(text))


def whole(text: str) -> Reference | None:
    """The reference that the text consists of, if it is nothing else."""
    found = PATTERN.fullmatch(text)
    return Reference(found.group(1)) if found else None


def holds_any(value: Any) -> bool:
    """Whether any text inside `value` holds a reference."""
    return next(in_value(value), None) is not None


def in_value(value: Any) -> Iterator[Reference]:
    """The references of all texts in lists and maps; those in keys do not count, as they are never resolved."""
    if isinstance(value, str):
        yield from in_text(value)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from in_value(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from in_value(each)
