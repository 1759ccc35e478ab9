"""`moorings demo`: enrolment and patching happen on this computer; what is done, is done by `demo_show`."""

from pathlib import Path
from typing import Annotated

import typer

from moorings.cli.demo.servers import MOST_SERVERS
from moorings.cli.options import Json
from moorings.cli.output import Results
from moorings.cli.talk import Talk
from moorings.errors import NOT_WELL_EXIT

REPORT = Path("moorings-demo.html")


def demo(
    *,
    servers: Annotated[
        int, typer.Option("--servers", help="How many servers boot at once.", metavar="N", min=1, max=MOST_SERVERS)
    ] = 12,
    report: Annotated[
        Path, typer.Option("--report", help="Where the report on patching goes; JSON beside it.", metavar="FILE")
    ] = REPORT,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up until Ctrl-C, to look around.")] = False,
    json: Json = False,
) -> None:
    """See enrolment and patching happen on this computer.

    The clouds are local; templates, zips, layer and runbook are the real ones. Starts a local cloud and deploys the
    stacks through CloudFormation. Servers of different clouds and systems boot at once and become managed nodes while
    the activation rotates. Then Azure VMs are patched, all at the same time, and on each something else happens: good
    ends, updates that break the VM and are rolled back, snapshots that fail. Takes everything down again. What the
    emulated clouds measure runs 20 times faster than in the real ones. Needs Linux and root (or user namespaces), no
    account and no network. Exit code 0 only if everything ended as it has to.

    \b
    Examples:
      moorings demo
      moorings demo --json
      moorings demo --servers 50 --report demo.html --keep
    """
    from moorings.cli.demo.show import perform

    results, talk = Results(as_json=json), Talk()
    if not perform(servers=servers, report=report, keep=keep, results=results, talk=talk):
        raise typer.Exit(NOT_WELL_EXIT)
