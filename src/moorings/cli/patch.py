"""`moorings patch …`: deploy patching, take it down."""

import typer

from moorings.cli.patch_deploy import deploy, remove

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Patching with rollback: a runbook that puts a VM back if patching it went wrong.",
)
app.command("deploy")(deploy)
app.command("remove")(remove)
