"""Runs of pytest inside the tests; those with servers are skipped, visibly, where the host cannot run any."""

import pytest

from localcloud.cloud import LocalCloud
from localcloud.errors import CannotRun


@pytest.fixture(scope="session")
def able() -> None:
    """Skips with the reason where the host cannot run servers."""
    with LocalCloud(in_process=True) as cloud:
        try:
            cloud.machines.prepare()
        except CannotRun as error:
            pytest.skip(str(error))
