"""Patching as an operator runs it: the built zips and layer, the real runbook, simulated VMs of the local Azure."""

from dataclasses import replace

import pytest
from tests.journeys.harbour import BY_NAME, STACK, Port
from tests.journeys.releases import reworded
from tests.journeys.site import BriefClock, eventually

from moorings.cli.demo.scenarios import Scenario, scenarios
from moorings.cli.patch.look import seen
from moorings.deploy import runbooks, templates
from moorings.deploy.artifacts import Artifacts
from moorings.deploy.package import build, function_platform
from moorings.deploy.stacks import Stack, Stacks, StackSpec
from moorings.patching.model import Outcome, Phase

pytestmark = pytest.mark.machines
SCENARIOS = {each.key: each for each in scenarios()}
PUT_BACK = [key for key, each in SCENARIOS.items() if each.put_back]
# What the reason has to say, so that an outcome is not right by accident.
WHY = {
    "no-boot": "went silent",
    "agent-dies": "went silent",
    "stuck-snapshot": "no usable checkpoint",
    "no-way-back": "the checkpoint is kept",
    "cancelled": "the VM runs on the disk made from the checkpoint",
    "dead-service": "health check 1 passed before and fails now",
    "update-fails": "the VM runs on the disk made from the checkpoint",
    "twice": "another run works on this VM",
    "reboot": "patched (1 patch), online, scanned afresh, healthy",
    "good": "patched (1 patch), online, scanned afresh, healthy",
    "exit-1": "patched (1 patch), online, scanned afresh, healthy",
    "compliant": "compliant already",
    "no-snapshot": "no usable checkpoint: Azure says that the snapshot is Failed",
    "impostor": "the node claims another VM",
    "offline": "is offline",
}
WORDS, NEW_WORDS = b'reason=f"patched (', b'reason=f"patched well ('
WAITING, GO = "/run/moorings-waits", "/run/moorings-goes-on"
# Runs on the node between the checkpoint and the patches, for as long as the test needs it.
HOLD = f"touch {WAITING}; until [ -e {GO} ]; do sleep 0.1; done"
NAMED = {
    "clientid": [f"{BY_NAME}/client_id"],
    "tenantid": [f"{BY_NAME}/tenant_id"],
    "clientsecret": [f"{BY_NAME}/client_secret"],
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_run_ends_as_its_scenario_has_to(port: Port, scenario: Scenario) -> None:
    ended = port.played[scenario.key]

    assert ended.as_told, f"{ended.row}, {ended.power}: {ended.reason}"
    assert WHY[scenario.key] in ended.reason


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_the_final_status_tells_the_truth(port: Port, scenario: Scenario) -> None:
    found = port.details(port.plays[scenario.key].execution)
    expected = "Cancelled" if scenario.key == "cancelled" else "Failed" if scenario.wrong else "Success"

    assert found["AutomationExecutionStatus"] == expected
    if scenario.key != "cancelled":
        assert found["Outputs"]["Report.Outcome"] == [scenario.expected.value]


@pytest.mark.parametrize("key", PUT_BACK)
def test_what_was_put_back_is_the_checkpoint_byte_for_byte_and_works(port: Port, key: str) -> None:
    berth = port.berths[key]

    assert port.harbour.equals_checkpoint(berth) is True
    assert berth.vm.os_disk_id.lower() != berth.first_disk.lower()
    assert port.version(key) == "1"
    assert berth.machine.run(["systemctl", "is-active", "-q", "web"]).returncode == 0


@pytest.mark.parametrize("key", ["good", "reboot", "exit-1"])
def test_what_is_patched_keeps_its_disk_and_its_patches(port: Port, key: str) -> None:
    berth = port.berths[key]

    assert berth.vm.os_disk_id.lower() == berth.first_disk.lower()
    assert port.version(key) == "2"


def test_a_vm_that_could_not_be_put_back_runs_and_its_checkpoint_waits_for_a_person(port: Port) -> None:
    """Only the command of a person removes it: the keeper's rule needs an expiry, which it never gets."""
    play = port.plays["no-way-back"]
    assert play.berth.vm.os_disk_id.lower() == play.berth.first_disk.lower()
    mine = [tags for name, tags in port.snapshots.items() if name.startswith("no-way-back-")]
    assert [tags["moorings-execution"] for tags in mine] == [play.execution]
    assert "moorings-expiry" not in mine[0]

    port.keep({"collect": play.execution})

    eventually(lambda: not any(name.startswith("no-way-back-") for name in port.snapshots))


def test_runs_that_touched_nothing_or_went_well_leave_nothing(port: Port) -> None:
    """But for the snapshot that Azure itself never finishes, and so does not delete."""
    clean = {key for key, each in SCENARIOS.items() if each.expected in {Outcome.PATCHED, Outcome.UNCHANGED}}
    clean -= {"stuck-snapshot"}

    eventually(lambda: not [name for name in port.snapshots if name.rsplit("-", 2)[0] in clean])
    assert not [name for name in port.loose_disks if name.rsplit("-", 2)[0] in clean]


def test_the_first_of_two_runs_at_once_is_not_disturbed(port: Port) -> None:
    play = port.plays["twice"]

    assert play.first_standing is not None
    assert play.first_standing.outcome == "PATCHED"
    assert play.execution != play.first
    assert play.standing is not None
    assert play.first in play.standing.reason


def test_a_cancelled_restore_was_finished_by_the_keeper(port: Port) -> None:
    play = port.plays["cancelled"]
    assert play.standing is not None
    assert play.standing.run is not None

    cancelled_at = port.details(play.execution)["ExecutionEndTime"]
    after = [moment.what for moment in play.standing.run.timeline if moment.at > cancelled_at]

    assert "starting the VM" in after
    assert play.standing.run.phase is Phase.OVER


def test_after_the_keepers_runs_nothing_of_a_rollback_is_left(port: Port) -> None:
    """The failed disk was to be kept for no hour."""
    ended = port.run("restored", HealthSettleTime=["PT2S"], KeepFailedDiskHours=["0"])
    assert ended.outcome == "ROLLED_BACK"
    assert ended.execution is not None
    execution = ended.execution.id

    def gone() -> bool:
        port.harbour.hasten(execution)
        port.keep()
        return not [name for name in (*port.snapshots, *port.loose_disks) if name.startswith("restored")]

    eventually(gone)
    assert port.version("restored") == "1"


def test_a_start_from_the_console_needs_the_node_alone(port: Port) -> None:
    """Nobody names a role, a function or credentials: the document's defaults are the stack's own."""
    started = port.cloud.client("ssm").start_automation_execution(
        DocumentName=port.harbour.deployed.runbook, Parameters={"InstanceId": [port.node("console")]}
    )

    ended = port.harbour.finished(started["AutomationExecutionId"], port.node("console"))

    assert (ended.outcome, ended.status, ended.wrong) == ("PATCHED", "Success", False)
    assert port.version("console") == "2"


def test_credentials_that_a_run_names_win_over_the_stacks_federation(port: Port) -> None:
    """Every call but theirs is made by the federated application, and none of theirs."""
    before = port.arm_calls()
    since = len(port.cloud.azure.calls)

    ended = port.run("by-secret", **NAMED)

    mine = {call.principal for call in port.arm_calls(since=since) if "by-secret" in call.resource}
    assert (ended.outcome, mine) == ("PATCHED", {port.named.object_id})
    assert any(call.principal == port.federated.object_id for call in before)


def test_credentials_that_are_named_in_part_are_refused(port: Port) -> None:
    ended = port.run("by-secret", clientid=NAMED["clientid"])

    assert (ended.outcome, ended.wrong) == ("UNCHANGED", True)
    assert "give all three or none; tenantid and clientsecret are without a name" in ended.reason
    assert "moorings azure connect" in ended.remedy
    assert ended.execution is not None
    steps = port.harbour.patched.automations.steps(ended.execution.id, failed_only=True)
    assert [step.name for step in steps] == ["FailIfWrong"]


def test_a_windows_node_is_patched(port: Port) -> None:
    """Its scripts are replayed, but the identity: that is signed for this very run."""
    ended = port.run("windows", HealthCheckCommands=["Get-Service W3SVC"])

    assert (ended.outcome, ended.wrong) == ("PATCHED", False)
    assert ended.run is not None
    assert ended.run.platform == "Windows"


@pytest.fixture
def stacks(port: Port) -> Stacks:
    return Stacks(port.harbour.aws, clock=BriefClock())


def _update(port: Port, stacks: Stacks, before: Stack) -> None:
    """What `moorings patch deploy` of a later release does: other functions, another runbook."""
    artifacts = Artifacts(port.harbour.aws)
    package = build("patching", platform=function_platform(port.cloud.function_platform))
    runbook = runbooks.rendered()
    later = replace(runbook, content=runbook.content.replace(b'"description": "', b'"description": "Later. ', 1))
    assert later.content != runbook.content
    parameters = {
        **before.parameters,
        "ArtifactKey": artifacts.store(
            reworded(package, "moorings/patching/judging.py", WORDS, NEW_WORDS), stack=STACK
        ),
        "RunbookKey": artifacts.store(replace(later, digest="0" * 64), stack=STACK),
    }
    stacks.deploy(StackSpec(name=STACK, template=templates.read(templates.PATCHING), parameters=parameters))


def test_a_run_is_finished_by_its_own_runbook_and_the_new_function(port: Port, stacks: Stacks) -> None:
    """The checkpoint is recorded by the old function; judged, released and reported is it by the new one."""
    before = stacks.find(STACK)
    assert before is not None
    machine = port.berths["updated"].machine
    execution = port.harbour.start(port.node("updated"), parameters={"PrePatchCommands": [HOLD]})
    eventually(lambda: machine.run(["test", "-e", WAITING]).returncode == 0, within=60)

    _update(port, stacks, before)
    machine.run(["touch", GO])
    ended = port.harbour.finished(execution, port.node("updated"))
    ssm = port.cloud.client("ssm")
    newest = ssm.describe_document(Name=port.harbour.deployed.runbook)["Document"]
    stacks.deploy(
        StackSpec(name=STACK, template=templates.read(templates.PATCHING), parameters=before.parameters)
    )  # for the journeys that come after

    assert (ended.outcome, ended.status, ended.wrong) == ("PATCHED", "Success", False)
    assert ended.reason.startswith("patched well (")
    assert int(port.details(execution)["DocumentVersion"]) < int(newest["DocumentVersion"])
    assert newest["DefaultVersion"] == newest["DocumentVersion"]
    assert port.version("updated") == "2"


def test_a_fleet_is_patched_under_rate_control(port: Port) -> None:
    """One good, one put back, one with nothing to do, under one parent."""
    names = ["fleet-1", "fleet-2", "fleet-3"]

    parent = port.harbour.start(*map(port.node, names), parameters={"HealthSettleTime": ["PT2S"]})

    view = eventually(lambda: (found := seen(port.harbour.patched, parent)).over and found, within=60)
    outcomes = {node.node: node.outcome for node in view.nodes}
    assert [outcomes[port.node(name)] for name in names] == ["PATCHED", "ROLLED_BACK", "UNCHANGED"]
    assert view.wrong
    assert port.harbour.equals_checkpoint(port.berths["fleet-2"]) is True


def test_no_function_ended_in_an_error(port: Port) -> None:
    functions = port.harbour.deployed.outputs
    lines = [
        line
        for name in ("AzureLambdaFunctionName", "KeeperFunctionName")
        for line in port.cloud.functions.logs(functions[name])
    ]

    errors = [line for line in lines if "Traceback" in line or line.startswith("[ERROR]")]
    assert lines
    assert errors == []
