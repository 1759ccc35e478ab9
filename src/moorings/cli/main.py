"""The console script `moorings`: all commands under their nouns, behind one door."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import typer

from moorings.cli.door import guarded
from moorings.cli.loudness import begin
from moorings.cli.streams import prepare
from moorings.cli.tree import Entry, Quiet, Tree, Verbose
from moorings.settings import completing_for, wants_colour

_BEGIN, _DEPLOY, _RUN, _MORE = "Begin here", "Deploy", "Enrol and patch", "More"


class _Commands(Tree):
    entries: ClassVar[Mapping[str, Entry]] = {
        "demo": Entry("moorings.cli.demo.command:demo", "See enrolment and patching happen on this computer", _BEGIN),
        "doctor": Entry(
            "moorings.cli.doctor:doctor", "Look for what is in the way, before deploying and after", _BEGIN
        ),
        "deploy": Entry("moorings.cli.deploy:deploy", "Deploy or update what a plan file describes", _DEPLOY),
        "destroy": Entry("moorings.cli.destroy:destroy", "Remove all that was made, and say what stays", _DEPLOY),
        "export": Entry("moorings.cli.export:export", "Write a folder that is deployed by hand", _DEPLOY),
        "policy": Entry(
            "moorings.cli.policy:policy", "Print what whoever deploys or patches has to be allowed", _DEPLOY
        ),
        "enrolment": Entry(
            "moorings.cli.enrolment.group:app", "The private API that gives servers their activation", _RUN
        ),
        "nodes": Entry("moorings.cli.nodes:app", "Managed nodes: list, find the silent ones, deregister", _RUN),
        "patch": Entry("moorings.cli.patch.group:app", "Patching that puts a VM back if it went wrong", _RUN),
        "azure": Entry("moorings.cli.azure:app", "Patching's way into Azure: set it up, try it on a VM", _RUN),
        "anchors": Entry("moorings.cli.anchors:app", "Trust anchors: whose word for a VM's identity counts", _RUN),
        "local": Entry("moorings.cli.local:app", "An AWS account of your own on this computer", _MORE),
        "completion": Entry("moorings.cli.completion:completion", "Print what makes a shell complete commands", _MORE),
        "version": Entry("moorings.cli.version:version", "Show the version, and what it runs on and builds for", _MORE),
    }


app = typer.Typer(
    name="moorings",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"moorings {version('moorings')}")
        raise typer.Exit


@app.callback()
def _common(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    _quiet: Quiet = False,
    _verbose: Verbose = False,
) -> None:
    """Holds every server, in any cloud or none, fast to AWS Systems Manager.

    A server asks a private API at first boot, gets a valid activation and becomes a managed node; patches are installed
    with a way back. `moorings demo` shows all of it on this computer, without an account.

    \b
    Environment:
      AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL, …   as every AWS tool has them
      MOORINGS_STACK_NAME                            as --stack-name, of enrolment
      MOORINGS_PATCH_STACK_NAME                      the same, of patching
      MOORINGS_QUIET, MOORINGS_VERBOSE               1: as --quiet, --verbose
      MOORINGS_ANCHORS, MOORINGS_FUNCTION_PLATFORM   what is bundled, built for
      NO_COLOR, FORCE_COLOR, COLUMNS                 colour, width

    \b
    Exit codes:
      0 done  1 done, but not well  2 usage or settings  3 refused  4 busy
      5 a cloud failed  70 our bug  130 Ctrl-C  141 the reader of a pipe is gone

    \b
    Examples:
      moorings demo
      moorings doctor --plan-nodes 500
      moorings nodes list --json
      moorings patch run --help
    """


command = typer.main.get_group(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code. Nothing is raised."""
    given = list(arguments)
    begin()

    def invoke() -> object:
        # Not `command.main`, which has a door of its own: it turns interrupts and broken pipes into other exits.
        colour = wants_colour(terminal=sys.stdout.isatty())
        with command.make_context("moorings", given, color=colour) as context:
            return command.invoke(context)

    return guarded(invoke, as_json="--json" in given)


def main() -> None:
    """The console script."""
    prepare()
    if shell := completing_for():
        from moorings.cli.completion import complete

        complete(command, shell, sys.argv[1:])
        return
    sys.exit(run(sys.argv[1:]))
