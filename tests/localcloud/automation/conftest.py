"""Engines whose threads end with the test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.localcloud.automation.stand import Stand


@pytest.fixture
def make_stand() -> Iterator[Callable[..., Stand]]:
    """Makes engines: `make_stand(workers=…, limits=…, clock=…)`."""
    made: list[Stand] = []

    def make(**options: Any) -> Stand:
        made.append(Stand(**options))
        return made[-1]

    yield make
    for stand in made:
        stand.action.release.set()
        stand.engine.close()


@pytest.fixture
def stand(make_stand: Callable[..., Stand]) -> Stand:
    """An engine on a clock moved by hand."""
    return make_stand()
