"""Fills a bootstrap script's settings block in; the function that serves the scripts calls it.

Standard library alone: it runs inside the function. Whatever a setting holds, it arrives in the script as that text and
nothing else: it is quoted for the script's language, and control characters are refused before.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources

from moorings.errors import Misconfigured

LINUX = "linux.sh"
WINDOWS = "windows.ps1"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# PowerShell takes these for a single quote as well.
_POWERSHELL_QUOTES = re.compile("(['‘’‚‛])")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptSettings:
    """What a served script is filled in with; empty text: the script's default, or its caller says it."""

    url: str  # the enrolment API, https://…
    region: str
    packages: str = ""  # base URL of the agent's packages; empty: the publisher's own for the Region
    signing_key: str = ""  # armoured OpenPGP public key, several lines; Windows packages carry their own signature
    pool: str = ""


def linux(settings: ScriptSettings) -> str:
    """The bootstrap script for Linux. Raises Misconfigured for a setting that holds a control character."""
    values = _single_lines(settings) | {"MOORINGS_SIGNING_KEY": _lines("signing_key", settings.signing_key)}
    return _fill_in(LINUX, values, line="default {name} {value}", quote=shlex.quote, empty="''")


def windows(settings: ScriptSettings) -> str:
    """The bootstrap script for Windows. Raises Misconfigured for a setting that holds a control character."""
    return _fill_in(WINDOWS, _single_lines(settings), line="${name} = {value}", quote=_powershell_quote, empty="''")


def _single_lines(settings: ScriptSettings) -> dict[str, str]:
    named = {"url": settings.url, "region": settings.region, "packages": settings.packages, "pool": settings.pool}
    for name, value in named.items():
        if _CONTROL.search(value):
            raise Misconfigured(
                f"the bootstrap setting {name} holds a control character", remedy="write it as one line of plain text"
            )
    return {f"MOORINGS_{name.upper()}": value for name, value in named.items()}


def _lines(name: str, text: str) -> str:
    lines = text.replace("\r\n", "\n").split("\n")
    if any(_CONTROL.search(line) for line in lines):
        raise Misconfigured(
            f"the bootstrap setting {name} holds a control character",
            remedy="paste the armoured key as it was published",
        )
    return "\n".join(lines).strip("\n")


def _powershell_quote(text: str) -> str:
    return "'" + _POWERSHELL_QUOTES.sub(r"\1\1", text) + "'"


def _fill_in(script: str, values: Mapping[str, str], *, line: str, quote: Callable[[str], str], empty: str) -> str:
    """The script with each setting's empty default replaced; a setting that the script does not have is our bug."""
    text = resources.files("moorings.enrolment.bootstrap").joinpath(script).read_text(encoding="utf-8")
    fillings = {
        line.format(name=name, value=empty): line.format(name=name, value=quote(values[name])) for name in values
    }
    lines = text.split("\n")
    found = [bare for bare in map(str.strip, lines) if bare in fillings]
    if sorted(found) != sorted(fillings):
        raise AssertionError(f"{script} has not exactly one line for each of {', '.join(values)}")
    return "\n".join(
        whole.replace(bare, fillings.get(bare, bare)) if (bare := whole.strip()) else whole for whole in lines
    )
