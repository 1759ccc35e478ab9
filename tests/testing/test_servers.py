"""`enrolled_nodes` and `azure_vms`, used as a test of anybody's would."""

import pytest

from localcloud.azure.vm_making import DataDisk
from localcloud.cloud import LocalCloud
from localcloud.errors import CannotRun
from localcloud.machines.recorded import Recorded
from localcloud.machines.updates import Update
from moorings.testing.servers import EnrolledNode, EnrolledNodes
from moorings.testing.vms import AzureVm, AzureVms

pytestmark = pytest.mark.machines

OWN = """#!/bin/bash
systemctl stop snap.amazon-ssm-agent.amazon-ssm-agent
/snap/amazon-ssm-agent/current/amazon-ssm-agent -register -code '{code}' -id {id} -region {region} -y
systemctl start snap.amazon-ssm-agent.amazon-ssm-agent
"""


def listed(cloud: LocalCloud) -> set[str]:
    found = cloud.client("ssm").describe_instance_information()["InstanceInformationList"]
    return {each["InstanceId"] for each in found}


def test_an_enrolled_node_is_online_and_can_be_looked_into(enrolled_node: EnrolledNode) -> None:
    assert enrolled_node.online
    assert enrolled_node.description["ComputerName"].startswith(enrolled_node.name)
    assert enrolled_node.run("echo here > /opt/word && hostname").stdout.strip() == enrolled_node.name
    assert enrolled_node.read("/opt/word") == "here\n"
    with pytest.raises(FileNotFoundError, match="/no/such"):
        enrolled_node.read("/no/such")


def test_several_are_made_at_once_and_taken_away(local_cloud: LocalCloud, enrolled_nodes: EnrolledNodes) -> None:
    update = Update(id="u-1", needs_reboot=False)

    nodes = enrolled_nodes(3, os="ubuntu-24.04", setup="echo made > /opt/setup", updates=(update,))

    assert {node.id for node in nodes} == listed(local_cloud)
    assert [node.read("/opt/setup") for node in nodes] == ["made\n"] * 3
    assert "u-1" in nodes[0].read("/var/lib/localcloud/updates.json")
    nodes[1].cloud.client("ssm").deregister_managed_instance(InstanceId=nodes[1].id)
    enrolled_nodes.close()
    assert not listed(local_cloud)
    assert not local_cloud.machines.all()


def test_a_bootstrap_script_of_ones_own(enrolled_nodes: EnrolledNodes) -> None:
    mine = enrolled_nodes.activation()
    script = OWN.format(code=mine.code, id=mine.id, region=mine.region)

    [node] = enrolled_nodes(user_data=script, snap_agent=True)

    assert node.online
    assert mine.code not in repr(mine)


def test_one_that_enrols_nothing_is_told_with_its_console(enrolled_nodes: EnrolledNodes) -> None:
    with pytest.raises(
        AssertionError, match=r"(?s)after 1 s: .*registered no managed node\. Its console:.*nothing done"
    ):
        enrolled_nodes(user_data="#!/bin/bash\necho nothing done\n", within=1)


def test_one_whose_script_has_failed_is_not_waited_for(
    enrolled_nodes: EnrolledNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorings.testing.servers.AFTER_FAILURE", 0.1)

    with pytest.raises(AssertionError, match=r"(?s)after 0\.1 s: .*its user data ended with exit code 3"):
        enrolled_nodes(user_data="#!/bin/bash\nexit 3\n")


def test_a_windows_server_replays(enrolled_nodes: EnrolledNodes) -> None:
    [node] = enrolled_nodes(os="windows-2022", replay=(Recorded(contains="Get-Service", output="Running\r\n"),))

    assert node.description["PlatformType"] == "Windows"
    with pytest.raises(CannotRun):
        node.run("dir")


def test_an_azure_vm_is_vm_and_managed_node(azure_vm: AzureVm) -> None:
    assert azure_vm.power == "running"
    assert azure_vm.node.online
    assert azure_vm.id.endswith(azure_vm.node.name)
    assert azure_vm.run(
        "curl -s -H Metadata:true 'http://169.254.169.254/metadata/instance?api-version=2021-02-01'"
    ).stdout


def test_vms_of_both_kinds_with_further_options(azure_vms: AzureVms) -> None:
    [linux] = azure_vms(tags={"team": "web"}, data_disks=(DataDisk(lun=0),), server={"ip": "10.20.0.99"})
    [windows] = azure_vms(os="windows-2022")

    assert linux.vm.document["tags"] == {"team": "web"}
    assert linux.node.description["IPAddress"] == "10.20.0.99"
    assert windows.vm.document["properties"]["storageProfile"]["osDisk"]["osType"] == "Windows"
