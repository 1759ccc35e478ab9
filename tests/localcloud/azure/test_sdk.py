"""The unmodified management client against the local Azure: over TLS, every kind of operation, each kind of error."""

from collections.abc import Iterator
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceResponseError,
)
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.compute import models as m

from localcloud.azure.seam import Bearer
from localcloud.azure.service import Azure
from localcloud.azure.vms import Vm
from localcloud.cloud import LocalCloud

SCALE = 0.0005
GROUP = "servers"


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    """Real time, so that the SDK's pollers end by themselves; operations take milliseconds."""
    with LocalCloud(scale=SCALE, in_process=True) as made:
        made.azure.choices.retry_after = None
        yield made


@pytest.fixture
def azure(cloud: LocalCloud) -> Iterator[Azure]:
    yield cloud.azure
    cloud.azure.faults.clear()


@pytest.fixture
def client(cloud: LocalCloud) -> ComputeManagementClient:
    """A client over TLS that trusts the local authority alone."""
    return another(cloud)


def another(cloud: LocalCloud) -> ComputeManagementClient:
    """One more client as `client`, with a connection of its own."""
    return ComputeManagementClient(
        Bearer(cloud.azure.operator()),
        cloud.azure.subscription_id,
        base_url=cloud.azure.arm_url,
        connection_verify=str(cloud.ca_file),
        polling_interval=0,
        retry_total=0,
    )


@pytest.fixture
def vm(azure: Azure, request: pytest.FixtureRequest) -> Vm:
    """A virtual machine named after the test."""
    number = len(azure.vms.all())
    return azure.vms.create(f"vm-{number}", tags={"for": request.node.name[:60]})


def snapshot(client: ComputeManagementClient, vm: Vm, name: str) -> m.Snapshot:
    return client.snapshots.begin_create_or_update(
        GROUP,
        name,
        m.Snapshot(
            location="eastus",
            incremental=True,
            creation_data=m.CreationData(create_option="Copy", source_resource_id=vm.os_disk_id),
        ),
    ).result()


def disk(client: ComputeManagementClient, source: str, name: str) -> m.Disk:
    return client.disks.begin_create_or_update(
        GROUP,
        name,
        m.Disk(
            location="eastus",
            sku=m.DiskSku(name="Premium_LRS"),
            creation_data=m.CreationData(create_option="Copy", source_resource_id=source),
        ),
    ).result()


def test_an_os_disk_is_rolled_back_by_the_client(client: ComputeManagementClient, vm: Vm) -> None:
    (vm.os_disk_path / "state").write_text("before")
    taken = snapshot(client, vm, f"{vm.name}-snapshot")
    (vm.os_disk_path / "state").write_text("after")

    made = disk(client, str(taken.id), f"{vm.name}-restored")
    client.virtual_machines.begin_power_off(GROUP, vm.name, skip_shutdown=True).result()
    machine = client.virtual_machines.get(GROUP, vm.name)
    assert machine.storage_profile
    assert machine.storage_profile.os_disk
    machine.storage_profile.os_disk.managed_disk = m.ManagedDiskParameters(id=made.id)
    machine.storage_profile.os_disk.name = made.name
    client.virtual_machines.begin_create_or_update(
        GROUP, vm.name, machine, etag=machine.etag, match_condition=MatchConditions.IfNotModified
    ).result()
    client.virtual_machines.begin_start(GROUP, vm.name).result()

    assert (vm.power, vm.os_disk_id) == ("running", made.id)
    assert (vm.os_disk_path / "state").read_text() == "before"
    assert client.disks.get(GROUP, str(made.name)).managed_by == vm.id


def test_patches_of_all_three_kinds_end_well(client: ComputeManagementClient, vm: Vm) -> None:
    taken = snapshot(client, vm, f"{vm.name}-snapshot")
    made = disk(client, str(taken.id), f"{vm.name}-copy")

    patched = [
        client.snapshots.begin_update(GROUP, str(taken.name), m.SnapshotUpdate(tags={"a": "1"})).result(),
        client.disks.begin_update(GROUP, str(made.name), m.DiskUpdate(tags={"a": "1"})).result(),
        client.virtual_machines.begin_update(GROUP, vm.name, m.VirtualMachineUpdate(tags={"a": "1"})).result(),
    ]

    assert [each.tags for each in patched] == [{"a": "1"}] * 3


@pytest.mark.parametrize("action", ["restart", "redeploy", "reapply", "deallocate", "power_off"])
def test_every_power_action_has_a_poller_that_ends(client: ComputeManagementClient, vm: Vm, action: str) -> None:
    getattr(client.virtual_machines, f"begin_{action}")(GROUP, vm.name).result()

    assert vm.power == {"deallocate": "deallocated", "power_off": "stopped"}.get(action, "running")


def test_deletions_end_and_may_be_repeated(client: ComputeManagementClient, vm: Vm) -> None:
    taken = snapshot(client, vm, f"{vm.name}-snapshot")

    for _ in range(2):
        client.snapshots.begin_delete(GROUP, str(taken.name)).result()
        client.virtual_machines.begin_delete(GROUP, vm.name).result()

    with pytest.raises(ResourceNotFoundError) as refused:
        client.virtual_machines.get(GROUP, vm.name)
    assert refused.value.error
    assert refused.value.error.code == "ResourceNotFound"


def test_data_disks_are_attached_and_detached_in_one_call(client: ComputeManagementClient, vm: Vm) -> None:
    made = disk(client, str(snapshot(client, vm, f"{vm.name}-s").id), f"{vm.name}-data")

    profile = client.virtual_machines.begin_attach_detach_data_disks(
        GROUP,
        vm.name,
        m.AttachDetachDataDisksRequest(data_disks_to_attach=[m.DataDisksToAttach(disk_id=made.id, lun=3)]),
    ).result()

    assert [(each.lun, each.name) for each in profile.data_disks or []] == [(3, made.name)]


