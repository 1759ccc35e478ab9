"""The commands' help: there, with an example, and in the manual as it is."""

from pathlib import Path
from typing import Any

import pytest

from moorings.cli.reference import commands, reference

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
LEAVES = [(path, found, text) for path, found, text in commands() if not hasattr(found, "list_commands")]
PATHS = {path for path, _, _ in LEAVES}


@pytest.mark.parametrize(("path", "found", "text"), LEAVES, ids=[path for path, _, _ in LEAVES])
def test_every_command_speaks_json_and_explains_all_its_options(path: str, found: Any, text: str) -> None:
    """--json everywhere; no option without a word of help."""
    options = {name for parameter in found.params for name in parameter.opts}

    assert {"--json", "--quiet", "--verbose"} <= options
    assert all(getattr(parameter, "help", "") for parameter in found.params)


def test_the_commands_are_those_that_the_manual_promises() -> None:
    """A noun, then a verb."""
    enrolment = ("deploy", "status", "grants", "rotate", "remove", "pools show", "pools validate", "pools apply")
    nodes = ("list", "stale", "deregister")
    running = ("run", "status", "watch", "explain", "cancel", "report", "checkpoints", "gc")
    patch = ("deploy", *running, "remove")

    assert {
        "moorings demo",
        "moorings deploy",
        "moorings destroy",
        "moorings export",
        "moorings policy",
        "moorings doctor",
        "moorings completion",
        "moorings version",
        "moorings local up",
        "moorings local automation run",
        "moorings local automation validate",
        *(f"moorings enrolment {verb}" for verb in enrolment),
        *(f"moorings nodes {verb}" for verb in nodes),
        *(f"moorings patch {verb}" for verb in patch),
        *(f"moorings azure {verb}" for verb in ("connect", "check")),
        *(f"moorings anchors {verb}" for verb in ("update", "show")),
    } == PATHS


def test_the_page_begins_with_every_command_in_a_line_that_leads_to_it() -> None:
    first, *_ = reference().partition("## Exit codes")

    for path, _, text in LEAVES:
        assert f"| [`{path.removeprefix('moorings ')}`](#{path.replace(' ', '-')}) |" in first
        said = text.split("\n\n")[1].strip().removesuffix(".")
        assert f" | {said} |\n" in first, path


def test_the_manuals_reference_is_current() -> None:
    """docs/cli.md is generated: `python -m moorings.cli.reference > docs/cli.md`."""
    assert PAGE.read_text() == reference()
