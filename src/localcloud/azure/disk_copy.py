"""Copies of disks: what a snapshot holds is the files as they were while it was taken, whatever went on meanwhile.

A disk of a running machine changes under the copy: files come, go and grow. What vanishes is left out, what is half
written is copied half written, as a crash would leave it. Special files (overlayfs hides by them), links, owners, modes
and extended attributes are kept.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_FICLONE = 0x40049409
_CHUNK = 1 << 20


def copy(source: Path, target: Path) -> None:
    """Make `target` a copy of the directory `source`, which may be in use. FileExistsError if it is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.mkdir()
    _Copy().folder(source, target)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a disk, for comparing disks."""

    kind: str  # file, folder, link, hidden (by a whiteout), other
    mode: int
    digest: str = ""  # of a file's bytes, or where a link leads


def contents(disk: Path) -> dict[str, Entry]:
    """Every file on a disk by its path; two disks with equal contents hold the same, byte for byte."""
    found: dict[str, Entry] = {}
    _note(disk, disk, found)
    return found


def _note(folder: Path, disk: Path, found: dict[str, Entry]) -> None:
    with suppress(FileNotFoundError), _readable(folder, folder.lstat()):
        for path in (folder / name for name in _listed(folder)):
            with suppress(FileNotFoundError):
                entry = found[str(path.relative_to(disk))] = _entry(path)
                if entry.kind == "folder":
                    _note(path, disk, found)


def _entry(path: Path) -> Entry:
    status = path.lstat()
    mode = stat.S_IMODE(status.st_mode)
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFREG:
            with _readable(path, status), path.open("rb") as stream:
                return Entry("file", mode, hashlib.file_digest(stream, "sha256").hexdigest())
        case stat.S_IFDIR:
            return Entry("folder", mode)
        case stat.S_IFLNK:
            return Entry("link", mode, str(path.readlink()))
        case stat.S_IFCHR if status.st_rdev == 0:
            return Entry("hidden", mode)
        case _:
            return Entry("other", mode, str(status.st_rdev))


class _Copy:
    """One copy that is being made; knows which files have several names."""

    def __init__(self) -> None:
        self._linked: dict[tuple[int, int], Path] = {}

    def folder(self, source: Path, target: Path) -> None:
        status = source.lstat()
        target.chmod(0o700)
        with _readable(source, status):
            for entry in _listed(source):
                self._one(source / entry, target / entry)
        _dress(source, target, status)

    def _one(self, source: Path, target: Path) -> None:
        try:
            status = source.lstat()
            if stat.S_ISDIR(status.st_mode):
                target.mkdir()
                self.folder(source, target)
                return
            if self._known(target, status):
                return
            self._make(source, target, status)
            _dress(source, target, status)
        except FileNotFoundError:  # it vanished meanwhile: what there was of it stays, as after a crash
            return

    def _known(self, target: Path, status: os.stat_result) -> bool:
        if status.st_nlink < 2:
            return False
        first = self._linked.setdefault((status.st_dev, status.st_ino), target)
        if first is target or not os.path.lexists(first):
            return False
        target.hardlink_to(first)
        return True

    def _make(self, source: Path, target: Path, status: os.stat_result) -> None:
        mode = status.st_mode
        if stat.S_ISREG(mode):
            with _readable(source, status):
                _copy_bytes(source, target)
        elif stat.S_ISLNK(mode):
            target.symlink_to(source.readlink())
        else:
            os.mknod(target, stat.S_IFMT(mode) | 0o600, status.st_rdev)


def _copy_bytes(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("xb") as writing:
        try:
            fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
        except OSError:  # the file system shares no blocks
            while chunk := reading.read(_CHUNK):
                writing.write(chunk)


def _dress(source: Path, target: Path, status: os.stat_result) -> None:
    """Owner, attributes, mode and times, in the order in which none undoes another."""
    link = stat.S_ISLNK(status.st_mode)
    if os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    with suppress(FileNotFoundError):
        for name in os.listxattr(source, follow_symlinks=False):
            os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
    if not link:
        target.chmod(stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        return []


@contextmanager
def _readable(path: Path, status: os.stat_result) -> Iterator[None]:
    """Machines of ordinary users leave files that only their own root may read: open them for a moment."""
    needed = 0o500 if stat.S_ISDIR(status.st_mode) else 0o400
    if os.geteuid() == 0 or status.st_mode & needed == needed:
        yield
        return
    path.chmod(stat.S_IMODE(status.st_mode) | needed)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            path.chmod(stat.S_IMODE(status.st_mode))
