"""For all tests: how much the property tests try, and what is read once.

Property tests try the same few examples on every run, or many new ones (`HYPOTHESIS_PROFILE=deep`).
"""

import gc
import os
from functools import cache

import botocore.loaders
import botocore.useragent
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
# Every request names the SDK and its parts twice, and each part is cleaned sign by sign: a tenth of a call.
botocore.useragent.sanitize_user_agent_string_component = cache(botocore.useragent.sanitize_user_agent_string_component)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys first: they wait for servers half of their time, and workers that are done take from the end of others,
    so the cloud and the servers that a file shares are started by one worker."""
    items.sort(key=lambda item: "journeys" not in item.path.parts)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
