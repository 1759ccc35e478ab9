"""Commands from SendCommand to a server's own shell and back, over the emulated service's channels."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.localcloud.machines.conftest import Make

from localcloud.cloud import LocalCloud
from localcloud.machines.machine import Machine, State
from localcloud.machines.updates import Update

pytestmark = pytest.mark.machines

OVER = {"Success", "Failed", "TimedOut", "Cancelled"}


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.03)
    return found


class Commands:
    """Run Command, as an operator's script uses it."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.ssm = cloud.client("ssm")

    def online(self, machine: Machine) -> Machine:
        filters = [{"Key": "InstanceIds", "Values": [machine.node_id]}]

        def ping() -> bool:
            found = self.ssm.describe_instance_information(Filters=filters)["InstanceInformationList"]
            return bool(found) and found[0]["PingStatus"] == "Online"

        until(ping)
        return machine

    def send(self, machine: Machine, *lines: str, **more: Any) -> str:
        return self.document(machine, "AWS-RunShellScript", commands=list(lines), **more)

    def document(self, machine: Machine, name: str, **parameters: list[str]) -> str:
        sent = self.ssm.send_command(InstanceIds=[machine.node_id], DocumentName=name, Parameters=parameters)
        return str(sent["Command"]["CommandId"])

    def result(self, machine: Machine, command: str, plugin: str = "", seconds: float = 60.0) -> dict[str, Any]:
        asked: dict[str, Any] = {"CommandId": command, "InstanceId": machine.node_id}
        if plugin:
            asked["PluginName"] = plugin

        def ended() -> dict[str, Any] | None:
            invocations = self.ssm.list_command_invocations(CommandId=command)["CommandInvocations"]
            return dict(invocations[0]) if invocations and invocations[0]["Status"] in OVER else None

        until(ended, seconds)
        return dict(self.ssm.get_command_invocation(**asked))

    def patch(self, machine: Machine, operation: str, **parameters: list[str]) -> dict[str, Any]:
        command = self.document(machine, "AWS-RunPatchBaseline", Operation=[operation], **parameters)
        return self.result(machine, command, "PatchLinux")

    def patch_state(self, machine: Machine) -> dict[str, Any]:
        return dict(self.ssm.describe_instance_patch_states(InstanceIds=[machine.node_id])["InstancePatchStates"][0])


@pytest.fixture
def commands(cloud: LocalCloud) -> Commands:
    return Commands(cloud)


def test_a_script_runs_on_the_server_and_its_output_comes_back(make: Make, enrolling: str, commands: Commands) -> None:
    machine = commands.online(make(user_data=enrolling))
    command = commands.send(machine, "hostname", "echo oops >&2", "exit 3")
    result = commands.result(machine, command)
    assert (result["Status"], result["ResponseCode"]) == ("Failed", 3)
    assert result["StandardOutputContent"] == f"{machine.name}\n"
    assert result["StandardErrorContent"] == "oops\nfailed to run commands: exit status 3"


def test_a_running_command_is_cancelled(make: Make, enrolling: str, commands: Commands) -> None:
    machine = commands.online(make(user_data=enrolling))
    command = commands.send(machine, "echo begun >/root/begun", "sleep 300")
    until(lambda: machine.run(["test", "-s", "/root/begun"]).returncode == 0)
    commands.ssm.cancel_command(CommandId=command)
    assert commands.result(machine, command)["Status"] == "Cancelled"
    assert "sleep" not in machine.run(["ps", "-e", "-o", "comm"]).stdout


def test_a_script_restarts_the_server_and_goes_on_after_it(make: Make, enrolling: str, commands: Commands) -> None:
    machine = commands.online(make(user_data=enrolling))
    before = machine.boot_id
    command = commands.send(
        machine, "cat /proc/sys/kernel/random/boot_id", "[ -e /root/once ] && exit 0", "touch /root/once", "exit 194"
    )
    result = commands.result(machine, command)
    assert result["Status"] == "Success"
    assert result["StandardOutputContent"].split() == [before, machine.boot_id]
    assert before != machine.boot_id


