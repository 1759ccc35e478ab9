"""VM, disk and machine are one: metadata inside, power, exchanged disks, copies of running ones, data disks."""

import base64
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.azure.attested import AttestedDocuments
from localcloud.azure.disk_copy import contents
from localcloud.azure.imds import Metadata
from localcloud.azure.service import Azure
from localcloud.azure.vm_making import DataDisk
from localcloud.azure.vms import Vm
from localcloud.cloud import LocalCloud
from localcloud.errors import CannotRun
from localcloud.machines.machine import Machine, State
from localcloud.machines.spec import MachineSpec

pytestmark = pytest.mark.machines
METADATA = "http://169.254.169.254/metadata"
NEWEST = "api-version=2025-04-07"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ENROL = """#!/bin/bash
set -e
cd /tmp
curl -fsS -O {source}/debian_$(dpkg --print-architecture)/amazon-ssm-agent.deb
dpkg -i amazon-ssm-agent.deb
systemctl stop amazon-ssm-agent
amazon-ssm-agent -register -code '{code}' -id {id} -region us-east-1
systemctl start amazon-ssm-agent
"""


class Ground:
    """A cloud with one Linux VM on a machine that is enrolled."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.azure = cloud.world.part(Azure)
        iam, ssm = cloud.client("iam"), cloud.client("ssm")
        iam.create_role(RoleName="node-role", AssumeRolePolicyDocument=json.dumps(TRUST))
        iam.attach_role_policy(RoleName="node-role", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")
        activation = ssm.create_activation(IamRole="node-role", RegistrationLimit=5)
        self.user_data = ENROL.format(
            source=cloud.machines.package_source, code=activation["ActivationCode"], id=activation["ActivationId"]
        )
        self.machine, self.vm = self.made("web-01", data_disks=(DataDisk(lun=0), DataDisk(lun=3)), tags={"env": "prod"})
        self.machine.wait_booted()

    def made(self, name: str, **options: Any) -> tuple[Machine, Vm]:
        spec = MachineSpec(name=name, cloud="azure", user_data=self.user_data)
        machine = self.cloud.machines.create(spec)
        return machine, self.azure.vms.create(name, machine=machine, **options)


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with LocalCloud(scale=0.01) as cloud:
        try:
            cloud.machines.prepare()
        except CannotRun as error:
            pytest.skip(str(error))
        yield Ground(cloud)


@pytest.fixture
def metadata(ground: Ground) -> Iterator[Metadata]:
    found = ground.cloud.world.part(Metadata)
    found.per_second = 1000  # the tests ask faster than a VM may
    yield found
    found.mend(ground.machine)


def _curl(machine: Machine, what: str, *options: str) -> tuple[int, str]:
    """Status (0: none) and body, as plain curl in the machine sees them."""
    done = machine.run(["curl", "-sS", "--noproxy", "*", "-w", "\n%{http_code}", *options, f"{METADATA}/{what}"])
    body, _, status = done.stdout.rpartition("\n")
    return int(status or 0), body


def _get(machine: Machine, what: str) -> Any:
    status, body = _curl(machine, what, "-H", "Metadata: true")
    assert status == 200, body
    return json.loads(body)


def test_the_instance_document_agrees_with_the_resource(ground: Ground, metadata: Metadata) -> None:
    compute = _get(ground.machine, f"instance?{NEWEST}")["compute"]

    assert compute["vmId"] == ground.vm.vm_id
    assert compute["resourceId"] == ground.vm.id
    assert (compute["name"], compute["subscriptionId"]) == ("web-01", ground.azure.subscription_id)
    assert compute["resourceGroupName"] == ground.vm.resource_group
    assert (compute["location"], compute["tags"]) == ("eastus", "env:prod")
    assert compute["storageProfile"]["osDisk"]["managedDisk"]["id"] == ground.vm.os_disk_id
    assert [disk["lun"] for disk in compute["storageProfile"]["dataDisks"]] == ["0", "3"]


def test_plain_curl_reads_leaves_as_text(ground: Ground, metadata: Metadata) -> None:
    leaf = f"instance/compute/name?{NEWEST}"

    assert _curl(ground.machine, f"{leaf}&format=text", "-H", "Metadata: true") == (200, "web-01")
    assert _curl(ground.machine, leaf, "-H", "Metadata: true")[0] == 400
    listing = _curl(ground.machine, f"instance/compute/osProfile?{NEWEST}&format=text", "-H", "Metadata:true")[1]
    assert "computerName" in listing.splitlines()


def test_a_shell_step_gets_the_attested_document(ground: Ground, metadata: Metadata) -> None:
    """As a command document's Linux step does it."""
    nonce = "0123456789abcdef0123456789abcdef"
    script = (
        f"curl -fsS --noproxy '*' -H Metadata:true '{METADATA}/attested/document?api-version=2023-07-01&nonce={nonce}'"
    )
    done = ground.machine.run(["sh", "-c", script])

    answer = json.loads(done.stdout)
    assert answer["encoding"] == "pkcs7"
    der = base64.b64decode(answer["signature"], validate=True)
    assert ground.vm.vm_id.encode() in der
    assert nonce.encode() in der
    assert ground.cloud.world.part(AttestedDocuments).anchors.roots.startswith(b"-----BEGIN CERTIFICATE")


