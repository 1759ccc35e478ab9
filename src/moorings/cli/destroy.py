"""`moorings destroy`: both halves taken down, in the order that leaves nobody without what they need."""

from typing import Annotated

import typer

from moorings.cli import halves
from moorings.cli.options import (
    PATCH_STACK,
    STACK,
    DryRun,
    EnrolmentStack,
    Json,
    LeftBucket,
    PatchingStack,
    Profile,
    Region,
    Yes,
    checked_stack_name,
)
from moorings.cli.output import Results
from moorings.cli.surroundings import open_aws
from moorings.cli.talk import Talk
from moorings.deploy.halves import Half


def destroy(
    *,
    only: Annotated[Half | None, typer.Option("--only", help="One half alone; default: both.")] = None,
    enrolment_stack: EnrolmentStack = STACK,
    patching_stack: PatchingStack = PATCH_STACK,
    artifact_bucket: LeftBucket = "",
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
    removed = halves.remove(chosen, aws, results, talk, bucket=artifact_bucket, yes=yes, dry_run=dry_run)
    if removed and json:
        results.json({half.value: each for half, each in removed.items()})
