"""`moorings export`: everything that is deployed, as a folder for the console or the plain AWS CLI."""

from pathlib import Path
from typing import Annotated

import typer

from moorings.cli.options import Json
from moorings.cli.output import Results
from moorings.cli.progress import DeployProgress
from moorings.cli.talk import Talk
from moorings.deploy.halves import Half
from moorings.settings import deploy_settings


def export(
    directory: Annotated[Path, typer.Argument(help="Where to; must be empty or not there yet.", metavar="DIR")],
    *,
    only: Annotated[Half | None, typer.Option("--only", help="One half alone; default: both.")] = None,
    anchors: Annotated[
        Path | None,
        typer.Option("--anchors", help="Trust anchors to bundle; default: those of `moorings anchors`.", metavar="DIR"),
    ] = None,
    json: Json = False,
) -> None:
    """Write a folder that is deployed by hand.

    In it are templates, zips, the runbook, and two scripts for the plain AWS CLI; its README.txt has the steps for the
    console. Nothing is called; the same sources give the same bytes.

    \b
    Examples:
      moorings export moorings-by-hand
      moorings export patching-only --only patching --anchors anchors
    """
    from moorings.deploy.export import export as write
    from moorings.deploy.package import function_platform

    results, talk = Results(as_json=json), Talk()
    halves = (only,) if only else tuple(Half)
    bundled = (anchors or deploy_settings().anchors) if Half.PATCHING in halves else None
    with talk.working(f"exporting to {directory}"):
        done = write(
            directory,
            halves=halves,
            anchors=bundled,
            platform=function_platform(deploy_settings().function_platform),
            on_progress=DeployProgress(talk),
        )
    if Half.PATCHING in halves and not done.anchors:
        talk.say("no trust anchors were bundled, so no VM can prove which one it is: `moorings anchors update` first")
    if json:
        results.json({"directory": str(done.directory), "files": done.files, "size": done.size})
        return
    for name in done.files:
        results.line(name)
    talk.say(f"{done.size / 1e6:.1f} MB in {done.directory}: README.txt says how to go on")
