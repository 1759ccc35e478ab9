"""The command tree: nouns that are loaded when they are asked for, options that every command has, help in sections.

A command's docstring is its help: what it does in one line, then paragraphs, then blocks that begin with a heading,
such as `Examples:`, whose lines stay as they are and come last, where a terminal shows them.
"""

import copy
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup
from typer.exceptions import TyperException

from moorings.cli.loudness import Loudness, choose
from moorings.settings import QUIET, VERBOSE

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand
    from typer._click import Context, HelpFormatter

COMMON = "Common options"
WIDEST_NAME = 26  # columns; what stands beside a longer name begins on the next line
_BLOCK = "\b\n"  # how docstrings mark what is not to be wrapped


def _be_quiet(context: typer.Context, param: typer.CallbackParam, wanted: bool) -> None:
    if wanted:
        choose(Loudness.QUIET, typed=not from_surroundings(context, param))


def _be_verbose(context: typer.Context, param: typer.CallbackParam, wanted: bool) -> None:
    if wanted:
        choose(Loudness.VERBOSE, typed=not from_surroundings(context, param))


def from_surroundings(context: Any, param: Any) -> bool:
    """Whether the value of a parameter was not typed but stands in an environment variable."""
    source = context.get_parameter_source(param.name)
    return source is not None and source.name == "ENVIRONMENT"


Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Say nothing but results, questions and errors.",
        envvar=QUIET,
        show_envvar=False,
        callback=_be_quiet,
        expose_value=False,
        rich_help_panel=COMMON,
    ),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Say every call to AWS: how long it took, its request id.",
        envvar=VERBOSE,
        show_envvar=False,
        callback=_be_verbose,
        expose_value=False,
        rich_help_panel=COMMON,
    ),
]


def _every_command_has(_quiet: Quiet = False, _verbose: Verbose = False) -> None:
    """Never called: what its options are is taken from it."""


_TEMPLATE = typer.Typer(add_completion=False)
_TEMPLATE.command()(_every_command_has)
_ALWAYS = typer.main.get_command(_TEMPLATE).params


class Command(TyperCommand):
    """A command of ours."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *(copy.copy(each) for each in _ALWAYS)]

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """As typer's; every error of usage knows whose it is, so that it can name the help to read."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            if getattr(error, "ctx", ctx) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            raise

    def collect_usage_pieces(self, ctx: "Context") -> list[str]:
        """As manual pages have it: brackets around what may be left out, dots after what may come again."""
        pieces = [self.options_metavar] if self.options_metavar else []
        for each in self.params:
            if isinstance(each, TyperArgument):
                name = (each.metavar or each.name) + ("..." if each.nargs != 1 else "")
                pieces.append(name if each.required else f"[{name}]")
        return pieces

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Usage, what it does, arguments, options by section, examples."""
        self.format_usage(ctx, formatter)
        told = _Told.of(self.help or "")
        _prose(formatter, told.prose, ctx)
        _options(self, ctx, formatter)
        _blocks(formatter, told.blocks, ctx)


class Group(TyperGroup):
    """A noun of ours, with commands below it."""

    def format_help(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Usage, what it is, its commands by section, options, examples."""
        self.format_usage(ctx, formatter)
        told = _Told.of(self.help or "")
        _prose(formatter, told.prose, ctx)
        _lists(formatter, self.summaries(ctx), ctx)
        _options(self, ctx, formatter)
        _blocks(formatter, told.blocks, ctx)

    def summaries(self, ctx: "Context") -> Mapping[str, Sequence[tuple[str, str]]]:
        """Section → its commands, each with what it does in one line."""
        return {"Commands": [(name, summary_of(each)) for name, each in self.commands.items()]}


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that is loaded when it is asked for: `source` is `module:name` of an app, or of a function."""

    source: str
    summary: str  # equals what the loaded command says of itself
    panel: str


class Tree(Group):
    """The root: knows of every command what it does in one line, and loads the one that is meant."""

    entries: ClassVar[Mapping[str, Entry]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands = _Loading(self.entries)

    def list_commands(self, ctx: "Context") -> list[str]:
        """Their names."""
        return list(self.entries)

    def summaries(self, ctx: "Context") -> Mapping[str, Sequence[tuple[str, str]]]:
        """As `Group.summaries`; nothing is loaded for it."""
        found: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self.entries.items():
            found.setdefault(entry.panel, []).append((name, entry.summary))
        return found

    def brief(self, ctx: "Context") -> str:
        """What there is, on one screen: for whoever types no more than our name."""
        formatter = ctx.make_formatter()
        formatter.write_usage(ctx.command_path, "COMMAND [OPTIONS]")
        formatter.write_text(f"{summary_of(self)}.")
        sections = self.summaries(ctx)
        width = max(len(name) for rows in sections.values() for name, _ in rows)
        for heading, rows in sections.items():
            formatter.write(_heading(heading, ctx))
            formatter.write("".join(f"  {name.ljust(width)}  {about}\n" for name, about in rows))
        formatter.write_text(f"`{ctx.command_path} COMMAND --help` says more, `{ctx.command_path} --help` the rest.")
        return formatter.getvalue().rstrip()


class _Loading(dict[str, "AnyCommand"]):
    """Commands by name, each loaded on first sight."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        super().__init__()
        self._entries = entries

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self._entries else default

    def __missing__(self, name: str) -> "AnyCommand":
        self[name] = loaded(name, self._entries[name])
        return self[name]

    def keys(self) -> Any:
        return self._entries.keys()


