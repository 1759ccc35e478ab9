"""Managed nodes from the command line."""

from datetime import timedelta

import pytest
from tests.cli.conftest import Cli, Deployed

from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.cloud import LocalCloud


def test_nodes_are_listed_with_what_the_service_knows(cli: Cli, nodes: list[str]) -> None:
    """Online or lost, name, platform, where it came from."""
    shown = cli("nodes", "list", "--json")

    found = {node["node"]: node for node in shown.json["nodes"]}
    assert set(nodes) <= set(found)
    heard = found[nodes[0]]
    assert (heard["computer"], heard["platform"], heard["online"]) == ("web-01", "Debian GNU/Linux 12", True)
    assert found[nodes[1]]["online"] is False


def test_only_the_lost_ones_on_request(cli: Cli, nodes: list[str]) -> None:
    """--offline leaves out who was heard."""
    shown = {node["node"] for node in cli("nodes", "list", "--offline", "--json").json["nodes"]}

    assert nodes[0] not in shown
    assert set(nodes[1:]) <= shown


def test_a_list_in_a_pipe_is_plain_and_whole(cli: Cli, nodes: list[str]) -> None:
    """No colour, no cut, no trailing blanks, one node a line."""
    lines = cli("nodes", "list").out.splitlines()

    assert "\x1b" not in "".join(lines)
    assert all(line == line.rstrip() for line in lines)
    assert sum(any(line.startswith(node) for node in nodes) for line in lines) == len(nodes)


def test_a_node_cannot_move_the_cursor(cli: Cli, cloud: LocalCloud, nodes: list[str]) -> None:
    """Servers choose their own names."""
    cloud.world.part(ManagedNodes).heard(nodes[0], {"ComputerName": "evil\x1b[2Jname"})

    shown = cli("nodes", "list")

    assert "\x1b" not in shown.out
    assert "evil�[2Jname" in shown.out


def test_stale_nodes_are_those_silent_for_long(
    cli: Cli, cloud: LocalCloud, nodes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By --after; who was just registered is not stale."""
    assert cli("nodes", "stale", "--after", "1h").out == ""

    registered = cloud.world.part(ManagedNodes).get(nodes[1]).registered_at
    monkeypatch.setattr("moorings.cli.nodes.SystemClock.now", lambda _clock: registered + timedelta(days=40))
    stale = cli("nodes", "stale", "--json").json["nodes"]

    assert set(nodes[1:]) <= {node["node"] for node in stale}


def test_an_unreadable_duration_is_a_usage_error(cli: Cli) -> None:
    """And says how durations are written."""
    refused = cli("nodes", "stale", "--after", "soon")

    assert refused.code == 2
    assert "30d" in refused.err


def test_deregistering_forgets_the_nodes_and_tells_who_was_gone(cli: Cli, cloud: LocalCloud, nodes: list[str]) -> None:
    """A node that is gone already is fine."""
    gone = "mi-00000000000000000"

    done = cli("nodes", "deregister", nodes[0], gone, "--yes", "--json")

    assert done.code == 0
    assert [(each["node"], each["deregistered"], each["gone_already"]) for each in done.json["nodes"]] == [
        (nodes[0], True, False),
        (gone, False, True),
    ]
    assert cloud.world.part(ManagedNodes).find(nodes[0]) is None


def test_deregistering_asks_first(cli: Cli, cloud: LocalCloud, nodes: list[str]) -> None:
    """Without a terminal it needs --yes; a dry run needs nothing and does nothing."""
    refused = cli("nodes", "deregister", nodes[1])
    looked = cli("nodes", "deregister", nodes[1], "--dry-run")

    assert (refused.code, looked.code) == (2, 0)
    assert looked.out == f"{nodes[1]}  would be deregistered\n"
    assert cloud.world.part(ManagedNodes).find(nodes[1]) is not None


def test_what_is_no_node_id_is_refused_before_anything_is_asked(bare: Cli) -> None:
    """No account is needed to see that."""
    refused = bare("nodes", "deregister", "i-0123456789abcdef0", "--yes")

    assert refused.code == 2
    assert "i-0123456789abcdef0: no id of a managed node" in refused.err


def test_a_fleet_without_nodes_is_no_failure(cli: Cli, stack: Deployed) -> None:
    """The object is there, and empty."""
    assert cli("nodes", "list", "--region", "eu-west-1", "--json").json == {"nodes": []}
