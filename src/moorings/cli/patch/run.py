"""`moorings patch run|watch`: start runs, follow them, and tell by the exit code whether all is well."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from moorings.cli.listing import listing
from moorings.cli.options import PATCH_STACK, Json, PatchStackName, Profile, Region, Yes, pairs
from moorings.cli.output import Results, counted
from moorings.cli.patch.rows import show_view, view_json
from moorings.cli.patch.screen import PatchScreen
from moorings.cli.patch.surroundings import Patched, checked_execution, open_patching
from moorings.cli.patch.wish import Operation, Wish, chosen
from moorings.cli.surroundings import fleet_of, open_aws
from moorings.cli.talk import Talk
from moorings.clock import SystemClock
from moorings.errors import NOT_WELL_EXIT, Refused
from moorings.nodes.model import ManagedNode
from moorings.patching.campaign import Campaign, View
from moorings.patching.executions import Runbook
from moorings.patching.fleets import DEFAULT_CONCURRENCY, DEFAULT_ERRORS, Fleet, fleet
from moorings.patching.model import RollbackOn

Texts = list[str] | None
_HOURS = {"min": 0, "max": 8_760, "metavar": "N"}


def run(
    nodes: Annotated[Texts, typer.Argument(help="Node ids, mi-...", metavar="NODE")] = None,
    *,
    target: Annotated[
        str, typer.Option("--target", help="All nodes that bear this tag.", metavar="tag:NAME=VALUE")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="All managed nodes of the Region; asks first.")] = False,
    online_only: Annotated[bool, typer.Option("--online-only", help="Leave out nodes that are offline.")] = False,
    operation: Annotated[
        Operation, typer.Option("--operation", help="Scan only reports what is missing.")
    ] = Operation.INSTALL,
    reboot: Annotated[
        bool | None, typer.Option("--reboot/--no-reboot", help="Whether patches may restart the node; default: yes.")
    ] = None,
    health_check: Annotated[
        Texts, typer.Option("--health-check", help="Must end with 0; before and after. Repeatable.", metavar="CMD")
    ] = None,
    pre_patch: Annotated[
        Texts, typer.Option("--pre-patch", help="Runs once the checkpoint is usable. Repeatable.", metavar="CMD")
    ] = None,
    snapshot_data_disks: Annotated[
        bool, typer.Option("--snapshot-data-disks", help="Take data disks into the checkpoint.")
    ] = False,
    restore_data_disks: Annotated[
        bool, typer.Option("--restore-data-disks", help="Put data disks back too: loses what was written since; asks.")
    ] = False,
    rollback_on: Annotated[
        RollbackOn | None, typer.Option("--rollback-on", help="For which verdicts a VM is put back; default: Bad.")
    ] = None,
    keep_snapshot_hours: Annotated[
        int | None, typer.Option("--keep-snapshot-hours", help="Keep the checkpoint after a good end.", **_HOURS)
    ] = None,
    keep_failed_disk_hours: Annotated[
        int | None, typer.Option("--keep-failed-disk-hours", help="Keep a replaced disk; default: 168.", **_HOURS)
    ] = None,
    parameter: Annotated[
        Texts, typer.Option("--parameter", help="Any further runbook parameter.", metavar="NAME=VALUE")
    ] = None,
    max_concurrency: Annotated[
        str, typer.Option("--max-concurrency", help="Nodes at a time, at most.", metavar="N|N%")
    ] = DEFAULT_CONCURRENCY,
    max_errors: Annotated[
        str, typer.Option("--max-errors", help="Nodes that may go wrong before no further one begins.", metavar="N|N%")
    ] = DEFAULT_ERRORS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Runs look at everything and change nothing.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be started, and start nothing.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start, print the execution, do not wait.")] = False,
    stack_name: PatchStackName = PATCH_STACK,
    yes: Yes = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Patch nodes, with a way back.

    Takes a checkpoint, installs, looks at the evidence, then releases the checkpoint or puts the VM back. One node is
    one execution of the runbook. More are started under rate control: at most 300 under one parent, several parents one
    after another, each with what is left of --max-errors. Percentages are of all nodes. Runs go on in AWS if this
    command is stopped. Exit code 0 only if nothing is wrong with any node.

    \b
    Examples:
      moorings patch run mi-0123456789abcdef0 --health-check 'systemctl is-active nginx'
      moorings patch run --target tag:Env=prod --max-concurrency 10% --max-errors 2
      moorings patch run --all --operation Scan --yes --json
    """
    results, talk = Results(as_json=json), Talk()
    wish = Wish(
        operation=operation,
        reboot=reboot,
        health_checks=health_check or (),
        pre_patch=pre_patch or (),
        snapshot_data_disks=snapshot_data_disks,
        restore_data_disks=restore_data_disks,
        rollback_on=rollback_on,
        keep_snapshot_hours=keep_snapshot_hours,
        keep_failed_disk_hours=keep_failed_disk_hours,
        dry_run=dry_run,
        more=pairs(parameter, option="--parameter"),
    )
    parameters = wish.parameters()
    aws = open_aws(region, profile)
    patched = open_patching(aws, stack_name)
    with talk.looking("looking for the nodes"):
        found = chosen(fleet_of(aws), named=nodes or (), target=target, everything=everything, online_only=online_only)
    wanted = fleet((node.id for node in found), max_concurrency=max_concurrency, max_errors=max_errors)
    if plan:
        _show_plan(results, wanted, found, parameters)
        return
    _tell_offline(found, talk)
    if not yes:
        where = f"account {aws.account}, {aws.region}"
        _ask(wish, talk, f"all {counted(len(found), 'managed node')} of {where}" if everything else "")
    runbook = Runbook(document=patched.document, parameters=_with_role(parameters, patched))
    if detach:
        _start(_campaign(patched, lambda _: None), runbook, wanted, results)
    else:
        _follow(patched, results, talk, lambda campaign: campaign.run(runbook, wanted))


