"""The command tree: examples that work, help that fits a terminal, and nothing loaded that is not needed."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Cli

from moorings.cli.main import _Commands, command
from moorings.cli.reference import commands
from moorings.cli.tree import COMMON, summary_of
from moorings.settings import COMPLETE

ALL = list(commands())
IDS = [path for path, _, _ in ALL]
HEAVY = ("boto3", "botocore", "azure", "msal", "cryptography", "requests", "urllib3", "yaml", "localcloud")
TERMINAL = 80  # columns


def examples(text: str) -> list[str]:
    """The command lines below `Examples:`, each on one line, without what a shell does around them."""
    block = text.partition("Examples:\n")[2].replace("\\\n", " ")
    lines = [re.sub(r"\s+", " ", line.strip()) for line in block.splitlines()]
    lines = [re.sub(r"^source <\((.*)\)$", r"\1", line) for line in lines]
    return [re.split(r" (?:>>|>|<|\|) ", line)[0] for line in lines if line]


@pytest.mark.parametrize(("path", "found", "text"), ALL, ids=IDS)
def test_every_command_and_group_has_examples_that_the_command_line_takes(path: str, found: Any, text: str) -> None:
    """One begins with the command itself; each of ours is parsed as if it were typed."""
    told = [line for line in examples(text) if line.startswith("moorings ")]

    assert any(line.startswith(path) for line in told)
    for line in told:
        parse(shlex.split(line)[1:])


def parse(words: list[str]) -> None:
    """Parse to the last word; raises what a person would be told."""
    if "--help" in words:
        words = words[: words.index("--help")]
    context = command.make_context("moorings", list(words) or ["demo"])
    while context._protected_args:
        name, found, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        if not rest and hasattr(found, "list_commands"):
            return
        context = found.make_context(name, rest, parent=context)


@pytest.mark.parametrize(("path", "found", "text"), ALL, ids=IDS)
def test_help_begins_with_a_line_that_a_list_of_commands_has_room_for(path: str, found: Any, text: str) -> None:
    """What a command does is not cut, and no sentence is folded in a list."""
    summary = summary_of(found)

    assert summary
    assert len("  checkpoints  ") + len(summary) <= TERMINAL or path == "moorings"
    assert not summary.endswith((".", "…"))


@pytest.mark.parametrize("name", _Commands.entries)
def test_the_list_of_commands_says_what_the_commands_say_of_themselves(name: str) -> None:
    """It is told without loading them."""
    found = command.commands.get(name)

    assert summary_of(found) == _Commands.entries[name].summary


@pytest.mark.parametrize("width", [60, 80])
def test_help_fits_a_terminal(bare: Cli, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """But for examples, which are there to be copied."""
    monkeypatch.setenv("COLUMNS", str(width))

    for path in ("", "nodes", "patch run", "enrolment deploy"):
        shown = bare(*path.split(), "--help")
        folded = shown.out.partition("Environment:" if not path else "Examples:")[0]
        assert shown.code == 0
        assert max(len(line) for line in folded.splitlines()) <= width


def test_our_name_alone_shows_what_there_is_on_one_screen(bare: Cli) -> None:
    """80 by 24, with a line left for what is typed next."""
    shown = bare()

    lines = shown.err.splitlines()
    assert (shown.code, shown.out) == (2, "")
    assert len(lines) < 24
    assert max(len(line) for line in lines) <= TERMINAL
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in _Commands.entries)


def test_options_that_many_commands_have_stand_behind_the_commands_own() -> None:
    """In the same order everywhere, and help last."""
    text = next(text for path, _, text in ALL if path == "moorings nodes list")
    common = re.findall(r"^ +(?:-\w, )?(--[\w-]+)", text.partition(f"{COMMON}:")[2], re.MULTILINE)

    assert text.index("--offline") < text.index(f"{COMMON}:") < text.index("Examples:")
    assert common == ["--json", "--region", "--profile", "--quiet", "--verbose", "--help"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(("ptach",), "patch"), (("enrollment",), "enrolment"), (("nodes", "lst"), "list"), (("vresion",), "version")],
)
def test_a_mistyped_command_is_told_what_may_have_been_meant(bare: Cli, typed: tuple[str, ...], meant: str) -> None:
    """At every level of the tree."""
    refused = bare(*typed)

    assert (refused.code, refused.out) == (2, "")
    assert f"Did you mean '{meant}'?" in refused.err


def test_a_mistyped_option_is_told_what_there_is(bare: Cli) -> None:
    """The nearest ones."""
    assert "--offline" in bare("nodes", "list", "--ofline").err


# What starts a cloud, fetches something or stays; the others end at once where there is no account.
STAYS = {"moorings demo", "moorings local up", "moorings anchors update", "moorings local automation run"}
LEAVES = [(path, text) for path, found, text in ALL if not hasattr(found, "list_commands") and path not in STAYS]


@pytest.mark.parametrize(("path", "text"), LEAVES, ids=[path for path, _ in LEAVES])
def test_with_json_every_command_answers_in_json_however_it_ends(
    bare: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str, text: str
) -> None:
    """One object on stdout, or nothing there and one object on the last line of stderr. Its example is what is run."""
    monkeypatch.chdir(tmp_path)
    line = next(line for line in examples(text) if line.startswith(path))

    ended = bare(*shlex.split(line)[1:], "--json")

    if ended.code in {0, 1}:
        assert isinstance(ended.json, dict)
    else:
        assert ended.out == ""
        assert json.loads(ended.err.splitlines()[-1])["exit_code"] == ended.code


TELLS_MODULES = """
import atexit, json, sys
from moorings.cli.main import main
atexit.register(lambda: sys.stderr.write(json.dumps(sorted(sys.modules))))
main()
"""


def loaded_by(arguments: list[str], **environment: str) -> tuple[set[str], str]:
    """The modules that a process of its own has loaded after a command line, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", TELLS_MODULES, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(done.stderr)), done.stdout


@pytest.mark.parametrize(
    ("typed", "environment", "unneeded"),
    [
        ("--help", {}, ("rich", "moorings.cli.patch", "moorings.deploy", "moorings.enrolment")),
        ("--version", {}, ("rich", "moorings.cli.patch", "moorings.deploy")),
        ("patch --help", {}, ("moorings.cli.demo", "moorings.cli.nodes")),
        ("patch run --re", {COMPLETE: "zsh"}, ("moorings.cli.demo",)),
        ("nodes list --region eu-", {COMPLETE: "zsh"}, ("moorings.cli.patch",)),
    ],
)
def test_help_and_completion_load_no_sdk(typed: str, environment: dict[str, str], unneeded: tuple[str, ...]) -> None:
    """That is what makes them fast: an SDK takes longer to load than all of ours."""
    modules, printed = loaded_by(typed.split(), **environment)

    assert printed
    assert modules & {*HEAVY, *unneeded} == set()


def test_no_commands_module_loads_an_sdk() -> None:
    """Every command's help and options can be had without one."""
    code = (
        "import sys; from moorings.cli.reference import commands; list(commands());"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "[]"
