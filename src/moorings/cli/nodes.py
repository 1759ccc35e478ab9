"""`moorings nodes …`: the managed nodes of an account and Region."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import typer

from moorings.cli.options import DryRun, Json, Profile, Region, Yes, checked_duration
from moorings.cli.output import Results, ago, counted
from moorings.cli.surroundings import fleet_of, open_aws
from moorings.cli.talk import Talk
from moorings.cli.tree import Noun
from moorings.clock import SystemClock
from moorings.errors import Invalid, Refused
from moorings.nodes.model import ManagedNode, stale

app = Noun(
    help="""Managed nodes: list, find the silent ones, deregister.

    \b
    Examples:
      moorings nodes list
      moorings nodes stale --after 30d
      moorings nodes deregister mi-0123456789abcdef0
    """
)
NODE_ID = re.compile(r"mi-[0-9a-f]{17}")
COLUMNS = ("NODE", "COMPUTER", "PLATFORM", "STATUS", "LAST PING")


@app.command("list")
def list_nodes(
    offline: Annotated[bool, typer.Option("--offline", help="Only those whose connection is lost.")] = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """List the hybrid managed nodes, oldest registration first.

    A node counts as online if the service heard its agent within the last five minutes.

    \b
    Examples:
      moorings nodes list
      moorings nodes list --offline --json
    """
    results, talk = Results(as_json=json), Talk()
    fleet = fleet_of(open_aws(region, profile))
    with talk.looking("listing managed nodes"):
        nodes = sorted(fleet.nodes(offline_only=offline), key=_age)
    _show(nodes, results, talk, nothing="no managed nodes" + (" are offline" if offline else ""))


@app.command("stale")
def list_stale(
    after: Annotated[str, typer.Option("--after", help="Silent for at least this long.", metavar="30d")] = "30d",
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """List nodes that have long been silent.

    Those that are offline, the longest silent first.

    \b
    Examples:
      moorings nodes stale
      moorings nodes stale --after 12h --json
    """
    results, talk = Results(as_json=json), Talk()
    silent_for = checked_duration(after, option="--after")
    fleet = fleet_of(open_aws(region, profile))
    with talk.looking("looking for silent nodes"):
        nodes = stale(fleet.nodes(offline_only=True), after=silent_for, now=SystemClock().now())
    _show(nodes, results, talk, nothing=f"no node has been silent for {after}")


@app.command("deregister")
def deregister(
    ids: Annotated[list[str], typer.Argument(help="Node ids, mi-...", metavar="ID")],
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Make Systems Manager forget nodes.

    Their agents lose their credentials. The servers themselves are not touched. A node that is gone already is fine.

    \b
    Examples:
      moorings nodes deregister mi-0123456789abcdef0
      moorings nodes deregister mi-0123456789abcdef0 mi-0fedcba9876543210 --yes
    """
    results, talk = Results(as_json=json), Talk()
    wrong = [each for each in ids if not NODE_ID.fullmatch(each)]
    if wrong:
        raise Invalid(
            f"{', '.join(wrong)}: no id of a managed node",
            remedy="ids look like mi-0123456789abcdef0: `moorings nodes list`",
        )
    fleet = fleet_of(open_aws(region, profile))
    wanted = list(dict.fromkeys(ids))
    known = {each: fleet.node(each) for each in wanted}
    _confirm([node for node in known.values() if node], talk, ask=not (yes or dry_run))
    done: list[dict[str, Any]] = []
    with talk.working(f"deregistering {counted(len(wanted), 'node')}"):
        for each in wanted:
            gone = known[each] is None or (not dry_run and not fleet.deregister(each))
            done.append({"node": each, "deregistered": not gone and not dry_run, "gone_already": gone})
    if json:
        results.json({"nodes": done, "dry_run": dry_run})
        return
    for entry in done:
        would = "would be deregistered" if dry_run else "deregistered"
        results.prose(f"{entry['node']}  {'gone already' if entry['gone_already'] else would}")


def _confirm(nodes: list[ManagedNode], talk: Talk, *, ask: bool) -> None:
    if not nodes or not ask:
        return
    named = ", ".join(f"{node.id} ({node.computer_name or node.name or 'no name'})" for node in nodes)
    if not talk.ask(f"Deregister {named}?"):
        raise Refused("nothing was deregistered", remedy="answer y, or give --yes")


def _show(nodes: list[ManagedNode], results: Results, talk: Talk, *, nothing: str) -> None:
    now = SystemClock().now()
    if results.as_json:
        results.json({"nodes": [as_json(node) for node in nodes]})
    elif not nodes:
        talk.say(nothing)
    else:
        results.table(COLUMNS, [_row(node, now) for node in nodes])


def as_json(node: ManagedNode) -> dict[str, Any]:
    """A node as `--json` shows it."""
    return {
        "node": node.id,
        "name": node.name,
        "computer": node.computer_name,
        "platform": node.platform,
        "address": node.address,
        "online": node.online,
        "last_ping": node.last_ping,
        "registered_at": node.registered_at,
        "activation": node.activation_id,
        "role": node.role,
        "agent_version": node.agent_version,
    }


def _row(node: ManagedNode, now: datetime) -> Iterable[str]:
    status = "online" if node.online else "lost"
    return (node.id, node.computer_name or node.name, node.platform, status, ago(node.last_ping, now))


def _age(node: ManagedNode) -> tuple[float, str]:
    return (node.registered_at.timestamp() if node.registered_at else 0.0, node.id)
