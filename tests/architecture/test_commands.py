"""Commands in the manual are commands of the product: name, options, arguments, and make's targets."""

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.architecture.repository import ROOT, code_spans, pages, shown

_MAKE = re.compile(r"^\s*(?:\$ )?(?:\S+=\S+ )*make ([a-z]+)\b")
_ENDS = {"|", ">", ">>", "<", "&&", "#", ";", "2>"}


@cache
def _known() -> dict[str, Any]:
    """Every command and group of the command line, by its path."""
    from moorings.cli.reference import commands  # loads all of them, once

    return {path: found for path, found, _ in commands()}


def _joined(text: str) -> list[str]:
    """The code of a page, with lines that end in a backslash joined to the next."""
    return code_spans(re.sub(r" *\\\n\s*", " ", text))


def _commands(path: Path) -> list[str]:
    """Every command line of `moorings` in a page, without prompt, pipe and remark."""
    found = []
    for span in _joined(path.read_text(encoding="utf-8")):
        match = re.match(r"^\s*(?:\$ )?(?:\.venv/bin/)?(moorings [a-z].*)$", span)
        if match and not match[1].startswith("moorings stack="):  # an activation's Description
            words = shlex.split(match[1].replace("…", ""), comments=True)
            end = next((place for place, word in enumerate(words) if word in _ENDS), len(words))
            found.append(shlex.join(words[:end]))
    return found


COMMANDS = [(shown(page), command) for page in pages() for command in _commands(page)]


def _resolved(words: list[str]) -> tuple[Any, list[str]]:
    """The command that `words` name, and what is left of them."""
    path = "moorings"
    while words and _is_group(_known()[path]) and not words[0].startswith("-"):
        path = f"{path} {words[0]}"
        assert path in _known(), f"there is no command {path}"
        words = words[1:]
    return _known()[path], words


def _is_group(command: Any) -> bool:
    return hasattr(command, "list_commands")


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_documented_command_exists_with_its_options(page: str, line: str) -> None:
    command, rest = _resolved(shlex.split(line)[1:])
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}

    assert {word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"} <= known


@pytest.mark.parametrize(("page", "line"), [each for each in COMMANDS if len(each[1].split()) > 2])
def test_a_documented_command_is_complete(page: str, line: str) -> None:
    """Options take the values that they are given, and no argument that must be there is missing."""
    command, rest = _resolved(shlex.split(line)[1:])
    required = [each for each in command.params if each.required and each.param_type_name == "argument"]
    if _is_group(command) or "--help" in rest or (required and not rest):
        return  # a name in passing, such as `moorings nodes deregister`

    command.make_context("moorings", list(rest))


@pytest.mark.parametrize("page", pages(), ids=shown)
def test_documented_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {name for span in code_spans(page.read_text(encoding="utf-8")) for name in _MAKE.findall(span)}

    assert named <= targets


def test_the_manual_shows_every_command_at_least_once() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages())

    assert not [path for path, command in _known().items() if not _is_group(command) and path not in text]
