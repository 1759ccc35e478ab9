"""Copies of directories that are in use: whole, with everything special about their files."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from localcloud.azure.disk_copy import contents, copy

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for device nodes and trusted attributes")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    made = tmp_path / "disk"
    (made / "etc").mkdir(parents=True)
    (made / "etc/file").write_text("content")
    (made / "etc/file").chmod(0o640)
    (made / "etc/link").symlink_to("file")
    (made / "etc/second").hardlink_to(made / "etc/file")
    (made / "empty").mkdir(mode=0o700)
    os.mkfifo(made / "etc/pipe")
    os.utime(made / "etc/file", ns=(1, 2))
    return made


def test_everything_is_as_it_was(disk: Path, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "copy"
    copy(disk, target)

    assert contents(target) == contents(disk)
    assert (target / "etc/file").stat().st_ino == (target / "etc/second").stat().st_ino
    assert (target / "etc/file").stat().st_mtime_ns == 2
    assert stat.S_ISFIFO((target / "etc/pipe").lstat().st_mode)
    assert (target / "etc/link").readlink() == Path("file")


@root
def test_what_overlayfs_hides_stays_hidden(disk: Path, tmp_path: Path) -> None:
    os.mknod(disk / "etc/gone", stat.S_IFCHR, os.makedev(0, 0))
    (disk / "opaque").mkdir()
    os.setxattr(disk / "opaque", "trusted.overlay.opaque", b"y")
    os.chown(disk / "etc/file", 12, 34)
    copy(disk, tmp_path / "copy")

    assert contents(tmp_path / "copy")["etc/gone"].kind == "hidden"
    assert os.getxattr(tmp_path / "copy/opaque", "trusted.overlay.opaque") == b"y"
    assert ((tmp_path / "copy/etc/file").stat().st_uid, (tmp_path / "copy/etc/file").stat().st_gid) == (12, 34)


def test_files_that_come_and_go_do_not_stop_it(disk: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    (disk / "tmp").mkdir()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            (disk / f"tmp/{number}").write_text("x")
            (disk / f"tmp/{number - 3}").unlink(missing_ok=True)
            (disk / "tmp/folder").mkdir(exist_ok=True)
            (disk / "tmp/folder/inner").write_text("x")
            (disk / "tmp/folder/inner").unlink()
            (disk / "tmp/folder").rmdir()

    busy = threading.Thread(target=churn)
    busy.start()
    try:
        for number in range(30):
            copy(disk, tmp_path / f"copy{number}")
    finally:
        stop.set()
        busy.join()

    for number in range(30):
        found = contents(tmp_path / f"copy{number}")
        assert found["etc/file"] == contents(disk)["etc/file"]


def test_a_copy_is_never_laid_over_another(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()

    with pytest.raises(FileExistsError):
        copy(disk, tmp_path / "there")


def test_disks_that_differ_in_a_byte_a_mode_or_a_file_are_told_apart(disk: Path, tmp_path: Path) -> None:
    changes = (
        lambda path: (path / "etc/file").write_text("Content"),
        lambda path: (path / "etc/file").chmod(0o600),
        lambda path: (path / "empty").rmdir(),
        lambda path: (path / "new").touch(),
    )
    for number, change in enumerate(changes):
        other = tmp_path / f"other{number}"
        copy(disk, other)
        change(other)
        assert contents(other) != contents(disk)


@root
def test_a_folder_that_its_owner_may_not_enter_is_looked_into_all_the_same() -> None:
    """Machines of ordinary users leave such folders, because inside root enters them; their modes stay."""
    look = (
        "import os, sys; from pathlib import Path; from localcloud.azure.disk_copy import contents;"
        "os.seteuid(65534); print(*sorted(contents(Path(sys.argv[1]))))"
    )
    with TemporaryDirectory() as place:
        vault = Path(place, "vault")
        vault.mkdir()
        (vault / "key").write_text("key")
        for path in (vault / "key", vault, Path(place)):
            os.chown(path, 65534, 65534)
        vault.chmod(0o600)

        told = subprocess.run(
            [sys.executable, "-c", look, place],
            capture_output=True, text=True, timeout=20, check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip

        assert told.stdout.split() == ["vault", "vault/key"]
        assert stat.S_IMODE(vault.stat().st_mode) == 0o600