class Noun(typer.Typer):
    """A group in the making; `help` as a command's docstring has it."""

    def __init__(self, *, help: str) -> None:  # noqa: A002 - as typer calls it
        super().__init__(no_args_is_help=True, rich_markup_mode=None, cls=Group, help=help, add_completion=False)

    def command(self, name: str | None = None, **kwargs: Any) -> Callable[[Any], Any]:
        """As typer's, of our class."""
        return super().command(name, cls=kwargs.pop("cls", Command), **kwargs)


def loaded(name: str, entry: Entry) -> "AnyCommand":
    """The command or group that an entry stands for."""
    module, _, attribute = entry.source.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        single = Noun(help="")
        single.command(name)(found)
        found = single
    command = typer.main.get_command(found)
    command.name = name
    return command


def summary_of(command: "AnyCommand") -> str:
    """What a command does, in its help's first line."""
    return (command.help or "").strip().partition("\n")[0].rstrip(".")


@dataclass(frozen=True, slots=True)
class _Told:
    """A help text taken apart."""

    prose: str
    blocks: Sequence[tuple[str, Sequence[str]]]

    @classmethod
    def of(cls, text: str) -> "_Told":
        prose, *rest = inspect.cleandoc(text).split(_BLOCK)
        blocks = [each.rstrip().splitlines() for each in rest]
        return cls(prose=prose.strip(), blocks=[(lines[0].rstrip(":"), lines[1:]) for lines in blocks])


def _prose(formatter: "HelpFormatter", prose: str, ctx: "Context") -> None:
    if prose:
        formatter.write_paragraph()
        formatter.write_text(prose)


def _options(command: "AnyCommand", ctx: "Context", formatter: "HelpFormatter") -> None:
    """Arguments, then the command's own options, then those that many have; help at the end of the last section."""
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], COMMON: []}
    for each in command.get_params(ctx):
        row = each.get_help_record(ctx)
        if row is None:
            continue
        row = (row[0], _in_words(row[1]))
        if each.param_type_name == "argument":
            sections["Arguments"].append((row[0].partition(" <")[0], row[1]))
        else:
            panel = COMMON if each.name == "help" else getattr(each, "rich_help_panel", None) or "Options"
            sections.setdefault(panel, []).append(row)
    _lists(formatter, {heading: rows for heading, rows in sections.items() if rows}, ctx)


def _in_words(about: str) -> str:
    """Typer tells what a number may be as a formula."""
    return re.sub(r"(\d+)<=x<=(\d+)", r"\1 to \2", re.sub(r"x>=(\d+)", r"at least \1", about))


def _lists(formatter: "HelpFormatter", sections: Mapping[str, Sequence[tuple[str, str]]], ctx: "Context") -> None:
    """Sections of names with what they are, under one another as if they were one list."""
    lengths = [len(name) for rows in sections.values() for name, _ in rows]
    width = max((length for length in lengths if length <= WIDEST_NAME), default=0)
    for heading, rows in sections.items():
        with _section(formatter, heading, ctx):
            formatter.write_dl([(name.ljust(width), about) for name, about in rows], col_max=WIDEST_NAME)


def _blocks(formatter: "HelpFormatter", blocks: Sequence[tuple[str, Sequence[str]]], ctx: "Context") -> None:
    for heading, lines in blocks:
        with _section(formatter, heading, ctx):
            formatter.write("".join(f"{line}\n" if line.strip() else "\n" for line in lines))


@contextmanager
def _section(formatter: "HelpFormatter", heading: str, ctx: "Context") -> Iterator[None]:
    formatter.write_paragraph()
    formatter.write(_heading(heading, ctx))
    formatter.indent()
    yield
    formatter.dedent()


def _heading(text: str, ctx: "Context") -> str:
    return (typer.style(f"{text}:", bold=True) if ctx.color else f"{text}:") + "\n"
