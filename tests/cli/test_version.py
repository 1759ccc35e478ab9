"""`moorings version`: what a report of a problem should say."""

import json
from importlib.metadata import Distribution, version
from pathlib import Path

import pytest
from tests.cli.conftest import Cli

from moorings.cli.version import commit_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Installed(Distribution):
    """A distribution as pip has left it."""

    def __init__(self, origin: object) -> None:
        self._origin = origin

    def read_text(self, filename: str) -> str | None:
        return None if self._origin is None else json.dumps(self._origin)

    def locate_file(self, path: object) -> Path:
        raise NotImplementedError


def test_it_names_what_runs_and_what_is_built_for(bare: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python, platform, the main dependencies, the Lambda runtime."""
    monkeypatch.setenv("MOORINGS_FUNCTION_PLATFORM", "python3.13/x86_64")
    told = bare("version", "--json").json

    assert told["version"] == version("moorings")
    assert told["builds_for"] == "python3.13/x86_64"
    assert told["dependencies"]["boto3"] == version("boto3")
    assert {"commit", "python", "platform", "executable"} <= told.keys()


def test_people_are_told_the_same(bare: Cli) -> None:
    """A line for each fact."""
    shown = bare("version").out

    assert shown.startswith(f"moorings {version('moorings')}\n")
    assert version("boto3") in shown


def test_the_commit_is_that_which_pip_was_given() -> None:
    """It writes down where an installation comes from."""
    assert commit_of(Installed({"url": "https://example.org/x.git", "vcs_info": {"commit_id": COMMIT}})) == COMMIT
    assert commit_of(Installed(None)) == ""
    assert commit_of(Installed({"url": "https://example.org/x.whl"})) == ""


@pytest.mark.parametrize("kept", ["detached", "loose", "packed", "nowhere"])
def test_the_commit_of_a_checkout_is_read_without_git(tmp_path: Path, kept: str) -> None:
    """Wherever git keeps it."""
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text(f"{COMMIT}\n" if kept == "detached" else "ref: refs/heads/main\n")
    if kept == "loose":
        (git / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    if kept == "packed":
        (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{COMMIT} refs/heads/main\n")

    found = commit_of(Installed({"url": tmp_path.as_uri(), "dir_info": {"editable": True}}))

    assert found == ("" if kept == "nowhere" else COMMIT)
