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


# Rooms whose tests wait for servers and processes more than they work.
WAITING = {"journeys", "testing", "bench", "deploy", "doctor"}


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Among several workers: what is made once for some tests is made by one; those that wait are spread evenly."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    worlds = [_shared_world(item) for item in items]
    for item, world in zip(items, worlds, strict=True):
        item.add_marker(pytest.mark.xdist_group(world))
    waiting = dict.fromkeys(world for item, world in zip(items, worlds, strict=True) if _waits(item))
    working = dict.fromkeys(world for item, world in zip(items, worlds, strict=True) if not _waits(item))
    turn = {world: place / len(group) for group in (waiting, working) for place, world in enumerate(group)}
    order = sorted(range(len(items)), key=lambda place: turn[worlds[place]])
    items[:] = [items[place] for place in order]


def _shared_world(item: pytest.Item) -> str:
    """The harbour of the patching journeys, or the file; itself, where each case makes all that it needs."""
    if "port" in item.fixturenames:  # type: ignore[attr-defined]
        return "harbour"
    if item.get_closest_marker("exhaustive"):
        return item.nodeid.replace("@", "-")
    return str(item.path.relative_to(item.config.rootpath))


def _waits(item: pytest.Item) -> bool:
    return not WAITING.isdisjoint(item.path.parts)
