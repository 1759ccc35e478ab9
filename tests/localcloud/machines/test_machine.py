"""Machines as computers: power, disks, processes, what they see of the host."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.localcloud.machines.conftest import Make

from localcloud.cloud import LocalCloud
from localcloud.errors import CannotRun
from localcloud.machines.disk import copy
from localcloud.machines.inside import confinement
from localcloud.machines.machine import Machine, State
from localcloud.machines.spec import HOST_ARCH, MachineSpec

pytestmark = pytest.mark.machines


def _commands_of_the_host() -> str:
    return subprocess.run(["ps", "-e", "-o", "args"], capture_output=True, text=True, check=True).stdout


def test_a_command_runs_inside_with_input_output_and_exit_code(make: Make) -> None:
    done = make().run(["sh", "-c", "cat; echo no >&2; exit 4"], input="hello")
    assert (done.returncode, done.stdout, done.stderr) == (4, "hello", "no\n")


def test_a_program_that_is_not_there_ends_as_a_shell_would_say(make: Make) -> None:
    assert make().run(["no-such-program"]).returncode == 127


def test_a_command_that_takes_too_long_is_killed(make: Make) -> None:
    machine = make()
    with pytest.raises(subprocess.TimeoutExpired):
        machine.run(["sleep", "999"], timeout=0.2)
    assert "sleep" not in machine.run(["ps", "-e", "-o", "comm"]).stdout


def test_a_machine_has_a_name_users_and_processes_of_its_own(make: Make) -> None:
    machine = make(name="web-01")
    said = machine.run(["sh", "-c", "hostname; hostname --fqdn; id -u; ps -e | wc -l"]).stdout.split()
    assert said[:3] == ["web-01", "web-01.on-prem.internal", "0"]
    assert int(said[3]) < 10


def test_no_variable_of_the_host_reaches_a_machine(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the operator's")
    names = {line.partition("=")[0] for line in make().run(["env"]).stdout.splitlines()}
    assert names <= {"PATH", "HOME", "LANG", "SHELL", "USER", "PWD", "SHLVL", "_"}


def test_the_operators_home_is_not_in_a_machine(make: Make) -> None:
    assert make().run(["ls", "-A", "/root", "/home", "/opt"]).stdout.split() == ["/home:", "/opt:", "/root:"]


def test_what_a_machine_writes_stays_on_its_disk_alone(make: Make) -> None:
    machine = make()
    machine.run(["sh", "-c", "echo mine > /etc/made-here; rm -rf /usr/share/doc/bash; echo x > /var/lib/new"])
    assert (machine.disk / "etc/made-here").read_text() == "mine\n"
    assert not Path("/etc/made-here").exists()
    assert Path("/usr/share/doc/bash").is_dir()


@pytest.mark.parametrize(
    "attack",
    [
        "chmod 640 /dev/full",
        "chown 1 /dev/full",
        "cat /proc/sys/vm/swappiness > /proc/sys/vm/swappiness",
        "echo h > /proc/sysrq-trigger",
        "mknod /tmp/disk b 7 0",
        'date -s "$(date +%FT%T.%N)"',
        "mkdir /tmp/mine && mount -t tmpfs none /tmp/mine",
        "mount -o remount,rw /proc/sys",
        "umount /proc/sys",
        "unshare --mount --map-root-user --pid --fork --mount-proc cat /proc/1/comm",
        "dmesg -n 7",
    ],
)
def test_root_inside_has_no_power_over_the_host(shared: Machine, attack: str) -> None:
    assert shared.run(["bash", "-c", attack]).returncode != 0


@pytest.mark.skipif(confinement.kernel_version() < (6, 14), reason="before Linux 6.14 root's processes have no limit")
def test_a_fork_bomb_ends_inside_the_machine(make: Make) -> None:
    """Its processes are a machine's share, the host's limit stays, and the power button still works."""
    machine, host = make(), Path("/proc/sys/kernel/pid_max").read_text()
    bomb = (
        "import os, time\nforked = 0\ntry:\n while os.fork(): forked += 1\nexcept OSError as e: print(forked, e.errno)"
    )
    said = machine.run(["python3", "-c", f"{bomb}\nelse: time.sleep(60)"]).stdout.split()

    assert confinement.PROCESSES - 50 < int(said[0]) <= confinement.PROCESSES + 300
    assert int(said[1]) == errno.EAGAIN
    assert Path("/proc/sys/kernel/pid_max").read_text() == host
    machine.power_off()
    assert machine.state is State.OFF


def test_a_process_has_limits_that_root_cannot_raise(shared: Machine) -> None:
    said = shared.run(["sh", "-c", "ulimit -d; ulimit -f; ulimit -c; ulimit -d unlimited; ulimit -d"])
    assert said.stdout.split()[:3] == [str(confinement.MEMORY_BYTES // 1024), str(confinement.FILE_BYTES // 512), "0"]
    assert "unlimited" not in said.stdout
    greedy = shared.run(["python3", "-c", "bytearray(3 << 30)"])
    assert "MemoryError" in greedy.stderr


def test_root_inside_has_power_over_its_own_files_and_users(shared: Machine) -> None:
    script = """
    set -e
    cd /tmp; echo x > file; chown 1234:1234 file; chmod 4750 file; cat file
    setpriv --reuid=1234 --regid=1234 --clear-groups cat file
    chroot / true; kill -0 1; echo done > /dev/full 2> /dev/null || echo full > /dev/null
    """
    assert shared.run(["bash", "-c", script]).stdout == "x\nx\n"


def test_a_disk_outlives_a_power_cycle_and_memory_does_not(make: Make) -> None:
    machine = make()
    machine.run(["sh", "-c", "echo kept > /var/kept; echo lost > /tmp/lost; echo lost > /run/lost"])
    machine.power_off()
    assert machine.state is State.OFF
    machine.boot().wait_booted()
    assert machine.run(["cat", "/var/kept"]).stdout == "kept\n"
    assert machine.run(["ls", "/tmp/lost", "/run/lost"]).returncode != 0


def test_power_off_ends_every_process(make: Make) -> None:
    machine = make()
    machine.run(["sh", "-c", "setsid sleep 98765 >/dev/null 2>&1 &"])
    machine.power_off()
    assert "sleep 98765" not in _commands_of_the_host()


def test_a_cut_of_power_stops_a_machine_dead_and_it_boots_again(make: Make) -> None:
    machine = make()
    machine.run(["sh", "-c", "echo kept > /var/kept"])
    machine.cut_power()
    assert machine.state is State.OFF
    assert machine.boot().wait_booted().run(["cat", "/var/kept"]).stdout == "kept\n"


def test_user_data_runs_once_and_its_exit_code_and_words_are_kept(make: Make) -> None:
    machine = make(user_data="#!/bin/bash\necho once >> /var/runs\necho hello from user data\nexit 3\n")
    assert machine.exit_code == 3
    assert "hello from user data" in machine.console
    machine.power_off()
    machine.boot().wait_booted()
    assert machine.run(["cat", "/var/runs"]).stdout == "once\n"


def test_a_copied_disk_is_a_golden_image(make: Make, tmp_path: Path) -> None:
    first = make(user_data="#!/bin/bash\necho built > /opt/software\nrm /usr/bin/ls\n: > /etc/machine-id\n")
    first.power_off()
    copy(first.disk, tmp_path / "image")
    second = make(image_disk=tmp_path / "image", user_data="#!/bin/bash\necho again >> /opt/software\n")
    assert second.run(["cat", "/opt/software"]).stdout == "built\nagain\n"
    assert second.run(["test", "-e", "/usr/bin/ls"]).returncode == 1
    ids = {machine.boot().wait_booted().run(["cat", "/etc/machine-id"]).stdout for machine in (first, second)}
    assert all(len(found.strip()) == 32 for found in ids)
    assert len(ids) == 2


def test_nothing_but_its_own_services_can_be_reached_from_inside(make: Make) -> None:
    machine = make()
    assert machine.run(["curl", "-sS", "--max-time", "5", "https://192.0.2.1/"]).returncode == 7
    assert machine.run(["curl", "-sS", "--max-time", "5", "https://example.com/"]).returncode == 6


def test_the_systems_own_certificates_hold_the_clouds_authority_alone(make: Make, cloud: LocalCloud) -> None:
    bundle = make().run(["cat", "/etc/ssl/certs/ca-certificates.crt"]).stdout
    assert bundle.encode() == cloud.world.authority.pem


@pytest.mark.parametrize(
    ("system", "own", "foreign"),
    [("debian-12", "dpkg", "rpm"), ("rhel-9", "dnf", "dpkg"), ("sles-15", "zypper", "dnf")],
)
def test_an_image_shows_its_own_package_tools_only(make: Make, system: str, own: str, foreign: str) -> None:
    machine = make(os=system)
    found = machine.run(["sh", "-c", f"command -v {own}; command -v {foreign}; . /etc/os-release; echo $ID"]).stdout
    assert found.split() == [f"/usr/bin/{own}", system.partition("-")[0]]


def test_a_foreign_architecture_is_shown_by_uname_and_dpkg(make: Make) -> None:
    other = "amd64" if HOST_ARCH == "arm64" else "arm64"
    machine = make(arch=other)
    word = {"arm64": "aarch64", "amd64": "x86_64"}[other]
    assert machine.run(["uname", "-m"]).stdout == f"{word}\n"
    assert machine.run(["dpkg", "--print-architecture"]).stdout == f"{other}\n"


@pytest.mark.parametrize(("cloud_name", "vendor"), [("azure", "Microsoft Corporation"), ("gcp", "Google")])
def test_the_firmware_tells_the_cloud(make: Make, cloud_name: str, vendor: str) -> None:
    assert make(cloud=cloud_name).run(["cat", "/sys/class/dmi/id/sys_vendor"]).stdout.strip() == vendor


def test_a_destroyed_machine_leaves_neither_files_nor_mounts(make: Make, cloud: LocalCloud) -> None:
    machine = make()
    cloud.machines.destroy(machine)
    assert machine.state is State.DESTROYED
    assert not machine.directory.exists()
    assert str(machine.directory) not in Path("/proc/self/mounts").read_text()
    with pytest.raises(CannotRun, match="destroyed"):
        machine.boot()


def test_a_command_for_a_machine_that_is_off_is_refused(make: Make) -> None:
    with pytest.raises(CannotRun, match="boot it first"):
        make(boots=False).run(["true"])


def test_a_machine_behind_an_endpoint_that_is_not_there_does_not_boot(make: Make) -> None:
    machine = make(boots=False, vpce_id="vpce-0123456789abcdef0")
    with pytest.raises(CannotRun, match="vpce-0123456789abcdef0"):
        machine.boot().wait_booted()


def test_a_cloud_that_stops_takes_its_machines_along() -> None:
    with LocalCloud() as short:
        try:
            machine = short.machines.create(MachineSpec(name="short-lived"))
        except CannotRun as error:
            pytest.skip(str(error))
        machine.boot().wait_booted().run(["sh", "-c", "setsid sleep 87654 >/dev/null 2>&1 &"])
        warm = short.machines.warm_process
    assert not machine.directory.exists()
    assert "sleep 87654" not in _commands_of_the_host()
    with pytest.raises(ProcessLookupError):
        os.kill(warm, 0)


def test_the_warm_process_knows_nothing_of_the_server_side() -> None:
    program = (
        "import sys; import localcloud.machines.inside.zygote;"
        "print([name for name in sys.modules if name.startswith(('localcloud', 'moto', 'boto', 'starlette', 'trustme'))"
        " and not name.startswith(('localcloud.machines.agent', 'localcloud.machines.inside',"
        "'localcloud.machines.patching', 'localcloud.machines.updates'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3] / "src")},
    )
    assert done.stdout.strip() == "['localcloud', 'localcloud.machines']"


@pytest.mark.parametrize(
    "wrong", [{"name": "Not A Name"}, {"os": "beos-5"}, {"cloud": "moon"}, {"arch": "vax"}, {"user_data": "echo"}]
)
def test_a_machine_that_cannot_be_is_refused_with_the_reason(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"is no host name|there is no|must begin"):
        MachineSpec(**{"name": "web", **wrong})  # type: ignore[arg-type]
