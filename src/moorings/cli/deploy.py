"""`moorings deploy`: both halves as a plan file says, each plan of CloudFormation shown before it is carried out."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorings.cli import halves
from moorings.cli.enrolment import pools
from moorings.cli.options import PATCH_STACK, STACK, DryRun, Json, Profile, Region, Yes, checked_stack_name, unreadable
from moorings.cli.output import Results
from moorings.cli.progress import show_plans
from moorings.cli.surroundings import open_aws
from moorings.cli.talk import Talk
from moorings.deploy.halves import Half
from moorings.errors import Invalid
from moorings.settings import deploy_settings

if TYPE_CHECKING:
    from moorings.deploy.enrolment import EnrolmentPlan
    from moorings.deploy.patching import PatchingPlan

# Section of the plan file → key → of which type its value is.
_ALIKE: Mapping[str, type] = {"stack_name": str, "artifact_bucket": str, "parameters": dict, "tags": dict}
_KEYS: Mapping[str, Mapping[str, type]] = {
    "enrolment": {
        **_ALIKE, "vpc": str, "subnets": list, "cidr": str, "private_dns": bool, "vpc_endpoint": str,
        "allow_network_proof": bool, "pools": str,
    },
    "patching": {**_ALIKE, "scopes": list, "anchors": str},
}  # fmt: skip
_WORDS: Mapping[type, str] = {str: "text", bool: "true or false", list: "list of texts", dict: "table of texts"}
_NEW_ENDPOINT = ("vpc", "subnets", "cidr")


def deploy(
    plan: Annotated[Path, typer.Argument(help="Plan file (TOML): [enrolment], [patching] or both.", metavar="FILE")],
    *,
    only: Annotated[Half | None, typer.Option("--only", help="One half of the file alone.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Deploy or update what a plan file describes.

    Enrolment goes first, then patching. Shows CloudFormation's plan of each stack, asks, then tells every event. The
    whole file is checked before anything is made. Interrupted? Run the same command again.

    \b
    Examples:
      moorings deploy moorings.toml --dry-run
      moorings deploy moorings.toml --only patching --yes
    """
    results, talk = Results(as_json=json), Talk()
    plans = read(plan)
    chosen = {half: each for half, each in plans.items() if only in {None, half}}
    if not chosen:
        raise Invalid(f"{plan} says nothing of what is asked for", remedy="give it a section [enrolment] or [patching]")
    aws = open_aws(region, profile)
    if dry_run:
        planned = [each for half, wanted in chosen.items() for each in halves.preview(half, wanted, aws, talk)]
        show_plans(results, planned)
        return
    if not yes:
        talk.require_somebody(f"deploy {' and '.join(each.stack for each in chosen.values())}?")
    answer = {}
    for half, wanted in chosen.items():
        done = halves.deploy(half, wanted, aws, talk, ask=not yes)
        answer[half.value] = halves.text_of(half).deployed_json(done)
        halves.text_of(half).show_deployed(results, done)  # at once: the next half may fail
    if json:
        results.json(answer)


def read(file: Path) -> "dict[Half, EnrolmentPlan | PatchingPlan]":
    """The plans that a file holds, enrolment first; Invalid names what cannot be. Paths in it are relative to it."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Invalid(f"{file} cannot be read: {unreadable(error)}", remedy="name a TOML file") from error
    for section, content in document.items():
        _check(file, section, content)
    plans: dict[Half, EnrolmentPlan | PatchingPlan] = {}
    if (given := document.get("enrolment")) is not None:
        plans[Half.ENROLMENT] = _enrolment(given, file.parent)
    if (given := document.get("patching")) is not None:
        plans[Half.PATCHING] = _patching(given, file.parent)
    return plans


def _check(file: Path, section: str, content: Any) -> None:
    known = _KEYS.get(section)
    if known is None or not isinstance(content, dict):
        raise Invalid(f"{file}: there is no section [{section}]", remedy="write [enrolment] and [patching]")
    for key, value in content.items():
        if key not in known:
            raise Invalid(f"{file}: [{section}] knows no {key}", remedy=f"give some of {', '.join(sorted(known))}")
        inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
        if not isinstance(value, known[key]) or not all(isinstance(each, str) for each in inner):
            raise Invalid(
                f"{file}: {key} in [{section}] is no {_WORDS[known[key]]}", remedy="see docs/deploy-by-plan.md"
            )


def _alike(given: Mapping[str, Any], stack: str) -> dict[str, Any]:
    return {
        "stack": checked_stack_name(given.get("stack_name", stack)),
        "parameters": given.get("parameters", {}),
        "artifact_bucket": given.get("artifact_bucket", ""),
        "tags": given.get("tags", {}),
    }


def _enrolment(given: Mapping[str, Any], beside: Path) -> "EnrolmentPlan":
    from moorings.deploy.enrolment import EnrolmentPlan, ExistingEndpoint, NewEndpoint

    if "allow_network_proof" not in given:
        raise Invalid(
            "whether the network position alone is proof enough has to be said",
            remedy="write allow_network_proof = true, or false",
        )
    exists, makes = "vpc_endpoint" in given, {"private_dns", *_NEW_ENDPOINT} & given.keys()
    if (exists and makes) or not (exists or all(given.get(key) for key in _NEW_ENDPOINT)):
        raise Invalid(
            "[enrolment] has to name one VPC endpoint, or the place for a new one",
            remedy="write vpc_endpoint, or vpc, subnets and cidr",
        )
    endpoint = (
        ExistingEndpoint(id=given["vpc_endpoint"])
        if exists
        else NewEndpoint(
            vpc_id=given["vpc"],
            subnet_ids=tuple(given["subnets"]),
            allowed_cidr=given["cidr"],
            private_dns=given.get("private_dns", True),
        )
    )
    return EnrolmentPlan(
        endpoint=endpoint,
        allow_network_proof=given["allow_network_proof"],
        configuration=pools.read(beside / given["pools"]) if "pools" in given else None,
        **_alike(given, STACK),
    )


def _patching(given: Mapping[str, Any], beside: Path) -> "PatchingPlan":
    from moorings.deploy.patching import PatchingPlan

    anchors = beside / given["anchors"] if "anchors" in given else deploy_settings().anchors
    return PatchingPlan(scopes=tuple(given.get("scopes", ())), anchors=anchors, **_alike(given, PATCH_STACK))