def test_a_script_that_a_power_cut_interrupts_runs_again(make: Make, enrolling: str, commands: Commands) -> None:
    machine = commands.online(make(user_data=enrolling))
    command = commands.send(machine, "echo run >>/root/runs", "[ -e /root/mended ] || sleep 300")
    until(lambda: machine.run(["test", "-s", "/root/runs"]).returncode == 0)
    machine.run(["touch", "/root/mended"])
    machine.cut_power()
    machine.boot()
    assert commands.result(machine, command)["Status"] == "Success"
    assert machine.run(["cat", "/root/runs"]).stdout == "run\nrun\n"


def test_a_script_may_restart_the_agent_that_runs_it(make: Make, enrolling: str, commands: Commands) -> None:
    machine = commands.online(make(user_data=enrolling))
    lines = ("echo run >>/root/runs", "systemctl restart amazon-ssm-agent", "sleep 0.3", "cat /root/runs")
    result = commands.result(machine, commands.send(machine, *lines))
    assert (result["Status"], result["StandardOutputContent"]) == ("Success", "run\n")


def test_a_stored_parameter_is_read_by_the_node(make: Make, enrolling: str, commands: Commands) -> None:
    machine = commands.online(make(user_data=enrolling))
    commands.ssm.put_parameter(Name="/demo/word", Value="from the store", Type="String", Overwrite=True)
    result = commands.result(machine, commands.send(machine, "echo {{ssm:/demo/word}}"))
    assert result["StandardOutputContent"] == "from the store\n"


def test_updates_are_found_and_installed_and_both_is_reported(make: Make, enrolling: str, commands: Commands) -> None:
    updates = (
        Update(id="openssl-3.0.15", severity="Critical", files=(("/opt/app/version", "2\n"),), needs_reboot=False),
        Update(id="kernel-6.1.9", files=(("/opt/kernel", "6.1.9\n"),)),
    )
    machine = commands.online(make(user_data=enrolling, updates=updates))
    before = machine.boot_id
    assert commands.patch(machine, "Scan")["Status"] == "Success"
    state = commands.patch_state(machine)
    assert (state["MissingCount"], state["InstalledCount"], state["CriticalNonCompliantCount"]) == (2, 0, 1)
    assert commands.patch(machine, "Install")["Status"] == "Success"
    state = commands.patch_state(machine)
    assert (state["MissingCount"], state["InstalledCount"], state["Operation"]) == (0, 2, "Install")
    assert machine.boot_id != before
    assert machine.run(["cat", "/opt/app/version", "/opt/kernel"]).stdout == "2\n6.1.9\n"
    patches = commands.ssm.describe_instance_patches(InstanceId=machine.node_id)["Patches"]
    assert {patch["KBId"]: patch["State"] for patch in patches} == {
        "openssl-3.0.15": "INSTALLED",
        "kernel-6.1.9": "INSTALLED",
    }


def test_without_a_reboot_an_installed_update_is_pending(make: Make, enrolling: str, commands: Commands) -> None:
    machine = commands.online(make(user_data=enrolling, updates=(Update(id="kernel-6.1.9"),)))
    before = machine.boot_id
    assert commands.patch(machine, "Install", RebootOption=["NoReboot"])["Status"] == "Success"
    assert commands.patch_state(machine)["InstalledPendingRebootCount"] == 1
    assert machine.boot_id == before


def test_an_installation_may_exit_1_although_all_is_installed(make: Make, enrolling: str, commands: Commands) -> None:
    updates = (Update(id="odd-1", needs_reboot=False, effects=("exit-1",)),)
    machine = commands.online(make(user_data=enrolling, updates=updates))
    result = commands.patch(machine, "Install")
    assert (result["Status"], result["ResponseCode"]) == ("Failed", 1)
    assert commands.patch_state(machine)["InstalledCount"] == 1


def test_an_update_that_breaks_the_boot_leaves_the_command_open(make: Make, enrolling: str, commands: Commands) -> None:
    machine = commands.online(make(user_data=enrolling, updates=(Update(id="boot-1", effects=("no-boot",)),)))
    commands.document(machine, "AWS-RunPatchBaseline", Operation=["Install"])
    until(lambda: machine.state is State.FAILED)
    assert "boot-1 has broken the boot" in machine.failure


