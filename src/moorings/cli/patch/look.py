"""`moorings patch status|explain|cancel`: how runs stand, why they ended so, and stopping them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from moorings.cli.options import PATCH_STACK, DryRun, Json, PatchStackName, Profile, Region, Yes
from moorings.cli.output import Results, age, counted
from moorings.cli.patch.rows import (
    outcome_word,
    phase_word,
    show_view,
    standing_json,
    style_of,
    view_json,
)
from moorings.cli.patch.story import Story, consequence, show_story, story_json
from moorings.cli.patch.surroundings import NODE_ID, Patched, checked_execution, open_patching
from moorings.cli.surroundings import open_aws
from moorings.cli.talk import Talk
from moorings.clock import SystemClock
from moorings.errors import Conflict, Refused
from moorings.patching.campaign import Campaign, View
from moorings.patching.executions import Execution
from moorings.patching.model import Phase, Run
from moorings.patching.standing import Standing

LATEST = 20


def status(
    what: Annotated[
        str, typer.Argument(help="An execution or a node; default: the latest executions.", metavar="EXECUTION|NODE")
    ] = "",
    *,
    stack_name: PatchStackName = PATCH_STACK,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Show how runs stand.

    The latest ones, all nodes of one execution, or all runs of one node.

    \b
    Examples:
      moorings patch status
      moorings patch status 01234567-89ab-cdef-0123-456789abcdef
      moorings patch status mi-0123456789abcdef0 --json
    """
    results, talk = Results(as_json=json), Talk()
    of_node = bool(NODE_ID.fullmatch(what))
    execution = checked_execution(what) if what and not of_node else ""
    patched = open_patching(open_aws(region, profile), stack_name)
    with talk.looking("looking at the runs"):
        if execution:
            view = seen(patched, execution)
        elif of_node:
            runs = patched.archive.of_node(what)
        else:
            latest = _latest(patched)
    now = SystemClock().now()
    if execution:
        _show_execution(results, view, now)
    elif of_node:
        _show_node(results, talk, what, runs, now)
    else:
        _show_latest(results, talk, latest, now)


