"""What `pip install` gives: a user has the wheel and no checkout."""

import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from tests.architecture.repository import ROOT, SOURCES, tracked

PACKAGES = ("moorings", "localcloud")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """What the wheel holds besides its own metadata."""
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("dist")), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(name for name in archive.namelist() if ".dist-info/" not in name)


def test_it_holds_every_file_of_the_sources(files: frozenset[str]) -> None:
    """Templates, scripts, runbooks, manifests and tables as well as modules."""
    expected = {str(path.relative_to(SOURCES)) for path in tracked() if SOURCES in path.parents}

    assert expected - files == set()
    assert {Path(name).suffix for name in expected} > {".py", ".yaml", ".json", ".sh", ".ps1"}


def test_it_holds_nothing_else(files: frozenset[str]) -> None:
    """Neither tests nor the manual, and nothing that tools leave behind."""
    assert {name.partition("/")[0] for name in files} == set(PACKAGES)
    assert not [name for name in files if "__pycache__" in name or name.endswith(".pyc")]


def test_the_command_and_the_plugin_can_be_loaded() -> None:
    """What the project says of its entry points is what is installed."""
    ours = [each for group in ("console_scripts", "pytest11") for each in entry_points(group=group, name="moorings")]

    assert len(ours) == 2
    assert all(each.load() for each in ours)
