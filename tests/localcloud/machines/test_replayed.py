"""Windows machines: the real protocol, recorded answers, real updates on a disk."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.localcloud.machines.conftest import Make
from tests.localcloud.machines.test_run_command import Commands

from localcloud.cloud import LocalCloud
from localcloud.errors import CannotRun
from localcloud.machines.machine import State
from localcloud.machines.recorded import NOTICE, Recorded
from localcloud.machines.replayed import ReplayedMachine
from localcloud.machines.spec import MachineSpec
from localcloud.machines.updates import Update

pytestmark = pytest.mark.machines

REPLAY = (
    Recorded(contains="Get-Service W3SVC", after="KB5000002", output="Stopped\r\n", exit_code=1),
    Recorded(contains="Get-Service W3SVC", output="Running\r\n"),
    Recorded(contains="boot", output="{boot_id}"),
)
Enrol = Callable[..., ReplayedMachine]


def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def commands(cloud: LocalCloud) -> Commands:
    return Commands(cloud)


@pytest.fixture
def enrol(make: Make, cloud: LocalCloud, commands: Commands) -> Enrol:
    """A Windows machine that is online."""

    def enrolled(**options: Any) -> ReplayedMachine:
        machine = make(os="windows-2022", replay=REPLAY, **options)
        assert isinstance(machine, ReplayedMachine)
        activation = cloud.client("ssm").create_activation(IamRole="node-role", RegistrationLimit=1)
        machine.enrol(activation_id=activation["ActivationId"], code=activation["ActivationCode"])
        commands.online(machine)
        return machine

    return enrolled


def powershell(commands: Commands, machine: ReplayedMachine, line: str) -> dict[str, Any]:
    return commands.result(machine, commands.document(machine, "AWS-RunPowerShellScript", commands=[line]))


def install(commands: Commands, machine: ReplayedMachine, operation: str = "Install") -> dict[str, Any]:
    command = commands.document(machine, "AWS-RunPatchBaseline", Operation=[operation])
    return commands.result(machine, command, "PatchWindows")


def test_a_windows_node_is_one_to_the_service(enrol: Enrol, commands: Commands) -> None:
    machine = enrol(name="win-1", ip="10.30.0.9")
    filters = [{"Key": "InstanceIds", "Values": [machine.node_id]}]
    found = commands.ssm.describe_instance_information(Filters=filters)["InstanceInformationList"][0]
    assert (found["PlatformType"], found["PlatformVersion"]) == ("Windows", "10.0.20348")
    assert (found["ComputerName"], found["IPAddress"]) == ("win-1", "10.30.0.9")


def test_a_script_is_answered_from_a_recording_which_is_said(enrol: Enrol, commands: Commands) -> None:
    machine = enrol()
    result = powershell(commands, machine, "Get-Service W3SVC")
    assert (result["Status"], result["StandardOutputContent"]) == ("Success", "Running\r\n")
    assert result["StandardErrorContent"] == NOTICE
    unknown = powershell(commands, machine, "Format-Disk")
    assert (unknown["Status"], "Nothing is recorded" in unknown["StandardErrorContent"]) == ("Failed", True)


def test_updates_change_the_disk_and_what_is_answered_and_restart_the_machine(enrol: Enrol, commands: Commands) -> None:
    updates = (Update(id="KB5000002", files=(("/app/version", "2"),)),)
    machine = enrol(updates=updates)
    before = powershell(commands, machine, "boot")["StandardOutputContent"]
    assert install(commands, machine, "Scan")["Status"] == "Success"
    assert commands.patch_state(machine)["MissingCount"] == 1
    assert install(commands, machine)["Status"] == "Success"
    assert commands.patch_state(machine)["InstalledCount"] == 1
    assert powershell(commands, machine, "boot")["StandardOutputContent"] not in {"", before}
    assert (machine.disk / "app/version").read_text() == "2"
    result = powershell(commands, machine, "Get-Service W3SVC")
    assert (result["Status"], result["ResponseCode"]) == ("Failed", 1)


def test_a_windows_machine_that_does_not_boot_fails(enrol: Enrol, commands: Commands) -> None:
    machine = enrol(updates=(Update(id="KB1", effects=("no-boot",)),))
    commands.document(machine, "AWS-RunPatchBaseline", Operation=["Install"])
    until(lambda: machine.state is State.FAILED)
    assert "KB1 has broken the boot" in machine.failure


def test_an_agent_that_goes_along_with_an_update_is_gone(enrol: Enrol, commands: Commands) -> None:
    machine = enrol(updates=(Update(id="KB1", effects=("agent-gone",)),))
    commands.document(machine, "AWS-RunPatchBaseline", Operation=["Install"])
    until(lambda: not machine.agent_running)
    machine.power_off()
    machine.boot().wait_booted()
    assert not machine.agent_running


def test_it_is_switched_off_and_on_and_runs_no_programs(enrol: Enrol, commands: Commands) -> None:
    machine = enrol()
    with pytest.raises(CannotRun, match="no program runs in it"):
        machine.run(["cmd.exe"])
    machine.power_off()
    assert machine.state is State.OFF
    machine.boot().wait_booted()
    assert powershell(commands, machine, "boot")["StandardOutputContent"] == machine.boot_id


def test_only_windows_machines_are_replayed() -> None:
    with pytest.raises(ValueError, match="runs its scripts"):
        MachineSpec(name="a", replay=REPLAY)
    with pytest.raises(ValueError, match="neither user data nor snaps"):
        MachineSpec(name="a", os="windows-2022", user_data="#!/bin/sh\n")
