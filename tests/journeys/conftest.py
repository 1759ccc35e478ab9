"""Journeys run on local clouds of their own; those with servers are skipped, visibly, where the host cannot run any."""

from collections.abc import Iterator

import pytest
from tests.journeys import harbour

from localcloud.cloud import LocalCloud
from localcloud.errors import CannotRun


@pytest.fixture(scope="session")
def able_host() -> None:
    """Skips with the reason where the host cannot run servers."""
    with LocalCloud() as cloud:
        try:
            cloud.machines.prepare()
        except CannotRun as error:
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def port(able_host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[harbour.Port]:
    """One deployed patching stack for all journeys, with all scenarios played."""
    with harbour.standing(tmp_path_factory.mktemp("anchors")) as made:
        yield made
