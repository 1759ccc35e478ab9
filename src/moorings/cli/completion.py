"""`moorings completion`: the script that makes a shell complete our commands, and what that script then asks for.

A script sets `_MOORINGS_COMPLETE` and calls us with the words up to the cursor. The answer is a line for each
candidate, with a tab before what it is, or `:files` where the shell knows better. No network is used, no SDK is loaded.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import TyperException

from moorings.cli.options import Json

if TYPE_CHECKING:
    from typer.core import TyperGroup

FILES = ":files"
_EMPTY = ":empty"  # how a shell that cannot hand over an empty word says that there is one


class Shell(Enum):
    """The shells that a script is kept for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


_SCRIPTS = {
    Shell.BASH: "moorings.bash",
    Shell.ZSH: "moorings.zsh",
    Shell.FISH: "moorings.fish",
    Shell.POWERSHELL: "moorings.ps1",
}


def completion(
    shell: Annotated[Shell, typer.Argument(help="bash, zsh, fish or powershell.", metavar="SHELL")], json: Json = False
) -> None:
    """Print what makes a shell complete commands.

    Commands, options, and values that are known on this computer are completed: choices, Regions, profiles, files.
    Where a shell looks for its script is said at the beginning of it.

    \b
    Examples:
      source <(moorings completion bash)
      moorings completion zsh > "${fpath[1]}/_moorings"
      moorings completion fish > ~/.config/fish/completions/moorings.fish
      moorings completion powershell >> $PROFILE
    """
    text = (files("moorings.cli") / "completions" / _SCRIPTS[shell]).read_text(encoding="utf-8")
    if json:
        sys.stdout.write(_json(shell, text))
    else:
        sys.stdout.write(text)


def complete(command: "TyperGroup", shell: str, words: Sequence[str]) -> None:
    """Print the candidates for the last of `words`. Whatever goes wrong, none is printed: somebody is typing.

    A bug of ours is told on stderr, which the scripts throw away, and whoever looks for it does not.
    """
    *before, last = words or [""]
    try:
        found = list(candidates(command, before, "" if last == _EMPTY else last))
    except TyperException:  # the line is not right yet
        return
    except Exception:  # an outermost door
        import traceback

        traceback.print_exc()
        return
    described = shell != Shell.BASH.value
    for value, about in found:
        sys.stdout.write(f"{value}\t{about}\n" if described and about else f"{value}\n")


def candidates(command: "TyperGroup", before: Sequence[str], last: str) -> Iterator[tuple[str, str]]:
    """What `last` could become after the words `before`, and in a line what that is; or `:files`."""
    # Typer's own scripts would ask twice, and for them it loads what draws its help; so only its parsing is used.
    from typer._click import shell_completion as parsing

    given = list(before)
    context = parsing._resolve_context(command, {}, "moorings", list(before))
    asked: Any
    asked, begun = parsing._resolve_incomplete(context, given, last)
    prefix = last[: len(last) - len(begun)] if last.startswith("-") and "=" in last else ""
    commands = dict(row for rows in asked.summaries(context).values() for row in rows) if _is_group(asked) else {}
    if commands and not begun.startswith("-"):
        yield from ((name, about) for name, about in commands.items() if name.startswith(begun))
        return
    found = [(each.value, " ".join((each.help or "").split())) for each in asked.shell_complete(context, begun)]
    if not found and _wants_file(asked):
        yield FILES, ""
    yield from ((f"{prefix}{value}", about) for value, about in found)


def _is_group(asked: Any) -> bool:
    return hasattr(asked, "summaries")


def _wants_file(asked: Any) -> bool:
    kind = getattr(asked, "type_descriptor", None)
    annotation = str(getattr(kind, "annotation", ""))
    return kind is not None and (kind.is_path or "Path" in annotation)


def _json(shell: Shell, text: str) -> str:
    return json.dumps({"shell": shell.value, "script": text}, indent=2, ensure_ascii=False) + "\n"