@pytest.mark.parametrize(
    ("what", "options", "status"),
    [
        (f"instance?{NEWEST}", [], 400),
        (f"instance?{NEWEST}", ["-H", "Metadata: true", "-H", "X-Forwarded-For: 1.2.3.4"], 400),
        ("instance", ["-H", "Metadata: true"], 400),
        ("instance?api-version=2016-01-01", ["-H", "Metadata: true"], 400),
        (f"instance/compute/none?{NEWEST}", ["-H", "Metadata: true"], 404),
        (f"elsewhere?{NEWEST}", ["-H", "Metadata: true"], 404),
        (f"instance?{NEWEST}", ["-H", "Metadata: true", "-X", "POST"], 405),
        (f"attested/document?{NEWEST}&nonce={'a' * 33}", ["-H", "Metadata: true"], 400),
        ("attested/document?api-version=2017-03-01", ["-H", "Metadata: true"], 404),
    ],
)
def test_what_the_service_refuses(
    ground: Ground, metadata: Metadata, what: str, options: list[str], status: int
) -> None:
    answered, body = _curl(ground.machine, what, *options)

    assert answered == status
    assert json.loads(body)["error"]


def test_it_fails_on_demand_and_is_mended(ground: Ground, metadata: Metadata) -> None:
    what = f"instance?{NEWEST}"
    metadata.fail(ground.machine, status=410, count=2)

    assert [_curl(ground.machine, what, "-H", "Metadata: true")[0] for _ in range(3)] == [410, 410, 200]
    metadata.fail(ground.machine, status=0, count=None)
    assert _curl(ground.machine, what, "-H", "Metadata: true")[0] == 0
    metadata.mend(ground.machine)
    assert _curl(ground.machine, what, "-H", "Metadata: true")[0] == 200


def test_machines_of_no_cloud_meet_a_closed_port(ground: Ground) -> None:
    machine = ground.cloud.machines.create(MachineSpec(name="cellar")).boot().wait_booted()
    done = machine.run(["curl", "-sS", "--noproxy", "*", f"{METADATA}/versions"])

    assert done.returncode == 7  # could not connect
    ground.cloud.machines.destroy(machine)


def test_a_machine_that_relays_its_questions_shows_another_vms_documents(ground: Ground, metadata: Metadata) -> None:
    other = ground.azure.vms.create("other-01")
    metadata.pretend(ground.machine, other)

    assert _get(ground.machine, f"instance/compute?{NEWEST}")["vmId"] == other.vm_id


def test_the_node_is_known_by_its_vm(ground: Ground) -> None:
    node = ground.cloud.world.part(ManagedNodes).get(ground.machine.node_id)

    assert (node.source_id, node.source_type) == (ground.vm.vm_id, "Microsoft.Compute/virtualMachines")
    assert node.source_location == "eastus"


