"""What machines need when their root is only their own (a user namespace), not the host's.

Overlayfs cannot copy up what belongs to the host's root there. So the folders that packages write to, and the files
that they change, are copied once into a layer that all machines share: /etc and the package database, of other folders
the tree without files. What the database knows of single packages is read only, and shines through from the host.
"""

import os
import shutil
from pathlib import Path

from localcloud.machines.disk import prepare_folder

WHOLE = ("etc", "var/lib/dpkg")
# Here what may not be read is a lock, and as good when empty.
LOCKED = frozenset({"var/lib/dpkg"})
READ_ONLY = frozenset({"var/lib/dpkg/info"})
# Written by the package tools; the host's own must not shine through.
LOGS = ("var/log/dpkg.log", "var/log/alternatives.log")
# Folders only, this deep: what a package may put files into.
TREES = (("usr", 3), ("var", 3), ("usr/lib/systemd", 3), ("usr/share/doc", 0))
SKIPPED = frozenset({"usr/share/doc", "usr/include", "usr/src", "usr/share/locale", "usr/share/man", "usr/lib/python3"})


def seed(disk: Path) -> None:
    """Write the shared layer at `disk`, from what this user may read."""
    disk.mkdir()
    for name, depth in TREES:
        _copy_folders(disk, name, depth)
    for name in WHOLE:
        _copy_whole(disk, name)
    for name in LOGS:
        if (disk / name).parent.is_dir():
            (disk / name).touch()


def _copy_folders(disk: Path, name: str, depth: int) -> None:
    if not Path("/", name).is_dir():
        return
    if not os.path.lexists(disk / name):
        prepare_folder(disk, name)
    if depth == 0 or not (disk / name).is_dir():
        return
    try:
        entries = list(os.scandir(Path("/", name)))
    except PermissionError:
        return
    for entry in entries:
        path = f"{name}/{entry.name}"
        if entry.is_dir(follow_symlinks=False) and path not in SKIPPED:
            _copy_folders(disk, path, depth - 1)


def _copy_whole(disk: Path, name: str) -> None:
    for folder, folders, files in os.walk(Path("/", name)):
        relative = str(Path(folder).relative_to("/"))
        if os.path.lexists(disk / relative) and not (disk / relative).is_dir():
            folders.clear()
            continue
        prepare_folder(disk, relative)
        if relative in READ_ONLY:
            continue
        links = [entry for entry in folders if Path(folder, entry).is_symlink()]
        for entry in [*files, *links]:
            source, target = Path(folder, entry), disk / relative / entry
            if os.path.lexists(target):
                continue
            if source.is_symlink():
                target.symlink_to(source.readlink())
            elif os.access(source, os.R_OK) and source.is_file():
                shutil.copy2(source, target)
            elif name in LOCKED and source.is_file():
                target.touch(mode=0o600)
