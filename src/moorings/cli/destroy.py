"""`moorings destroy`: both halves taken down, in the order that leaves nobody without what they need."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorings.cli import enrolment_text, patch_text
from moorings.cli.options import PATCH_STACK, STACK, DryRun, Json, Profile, Region, Yes, checked_stack_name
from moorings.cli.output import Results
from moorings.cli.progress import DeployProgress
from moorings.cli.surroundings import open_aws
from moorings.cli.talk import Talk
from moorings.clock import SystemClock
from moorings.deploy.halves import Half
from moorings.errors import Refused
from moorings.settings import PATCH_STACK_NAME, STACK_NAME

if TYPE_CHECKING:
    from moorings.clouds.aws import Aws


def destroy(
    *,
    only: Annotated[Half | None, typer.Option("--only", help="One half alone; default: both.")] = None,
    enrolment_stack: Annotated[
        str, typer.Option("--enrolment-stack", help="Name of the enrolment stack.", metavar="NAME", envvar=STACK_NAME)
    ] = STACK,
    patching_stack: Annotated[
        str,
        typer.Option("--patching-stack", help="Name of the patching stack.", metavar="NAME", envvar=PATCH_STACK_NAME),
    ] = PATCH_STACK,
    artifact_bucket: Annotated[
        str,
        typer.Option("--artifact-bucket", help="Only needed if one was given and the stacks are gone.", metavar="NAME"),
    ] = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Remove all that was made, and say what stays.

    Patching goes first, then enrolment with its activations and codes, then zips and the bucket. Nothing is removed
    while a run is going on, a VM is being put back, or a table is protected from deletion. What an interrupted removal
    left is found by running it again.

    \b
    Examples:
      moorings destroy --dry-run
      moorings destroy --only patching --yes
    """
    results, talk = Results(as_json=json), Talk()
    aws = open_aws(region, profile)
    names = {Half.PATCHING: checked_stack_name(patching_stack), Half.ENROLMENT: checked_stack_name(enrolment_stack)}
    chosen = {half: name for half, name in names.items() if only in {None, half}}
    with talk.looking("looking whether all of it may go"):
        found = _removable(chosen, aws)
    if dry_run:
        _show(results, found)
        return
    what = " and ".join(found) or "what is left of " + " and ".join(chosen.values())
    if not yes and not talk.ask(f"Delete {what} in account {aws.account}, {aws.region}, with all that belongs to it?"):
        raise Refused("nothing was removed", remedy="answer y, or give --yes")
    _destroy(chosen, aws, artifact_bucket, results, talk)


def _removable(chosen: dict[Half, str], aws: "Aws") -> list[str]:
    """The stacks that are there. Refused before anything is touched, if one of the halves has to stay."""
    from moorings.deploy import enrolment, patching
    from moorings.deploy.stacks import Stacks

    clock = SystemClock()
    found = []
    if name := chosen.get(Half.PATCHING):
        found += [name] if patching.require_removable(name, aws=aws, clock=clock) else []
    if name := chosen.get(Half.ENROLMENT):
        found += [name] if enrolment.require_removable(name, aws=aws, clock=clock) else []
        beside = enrolment.endpoint_stack(name)
        found += [beside] if Stacks(aws, clock=clock).find(beside) else []
    return found


def _destroy(chosen: dict[Half, str], aws: "Aws", bucket: str, results: Results, talk: Talk) -> None:
    from moorings.deploy import enrolment, patching

    progress, clock = DeployProgress(talk), SystemClock()
    answer: dict[str, Any] = {}
    if name := chosen.get(Half.PATCHING):
        with talk.working(f"removing {name}"):
            patched = patching.remove(name, aws=aws, clock=clock, artifact_bucket=bucket, on_progress=progress)
        answer["patching"] = patch_text.removed_json(patched)
        if not results.as_json:
            patch_text.show_removed(results, patched)
    if name := chosen.get(Half.ENROLMENT):
        with talk.working(f"removing {name}"):
            enrolled = enrolment.remove(name, aws=aws, clock=clock, artifact_bucket=bucket, on_progress=progress)
        answer["enrolment"] = enrolment_text.removed_json(enrolled)
        if not results.as_json:
            enrolment_text.show_removed(results, enrolled)
    if results.as_json:
        results.json(answer)


def _show(results: Results, found: list[str]) -> None:
    if results.as_json:
        results.json({"dry_run": True, "stacks": found})
    elif found:
        results.prose(f"would delete: {', '.join(found)}, then activations, codes, zips, and the bucket if it is empty")
    else:
        results.prose("there is no such stack; would look for what an interrupted removal left")
