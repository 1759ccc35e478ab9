"""For all tests: how much the property tests try, what is read once, and who runs what when several share the work.

Property tests try the same few examples on every run, or many new ones (`HYPOTHESIS_PROFILE=deep`).
"""

import gc
import os
from functools import cache

import botocore.loaders
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "steady",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("deep", settings.get_profile("steady"), derandomize=False, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

# Commands and functions under test make sessions of their own, and each would parse the service models anew.
botocore.loaders.create_loader = cache(botocore.loaders.create_loader)


# Rooms that fill the computer with servers and functions: one worker each, so that no two clouds do it at a time.
CROWDED = ("journeys",)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Among several workers, what is made once for some tests is made by one."""
    item.add_marker(pytest.mark.xdist_group(_world(item)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The rooms that take longest begin."""
    items.sort(key=lambda item: CROWDED.index(room) if (room := _room(item)) else len(CROWDED))


def _world(item: pytest.Item) -> str:
    """A crowded room, or the file; the test itself, where each case makes all that it needs."""
    if item.get_closest_marker("exhaustive"):
        return item.nodeid.replace("@", "-")
    return _room(item) or str(item.path.relative_to(item.config.rootpath))


def _room(item: pytest.Item) -> str:
    return next((room for room in CROWDED if room in item.path.parts), "")
