"""The local packages and the checks of the host."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from localcloud.cloud import LocalCloud
from localcloud.errors import CannotRun
from localcloud.machines import host
from localcloud.machines.mirror import Mirror
from localcloud.machines.openpgp import SHORT
from localcloud.machines.packages import deb
from localcloud.machines.shims.texts import SIMULATED, shim
from localcloud.wire import Request

BASE = "/amazon-ssm-eu-west-1/latest"


def test_a_package_is_the_same_every_time() -> None:
    assert deb("amd64") == deb("amd64")
    assert deb("amd64") != deb("arm64")


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb on this host")
def test_the_real_dpkg_reads_the_package(tmp_path: Path) -> None:
    path = tmp_path / "agent.deb"
    path.write_bytes(deb("arm64"))
    asked = ["dpkg-deb", "--show", "--showformat", "${Package} ${Version} ${Architecture}", str(path)]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert said == "amazon-ssm-agent 3.3.0.0-1 arm64"
    listed = subprocess.run(["dpkg-deb", "--contents", str(path)], capture_output=True, text=True, check=True).stdout
    assert "-rwxr-xr-x root/root" in next(
        line for line in listed.splitlines() if line.endswith("/usr/bin/amazon-ssm-agent")
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{BASE}/linux_amd64/a.rpm", 200),
        ("HEAD", f"{BASE}/linux_amd64/a.rpm", 200),
        ("GET", f"{BASE}/linux_amd64/b.rpm", 403),
        ("GET", "/other-bucket/latest/linux_amd64/a.rpm", 403),
        ("GET", f"{BASE}/../latest/linux_amd64/a.rpm", 403),
        ("PUT", f"{BASE}/linux_amd64/a.rpm", 405),
    ],
)
def test_the_package_source_serves_its_catalogue_only(method: str, path: str, status: int) -> None:
    answer = Mirror({"linux_amd64/a.rpm": b"content"}).answer(Request(method=method, path=path))
    assert answer.status == status
    assert (answer.body == b"content") == (method == "GET" and status == 200)


def test_a_missing_tool_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotRun, match=r"need awk, .*; install what Debian has in bash "):
        host.requirements()
    (tmp_path / "apt-get").touch(mode=0o755)
    with pytest.raises(CannotRun, match=r"need awk, base64, bash, curl, .*apt-get install -y .*curl.* gpgv"):
        host.requirements()


def test_a_host_that_forbids_namespaces_is_told_what_helps() -> None:
    assert "--privileged" in host.refusal("namespaces: Operation not permitted", root=True).remedy
    assert "sudo" in host.refusal("namespaces: Operation not permitted", root=False).remedy


@pytest.mark.skipif(shutil.which("gpg") is None, reason="no gpg on this host")
def test_packages_are_signed_however_long_the_path_of_temporary_files_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on build servers, whose folders for temporary files are deep down; a socket has room for 107 characters."""
    with tempfile.TemporaryDirectory() as short:
        deep = Path(short, "x" * 100)
        deep.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(deep))
        before = set(SHORT.iterdir())

        with LocalCloud(in_process=True) as cloud:
            assert cloud.machines.signing_key.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")

        assert set(SHORT.glob("localcloud-gpg-*")) <= before
        assert list(deep.iterdir()) == []


def test_every_simulated_program_has_its_text_and_is_listed() -> None:
    programs = {"bell": "systemctl", "snap": "snap", "rpm": "rpm, rpmkeys", "dnf": "dnf, yum", "zypper": "zypper"}
    for name, listed in programs.items():
        assert shim(name).startswith("#!/bin/sh\n")
        assert listed in SIMULATED
