"""`moorings patch report`: what happened, as one HTML page for people and one JSON file for programs beside it."""

import json as encoder
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from moorings.cli.options import PATCH_STACK, Json, PatchStackName, Profile, Region
from moorings.cli.output import Results, counted
from moorings.cli.patch.look import seen, story_of
from moorings.cli.patch.report_model import (
    NodeReport,
    Printed,
    Report,
    install_command,
    printed,
    printed_by,
    report_json,
    spans_of,
)
from moorings.cli.patch.report_page import page
from moorings.cli.patch.story import Story
from moorings.cli.patch.surroundings import Patched, checked_execution, open_patching
from moorings.cli.surroundings import open_aws
from moorings.cli.talk import Talk
from moorings.clock import SystemClock
from moorings.errors import CloudFault, Conflict, Invalid, Misconfigured
from moorings.patching.campaign import View
from moorings.patching.standing import Standing
from moorings.patching.watching import PLUGINS

# Steps cost a call for each node, of which the service takes three a second: of more nodes the record alone is told.
MOST_DETAILED = 40


def report(
    executions: Annotated[
        list[str] | None, typer.Argument(help="Executions, or parents of several.", metavar="EXECUTION")
    ] = None,
    *,
    last: Annotated[bool, typer.Option("--last", help="The execution that was started last.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; default: patch-EXECUTION.html.", metavar="FILE")
    ] = None,
    stack_name: PatchStackName = PATCH_STACK,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Write a report, as one HTML page.

    The page needs nothing else; beside it lies the same as JSON. It shows when each step ran, the evidence, the
    verdict, the outcome, what to do next, and what the node printed. Steps are told of the first 40 nodes, those that
    are not well before all others; of the rest, their records.

    \b
    Examples:
      moorings patch report --last
      moorings patch report 01234567-89ab-cdef-0123-456789abcdef -o patching.html
    """
    if bool(executions) == last:
        raise Invalid("which execution to report on has to be said", remedy="give its id, or --last")
    results, talk = Results(as_json=json), Talk()
    wanted = [checked_execution(each) for each in executions or ()]
    patched = open_patching(open_aws(region, profile), stack_name)
    with talk.looking("reading the records"):
        wanted = wanted or [_last(patched)]
        made = made_of(patched, [seen(patched, each) for each in wanted], wanted)
    file = output or Path(f"patch-{wanted[0][:8]}.html")
    beside = written(made, file)
    if json:
        results.json({"page": str(file), "json": str(beside), "nodes": len(made.nodes), "wrong": made.wrong})
    else:
        results.line(f"{file}  {counted(len(made.nodes), 'node')}")
        results.line(f"{beside}")


def made_of(patched: Patched, views: Sequence[View], executions: Sequence[str]) -> Report:
    """The report on these views, with steps and printed text of as many nodes as the service likes."""
    standings = [node for view in views for node in view.nodes]
    chosen = sorted(standings, key=lambda node: (not node.wrong, node.execution is None))[:MOST_DETAILED]
    detailed = {id(node) for node in chosen if node.execution is not None}
    now = SystemClock().now()
    nodes = tuple(
        _detailed(patched, node, now) if id(node) in detailed else NodeReport(story=Story(standing=node))
        for node in standings
    )
    return Report(
        made_at=now,
        stack=patched.stack.name,
        region=patched.aws.region,
        document=patched.document,
        executions=tuple(executions),
        nodes=nodes,
        stopped="; ".join(view.stopped for view in views if view.stopped),
        detailed=len(detailed),
    )


def written(made: Report, file: Path) -> Path:
    """Write the page to `file` and the JSON beside it, whose path is returned. Misconfigured if that cannot be."""
    beside = _beside(file)
    _write(file, page(made))
    _write(beside, encoder.dumps(report_json(made), indent=2, ensure_ascii=False, default=_plain) + "\n")
    return beside


def expect(file: Path) -> None:
    """Raise before a long job what `written` would raise after it; nothing is written."""
    for each in (file, _beside(file)):
        there = each.exists()
        with _writing(each), each.open("a"):
            pass
        if not there:
            each.unlink()


def _beside(file: Path) -> Path:
    if file.is_dir():
        raise Misconfigured(f"cannot write {file}: it is a folder", remedy="name a file")
    beside = file.with_suffix(".json")
    if beside == file:
        raise Invalid(f"{file} is where the JSON goes", remedy="name the page, such as patching.html")
    return beside


def _detailed(patched: Patched, node: Standing, now: datetime) -> NodeReport:
    story = story_of(patched, node, all_steps=True)
    told = (*_installed(patched, story), *printed_by(story.steps))
    return NodeReport(story=story, spans=spans_of(story.steps, until=node.ended_at or now), printed=told)


def _installed(patched: Patched, story: Story) -> tuple[Printed, ...]:
    """What the installation printed; of an old command the service knows nothing any more."""
    from moorings.patching.aws import SsmNodes

    command = install_command(story.steps)
    if not command:
        return ()
    platform = story.run.platform if story.run else ""
    try:
        nodes = SsmNodes(client=patched.aws.client("ssm"))
        result = nodes.command(command, story.standing.node, plugin=PLUGINS.get(platform, ""))
    except (CloudFault, Misconfigured) as error:
        return (printed("InstallPatches", f"(not to be had: {error.message})"),)
    return (printed("InstallPatches", result.output),) if result.output.strip() else ()


def _last(patched: Patched) -> str:
    latest = patched.automations.recent(patched.document, most=1)
    if not latest:
        raise Conflict(
            "nothing was patched within the last 30 days", remedy="name an execution: the table keeps 90 days"
        )
    return latest[0].id


def _write(file: Path, text: str) -> None:
    with _writing(file):
        file.write_text(text, encoding="utf-8")


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Misconfigured(f"cannot write {file}: {error.strerror}", remedy="name another file") from error


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} is no JSON value")
