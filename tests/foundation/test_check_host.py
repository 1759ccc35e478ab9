"""`bin/check-host`, which `make` asks first: what it says where something is missing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from localcloud.machines import host

SCRIPT = Path(__file__).parents[2] / "bin" / "check-host"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder for PATH with what every system has."""
    for tool in ("bash", "env", "uname", "sort", "python3", *host.TOOLS):
        found = shutil.which(tool)
        if found and not (tmp_path / tool).exists():
            (tmp_path / tool).symlink_to(found)
    return tmp_path


def asked(path: Path, **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(path / "bash"), str(SCRIPT)],
        env={**os.environ, "PATH": str(path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def stand_in(path: Path, name: str, text: str) -> None:
    (path / name).unlink(missing_ok=True)
    (path / name).write_text(f"#!/bin/bash\n{text}\n")
    (path / name).chmod(0o755)


def test_it_asks_for_what_simulated_servers_need() -> None:
    """The same programs, and the same packages that bring them."""
    named = dict(re.findall(r"\[([a-z0-9-]+)\]=([a-z-]+)", SCRIPT.read_text()))

    assert named == host.TOOLS


def test_another_system_than_linux_is_told_at_once(bare: Path) -> None:
    stand_in(bare, "uname", "echo Darwin")

    code, said = asked(bare)

    assert (code, "this is Darwin" in said, "Linux VM" in said) == (2, True, True)


@pytest.mark.parametrize(
    ("apt", "told"), [(True, "sudo apt-get install --yes python3 python3-venv"), (False, "own package manager")]
)
def test_what_is_missing_is_named_with_what_helps_here(bare: Path, apt: bool, told: str) -> None:
    if apt:
        stand_in(bare, "apt-get", "exit 0")

    code, said = asked(bare, PYTHON="python-of-nobody")

    assert code == 2
    assert "python3-venv" in said
    assert told in said


def test_a_python_that_is_too_old_is_named(bare: Path) -> None:
    stand_in(bare, "python3", '[[ $1 == --version ]] && echo "Python 3.9.2" && exit; exit 1')

    code, said = asked(bare)

    assert code == 2
    assert "Python 3.9.2 is too old; Python 3.11 or later is needed" in said
