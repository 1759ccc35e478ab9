"""Machines that restart or switch themselves off, and the services on their disks."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.localcloud.machines.conftest import Make

from localcloud.errors import CannotRun
from localcloud.machines.machine import Machine, State

pytestmark = pytest.mark.machines

WEB = """[Unit]
Description=A small web server

[Service]
Environment=PORT=8080
WorkingDirectory=/srv/www
ExecStart=/usr/bin/python3 -m http.server 8080 --bind 127.0.0.1

[Install]
WantedBy=multi-user.target
"""
ASK = ["curl", "-fsS", "--retry", "20", "--retry-connrefused", "--retry-delay", "0", "http://127.0.0.1:8080/index.html"]


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def install(machine: Machine, name: str, text: str) -> None:
    machine.run(["tee", f"/etc/systemd/system/{name}.service"], input=text)


def boot_id(machine: Machine) -> str:
    return machine.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip()


@pytest.mark.parametrize("words", [("/sbin/shutdown", "-r", "+1"), ("reboot",), ("systemctl", "reboot")])
def test_a_reboot_from_inside_brings_the_machine_up_again_with_its_disk(make: Make, words: tuple[str, ...]) -> None:
    machine = make()
    before = boot_id(machine)
    assert before == machine.boot_id
    machine.run(["sh", "-c", "echo kept >/root/file; echo gone >/run/file"])
    assert machine.run(words).returncode in {0, 255}
    until(lambda: machine.boot_id != before)
    until(lambda: machine.state is State.RUNNING)
    assert boot_id(machine) == machine.boot_id != before
    assert machine.run(["cat", "/root/file"]).stdout == "kept\n"
    assert machine.run(["test", "-e", "/run/file"]).returncode == 1


def test_a_shutdown_from_inside_switches_the_machine_off(make: Make) -> None:
    machine = make()
    machine.run(["shutdown", "-h", "now"])
    until(lambda: machine.state is State.OFF)
    assert machine.failure == ""
    machine.boot().wait_booted()


def test_a_shutdown_that_is_withdrawn_does_not_come(make: Make) -> None:
    machine = make()
    machine.run(["shutdown", "-r", "+60"])
    machine.run(["shutdown", "-c"])
    machine.run(["shutdown", "-h", "+2"])  # 1.2 s of real time
    until(lambda: machine.state is State.OFF)


def test_two_machines_and_their_host_have_different_boots(make: Make) -> None:
    host = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert len({host, boot_id(make()), boot_id(make())}) == 3


def test_a_disk_that_does_not_boot_fails_the_machine_until_it_is_mended(make: Make) -> None:
    machine = make()
    machine.run(["sh", "-c", "echo kernel panic >/boot/unbootable"])
    machine.run(["reboot"])
    until(lambda: machine.state is State.FAILED)
    assert "kernel panic" in machine.failure
    with pytest.raises(CannotRun, match="kernel panic"):
        machine.boot().wait_booted()
    (machine.disk / "boot/unbootable").unlink()
    machine.boot().wait_booted()


def test_a_service_with_a_unit_file_runs_is_asked_and_comes_back_after_a_reboot(make: Make) -> None:
    machine = make()
    install(machine, "web", WEB)
    machine.run(["sh", "-c", "mkdir -p /srv/www; echo hello >/srv/www/index.html"])
    assert machine.run(["systemctl", "is-active", "web"]).stdout == "inactive\n"
    assert machine.run(["systemctl", "enable", "--now", "web"]).returncode == 0
    assert machine.run(ASK).stdout == "hello\n"
    before = machine.boot_id
    machine.run(["reboot"])
    until(lambda: machine.boot_id != before and machine.state is State.RUNNING)
    assert machine.run(ASK).stdout == "hello\n"
    assert machine.run(["systemctl", "stop", "web"]).returncode == 0
    assert machine.run(["systemctl", "is-active", "web"]).returncode == 3
    assert machine.run(["curl", "-fsS", "http://127.0.0.1:8080/"]).returncode == 7


def test_a_service_that_dies_is_failed(make: Make) -> None:
    machine = make()
    install(machine, "short", "[Service]\nExecStart=/bin/sh -c 'sleep 0.1; exit 3'\n")
    assert machine.run(["systemctl", "start", "short"]).returncode == 0
    until(lambda: machine.run(["systemctl", "is-failed", "short"]).returncode == 0)
    assert "exit code 3" in machine.run(["systemctl", "status", "short"]).stdout
    machine.run(["systemctl", "reset-failed", "short"])
    assert machine.run(["systemctl", "is-active", "short"]).stdout == "inactive\n"


def test_a_oneshot_is_waited_for_and_its_failure_told(make: Make) -> None:
    machine = make()
    install(
        machine, "once", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo 1 >/root/done'\n"
    )
    assert machine.run(["systemctl", "start", "once"]).returncode == 0
    assert machine.run(["cat", "/root/done"]).stdout == "1\n"
    assert machine.run(["systemctl", "is-active", "once"]).stdout == "active\n"
    install(machine, "bad", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
    failed = machine.run(["systemctl", "start", "bad"])
    assert (failed.returncode, "control process exited" in failed.stderr) == (1, True)


def test_a_drop_in_changes_what_a_service_starts(make: Make) -> None:
    machine = make()
    install(machine, "tool", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
    machine.run(["mkdir", "/etc/systemd/system/tool.service.d"])
    lines = ["[Service]", "ExecStart=", "ExecStart=-/bin/false", "ExecStart=/bin/sh -c 'echo $WORD >/root/word'"]
    drop_in = "\n".join([*lines, "Environment=WORD=new", ""])
    machine.run(["tee", "/etc/systemd/system/tool.service.d/more.conf"], input=drop_in)
    assert machine.run(["systemctl", "start", "tool"]).returncode == 0
    assert machine.run(["cat", "/root/word"]).stdout == "new\n"
