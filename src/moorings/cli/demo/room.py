"""Whether the demo's temporary files find room, before anything begins: a full disk shows itself in odd places."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moorings.errors import Misconfigured

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud

MB = 1_000_000
FOR_FUNCTIONS = 80 * MB  # zips, and what their environments run from
FOR_A_SERVER = 2 * MB  # its disk, and the copies that patching makes


@dataclass(frozen=True, slots=True)
class Room:
    """What a folder has and what will be written to it; folders of one device share what they have."""

    folder: Path
    device: int
    free: int  # bytes
    needed: int  # bytes


def check(cloud: "LocalCloud", *, servers: int) -> None:
    """Misconfigured if there is too little room for so many servers."""
    needed = ((cloud.world.state_dir, FOR_FUNCTIONS), (cloud.machines.home, servers * FOR_A_SERVER))
    judge([Room(each, each.stat().st_dev, shutil.disk_usage(each).free, size) for each, size in needed])


def judge(rooms: Sequence[Room]) -> None:
    """Misconfigured, with the folder, if one of them is too small for all that goes to its device."""
    for room in rooms:
        needed = sum(each.needed for each in rooms if each.device == room.device)
        if room.free < needed:
            raise Misconfigured(
                f"{room.folder.parent} has room for {room.free // MB} MB, and this demo needs {needed // MB}",
                remedy="make room, or name another folder by TMPDIR; in a container, give --shm-size=1g",
            )
