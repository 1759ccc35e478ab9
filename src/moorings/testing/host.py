"""What a test's process needs around a local cloud: the extra installed, settings that make sense, able servers."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud

# One module of each distribution of the extra without which no cloud starts.
NEEDED = ("moto", "starlette", "uvicorn", "h11", "a2wsgi", "trustme", "websockets", "jwt", "awslambdaric")


@contextmanager
def running_cloud(config: pytest.Config) -> Iterator["LocalCloud"]:
    """A local cloud and the environment that leads to it. The test fails, with the remedy, without the extra."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.fail(
            f"The local cloud needs what the extra brings (missing: {', '.join(missing)}): "
            "pip install 'moorings[local]'",
            pytrace=False,
        )
    from localcloud.cloud import LocalCloud  # noqa: PLC0415 - part of the extra
    from moorings.cli.local import only_this_cloud  # noqa: PLC0415 - nothing is imported before it is wanted

    with LocalCloud(scale=_scale(config)) as cloud, only_this_cloud(cloud):
        yield cloud


def needs_servers(cloud: "LocalCloud", config: pytest.Config) -> None:
    """Skip the test, with the reason, where the host cannot run servers; fail it if the run requires them."""
    from localcloud.errors import CannotRun  # noqa: PLC0415 - part of the extra

    try:
        cloud.machines.prepare()
    except CannotRun as error:
        if config.getoption("--moorings-require-servers") or config.getini("moorings_require_servers"):
            pytest.fail(f"This run requires servers. {error}", pytrace=False)
        pytest.skip(str(error))


def _scale(config: pytest.Config) -> float:
    given = str(config.getini("moorings_scale"))
    try:
        scale = float(given)
    except ValueError:
        scale = 0.0
    if not 0.0 < scale <= 1.0:
        raise pytest.UsageError(f"moorings_scale is {given!r}; it is a number above 0, at most 1")
    return scale
