"""`moorings patch …`: deploy patching, patch nodes with it, look at what happened, take it down."""

from moorings.cli.patch.deploy import deploy, remove
from moorings.cli.patch.kept import checkpoints, gc
from moorings.cli.patch.look import cancel, explain, status
from moorings.cli.patch.report import report
from moorings.cli.patch.run import run, watch
from moorings.cli.tree import Noun

app = Noun(
    help="""Patching that puts a VM back if it went wrong.

    \b
    Examples:
      moorings patch run mi-0123456789abcdef0 --health-check 'systemctl is-active nginx'
      moorings patch status
      moorings patch explain 01234567-89ab-cdef-0123-456789abcdef
    """
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
