"""`moorings patch …`: deploy patching, patch nodes with it, look at what happened, take it down."""

import typer

from moorings.cli.patch_deploy import deploy, remove
from moorings.cli.patch_kept import checkpoints, gc
from moorings.cli.patch_look import cancel, explain, status
from moorings.cli.patch_report import report
from moorings.cli.patch_run import run, watch

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Patching with rollback: a runbook that puts a VM back if patching it went wrong.",
)
app.command("deploy")(deploy)
app.command("run")(run)
app.command("status")(status)
app.command("watch")(watch)
app.command("explain")(explain)
app.command("cancel")(cancel)
app.command("report")(report)
app.command("checkpoints")(checkpoints)
app.command("gc")(gc)
app.command("remove")(remove)
