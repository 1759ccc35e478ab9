"""Every contract runs on the fakes and on the real adapters."""

from collections.abc import Iterator

import pytest
from tests.contracts.worlds import World, in_memory, on_the_local_cloud
from tests.enrolment.rig import new_rig

from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud


@pytest.fixture(scope="session")
def contract_clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture(scope="session")
def contract_cloud(contract_clock: SteppedClock) -> Iterator[LocalCloud]:
    with LocalCloud(clock=contract_clock) as cloud:
        yield cloud


@pytest.fixture(params=["fakes", "adapters"])
def world(request: pytest.FixtureRequest, contract_cloud: LocalCloud, contract_clock: SteppedClock) -> World:
    if request.param == "fakes":
        return in_memory()
    return on_the_local_cloud(new_rig(contract_cloud, contract_clock))
