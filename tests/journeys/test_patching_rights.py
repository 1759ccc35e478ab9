"""Least privilege (invariant 9), in AWS and in Azure: what the roles allow is what patching used on every path.

The functions run from the built zip with their own roles; whatever a role lacks fails as in AWS, or in Azure.
"""

import time
from typing import Any

import pytest
from tests.journeys.harbour import GROUP, STACK, Port
from tests.journeys.site import eventually
from tests.journeys.test_patching import NAMED

from localcloud.aws.iam.exactness import Exactness, of_role
from moorings.cli.demo.harbour import concluded
from moorings.cli.demo.scenarios import SLOW
from moorings.deploy.azure_setup import role_definition
from moorings.patching.model import Phase, vm_ref

pytestmark = pytest.mark.machines
# In the role, though the local Azure never asks for it: a VM that is read with its instance view.
IMPLIED = {"Microsoft.Compute/virtualMachines/instanceView/read"}
IDENTITY = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app"


@pytest.fixture(scope="module")
def driven(port: Port) -> Port:
    """The harbour, after the paths that no scenario takes."""
    _lose_the_answer_to_the_patch_command(port)
    _take_over_a_guard(port)
    _interrupt_before_patching(port)
    _restore_what_is_protected(port)
    return port


def _lose_the_answer_to_the_patch_command(port: Port) -> None:
    """The function finds the command by its comment."""
    node = port.node("lost-answer")
    execution = port.harbour.start(node, parameters=SLOW)
    _until(port, execution, node, Phase.CHECKPOINTING)
    port.cloud.faults.lose_answer("ssm", "SendCommand", count=1)
    ended = port.harbour.finished(execution, node)
    port.cloud.faults.clear()
    assert ended.outcome == "PATCHED", ended.reason


def _take_over_a_guard(port: Port) -> None:
    """It has expired, and its owner is over: only the service knows that."""
    ref = vm_ref(port.berths["taken-over"].vm.id)
    assert ref is not None
    port.cloud.client("dynamodb").put_item(
        TableName=port.harbour.deployed.outputs["GuardTable"],
        Item={
            "pk": {"S": f"guard#{ref.key}"},
            "owner": {"S": port.plays["good"].execution},
            "fence": {"N": "7"},
            "until": {"N": str(int(time.time()) - 3_600)},
        },
    )
    ended = port.run("taken-over")
    assert ended.run is not None
    assert (ended.outcome, ended.run.fence) == ("PATCHED", 8)


def _interrupt_before_patching(port: Port) -> None:
    """Cancelled while the checkpoint is taken, and the function cannot be called: the keeper concludes it, with the
    credentials that the run named."""
    node = port.node("interrupted")
    execution = port.harbour.start(node, parameters={**SLOW, **NAMED})
    _until(port, execution, node, Phase.CHECKPOINTING)
    port.cloud.faults.error("lambda", "Invoke")
    assert port.harbour.patched.automations.stop(execution)
    eventually(lambda: port.harbour.standings({execution: node})[execution].over)
    port.cloud.faults.clear()
    ended = _kept(port, execution, node)
    assert ended.outcome == "UNCHANGED", ended.reason


def _restore_what_is_protected(port: Port) -> None:
    """A VM with an identity, its disk under an encryption set and with private access; Azure wants it deallocated."""
    berth = port.berths["protected"]
    group = port.cloud.azure.resource_group(GROUP)
    state, choices = port.cloud.azure.state, port.cloud.azure.choices
    with state.lock:
        properties = state.disks[berth.first_disk.lower()].properties
        properties["encryption"] = {
            "type": "EncryptionAtRestWithCustomerKey",
            "diskEncryptionSetId": f"{group}/providers/Microsoft.Compute/diskEncryptionSets/keys",
        }
        properties["networkAccessPolicy"] = "AllowPrivate"
        properties["diskAccessId"] = f"{group}/providers/Microsoft.Compute/diskAccesses/inside"
        berth.vm.document["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {f"{group}{IDENTITY}": {}}}
        os_disk = berth.vm.document["properties"]["storageProfile"]["osDisk"]["managedDisk"]
        os_disk["diskEncryptionSet"] = {"id": properties["encryption"]["diskEncryptionSetId"]}
    choices.swap_needs = "deallocated"
    ended = port.run("protected", HealthSettleTime=["PT2S"], KeepFailedDiskHours=["0"])
    choices.swap_needs = "stopped"
    assert ended.outcome == "ROLLED_BACK", ended.reason
    assert ended.execution is not None
    execution = ended.execution.id

    def collected() -> bool:
        port.harbour.hasten(execution)
        return not any(name.startswith("protected") for name in (*port.loose_disks, *port.snapshots))

    eventually(collected)


def _until(port: Port, execution: str, node: str, phase: Phase) -> None:
    def there() -> bool:
        run = port.harbour.standings({execution: node})[execution].run
        return run is not None and run.phase is phase

    eventually(there)


def _kept(port: Port, execution: str, node: str) -> Any:
    """The run as the keeper has concluded it."""

    def over() -> Any:
        port.harbour.hasten(execution)
        found = port.harbour.standings({execution: node})[execution]
        return found if concluded(found) else None

    return eventually(over)


def _compared(port: Port, logical_id: str) -> Exactness:
    resources = port.cloud.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    roles = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
    return of_role(port.cloud.world, roles[logical_id])


@pytest.mark.parametrize("role", ["FunctionRole", "KeeperRole", "AutomationRole"])
def test_all_that_a_role_allows_was_used_and_all_that_was_used_is_allowed(driven: Port, role: str) -> None:
    compared = _compared(driven, role)

    assert compared.not_allowed == frozenset()
    assert compared.wildcards == frozenset()
    assert compared.unused == frozenset()


def test_nothing_was_denied_in_aws(driven: Port) -> None:
    denied = [each for each in driven.cloud.world.calls.snapshot() if "AccessDenied" in each.error]

    assert denied == []


def test_the_custom_role_of_azure_is_what_was_used(driven: Port) -> None:
    """Linked rights among them, such as those at a snapshot's source."""
    (scope,) = {driven.cloud.azure.resource_group(GROUP)}
    allowed = set(role_definition(STACK, (scope,))["Actions"])
    azure = driven.cloud.azure
    used = azure.rbac.exercised(driven.federated.object_id) | azure.rbac.exercised(driven.named.object_id)

    assert used - allowed == set()
    assert allowed - used == IMPLIED


def test_nothing_was_denied_in_azure(driven: Port) -> None:
    denied = [call for call in driven.arm_calls() if call.status in {401, 403}]

    assert denied == []
