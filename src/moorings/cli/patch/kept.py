"""`moorings patch checkpoints|gc`: what runs have left in Azure, until when, and removing it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import typer

from moorings.cli.options import PATCH_STACK, DryRun, Json, PatchStackName, Profile, Region, Yes
from moorings.cli.output import Results, age, counted
from moorings.cli.patch.rows import kept_until
from moorings.cli.patch.surroundings import Patched, checked_execution, open_patching
from moorings.cli.surroundings import open_aws
from moorings.cli.talk import Talk
from moorings.clock import SystemClock
from moorings.errors import NOT_WELL_EXIT, CloudFault, Conflict, Refused
from moorings.patching.model import Phase, Run
from moorings.patching.standing import short_name


def checkpoints(
    *,
    node: Annotated[str, typer.Option("--node", help="Only of this node.", metavar="NODE")] = "",
    stack_name: PatchStackName = PATCH_STACK,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Show what is kept in Azure, and until when.

    Snapshots of checkpoints and replaced disks, each with its run. This is what the records know; Azure is not asked.
    What has no end is removed by `moorings patch gc` alone.

    \b
    Examples:
      moorings patch checkpoints
      moorings patch checkpoints --node mi-0123456789abcdef0 --json
    """
    results, talk = Results(as_json=json), Talk()
    patched = open_patching(open_aws(region, profile), stack_name)
    with talk.looking("reading the records"):
        runs = [run for run in patched.archive.with_leftovers() if node in {"", run.node}]
    now = SystemClock().now()
    if json:
        results.json({"kept": [_kept_json(run, resource) for run, resource in _kept(runs)]})
    elif not runs:
        talk.say("nothing is kept" + (f" of {node}" if node else ""))
    else:
        rows = [_row(run, resource, now) for run, resource in _kept(runs)]
        results.table(("NODE", "VM", "WHAT", "OUTCOME", "AGE", "KEPT UNTIL", "EXECUTION"), rows)


def gc(
    *,
    execution: Annotated[str, typer.Option("--execution", help="Whose leftovers.", metavar="EXECUTION")],
    stack_name: PatchStackName = PATCH_STACK,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Remove what one run left behind in Azure.

    Its snapshots, and disks that it made and nobody uses. Only what its tags name as this execution's, only if the
    execution is over, never a VM's former disk (its expiry removes it). The stack's keeper does it with its own
    credentials; you need lambda:InvokeFunction on it, and nothing in Azure.

    \b
    Examples:
      moorings patch gc --execution 01234567-89ab-cdef-0123-456789abcdef --dry-run
      moorings patch gc --execution 01234567-89ab-cdef-0123-456789abcdef --yes --json
    """
    wanted = checked_execution(execution)
    results, talk = Results(as_json=json), Talk()
    patched = open_patching(open_aws(region, profile), stack_name)
    with talk.looking("asking the keeper"):
        answer = _collect(patched, wanted, rehearse=True)
    found = answer["deleted"]
    if found and not dry_run:
        names = ", ".join(short_name(one) for one in found)
        if not yes and not talk.ask(f"Remove {names}? The VM can then not be put back to that checkpoint."):
            raise Refused("nothing was removed", remedy="answer y, or give --yes")
        with talk.working(f"removing {counted(len(found), 'resource')}"):
            answer = _collect(patched, wanted, rehearse=False)
    _show(results, wanted, answer, dry_run=dry_run)
    if answer["kept"] and not dry_run:
        raise typer.Exit(NOT_WELL_EXIT)


def _collect(patched: Patched, execution: str, *, rehearse: bool) -> dict[str, Any]:
    answer = patched.ask_keeper({"collect": execution, "rehearse": rehearse})
    if "refused" not in answer:
        return answer
    remedy = str(answer.get("remedy") or "")
    if answer.get("family") in {"busy", "rate_limited", "cloud_fault"}:
        raise CloudFault(str(answer["refused"]), call="lambda:Invoke", remedy=remedy or "try again")
    raise Conflict(str(answer["refused"]), remedy=remedy)


def _show(results: Results, execution: str, answer: dict[str, Any], *, dry_run: bool) -> None:
    if results.as_json:
        told = {"execution": execution, "dry_run": dry_run, "deleted": answer["deleted"], "kept": answer["kept"]}
        results.json(told)
        return
    for one in answer["deleted"]:
        results.prose(f"{'would be deleted' if dry_run else 'deleted'}: {short_name(one)}")
    for why in answer["kept"]:
        results.prose(f"stays: {why}")
    if not answer["deleted"] and not answer["kept"]:
        results.prose(f"{execution} has left nothing behind")


def _kept(runs: Iterable[Run]) -> list[tuple[Run, str]]:
    return [(run, resource) for run in runs for resource in run.leftovers]


def _what(run: Run, resource: str) -> str:
    if "/snapshots/" in resource.lower():
        return "checkpoint"
    made = {entry.replacement_id.lower() for entry in run.checkpoint}
    return "disk from checkpoint" if resource.lower() in made else "former disk"


def _outcome(run: Run) -> str:
    return run.conclusion.outcome.value if run.conclusion and run.phase is Phase.OVER else "under way"


def _row(run: Run, resource: str, now: datetime) -> tuple[str, ...]:
    vm = run.vm.name if run.vm else ""
    until = kept_until(run, now) if run.phase is Phase.OVER else "the run is over"
    return (run.node, vm, _what(run, resource), _outcome(run), age(run.began_at, now), until, run.execution)


def _kept_json(run: Run, resource: str) -> dict[str, Any]:
    return {
        "node": run.node,
        "vm": run.vm.id if run.vm else "",
        "execution": run.execution,
        "resource": resource,
        "what": _what(run, resource),
        "outcome": _outcome(run),
        "began_at": run.began_at,
        "kept_until": run.expires_at,
    }
