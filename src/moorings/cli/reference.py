"""The manual's reference of all commands, made from their own help; HEAD says how."""

import sys
from collections.abc import Iterator
from typing import Any

from moorings.cli.door import EXITS
from moorings.cli.main import command

WIDTH = 100
HEAD = """# Commands

Results go to standard output, talk to standard error. `--json` prints one object, and nothing else on standard output;
an error is then one object on one line, the last one on standard error. Output that is no terminal is plain and whole.

All commands work with AWS and with the local cloud alike: only the surroundings differ (AWS_ENDPOINT_URL, credentials,
AWS_REGION, MOORINGS_FUNCTION_PLATFORM), which `moorings local up` prints.

Every command takes `--quiet` (results, questions and errors only), `--verbose` (every call to AWS with its duration and
request id, never what was sent or answered) and `--help`. Steps that take longer than a second say how long they took.

| `moorings …` | does |
|---|---|
{index}

## Exit codes

| exit code | |
|---|---|
{codes}

An error is one line on standard error, `moorings: …`, and its remedy the next; with `--json`, an object with `error`
(the word of its [family](errors.md)), `message`, `remedy`, `exit_code`, and what else a program can use (`call`,
`request_id`, `cloud_code`, `retry_after_seconds`). There is no trace of an error that is expected.

## Environment

| variable | what it does |
|---|---|
| `AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, … | as every AWS tool has them |
| `MOORINGS_STACK_NAME` | stands for `--stack-name` of enrolment, where none is given |
| `MOORINGS_PATCH_STACK_NAME` | the same, of patching |
| `MOORINGS_QUIET`, `MOORINGS_VERBOSE` | 1 stands for `--quiet`, `--verbose` |
| `MOORINGS_ANCHORS` | the directory of the trust anchors |
| `MOORINGS_FUNCTION_PLATFORM` | what zips and layers are built for, such as `python3.13/arm64` |
| `NO_COLOR`, `FORCE_COLOR` | no colour, or colour in a pipe as well; the first one goes before the second |
| `COLUMNS` | the width of a terminal, if it is another than the terminal says |

## Completion

`moorings completion bash`, `zsh`, `fish` or `powershell` prints a script whose first lines say where it goes.
Completing asks no network and loads no SDK. In a hurry, for this shell alone: `source <(moorings completion bash)`.

This page is generated from the commands' own help: `python -m moorings.cli.reference > docs/cli.md`.
"""


def commands() -> Iterator[tuple[str, Any, str]]:
    """Every command and group: its path as typed, the command itself, its help."""
    yield from _below(command, "moorings", None)


def reference() -> str:
    """The whole page, in Markdown."""
    leaves = [(path, text) for path, found, text in commands() if not _is_group(found)]
    sections = [f"## {path}\n\n```text\n{text.rstrip()}\n```\n" for path, text in leaves]
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXITS.items())
    return "\n".join([HEAD.format(index="\n".join(_line(path, text) for path, text in leaves), codes=codes), *sections])


def _line(path: str, text: str) -> str:
    """A command in one line: what its help says first, below the usage."""
    name, said = path.removeprefix("moorings "), text.split("\n\n")[1].strip().removesuffix(".")
    return f"| [`{name}`](#{path.replace(' ', '-')}) | {said} |"


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