def explain(
    execution: Annotated[str, typer.Argument(help="An execution, or the parent of several.", metavar="EXECUTION")],
    *,
    everything: Annotated[bool, typer.Option("--all", help="Of a parent, also nodes that are well.")] = False,
    stack_name: PatchStackName = PATCH_STACK,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Tell why a run ended so, and what to do next.

    With its timeline, the evidence, the verdict, and the steps that failed. Of a parent, the stories of the nodes that
    are not well.

    \b
    Examples:
      moorings patch explain 01234567-89ab-cdef-0123-456789abcdef
      moorings patch explain 01234567-89ab-cdef-0123-456789abcdef --json
    """
    wanted = checked_execution(execution)
    results, talk = Results(as_json=json), Talk()
    patched = open_patching(open_aws(region, profile), stack_name)
    with talk.looking("reading the records"):
        view = seen(patched, wanted)
        single = len(view.nodes) == 1
        told = [node for node in view.nodes if single or everything or (node.wrong and node.execution)]
        stories = [story_of(patched, node) for node in told]
    now = SystemClock().now()
    if json:
        results.json({"execution": wanted, "runs": [story_json(story, now) for story in stories]})
        return
    for number, story in enumerate(stories):
        if number:
            results.line()
            results.line("─" * 72, style="dim")
        show_story(results, story, now)
    if not stories:
        talk.say(f"{counted(len(view.nodes), 'node')}, nothing is wrong; --all tells all stories")


def cancel(
    execution: Annotated[str, typer.Argument(help="An execution, or the parent of several.", metavar="EXECUTION")],
    *,
    stack_name: PatchStackName = PATCH_STACK,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Cancel runs, and say what becomes of each VM.

    One run, or all runs of a parent. No VM is left stopped: the keeper goes on with every restore until the VM runs.
    What is already installed stays.

    \b
    Examples:
      moorings patch cancel 01234567-89ab-cdef-0123-456789abcdef
      moorings patch cancel 01234567-89ab-cdef-0123-456789abcdef --dry-run --json
    """
    wanted = checked_execution(execution)
    results, talk = Results(as_json=json), Talk()
    patched = open_patching(open_aws(region, profile), stack_name)
    view = seen(patched, wanted)
    going = [node for node in view.nodes if node.execution is not None and not node.over]
    if not dry_run and not yes and not view.over:
        for node in going:
            talk.say(f"{node.node}  {phase_word(node)}: {consequence(node.run)}")
        if not talk.ask(f"Cancel {counted(len(going), 'run')}?"):
            raise Refused("nothing was cancelled", remedy="answer y, or give --yes")
    stopped = not dry_run and not view.over and patched.automations.stop(wanted)
    if json:
        results.json(
            {
                "execution": wanted,
                "cancelled": stopped,
                "dry_run": dry_run,
                "over": view.over,
                "nodes": [{**_short(node), "what_follows": consequence(node.run)} for node in going],
            }
        )
        return
    if view.over:
        results.prose(f"{wanted} is over already")
        return
    results.prose(
        f"{wanted} {'is being cancelled' if stopped else 'would be cancelled' if dry_run else 'is over already'}"
    )
    for node in going:
        results.prose(f"{node.node}  {phase_word(node)}: {consequence(node.run)}")


def seen(patched: Patched, execution: str) -> View:
    """One look at an execution; what the service has forgotten is told by its record. Conflict if nobody knows it."""
    found = patched.automations.find(execution)
    if found is not None:
        campaign = Campaign(
            automations=patched.automations, archive=patched.archive, clock=SystemClock(), on_view=lambda _: None
        )
        return campaign.look(found)
    run = patched.archive.runs([execution]).get(execution)
    if run is None:
        raise Conflict(
            f"neither Systems Manager nor stack {patched.stack.name} knows execution {execution}",
            remedy="look at the latest ones: moorings patch status; or name another stack, by --stack-name or --region",
        )
    return View(executions=(execution,), nodes=(of_record(run),), over=True)


def of_record(run: Run) -> Standing:
    """A standing from a record alone."""
    ended = run.timeline[-1].at if run.timeline and run.phase is Phase.OVER else None
    wrong = run.conclusion is None or run.conclusion.wrong
    word = ("Failed" if wrong else "Success") if run.phase is Phase.OVER else "InProgress"
    execution = Execution(
        id=run.execution,
        status=word,
        over=run.phase is Phase.OVER,
        node=run.node,
        began_at=run.began_at,
        ended_at=ended,
    )
    return Standing(node=run.node, execution=execution, run=run)


def story_of(patched: Patched, node: Standing, *, all_steps: bool = False) -> Story:
    """A node's story with its steps, as long as the service remembers them."""
    if node.execution is None:
        return Story(standing=node)
    return Story(standing=node, steps=tuple(patched.automations.steps(node.execution.id, failed_only=not all_steps)))


def _latest(patched: Patched) -> list[tuple[Execution, Run | None]]:
    found = patched.automations.recent(patched.document, most=LATEST)
    records = patched.archive.runs(each.id for each in found if not each.fleet)
    return [(each, records.get(each.id)) for each in found]


def _show_execution(results: Results, view: View, now: datetime) -> None:
    if results.as_json:
        results.json(view_json(view, now))
    else:
        show_view(results, view, now)


def _show_latest(results: Results, talk: Talk, latest: Sequence[tuple[Execution, Run | None]], now: datetime) -> None:
    standings = [(each, Standing(node=run.node if run else "", execution=each, run=run)) for each, run in latest]
    if results.as_json:
        results.json({"executions": [_latest_json(each, standing, now) for each, standing in standings]})
        return
    if not standings:
        talk.say("nothing was patched within the last 30 days")
        return
    rows = [
        (
            each.id,
            counted(len(each.targets), "node") if each.fleet else standing.node,
            Text(each.status if each.fleet else outcome_word(standing), _style(each, standing)),
            age(each.began_at, now),
        )
        for each, standing in standings
    ]
    results.table(("EXECUTION", "OF", "OUTCOME", "AGE"), rows)


def _style(each: Execution, standing: Standing) -> str:
    if not each.fleet:
        return style_of(standing)
    return ("red" if each.failed else "green") if each.over else "blue"


def _latest_json(each: Execution, standing: Standing, now: datetime) -> dict[str, Any]:
    if not each.fleet:
        return standing_json(standing, now)
    return {
        "execution": each.id,
        "status": each.status,
        "nodes": list(each.targets),
        "began_at": each.began_at,
        "ended_at": each.ended_at,
    }


def _show_node(results: Results, talk: Talk, node: str, runs: Sequence[Run], now: datetime) -> None:
    standings = [of_record(run) for run in runs]
    if results.as_json:
        results.json({"node": node, "runs": [standing_json(standing, now) for standing in standings]})
        return
    if not standings:
        talk.say(f"no run of {node} is on record")
        return
    rows = [
        (run.execution, Text(outcome_word(standing), style_of(standing)), age(run.began_at, now), standing.reason)
        for run, standing in zip(runs, standings, strict=True)
    ]
    results.table(("EXECUTION", "OUTCOME", "AGE", "REASON"), rows)


def _short(node: Standing) -> dict[str, Any]:
    return {"node": node.node, "execution": node.execution.id if node.execution else "", "phase": phase_word(node)}
