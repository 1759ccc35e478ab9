"""Whether the demo begins where its files find no room."""

from pathlib import Path

import pytest

from localcloud.cloud import LocalCloud
from localcloud.errors import CannotRun
from moorings.cli.demo.room import MB, Room, check, judge
from moorings.errors import Misconfigured

ONE, OTHER = 1, 2


def test_folders_of_one_device_share_its_room() -> None:
    """Each alone would do."""
    first, second = Room(Path("/a/state"), ONE, 100 * MB, 80 * MB), Room(Path("/a/state/disks"), ONE, 100 * MB, 54 * MB)

    with pytest.raises(Misconfigured, match=r"/a has room for 100 MB, and this demo needs 134"):
        judge([first, second])


def test_folders_of_two_devices_do_not() -> None:
    """As in a container, whose disks lie in memory."""
    state, disks = Room(Path("/tmp/state"), ONE, 100 * MB, 80 * MB), Room(Path("/dev/shm/d"), OTHER, 64 * MB, 54 * MB)

    judge([state, disks])
    with pytest.raises(Misconfigured, match=r"/dev/shm has room for 64 MB, and this demo needs 130") as refused:
        judge([state, Room(Path("/dev/shm/d"), OTHER, 64 * MB, 130 * MB)])

    assert "--shm-size" in refused.value.remedy


@pytest.mark.machines
def test_more_servers_than_any_disk_holds_are_refused() -> None:
    with LocalCloud() as cloud:
        try:
            cloud.machines.prepare()
        except CannotRun as error:
            pytest.skip(str(error))

        with pytest.raises(Misconfigured, match="has room for"):
            check(cloud, servers=10**12)