def test_an_agent_that_dies_under_an_installation_never_answers(make: Make, enrolling: str, commands: Commands) -> None:
    updates = (Update(id="a-1", effects=("agent-gone",)), Update(id="b-1"))
    machine = commands.online(make(user_data=enrolling, updates=updates))
    commands.document(machine, "AWS-RunPatchBaseline", Operation=["Install"])
    until(lambda: not machine.agent_running)
    machine.cut_power()
    machine.boot().wait_booted()
    assert not machine.agent_running
    assert '"b-1"' not in (machine.disk / "var/lib/localcloud/patches.json").read_text()


def test_a_baseline_in_a_bucket_is_read_with_the_nodes_rights(
    make: Make, enrolling: str, commands: Commands, cloud: LocalCloud
) -> None:
    storage = cloud.client("s3")
    storage.create_bucket(Bucket="baselines")
    storage.put_object(Bucket="baselines", Key="own/rejecting.json", Body=b'[{"RejectedPatches": ["a-*"]}]')
    machine = commands.online(make(user_data=enrolling, updates=(Update(id="a-1"), Update(id="b-1"))))
    place = {"BaselineOverride": ["s3://baselines/own/rejecting.json"]}
    refused = commands.patch(machine, "Scan", **place)
    assert (refused["ResponseCode"], "AccessDenied" in refused["StandardErrorContent"]) == (15, True)
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::baselines/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [read]})
    iam = cloud.client("iam")
    iam.put_role_policy(RoleName="node-role", PolicyName="baselines", PolicyDocument=policy)
    try:
        done = commands.patch(machine, "Scan", **place)
        assert done["Status"] == "Success", done["StandardErrorContent"]
    finally:
        iam.delete_role_policy(RoleName="node-role", PolicyName="baselines")
    assert commands.patch_state(machine)["MissingCount"] == 1


def test_a_patch_run_beside_another_is_refused(make: Make) -> None:
    machine = make(updates=(Update(id="slow-1", effects=("takes 100000",)),))
    patch = "/usr/libexec/localcloud/patch"
    # Again and again, as a scan that looks for it may hold the lock first.
    machine.run(["sh", "-c", f"until {patch} --operation Install; do sleep 0.1; done >/dev/null 2>&1 &"])
    until(lambda: machine.run([patch, "--operation", "Scan"]).returncode == 4)


def test_an_update_stops_a_service_fails_or_hides_the_report(make: Make) -> None:
    updates = (
        Update(id="a-1", needs_reboot=False, effects=("stop-service web",)),
        Update(id="b-1", needs_reboot=False, effects=("fail",)),
    )
    machine = make(updates=updates)
    unit = "[Service]\nExecStart=/bin/sleep 9999\n"
    machine.run(["tee", "/etc/systemd/system/web.service"], input=unit)
    machine.run(["systemctl", "start", "web"])
    done = machine.run(["/usr/libexec/localcloud/patch", "--operation", "Install"])
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert "not registered" in done.stdout
    assert machine.run(["systemctl", "is-active", "web"]).stdout == "inactive\n"


def test_a_baseline_and_a_list_say_what_is_installed(make: Make) -> None:
    updates = (
        Update(id="a-1", needs_reboot=False, severity="Critical"),
        Update(id="b-1", needs_reboot=False, severity="Low"),
    )
    machine = make(updates=updates)
    program = ["/usr/libexec/localcloud/patch", "--operation"]
    critical = '{"ApprovalRules": {"PatchRules": [{"PatchFilterGroup": {"PatchFilters": [{"Key": "SEVERITY", '
    rule = critical + '"Values": ["Critical"]}]}}]}}'
    assert "b-1" not in machine.run([*program, "Scan", "--baseline-override", rule]).stdout
    machine.run([*program, "Install", "--install-override-list", '{"patches": [{"id": "b-1"}]}'])
    assert machine.run([*program, "Scan"]).stdout.splitlines()[1:3] == [
        "MISSING                   a-1 (Critical, Security)",
        "INSTALLED                 b-1 (Low, Security)",
    ]
    machine.run(["tee", "/var/lib/localcloud/baseline.json"], input='{"RejectedPatches": ["b-*"]}')
    assert "INSTALLED_REJECTED        b-1" in machine.run([*program, "Scan"]).stdout
    refused = machine.run([*program, "Scan", "--baseline-override", "ftp://bucket/key"])
    assert (refused.returncode, "neither JSON nor a URL" in refused.stderr) == (15, True)