def watch(
    execution: Annotated[str, typer.Argument(help="An execution, or the parent of several.", metavar="EXECUTION")],
    *,
    stack_name: PatchStackName = PATCH_STACK,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Follow runs until they are over.

    Whoever started them. Ends as `patch run` does.

    \b
    Examples:
      moorings patch watch 01234567-89ab-cdef-0123-456789abcdef
      moorings patch watch 01234567-89ab-cdef-0123-456789abcdef --json
    """
    wanted = checked_execution(execution)
    results, talk = Results(as_json=json), Talk()
    patched = open_patching(open_aws(region, profile), stack_name)
    _follow(patched, results, talk, lambda campaign: campaign.follow(wanted))


def _campaign(patched: Patched, on_view: Callable[[View], None]) -> Campaign:
    return Campaign(automations=patched.automations, archive=patched.archive, clock=SystemClock(), on_view=on_view)


def _start(campaign: Campaign, runbook: Runbook, wanted: Fleet, results: Results) -> None:
    execution = campaign.start(runbook, wanted)
    if results.as_json:
        results.json({"execution": execution, "nodes": list(wanted.nodes)})
    else:
        results.line(f"{execution}  {counted(len(wanted.nodes), 'node')}")
        results.line(f"  next: moorings patch watch {execution}")


def _follow(patched: Patched, results: Results, talk: Talk, course: Callable[[Campaign], View]) -> None:
    screen = PatchScreen(talk, SystemClock())
    campaign = _campaign(patched, screen)
    try:
        with screen:
            view = course(campaign)
    except KeyboardInterrupt:
        tell_interrupted(campaign.latest, talk, stop=patched.automations.stop)
        raise
    now = SystemClock().now()
    if results.as_json:
        results.json(view_json(view, now))
    else:
        show_view(results, view, now)
    if view.wrong:
        raise typer.Exit(NOT_WELL_EXIT)


def tell_interrupted(view: View, talk: Talk, *, stop: Callable[[str], object]) -> None:
    """Say what goes on without us; where somebody can answer, ask whether it shall, and else `stop` it."""
    if not view.executions:
        talk.say("nothing was started")
        return
    current = view.executions[-1]
    going = [node for node in view.nodes if node.execution is not None and not node.over]
    waiting = [node for node in view.nodes if node.execution is None and not node.over]
    talk.say(f"the runs go on in AWS: {counted(len(going), 'node')} under way, {len(waiting)} not begun")
    talk.say(f"follow them: moorings patch watch {current}")
    talk.say(f"cancel them: moorings patch cancel {current}")
    if talk.answers and talk.ask("Cancel them now?"):
        stop(current)
        talk.say(f"cancelling {current}; the keeper starts every VM again that a run has stopped")


def _ask(wish: Wish, talk: Talk, all_nodes: str) -> None:
    if all_nodes and not talk.ask(f"{'Patch' if wish.changes else 'Look at'} {all_nodes}?"):
        raise Refused("nothing was started", remedy="answer y, or give --yes")
    question = (
        "If a VM is put back, its data disks are too: everything written to them since the checkpoint is lost. Go on?"
    )
    if wish.restore_data_disks and wish.changes and not talk.ask(question):
        raise Refused("nothing was started", remedy="leave out --restore-data-disks, or answer y")


def _tell_offline(found: Sequence[ManagedNode], talk: Talk) -> None:
    offline = [node.id for node in found if not node.online]
    if offline:
        named = ", ".join(offline[:3]) + (", …" if len(offline) > 3 else "")
        talk.say(f"{counted(len(offline), 'node')} offline will be left alone and count as errors: {named}")


def _with_role(parameters: dict[str, list[str]], patched: Patched) -> dict[str, list[str]]:
    """The stack's role, said outright: a document of the same name could have another default."""
    return {**({"AutomationAssumeRole": [patched.role]} if patched.role else {}), **parameters}


def _show_plan(results: Results, wanted: Fleet, found: Sequence[ManagedNode], parameters: dict[str, list[str]]) -> None:
    if results.as_json:
        results.json(_plan_json(wanted, found, parameters))
        return
    rows = [(node.id, node.computer_name or node.name, "online" if node.online else "offline") for node in found]
    results.show(listing(("NODE", "COMPUTER", "STATUS"), rows))
    results.line()
    parents = counted(len(wanted.parts), "execution" if len(wanted.nodes) == 1 else "parent execution")
    results.prose(f"{counted(len(wanted.nodes), 'node')}, {parents}, at most {wanted.concurrency} at a time")
    results.prose(f"error {wanted.errors + 1} begins no further node")
    for name, values in parameters.items():
        results.line(f"  {name} = {', '.join(values)}")


def _plan_json(wanted: Fleet, found: Sequence[ManagedNode], parameters: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "nodes": [{"node": node.id, "computer": node.computer_name, "online": node.online} for node in found],
        "parents": [len(part) for part in wanted.parts],
        "max_concurrency": wanted.concurrency,
        "max_errors": wanted.errors,
        "parameters": parameters,
    }
