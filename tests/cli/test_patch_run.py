"""`moorings patch …` on runs: from the command line through the service's rate control to the table, and back."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.cli import patchstack
from tests.cli.conftest import Cli
from tests.cli.patchstack import PatchStack

from localcloud.cloud import LocalCloud
from moorings.cli.patch.run import tell_interrupted
from moorings.cli.talk import Talk
from moorings.patching.campaign import View
from moorings.patching.executions import Execution
from moorings.patching.model import Phase
from moorings.patching.standing import Standing

GONE = "00000000-0000-4000-8000-000000000000"
OLD = "aaaaaaaa-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def made(cloud: LocalCloud) -> PatchStack:
    return patchstack.make(cloud)


@pytest.fixture
def patching(made: PatchStack) -> Iterator[PatchStack]:
    yield made
    made.bad([])


@pytest.fixture
def patch(cli: Cli, patching: PatchStack) -> Cli:
    """`moorings patch …` on this stack."""
    return lambda verb, *words: cli("patch", verb, *words, "--stack-name", patching.name)


def test_one_node_is_one_plain_execution(patch: Cli, cloud: LocalCloud, nodes: list[str]) -> None:
    ended = patch("run", nodes[0], "--health-check", "true", "--health-check", "id", "--json")

    assert ended.code == 0, ended.err
    told = ended.json["nodes"][0]
    assert (told["node"], told["outcome"], told["wrong"]) == (nodes[0], "PATCHED", False)
    execution = cloud.client("ssm").get_automation_execution(AutomationExecutionId=told["execution"])
    assert execution["AutomationExecution"]["Parameters"]["HealthCheckCommands"] == ["true", "id"]
    assert "TargetMaps" not in execution["AutomationExecution"]
    assert told["vm"].endswith("/web-1")


def test_more_nodes_go_under_rate_control_and_something_wrong_is_exit_1(
    patch: Cli, patching: PatchStack, nodes: list[str]
) -> None:
    patching.bad([nodes[1]])

    ended = patch("run", *nodes, "--max-errors", "1", "--json")

    assert ended.code == 1
    assert {node["node"]: node["outcome"] for node in ended.json["nodes"]} == {
        nodes[0]: "PATCHED",
        nodes[1]: "ROLLED_BACK",
        nodes[2]: "PATCHED",
    }
    assert (ended.json["errors"], ended.json["stopped"], len(ended.json["executions"])) == (1, "", 1)


def test_the_error_too_many_begins_no_further_node(patch: Cli, patching: PatchStack, nodes: list[str]) -> None:
    patching.bad(nodes[:1])

    ended = patch("run", *nodes, "--max-concurrency", "1", "--json")

    assert ended.code == 1
    assert [node["status"] for node in ended.json["nodes"]] == ["Failed", "NotBegun", "NotBegun"]
    assert "1 node went wrong and 0 may" in ended.json["stopped"]


def test_a_pipe_gets_a_line_for_each_event_and_a_table_at_the_end(
    patch: Cli, patching: PatchStack, nodes: list[str]
) -> None:
    patching.bad([nodes[1]])

    ended = patch("run", nodes[0], nodes[1], "--max-errors", "50%")

    assert f"✓ {nodes[0]}  PATCHED" in ended.err
    assert f"✗ {nodes[1]}  ROLLED_BACK" in ended.err
    table = ended.out.splitlines()
    assert table[0].split() == ["NODE", "VM", "OUTCOME", "SECONDS", "REASON"]
    assert "2 nodes: 1 PATCHED, 1 ROLLED_BACK" in ended.out
    assert "  next: moorings patch explain " in ended.out
    assert "\x1b" not in ended.out + ended.err


def test_a_plan_starts_nothing(patch: Cli, nodes: list[str]) -> None:
    before = patch("status", "--json").json

    planned = patch("run", *nodes, "--max-concurrency", "50%", "--max-errors", "34%", "--no-reboot", "--plan", "--json")

    assert planned.json["parents"] == [3]
    assert (planned.json["max_concurrency"], planned.json["max_errors"]) == (1, 1)
    assert planned.json["parameters"] == {"RebootOption": ["NoReboot"]}
    assert patch("status", "--json").json == before


def test_nodes_by_tag_and_all_of_them(patch: Cli, cloud: LocalCloud, nodes: list[str]) -> None:
    cloud.client("ssm").add_tags_to_resource(
        ResourceType="ManagedInstance", ResourceId=nodes[2], Tags=[{"Key": "Env", "Value": "prod"}]
    )

    tagged = patch("run", "--target", "tag:Env=prod", "--plan", "--json")
    everything = patch("run", "--all", "--plan", "--json")
    online = patch("run", "--all", "--online-only", "--plan", "--json")

    assert [node["node"] for node in tagged.json["nodes"]] == [nodes[2]]
    assert set(nodes) <= {node["node"] for node in everything.json["nodes"]}
    assert nodes[1] not in {node["node"] for node in online.json["nodes"]}
    assert patch("run", "--target", "tag:Env=none", "--plan").code == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "which nodes to patch has to be said in one way"),
        (("mi-0123456789abcdef0", "--all"), "in one way"),
        (("i-0123456789abcdef0",), "no id of a managed node"),
        (("mi-0123456789abcdef0",), "there is no managed node mi-0123456789abcdef0"),
        (("--target", "Env=prod"), "names no tag"),
        (("--all", "--max-errors", "some"), "--max-errors 'some' is no limit"),
        (("--all", "--health-check", "x" * 513), "has 513 characters, 512 are possible"),
        (("--all", "--parameter", "Name"), "write --parameter NAME=VALUE"),
    ],
)
def test_what_is_wrong_is_named_before_anything_starts(
    patch: Cli, nodes: list[str], words: tuple[str, ...], told: str
) -> None:
    refused = patch("run", *words)

    assert refused.code == 2
    assert told in refused.err


def test_all_nodes_and_data_disks_need_a_yes(patch: Cli, nodes: list[str]) -> None:
    """There is no terminal to ask on, so --yes is asked for; what is lost is said."""
    everything = patch("run", "--all")
    disks = patch("run", nodes[0], "--restore-data-disks")
    looked = patch("run", nodes[0], "--restore-data-disks", "--dry-run", "--json")

    assert (everything.code, disks.code, looked.code) == (2, 2, 0)
    assert "Patch all" in everything.err
    assert "written to them since the checkpoint is lost" in disks.err


def test_a_parameter_that_the_runbook_lacks_is_a_usage_error(patch: Cli, nodes: list[str]) -> None:
    refused = patch("run", nodes[0], "--parameter", "Nonsense=1")

    assert refused.code == 2
    assert "Nonsense" in refused.err


def test_detached_runs_are_watched_later(patch: Cli, nodes: list[str]) -> None:
    started = patch("run", nodes[0], nodes[1], "--detach", "--json")
    watched = patch("watch", started.json["execution"], "--json")

    assert started.json["nodes"] == nodes[:2]
    assert watched.code == 0
    assert [node["outcome"] for node in watched.json["nodes"]] == ["PATCHED", "PATCHED"]


def test_status_of_everything_of_an_execution_and_of_a_node(patch: Cli, patching: PatchStack, nodes: list[str]) -> None:
    patching.bad([nodes[0]])
    ended = patch("run", nodes[0], "--json").json["nodes"][0]

    latest = patch("status")
    of_execution = patch("status", ended["execution"], "--json")
    of_node = patch("status", nodes[0], "--json")

    assert any(line.startswith(ended["execution"]) and "ROLLED_BACK" in line for line in latest.out.splitlines())
    assert of_execution.json["nodes"][0]["reason"] == "health check 2 passed before and fails now"
    assert ended["execution"] in {run["execution"] for run in of_node.json["runs"]}
    assert patch("status", "nonsense").code == 2


def test_explain_tells_the_story(patch: Cli, patching: PatchStack, nodes: list[str]) -> None:
    patching.bad([nodes[0]])
    execution = patch("run", nodes[0], "--json").json["nodes"][0]["execution"]

    told = patch("explain", execution)
    as_json = patch("explain", execution, "--json").json["runs"][0]

    for words in (
        "ROLLED_BACK  the VM runs on a disk made from the checkpoint",
        "because: health check 2 passed before and fails now",
        "note: 1 patch missing still",
        "240 s",
        "1 of 2 pass; failing: 2 (exit 3)",
        "verdict BAD: patching harmed the node",
        "InstallPatches",
        "next: nothing is to be done",
    ):
        assert words in told.out
    assert as_json["verdict"] == "BAD"
    assert as_json["failed_steps"][0]["step"] == "InstallPatches"
    assert as_json["evidence"]["boot"] == "restarted"


def test_explain_of_a_parent_tells_of_those_that_are_not_well(
    patch: Cli, patching: PatchStack, nodes: list[str]
) -> None:
    patching.bad([nodes[1]])
    parent = patch("run", *nodes, "--max-errors", "3", "--json").json["executions"][0]

    wrong = patch("explain", parent, "--json").json["runs"]
    everything = patch("explain", parent, "--all", "--json").json["runs"]

    assert [run["node"] for run in wrong] == [nodes[1]]
    assert len(everything) == 3


def test_what_the_service_has_forgotten_the_record_tells(patch: Cli, patching: PatchStack, nodes: list[str]) -> None:
    patching.put(patchstack.rolled_back(execution=OLD, node=nodes[0]))

    told = patch("explain", OLD)

    assert told.code == 0
    assert "ROLLED_BACK" in told.out
    unknown = patch("explain", GONE)
    assert unknown.code == 3
    assert "neither Systems Manager nor stack" in unknown.err


def sleeping(patching: PatchStack, cloud: LocalCloud, node: str) -> str:
    """An execution that goes on for an hour."""
    step = {"name": "Sleep", "action": "aws:sleep", "inputs": {"Duration": "PT1H"}}
    execution = _started(cloud, node, step)
    patching.put(patchstack.record(execution, node, phase=Phase.RESTORING, conclusion=None))
    return execution


def sending(patching: PatchStack, cloud: LocalCloud, node: str) -> str:
    """An execution that has sent the command which installs; nobody answers it."""
    inputs = {"Service": "ssm", "Api": "SendCommand", "DocumentName": "AWS-RunShellScript", "InstanceIds": [node],
              "Parameters": {"commands": ["true"]}}  # fmt: skip
    told = [{"Name": "CommandId", "Selector": "$.Command.CommandId", "Type": "String"}]
    step = {"name": "InstallPatches", "action": "aws:executeAwsApi", "inputs": inputs, "outputs": told}
    execution = _started(cloud, node, step)
    patching.put(patchstack.record(execution, node))
    return execution


def _started(cloud: LocalCloud, node: str, step: dict[str, Any]) -> str:
    client, name = cloud.client("ssm"), f"{step['name'].lower()}-{uuid4().hex[:8]}"
    parameters = {"InstanceId": {"type": "String"}}
    content = {"schemaVersion": "0.3", "parameters": parameters, "mainSteps": [step]}
    client.create_document(Name=name, DocumentType="Automation", DocumentFormat="JSON", Content=json.dumps(content))
    started = client.start_automation_execution(DocumentName=name, Parameters={"InstanceId": [node]})
    return str(started["AutomationExecutionId"])


def test_whoever_stops_following_is_told_that_runs_go_on(capfd: pytest.CaptureFixture[str]) -> None:
    """Nobody is there to ask, so nothing is stopped."""
    going = Standing(node="mi-1", execution=Execution(id="run-1", status="InProgress", over=False))
    over = Standing(node="mi-2", execution=Execution(id="run-2", status="Success", over=True))
    view = View(executions=(GONE, OLD), nodes=(going, over, Standing(node="mi-3")))

    tell_interrupted(view, Talk(), stop=lambda execution: pytest.fail(f"{execution} was stopped"))

    said = capfd.readouterr().err
    assert "the runs go on in AWS: 1 node under way, 1 not begun" in said
    assert f"moorings patch cancel {OLD}" in said


def test_whoever_stops_before_anything_was_started_is_told_so(capfd: pytest.CaptureFixture[str]) -> None:
    tell_interrupted(View(), Talk(), stop=lambda execution: pytest.fail(f"{execution} was stopped"))

    assert "nothing was started" in capfd.readouterr().err


def test_cancelling_says_what_becomes_of_the_vm(
    patch: Cli, patching: PatchStack, cloud: LocalCloud, nodes: list[str]
) -> None:
    execution = sleeping(patching, cloud, nodes[0])

    asked = patch("cancel", execution)
    would = patch("cancel", execution, "--dry-run")
    done = patch("cancel", execution, "--yes", "--json")
    again = patch("cancel", execution, "--yes")

    assert asked.code == 2
    assert "would be cancelled" in would.out
    assert "the keeper goes on until the VM runs" in would.out
    assert done.json["cancelled"] is True
    assert done.json["nodes"][0]["what_follows"].startswith("the keeper goes on")
    assert "is over already" in again.out


def test_checkpoints_are_listed_with_their_end(patch: Cli, patching: PatchStack, nodes: list[str]) -> None:
    kept = patchstack.undecided("bbbbbbbb-0000-4000-8000-000000000001", nodes[1])
    patching.put(kept)
    expiring = patchstack.record(
        "bbbbbbbb-0000-4000-8000-000000000002", nodes[2],
        leftovers=(patchstack.VM.child("disks", "web-1-os"),), expires_at=patchstack.BEGAN + timedelta(days=9_999),
    )  # fmt: skip
    patching.put(expiring)

    shown = patch("checkpoints")
    of_node = patch("checkpoints", "--node", nodes[2], "--json").json["kept"]

    assert "somebody removes it" in shown.out
    assert "former disk" in shown.out
    assert [one["what"] for one in of_node] == ["former disk"]
    assert of_node[0]["kept_until"].startswith("2054")


def test_collecting_asks_the_keeper_and_needs_a_yes(patch: Cli) -> None:
    execution = "cccccccc-0000-4000-8000-000000000001"

    would = patch("gc", "--execution", execution, "--dry-run")
    asked = patch("gc", "--execution", execution)
    done = patch("gc", "--execution", execution, "--yes", "--json")

    assert would.out == "would be deleted: web-1-snap\n"
    assert asked.code == 2
    assert "Remove web-1-snap?" in asked.err
    assert done.code == 0
    assert len(done.json["deleted"]) == 1


@pytest.mark.parametrize(
    ("start", "code", "told"),
    [("ffffffff", 3, "has no record"), ("eeeeeeee", 5, "the keeper failed: out of order"), ("dddddddd", 1, "")],
)
def test_what_cannot_be_collected_is_told_by_its_family(patch: Cli, start: str, code: int, told: str) -> None:
    refused = patch("gc", "--execution", f"{start}-0000-4000-8000-000000000001", "--yes")

    assert refused.code == code
    assert told in refused.err


def test_a_stack_that_is_not_there_is_named(cli: Cli) -> None:
    refused = cli("patch", "status", "--stack-name", "nowhere")

    assert refused.code == 2
    assert "there is no patching stack nowhere" in refused.err
