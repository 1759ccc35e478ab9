"""The console script `moorings`: all commands under their nouns, behind one door."""

import sys
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from moorings.cli import (
    anchors,
    automation,
    azure,
    demo,
    deploy,
    destroy,
    doctor,
    enrolment,
    export,
    local,
    nodes,
    patch,
)
from moorings.cli.door import guarded

app = typer.Typer(
    name="moorings",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(enrolment.app, name="enrolment")
app.add_typer(nodes.app, name="nodes")
app.add_typer(patch.app, name="patch")
app.add_typer(azure.app, name="azure")
app.add_typer(anchors.app, name="anchors")
local.app.add_typer(automation.app, name="automation")
app.add_typer(local.app, name="local")
app.command("doctor")(doctor.doctor)
app.command("deploy")(deploy.deploy)
app.command("destroy")(destroy.destroy)
app.command("export")(export.export)
app.command("demo")(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"moorings {installed_version('moorings')}")
        raise typer.Exit


@app.callback()
def _common(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Holds every server, in any cloud or none, fast to AWS Systems Manager.

    A server asks a private API at first boot, gets a valid activation and becomes a managed node. `moorings demo` shows
    all of it on this computer, without an account.

    Exit codes: 0 done, 1 done but not well, 2 usage or settings, 3 refused, 4 busy, 5 a cloud failed, 70 our bug.

    \b
    Examples:
      moorings demo
      moorings enrolment deploy --vpc vpc-0a1b2c3d --subnet subnet-1 --subnet subnet-2 --allow-network-proof
    """


command = typer.main.get_command(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code. Nothing is raised."""

    def invoke() -> object:
        # Not `command.main`, which has a door of its own: it turns interrupts and broken pipes into other exits.
        with command.make_context("moorings", list(arguments)) as context:
            return command.invoke(context)

    return guarded(invoke)


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))
