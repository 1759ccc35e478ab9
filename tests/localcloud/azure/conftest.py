"""One local Azure for each test: in-process under a clock that is stepped."""

from collections.abc import Iterator

import pytest
from tests.localcloud.azure.ground import Arm

from localcloud.azure.service import Azure
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud


@pytest.fixture
def stepped() -> SteppedClock:
    """The clock of `cloud`."""
    return SteppedClock()


@pytest.fixture
def stepped_cloud(stepped: SteppedClock) -> Iterator[LocalCloud]:
    """A cloud without sockets whose time stands still."""
    with LocalCloud(clock=stepped, in_process=True) as made:
        yield made


@pytest.fixture
def azure(stepped_cloud: LocalCloud) -> Azure:
    """Its Azure."""
    return stepped_cloud.azure


@pytest.fixture
def arm(azure: Azure, stepped: SteppedClock) -> Arm:
    """Requests to it as its operator."""
    return Arm(azure, stepped)
