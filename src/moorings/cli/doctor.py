"""`moorings doctor`: what stands in the way of a deployment, or has gone wrong with one."""

from dataclasses import asdict, replace
from shlex import quote
from typing import Annotated

import typer
from rich.text import Text

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
from moorings.cli.output import Results, counted
from moorings.cli.surroundings import aws_at, region_of
from moorings.cli.talk import Talk
from moorings.cli.terminal import clean
from moorings.clock import SystemClock
from moorings.doctor.catalogue import CHECKS
from moorings.doctor.model import Ask, Finding, Group, Report, State
from moorings.doctor.service import examine
from moorings.errors import NOT_WELL_EXIT
from moorings.settings import deploy_settings

_ONLY = f"Look at this group alone; may be given several times: {', '.join(each.value for each in Group)}."
_STYLES = {State.OK: "green", State.ADVICE: "cyan", State.UNKNOWN: "yellow", State.ACT: "bold red"}


def doctor(
    *,
    enrolment_stack: EnrolmentStack = STACK,
    patching_stack: PatchingStack = PATCH_STACK,
    plan_nodes: Annotated[
        int,
        typer.Option("--plan-nodes", help="Servers that are planned: quotas are held against it.", min=0, metavar="N"),
    ] = 0,
    only: Annotated[list[Group] | None, typer.Option("--only", help=_ONLY, metavar="GROUP")] = None,
    vpc: Annotated[str, typer.Option("--vpc", help="VPC of the endpoint, for before it is there.", metavar="VPC")] = "",
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Look for what is in the way, before deploying and after.

    Nothing is changed. Every finding says what it means and the one command to run. What cannot be judged from here
    says so. Exit code 1 if anything has to be done, 0 otherwise.

    \b
    Examples:
      moorings doctor --plan-nodes 1500 --vpc vpc-0a1b2c3d
      moorings doctor --only functions --only alarms
      moorings doctor --json
    """
    from moorings.doctor.aws import AwsProbes

    results, talk = Results(as_json=json), Talk()
    where = region_of(region, profile)
    ask = Ask(
        region=where,
        enrolment=checked_stack_name(enrolment_stack),
        patching=checked_stack_name(patching_stack),
        nodes=plan_nodes,
        vpc=vpc,
        groups=frozenset(only or Group),
    )
    probes = AwsProbes(aws_at(where, profile), clock=SystemClock(), anchors=deploy_settings().anchors)
    with talk.looking("looking"):
        report = examine(
            ask, probes, on_group=lambda group: talk.now(f"looking at {group.value}") if talk.live else None
        )
    told = Report(findings=tuple(_placed(each, region=region, profile=profile) for each in report.findings))
    _show(results, ask, told)
    if not report.well:
        raise typer.Exit(NOT_WELL_EXIT)


def _placed(finding: Finding, *, region: str, profile: str) -> Finding:
    """The finding with a command that works in the same place: an option that was given here is given there too."""
    command = finding.command
    # Trust anchors lie on this computer, in no Region.
    if command.startswith(("aws ", "moorings ")) and not command.startswith("moorings anchors"):
        options = (("--region", region), ("--profile", profile))
        command += "".join(f" {option} {quote(value)}" for option, value in options if value)
    return replace(finding, command=command)


def _show(results: Results, ask: Ask, report: Report) -> None:
    if results.as_json:
        findings = [{"group": CHECKS[each.check].group.value, **asdict(each), "state": each.state.value}
                    for each in report.findings]  # fmt: skip
        results.json({"region": ask.region, "well": report.well, "findings": findings})
        return
    rows = [
        (
            Text(each.state.value, style=_STYLES[each.state]),
            CHECKS[each.check].group.value,
            f"{each.subject}: {each.what}",
        )
        for each in report.findings
    ]
    results.table(("", "GROUP", "FOUND"), rows)
    for state, heading in ((State.ACT, "to be done"), (State.ADVICE, "worth knowing"), (State.UNKNOWN, "not judged")):
        _explained(results, state, heading, [each for each in report.findings if each.state is state])
    results.line()
    unseen = sum(each.state is State.UNKNOWN for each in report.findings)
    more = f"; {counted(unseen, 'finding')} could not be judged" if unseen else ""
    if report.well:
        results.prose(f"nothing has to be done{more}", style="yellow" if unseen else "green")
    else:
        results.prose(f"{counted(len(report.needing_action), 'finding')} to be acted on{more}", style="bold red")


def _explained(results: Results, state: State, heading: str, found: list[Finding]) -> None:
    if not found:
        return
    results.line()
    results.prose(heading.upper(), style=_STYLES[state])
    for each in found:
        results.prose(f"  {clean(each.subject)}: {clean(each.what)}")
        results.prose(f"    {clean(each.means)}")
        results.line(f"    {each.command}", style="bold")
