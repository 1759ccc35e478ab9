"""`moorings policy`: what somebody has to be allowed, as a policy document for IAM."""

import re
from typing import Annotated

import typer

from moorings.cli.options import (
    PATCH_STACK,
    STACK,
    EnrolmentStack,
    Json,
    PatchingStack,
    Profile,
    Region,
    checked_stack_name,
)
from moorings.cli.output import Results
from moorings.cli.surroundings import aws_at, open_aws, region_of
from moorings.deploy import rights
from moorings.deploy.halves import Half
from moorings.deploy.rights import Part
from moorings.errors import Invalid

_ACCOUNT_DIGITS = 12
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_DOCUMENT = re.compile(r"[A-Za-z0-9_.-]{3,128}")


def policy(
    part: Annotated[
        Part,
        typer.Argument(help="shared (both halves need it), enrolment, patching, doctor, or operator.", metavar="PART"),
    ],
    *,
    only: Annotated[Half | None, typer.Option("--only", help="For whoever deploys this half alone.")] = None,
    enrolment_stack: EnrolmentStack = STACK,
    patching_stack: PatchingStack = PATCH_STACK,
    artifact_bucket: Annotated[
        str, typer.Option("--artifact-bucket", help="Bucket of your own for the zips.", metavar="BUCKET")
    ] = "",
    document_name: Annotated[
        str, typer.Option("--document-name", help="Name of the runbook, if it has another.", metavar="NAME")
    ] = "",
    account: Annotated[
        str, typer.Option("--account", help="Account that it is for; default: where you are signed in.", metavar="ID")
    ] = "",
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Print what whoever deploys or patches has to be allowed.

    That is a policy document for IAM, exact, for one account and Region; it is JSON with or without --json. Attach
    `shared` and that of each half that is deployed; `doctor` for `moorings doctor` beside. What is made is made through
    CloudFormation alone, under names that begin with the stacks'. Whoever runs patches needs `operator`, and no more.

    \b
    Examples:
      moorings policy shared > shared.json
      moorings policy patching --account 111122223333 --region eu-central-1
      aws iam create-policy --policy-name moorings-shared --policy-document file://shared.json
    """
    if account and not (account.isdigit() and len(account) == _ACCOUNT_DIGITS):
        raise Invalid(f"{account!r} is no account", remedy=f"give its {_ACCOUNT_DIGITS} digits")
    for name, wanted in ((artifact_bucket, _BUCKET), (document_name, _DOCUMENT)):
        if name and not wanted.fullmatch(name):  # a star would open more than is meant
            raise Invalid(f"{name!r} is no such name", remedy="give the whole name, as the service knows it")
    # A given account needs nobody to be signed in.
    aws = aws_at(region_of(region, profile), profile) if account else open_aws(region, profile)
    place = rights.Place(
        partition=aws.partition,
        account=account or aws.account,
        region=aws.region,
        enrolment=checked_stack_name(enrolment_stack),
        patching=checked_stack_name(patching_stack),
        bucket=artifact_bucket,
        **({"runbook": document_name} if document_name else {}),
    )
    halves = [Part(half.value) for half in Half if only in {None, half}]
    made = rights.document(part, place, parts=(*halves, Part.DOCTOR, Part.OPERATOR))
    if not made["Statement"]:
        raise Invalid(
            f"whoever deploys {only.value if only else ''} alone needs nothing of {part.value}",
            remedy="leave out --only",
        )
    Results(as_json=True).json(made)