def test_a_data_disk_comes_and_goes_while_the_machine_runs(ground: Ground) -> None:
    hardware, vm = ground.azure.hardware, ground.vm.vm_id
    hardware.new_disk("extra", None)
    (hardware.path("extra") / "here").write_text("data")

    assert ground.machine.run(["sh", "-c", "echo kept > /mnt/lun0/file; ls /mnt"]).stdout.split() == ["lun0", "lun3"]
    hardware.attach(vm, 7, "extra")
    assert ground.machine.run(["cat", "/mnt/lun7/here"]).stdout == "data"
    hardware.detach(vm, 7)
    assert ground.machine.run(["test", "-e", "/mnt/lun7"]).returncode == 1
    assert (hardware.path("extra") / "here").read_text() == "data"
    hardware.delete("extra")


def test_a_disk_in_use_is_copied_and_the_copy_boots_with_the_same_node(ground: Ground) -> None:
    """Snapshot, damage, swap: what the rollback is about."""
    hardware, vm, machine = ground.azure.hardware, ground.vm.vm_id, ground.machine
    node, before = machine.node_id, machine.disk
    machine.run(["sh", "-c", "echo good > /srv/state; rm -f /usr/bin/true; ln -s nowhere /opt/link; sync"])
    churn = "for n in $(seq 300); do echo $n > /var/tmp/churn.$n; rm -f /var/tmp/churn.$((n - 5)); done"
    machine.run(["sh", "-c", f"sh -c {shlex.quote(churn)} >/dev/null 2>&1 &"])

    hardware.copy(_os_disk(ground), "snapshot")
    machine.run(["sh", "-c", "echo bad > /srv/state"])
    hardware.copy("snapshot", "restored")
    taken = contents(hardware.path("snapshot"))
    with pytest.raises(CannotRun):
        hardware.insert_os(vm, "restored")  # it runs
    hardware.power_off(vm, hard=True)
    assert not hardware.running(vm)
    assert contents(hardware.path("restored")) == taken
    hardware.insert_os(vm, "restored")
    hardware.power_on(vm)
    machine.wait_booted()

    assert machine.run(["cat", "/srv/state"]).stdout == "good\n"
    assert machine.run(["test", "-e", "/usr/bin/true"]).returncode == 1  # hidden by a whiteout
    assert machine.run(["readlink", "/opt/link"]).stdout == "nowhere\n"
    assert machine.node_id == node
    assert machine.disk != before
    assert (before / "srv/state").read_text() == "bad\n"
    assert ground.cloud.world.part(ManagedNodes).get(node).source_id == vm


def _os_disk(ground: Ground) -> str:
    path = ground.machine.disk
    hardware = ground.azure.hardware
    found = [disk.unique_id for disk in ground.azure.state.disks.values() if hardware.path(disk.unique_id) == path]
    assert len(found) == 1
    return found[0]


def test_a_system_that_shuts_itself_down_stops_the_vm(ground: Ground) -> None:
    machine, vm = ground.made("sleeper")
    machine.wait_booted()
    assert vm.power == "running"

    machine.run(["poweroff"])
    _await_off(machine)

    assert vm.power == "stopped"
    ground.azure.hardware.power_on(vm.vm_id)
    machine.wait_booted()
    assert vm.power == "running"


def test_a_system_that_does_not_boot_keeps_its_power(ground: Ground) -> None:
    machine, vm = ground.made("broken")
    machine.wait_booted()
    hardware = ground.azure.hardware
    hardware.power_off(vm.vm_id, hard=False)
    (Path(machine.disk) / "boot/unbootable").write_text("no kernel")

    hardware.power_on(vm.vm_id)
    with pytest.raises(CannotRun):
        machine.wait_booted()

    assert (machine.state, vm.power) == (State.FAILED, "running")
    hardware.power_off(vm.vm_id, hard=True)
    assert not hardware.running(vm.vm_id)


def _await_off(machine: Machine) -> None:
    with machine._changed:
        assert machine._changed.wait_for(lambda: machine.state is State.OFF, 20)
