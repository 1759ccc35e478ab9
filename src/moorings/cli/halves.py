"""A half of Moorings deployed, previewed or removed as every command does it: watched, asked about, shown.

Whatever loads an SDK is imported where it is used: help and completion need none of it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from moorings.cli.enrolment import text as enrolment_text
from moorings.cli.output import Results
from moorings.cli.patch import text as patch_text
from moorings.cli.progress import DeployProgress, show_plans
from moorings.cli.talk import Talk
from moorings.clock import SystemClock
from moorings.deploy.halves import Half
from moorings.errors import Refused
from moorings.settings import deploy_settings

if TYPE_CHECKING:
    from moorings.clouds.aws import Aws
    from moorings.deploy.stacks import ChangeSet

# Half → what is in its stack, and what beside it. Patching first: the order that leaves nobody without what they need.
_BELONGS: Mapping[Half, tuple[str, str]] = {
    Half.PATCHING: ("runbook, records, ", "layers, "),
    Half.ENROLMENT: ("ledger, ", "activations, codes, "),
}


def text_of(half: Half) -> Any:
    """The module that knows how the values of a half look."""
    return enrolment_text if half is Half.ENROLMENT else patch_text


def deploy(half: Half, plan: Any, aws: "Aws", talk: Talk, *, ask: bool) -> Any:
    """Deploy a half by its plan, each change set shown and, if wanted, asked for; what stands. Raises as the room."""
    progress = DeployProgress(talk)
    with talk.working(f"deploying {plan.stack}"):
        return _room(half).deploy(
            plan,
            approve=lambda planned: progress.approve(planned, ask=ask),
            **_surroundings(aws, progress),
        )


def preview(half: Half, plan: Any, aws: "Aws", talk: Talk) -> "tuple[ChangeSet, ...]":
    """What `deploy` would change."""
    with talk.working(f"planning {plan.stack}"):
        planned: tuple[ChangeSet, ...] = _room(half).preview(plan, **_surroundings(aws, DeployProgress(talk)))
    return planned


def deploy_one(half: Half, plan: Any, aws: "Aws", results: Results, talk: Talk, *, yes: bool, dry_run: bool) -> None:
    """The whole of a command that deploys one half, or with `dry_run` shows what it would do."""
    if dry_run:
        show_plans(results, preview(half, plan, aws, talk))
        return
    if not yes:
        talk.require_somebody(f"deploy {plan.stack}?")
    done = deploy(half, plan, aws, talk, ask=not yes)
    if results.as_json:
        results.json(text_of(half).deployed_json(done))
    else:
        text_of(half).show_deployed(results, done)


def remove(
    names: Mapping[Half, str], aws: "Aws", results: Results, talk: Talk, *, bucket: str, yes: bool, dry_run: bool
) -> dict[Half, dict[str, Any]]:
    """Take these halves down, patching first, and show what stays; their results as objects, none after a dry run.

    Refused before anything is touched, if one of them has to stay or nobody says yes.
    """
    chosen = {half: names[half] for half in _BELONGS if half in names}
    with talk.looking("looking whether all of it may go"):
        found = [
            stack
            for half, name in chosen.items()
            for stack in _room(half).removable(name, aws=aws, clock=SystemClock())
        ]
    inside = "".join(_BELONGS[half][0] for half in chosen)
    beside = "".join(_BELONGS[half][1] for half in chosen) + "zips"
    if dry_run:
        nothing = f"there is no stack {' or '.join(chosen.values())}; would look for {beside} that one has left"
        _show_removal(results, found, f"with {inside}{beside}, and the bucket if nothing is left in it", nothing)
        return {}
    what = " and ".join(found) or "what is left of " + " and ".join(chosen.values())
    if not yes and not talk.ask(
        f"Delete {what} in account {aws.account}, {aws.region}, with {inside if found else ''}{beside}?"
    ):
        raise Refused("nothing was removed", remedy="answer y, or give --yes")
    answer = {}
    for half, name in chosen.items():
        with talk.working(f"removing {name}"):
            removed = _room(half).remove(
                name, aws=aws, clock=SystemClock(), artifact_bucket=bucket, on_progress=DeployProgress(talk)
            )
        answer[half] = text_of(half).removed_json(removed)
        text_of(half).show_removed(results, removed)  # at once: the next half may fail
    return answer


def remove_one(
    half: Half, name: str, aws: "Aws", results: Results, talk: Talk, *, bucket: str, yes: bool, dry_run: bool
) -> None:
    """The whole of a command that removes one half, or with `dry_run` shows what it would do."""
    removed = remove({half: name}, aws, results, talk, bucket=bucket, yes=yes, dry_run=dry_run)
    if removed and results.as_json:
        results.json(removed[half])


def _show_removal(results: Results, found: list[str], with_it: str, nothing: str) -> None:
    if results.as_json:
        results.json({"dry_run": True, "stacks": found})
    elif found:
        results.prose(f"would delete: {', '.join(found)}, {with_it}")
    else:
        results.prose(nothing)


def _room(half: Half) -> Any:
    from moorings.deploy import enrolment, patching

    return enrolment if half is Half.ENROLMENT else patching


def _surroundings(aws: "Aws", progress: DeployProgress) -> dict[str, Any]:
    from moorings.deploy.package import function_platform

    platform = function_platform(deploy_settings().function_platform)
    return {"aws": aws, "clock": SystemClock(), "platform": platform, "on_progress": progress}
