"""What the repository must not hold, and what its files must agree on."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.architecture.repository import ROOT, shown, tracked

# Put together here, so that this file does not hold what it looks for.
HOSTS = re.compile("|".join(("pypi" + r"\.org", "pythonhosted" + r"\.org", "registry" + r"\.npmjs", "index" + "-url")))
MACHINE_PATHS = re.compile(r"(?<![\w.$}{-])/" + r"(?:work/(?:main|shared)|home/[a-z]+/|tmp/plan)")
ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")
PRIVATE_KEY = re.compile("-----BEGIN [A-Z ]*PRIVATE " + "KEY(?: BLOCK)?-----\\s*\\n[A-Za-z0-9+/=:. \\n-]{100,}")
LARGEST = 1_000_000  # bytes
TEXTS = [path for path in tracked() if b"\0" not in path.read_bytes()[:4_096]]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _holding(pattern: re.Pattern[str]) -> list[str]:
    found = ((path, pattern.search(path.read_text(encoding="utf-8", errors="replace"))) for path in TEXTS)
    return [f"{shown(path)}: {match[0][:60]}" for path, match in found if match and "EXAMPLE" not in match[0]]


def test_no_file_names_a_package_index() -> None:
    """`make lock` says that none shall be written; that is the one place for the word."""
    assert [each for each in _holding(HOSTS) if not each.startswith("Makefile: ")] == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert _holding(MACHINE_PATHS) == []


def test_no_file_holds_an_access_key_that_could_be_real() -> None:
    assert _holding(ACCESS_KEY) == []


def test_no_file_holds_a_private_key() -> None:
    assert _holding(PRIVATE_KEY) == []


def test_every_file_is_text_of_a_reasonable_size() -> None:
    assert [shown(path) for path in tracked() if path not in TEXTS] == []
    assert [shown(path) for path in tracked() if path.stat().st_size > LARGEST] == []


@pytest.mark.parametrize("lock", LOCKS, ids=shown)
def test_every_locked_requirement_has_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"(?m)^(?=\S)", text) if entry.strip() and not entry.startswith("#")]

    assert entries
    assert not [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
    assert "://" not in text


def test_what_the_demo_installs_is_part_of_what_the_tests_install() -> None:
    pins = {
        lock.name: set(re.findall(r"(?m)^([\w.\[\],-]+==[\w.!+-]+)", lock.read_text(encoding="utf-8")))
        for lock in LOCKS
    }

    assert pins["local.txt"] <= pins["dev.txt"]


def test_license_and_project_agree() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")

    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert PROJECT["project"]["license-files"] == ["LICENSE"]
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


def test_the_changelog_knows_the_version() -> None:
    assert f"## {PROJECT['project']['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_script_has_a_shebang_that_finds_its_shell() -> None:
    scripts = [path for path in TEXTS if path.suffix == ".sh" or path.parent.name in {"bin", ".ci"}]

    assert scripts
    # What other scripts read has no shebang; it says its shell to the checker.
    wanted = re.compile(r"(#!(/usr/bin/env bash|/bin/sh)|# shellcheck shell=sh)\n")
    assert not [shown(path) for path in scripts if not wanted.match(path.read_text())]


def test_shell_scripts_are_clean() -> None:
    scripts = [path for path in TEXTS if re.match(r"#!.*\b(?:ba)?sh\n", path.read_text(errors="replace")[:40])]
    shellcheck = Path(sys.executable).with_name("shellcheck")

    done = subprocess.run(
        [str(shellcheck), "-x", *map(str, scripts)], capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode == 0, done.stdout


def test_decisions_are_dated_listed_and_say_forces_choice_and_cost() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    for page in sorted(folder.glob("2*.md")):
        text = page.read_text(encoding="utf-8")
        title = text.partition("\n")[0].removeprefix("# ")
        date = page.name[:10]
        assert f"| {date} | [{title}]({page.name}) |" in listed
        assert f"\n{date}\n" in text
        assert all(f"**{part}.**" in text for part in ("Forces", "Choice", "Cost"))
