"""Options that many commands share, so that they are called and explained alike everywhere."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from moorings.cli.aws_choices import profiles, regions
from moorings.cli.tree import COMMON
from moorings.deploy.halves import ENROLMENT_STACK, PATCHING_STACK
from moorings.enrolment.fields import duration
from moorings.errors import Invalid
from moorings.settings import PATCH_STACK_NAME, STACK_NAME

Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.", rich_help_panel=COMMON),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]
LeftBucket = Annotated[
    str, typer.Option("--artifact-bucket", help="Only needed if one was given and the stack is gone.", metavar="NAME")
]
Region = Annotated[
    str,
    typer.Option(
        "--region",
        help="AWS Region; default: AWS_REGION, then that of the profile.",
        metavar="REGION",
        autocompletion=regions,
        rich_help_panel=COMMON,
    ),
]
Profile = Annotated[
    str,
    typer.Option(
        "--profile",
        help="AWS profile; default: AWS_PROFILE, as everywhere.",
        metavar="NAME",
        autocompletion=profiles,
        rich_help_panel=COMMON,
    ),
]
StackName = Annotated[
    str, typer.Option("--stack-name", help="Name of the enrolment stack.", metavar="NAME", envvar=STACK_NAME)
]
PatchStackName = Annotated[
    str, typer.Option("--stack-name", help="Name of the patching stack.", metavar="NAME", envvar=PATCH_STACK_NAME)
]
# Of commands that are about both stacks.
EnrolmentStack = Annotated[
    str, typer.Option("--enrolment-stack", help="Name of the enrolment stack.", metavar="NAME", envvar=STACK_NAME)
]
PatchingStack = Annotated[
    str, typer.Option("--patching-stack", help="Name of the patching stack.", metavar="NAME", envvar=PATCH_STACK_NAME)
]

STACK = ENROLMENT_STACK
PATCH_STACK = PATCHING_STACK
_STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,116}")  # room for "-endpoint" below CloudFormation's 128


def checked_stack_name(name: str) -> str:
    """The name, or Invalid if CloudFormation would not take it."""
    if not _STACK_NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} is no stack name", remedy="use letters, digits and hyphens, a letter first, at most 117"
        )
    return name


def unreadable(error: Exception) -> str:
    """Why a file cannot be read or understood, without its name, which the message has already."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def pairs(given: Sequence[str] | None, *, option: str) -> dict[str, str]:
    """What `--option NAME=VALUE`, given as often as one likes, says; Invalid for one without a name or a sign."""
    found = {}
    for each in given or ():
        name, sign, value = each.partition("=")
        if not sign or not name:
            raise Invalid(f"{option} {each!r} is no pair", remedy=f"write {option} NAME=VALUE")
        found[name] = value
    return found


def checked_duration(text: str, *, option: str) -> timedelta:
    """The duration behind `30d` or `1h30m`; Invalid names the option otherwise."""
    found = duration(text)
    if not found:
        raise Invalid(f"{option} {text!r} is no duration", remedy="write it as 30d, 12h or 1h30m")
    return found
