"""A run that goes on while patching is updated: its runbook stays, its function changes, its record is understood."""

from dataclasses import replace

import pytest
from tests.journeys.harbour import STACK, Port
from tests.journeys.releases import reworded
from tests.journeys.site import BriefClock, eventually

from moorings.deploy import runbooks, templates
from moorings.deploy.artifacts import Artifacts
from moorings.deploy.package import build, function_platform
from moorings.deploy.stacks import Stack, Stacks, StackSpec

pytestmark = pytest.mark.machines
WORDS, NEW_WORDS = b'reason=f"patched (', b'reason=f"patched well ('
WAITING, GO = "/run/moorings-waits", "/run/moorings-goes-on"
# Runs on the node between the checkpoint and the patches, for as long as the test needs it.
HOLD = f"touch {WAITING}; until [ -e {GO} ]; do sleep 0.1; done"


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
