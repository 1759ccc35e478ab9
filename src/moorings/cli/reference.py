"""The manual's reference of all commands, made from their own help; HEAD says how."""

import sys
from collections.abc import Iterator
from typing import Any

from moorings.cli.main import command

WIDTH = 100
HEAD = """# Commands

Results go to stdout, talk to stderr; `--json` prints one object. Exit codes: 0 done, 1 done but not well, 2 usage or
settings, 3 refused, 4 busy, 5 a cloud failed, 70 a bug of ours, 130 stopped by Ctrl-C. An error is one line, and a
second one that says what to do. `NO_COLOR` is respected; output that is not a terminal is plain.

All commands work with AWS and with the local cloud alike: only the surroundings differ (AWS_ENDPOINT_URL, credentials,
AWS_REGION, MOORINGS_FUNCTION_PLATFORM), which `moorings local up` prints.

This page is generated from the commands' own help: `python -m moorings.cli.reference > docs/cli.md`.
"""


def commands() -> Iterator[tuple[str, Any, str]]:
    """Every command and group: its path as typed, the command itself, its help."""
    yield from _below(command, "moorings", None)


def reference() -> str:
    """The whole page, in Markdown."""
    sections = [
        f"## {path}\n\n```text\n{text.rstrip()}\n```\n" for path, found, text in commands() if not _is_group(found)
    ]
    return "\n".join([HEAD, *sections])


def _below(found: Any, path: str, parent: Any) -> Iterator[tuple[str, Any, str]]:
    context = found.context_class(
        found, info_name=path.rpartition(" ")[2], parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield path, found, found.get_help(context)
    if _is_group(found):
        for name in found.list_commands(context):
            yield from _below(found.get_command(context, name), f"{path} {name}", context)


def _is_group(found: Any) -> bool:
    return hasattr(found, "list_commands")


if __name__ == "__main__":
    sys.stdout.write(reference())
