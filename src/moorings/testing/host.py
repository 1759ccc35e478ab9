"""What a test's process needs around a local cloud: the extra installed, an environment of its own, able servers."""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud

# One module of each distribution of the extra without which no cloud starts.
NEEDED = ("moto", "starlette", "uvicorn", "h11", "a2wsgi", "trustme", "websockets", "jwt", "awslambdaric")
# Variables of whoever runs the tests that lead to an account, to credentials, or to a stack of theirs.
THEIRS = ("AWS_", "AZURE_", "ARM_", "MOORINGS_")
LOOPBACK = "127.0.0.1,localhost"


@contextmanager
def running_cloud(config: pytest.Config, *, empty: Path) -> Iterator["LocalCloud"]:
    """A local cloud and the environment that leads to it. The test fails, with the remedy, without the extra.

    `empty` is an empty directory.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.fail(
            f"The local cloud needs what the extra brings (missing: {', '.join(missing)}): "
            "pip install 'moorings[local]'",
            pytrace=False,
        )
    from localcloud.cloud import LocalCloud  # noqa: PLC0415 - part of the extra

    with LocalCloud(scale=_scale(config)) as cloud, led_to(cloud, empty=empty):
        yield cloud


@contextmanager
def led_to(cloud: "LocalCloud", *, empty: Path) -> Iterator[None]:
    """The process's environment leads to this cloud and to no account of the user's; afterwards it is as before.

    Profiles, files, roles and metadata services are shut out as well as keys: boto3 would look for them in turn.
    """
    ours = {**cloud.environment(), **_shut(os.environ, empty)}
    before = {name: value for name, value in os.environ.items() if name in ours or name.startswith(THEIRS)}
    for name in before:
        del os.environ[name]
    os.environ.update(ours)
    restore = _forget_default_session()
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
        os.environ.update(before)
        restore()


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


def _shut(before: Mapping[str, str], empty: Path) -> dict[str, str]:
    proxied = {name: before.get(name, "") for name in ("NO_PROXY", "no_proxy")}
    return {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AZURE_CONFIG_DIR": str(empty),
        **{name: f"{value},{LOOPBACK}" if value else LOOPBACK for name, value in proxied.items()},
    }


def _forget_default_session() -> Any:
    """Let `boto3.client` read the environment anew; returns what puts the old default session back."""
    import boto3  # noqa: PLC0415 - nothing is imported before it is wanted

    old, boto3.DEFAULT_SESSION = boto3.DEFAULT_SESSION, None

    def restore() -> None:
        boto3.DEFAULT_SESSION = old

    return restore
