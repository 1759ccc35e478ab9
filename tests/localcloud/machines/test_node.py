"""Machines as managed nodes: real packages, the agent inside, what the service sees."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.localcloud.machines.conftest import Make

from localcloud.cloud import LocalCloud

pytestmark = pytest.mark.machines

Ask = Callable[[str], str]
SNAP = "/snap/amazon-ssm-agent/current/amazon-ssm-agent"


@pytest.fixture
def ping(cloud: LocalCloud) -> Ask:
    """A node's PingStatus."""
    ssm = cloud.client("ssm")

    def look(node_id: str) -> str:
        filters = [{"Key": "InstanceIds", "Values": [node_id]}]
        found = ssm.describe_instance_information(Filters=filters)["InstanceInformationList"]
        return str(found[0]["PingStatus"]) if found else ""

    return look


def until(condition: Callable[[], Any], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("system", ["debian-12", "rhel-9", "sles-15"])
def test_a_server_registers_and_is_seen_online(make: Make, enrolling: str, ping: Ask, system: str) -> None:
    machine = make(os=system, user_data=enrolling)
    assert machine.exit_code == 0, machine.console
    assert machine.node_id.startswith("mi-")
    assert machine.agent_running
    assert until(lambda: ping(machine.node_id) == "Online")


def test_a_node_whose_power_is_cut_is_lost_and_comes_back(make: Make, enrolling: str, ping: Ask) -> None:
    machine = make(user_data=enrolling)
    node_id = machine.node_id
    assert until(lambda: ping(node_id) == "Online")
    machine.cut_power()
    assert until(lambda: ping(node_id) == "ConnectionLost")
    machine.boot().wait_booted()
    assert until(lambda: ping(node_id) == "Online")
    assert machine.node_id == node_id


def test_what_the_node_reports_is_what_the_machine_is(make: Make, enrolling: str, cloud: LocalCloud) -> None:
    machine = make(name="db-07", os="ubuntu-24.04", cloud="azure", ip="10.30.0.7", user_data=enrolling)
    ssm = cloud.client("ssm")
    filters = [{"Key": "InstanceIds", "Values": [machine.node_id]}]

    def shown() -> dict[str, Any]:
        return dict(ssm.describe_instance_information(Filters=filters)["InstanceInformationList"][0])

    assert until(lambda: "ComputerName" in shown())
    found = shown()
    assert (found["ComputerName"], found["IPAddress"]) == ("db-07.azure.internal", "10.30.0.7")
    assert (found["PlatformName"], found["PlatformVersion"]) == ("Ubuntu", "24.04")


def test_a_refused_registration_fails_the_user_data(make: Make, cloud: LocalCloud) -> None:
    machine = make(
        user_data="#!/bin/bash\ncurl -fsS -o /tmp/a.deb " + cloud.machines.package_source + "/debian_amd64/"
        "amazon-ssm-agent.deb && dpkg -i /tmp/a.deb\n"
        "amazon-ssm-agent -register -code AAAAAAAAAAAAAAAAAAAA -id 30025d1b-68c5-49e7-bb2d-75032684cb24 "
        "-region us-east-1\n"
    )
    assert machine.exit_code == 1
    assert "ERROR Registration failed due to error registering the instance with AWS SSM." in machine.console
    assert machine.node_id == ""


def test_an_agent_that_came_as_a_snap_registers(make: Make, cloud: LocalCloud, ping: Ask) -> None:
    activation = cloud.client("ssm").create_activation(IamRole="node-role")
    machine = make(os="ubuntu-24.04", snap_agent=True)
    assert machine.run(["snap", "list", "amazon-ssm-agent"]).returncode == 0
    register = [SNAP, "-register", "-code", activation["ActivationCode"], "-id", activation["ActivationId"]]
    assert machine.run([*register, "-region", "us-east-1"]).returncode == 0
    assert machine.run(["snap", "start", "amazon-ssm-agent"]).returncode == 0
    assert machine.agent_running
    assert until(lambda: ping(machine.node_id) == "Online")


def test_a_stopped_service_ends_the_agent_cleanly(make: Make, enrolling: str, ping: Ask) -> None:
    machine = make(user_data=enrolling)
    assert until(lambda: ping(machine.node_id) == "Online")
    assert machine.run(["systemctl", "stop", "amazon-ssm-agent"]).returncode == 0
    assert not machine.agent_running
    log = machine.disk / "var/log/amazon/ssm/amazon-ssm-agent.log"
    assert log.read_text().rstrip().endswith("INFO amazon-ssm-agent stopped")


def test_a_killed_launcher_takes_its_agent_along(make: Make, enrolling: str, ping: Ask) -> None:
    machine = make(user_data=enrolling)
    assert until(lambda: ping(machine.node_id) == "Online")
    assert machine.run(["pkill", "-f", "/usr/bin/amazon-ssm-agent"]).returncode == 0
    log = machine.disk / "var/log/amazon/ssm/amazon-ssm-agent.log"
    assert until(lambda: log.read_text().rstrip().endswith("INFO amazon-ssm-agent stopped"))


def test_removing_the_package_stops_the_agent(make: Make, enrolling: str) -> None:
    machine = make(user_data=enrolling)
    assert machine.run(["dpkg", "--purge", "amazon-ssm-agent"]).returncode == 0
    assert machine.run(["test", "-e", "/usr/bin/amazon-ssm-agent"]).returncode == 1
    assert not machine.agent_running


def test_the_agents_own_commands_end_as_the_real_ones_do(make: Make, enrolling: str) -> None:
    machine = make(user_data=enrolling)
    agent = "amazon-ssm-agent"
    assert machine.run([agent, "-version"]).stdout == "SSM Agent version: 3.3.0.0\n"
    assert machine.run([agent, "-register"]).returncode == 1
    assert machine.run([agent, "-no-such-flag"]).returncode == 2
    again = [agent, "-register", "-code", "A" * 20, "-id", "1" * 36, "-region", "us-east-1"]
    assert machine.run(again, input="n\n").returncode == 1
    assert machine.run([agent, "-fingerprint", "-similarityThreshold", "60"]).returncode == 0
    assert machine.run([agent, "-register", "-clear"]).returncode == 0
    machine.run(["systemctl", "stop", agent])
    assert machine.run([agent]).returncode == 0  # not registered any more: it gives up quietly


def test_a_package_is_verified_with_the_clouds_key_by_the_real_gpgv(make: Make, cloud: LocalCloud) -> None:
    script = f"""cd /tmp
base64 -d > key.gpg
curl -fsS -O {cloud.machines.package_source}/debian_amd64/amazon-ssm-agent.deb
curl -fsS -O {cloud.machines.package_source}/debian_amd64/amazon-ssm-agent.deb.sig
gpgv --keyring ./key.gpg amazon-ssm-agent.deb.sig amazon-ssm-agent.deb || exit 10
echo spoilt >> amazon-ssm-agent.deb
gpgv --keyring ./key.gpg amazon-ssm-agent.deb.sig amazon-ssm-agent.deb && exit 11
exit 0
"""
    armour = cloud.machines.signing_key.splitlines()
    body = armour[armour.index("") + 1 : -2]
    assert make().run(["bash", "-c", script], input="\n".join(body)).returncode == 0


def test_the_package_source_refuses_what_it_does_not_have(make: Make, cloud: LocalCloud) -> None:
    source = cloud.machines.package_source
    asked = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{source}/debian_amd64/other.deb"]
    assert make().run(asked).stdout == "403"


@pytest.mark.parametrize("manager", ["rpm", "dnf"])
def test_a_simulated_rpm_needs_the_key_to_verify(make: Make, cloud: LocalCloud, manager: str) -> None:
    machine = make(os="rhel-9", arch="amd64")
    url = f"{cloud.machines.package_source}/linux_amd64/amazon-ssm-agent.rpm"
    machine.run(["curl", "-fsS", "-o", "/tmp/agent.rpm", url])
    assert machine.run(["rpm", "-K", "/tmp/agent.rpm"]).returncode == 1
    machine.run(["sh", "-c", "cat > /tmp/key"], input=cloud.machines.signing_key)
    assert machine.run(["rpm", "--import", "/tmp/key"]).returncode == 0
    assert machine.run(["rpm", "-K", "/tmp/agent.rpm"]).stdout == "/tmp/agent.rpm: digests signatures OK\n"
    install = {"rpm": ["rpm", "-U"], "dnf": ["dnf", "install", "-y"]}[manager]
    assert machine.run([*install, "/tmp/agent.rpm"]).returncode == 0
    assert machine.run(["rpm", "-q", "amazon-ssm-agent"]).stdout == "amazon-ssm-agent-3.3.0.0-1.x86_64\n"
    assert machine.run(["rpm", "-e", "amazon-ssm-agent"]).returncode == 0
    assert machine.run(["rpm", "-q", "amazon-ssm-agent"]).returncode == 1


def test_rpmkeys_has_a_database_of_its_own_where_it_is_told_to(make: Make, cloud: LocalCloud) -> None:
    machine = make(os="rhel-9", arch="amd64")
    script = f"""cd /tmp && mkdir db && cat > key
curl -fsS -O {cloud.machines.package_source}/linux_amd64/amazon-ssm-agent.rpm
check() {{ rpmkeys --define "_dbpath /tmp/db" --define "_pkgverify_level all" --checksig --verbose "$1"; echo $?; }}
check amazon-ssm-agent.rpm
rpmkeys --define "_dbpath /tmp/db" --import key
check amazon-ssm-agent.rpm
mkdir parts && tar -xzf amazon-ssm-agent.rpm -C parts
echo spoilt >>parts/postinstall && tar -czf bad.rpm -C parts .
check bad.rpm
rm parts/signature && tar -czf unsigned.rpm -C parts .
check unsigned.rpm
rpmkeys --checksig unsigned.rpm
rpmkeys --checksig amazon-ssm-agent.rpm
"""
    said = machine.run(["bash", "-c", script], input=cloud.machines.signing_key).stdout

    assert re.sub("key ID [0-9a-f]{8}:", "key ID:", said).splitlines() == [
        *("amazon-ssm-agent.rpm:", "    V4 RSA/SHA512 Signature, key ID: NOKEY", "1"),
        *("amazon-ssm-agent.rpm:", "    V4 RSA/SHA512 Signature, key ID: OK", "0"),
        *("bad.rpm:", "    V4 RSA/SHA512 Signature, key ID: BAD", "1"),
        *("unsigned.rpm:", "    RSA signature: NOTFOUND", "    DSA signature: NOTFOUND", "1"),
        "unsigned.rpm: digests OK",
        "amazon-ssm-agent.rpm: digests SIGNATURES NOT OK",
    ]


def test_twelve_servers_boot_and_register_at_once(cloud: LocalCloud, make: Make, enrolling: str) -> None:
    # A limit of 5 binds this activation: seven of twelve are refused, none waits for ever.
    machines = [make(boots=False, user_data=enrolling) for _ in range(12)]
    for machine in machines:
        machine.boot()
    codes = [machine.wait_booted().exit_code for machine in machines]
    assert sorted(codes, key=str) == [0] * 5 + [1] * 7
    assert len({machine.node_id for machine in machines if machine.node_id}) == 5