def test_a_poll_by_hand_needs_no_poller(client: ComputeManagementClient, vm: Vm) -> None:
    """The way of functions that do not wait: reference/azure-compute, section 4.4 A."""
    seen: dict[str, str] = {}
    client.virtual_machines.begin_deallocate(
        GROUP, vm.name, polling=False, raw_response_hook=lambda each: seen.update(each.http_response.headers)
    )

    status: dict[str, Any] = {"status": "InProgress"}
    while status["status"] == "InProgress":
        status = client.send_request(HttpRequest("GET", seen["Azure-AsyncOperation"])).json()

    assert status["status"] == "Succeeded"
    assert client.send_request(HttpRequest("GET", seen["Location"])).status_code == 204


def test_a_continuation_token_goes_on_in_another_client(
    client: ComputeManagementClient, cloud: LocalCloud, vm: Vm
) -> None:
    body = m.Disk(location="eastus", creation_data=m.CreationData(create_option="Empty"), disk_size_gb=4)
    token = client.disks.begin_create_or_update(GROUP, f"{vm.name}-empty", body).continuation_token()

    made = another(cloud).disks.begin_create_or_update(GROUP, "ignored", body, continuation_token=token).result()

    assert made.name == f"{vm.name}-empty"


def test_a_failed_operation_tells_its_reason(client: ComputeManagementClient, azure: Azure, vm: Vm) -> None:
    client.virtual_machines.begin_deallocate(GROUP, vm.name).result()
    azure.faults.allocation_fails()

    with pytest.raises(HttpResponseError) as failed:
        client.virtual_machines.begin_start(GROUP, vm.name).result()

    assert failed.value.error
    assert (failed.value.status_code, failed.value.error.code) == (200, "AllocationFailed")
    assert vm.power == "deallocated"


def test_an_etag_that_is_old_is_a_resource_modified_error(client: ComputeManagementClient, vm: Vm) -> None:
    update = m.VirtualMachineUpdate(tags={"a": "1"})
    client.virtual_machines.begin_update(GROUP, vm.name, update).result()

    with pytest.raises(ResourceModifiedError):
        client.virtual_machines.begin_update(
            GROUP, vm.name, update, etag='"1"', match_condition=MatchConditions.IfNotModified
        )


def test_conflicts_are_resource_exists_errors(client: ComputeManagementClient, vm: Vm) -> None:
    with pytest.raises(ResourceExistsError) as refused:
        client.disks.begin_delete(GROUP, f"{vm.name}_OsDisk_1")

    assert refused.value.error
    assert refused.value.error.code == "OperationNotAllowed"


def test_throttling_is_read_without_the_wrapper(client: ComputeManagementClient, azure: Azure, vm: Vm) -> None:
    azure.faults.throttle("Microsoft.Compute/virtualMachines/read", retry_after=1200)

    with pytest.raises(HttpResponseError) as refused:
        client.virtual_machines.get(GROUP, vm.name)

    assert refused.value.error
    assert (refused.value.status_code, refused.value.error.code) == (429, "OperationNotAllowed")
    assert refused.value.error.details[0].code == "TooManyRequests"
    assert refused.value.response.headers["Retry-After"] == "1200"


def test_a_lost_answer_is_a_broken_connection_and_the_effect_is_there(
    client: ComputeManagementClient, azure: Azure, vm: Vm
) -> None:
    azure.faults.lose_answer("Microsoft.Compute/snapshots/write")

    with pytest.raises(ServiceResponseError):
        snapshot(client, vm, f"{vm.name}-lost")

    assert client.snapshots.get(GROUP, f"{vm.name}-lost").name == f"{vm.name}-lost"


def test_lists_are_followed_over_their_pages(client: ComputeManagementClient, azure: Azure, vm: Vm) -> None:
    azure.choices.page_size = 2
    for number in range(5):
        disk(client, str(snapshot(client, vm, f"{vm.name}-{number}").id), f"{vm.name}-{number}")

    names = [each.name for each in client.disks.list_by_resource_group(GROUP)]

    assert {f"{vm.name}-{number}" for number in range(5)} < set(names)
    assert len(names) == len(set(names))
    assert [each.name for each in client.virtual_machines.list_all(status_only="true")]
    assert [each.name for each in client.virtual_machines.list_by_location("East US")]


def test_a_secret_buys_what_the_role_allows_and_no_more(cloud: LocalCloud, azure: Azure, vm: Vm) -> None:
    application = azure.entra.application("reader")
    secret = application.add_secret()
    azure.rbac.assign(
        principal=application.object_id,
        role={
            "Name": "Reader of machines",
            "Actions": ["Microsoft.Compute/virtualMachines/*/read", "*/virtualMachines/read"],
        },
        scope=f"/subscriptions/{azure.subscription_id}/resourceGroups/{GROUP}",
    )
    credential = ClientSecretCredential(
        azure.tenant_id, application.client_id, secret,
        authority=azure.authority_url, connection_verify=str(cloud.ca_file), disable_instance_discovery=True,
    )  # fmt: skip
    client = ComputeManagementClient(
        credential, azure.subscription_id, base_url=azure.arm_url, connection_verify=str(cloud.ca_file)
    )

    assert client.virtual_machines.get(GROUP, vm.name).vm_id == vm.vm_id
    with pytest.raises(HttpResponseError) as refused:
        client.virtual_machines.begin_start(GROUP, vm.name)

    assert refused.value.error
    assert (refused.value.status_code, refused.value.error.code) == (403, "AuthorizationFailed")
    assert "Microsoft.Compute/virtualMachines/start/action" in refused.value.error.message
