"""A local cloud for the enrolment tests, with a clock that tests move by hand."""

from collections.abc import Iterator

import pytest
from tests.enrolment.rig import Rig, new_rig

from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud


@pytest.fixture(scope="session")
def stepped_clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture(scope="session")
def stepped_cloud(stepped_clock: SteppedClock) -> Iterator[LocalCloud]:
    with LocalCloud(clock=stepped_clock) as cloud:
        yield cloud


@pytest.fixture(scope="session", autouse=True)
def _function_environment() -> Iterator[None]:
    """What Lambda sets for Powertools."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWERTOOLS_SERVICE_NAME", "enrolment")
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Moorings")
        yield


@pytest.fixture
def rig(stepped_cloud: LocalCloud, stepped_clock: SteppedClock) -> Rig:
    return new_rig(stepped_cloud, stepped_clock)
