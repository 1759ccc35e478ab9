"""Real kills: a path of one call survives its two, and a path that says nothing is no success."""

import json
from typing import Any

import pytest
from tests.enrolment.crash_paths import Path

from bench import crash


def test_a_path_is_killed_before_and_after_its_call(capsys: Any) -> None:
    assert crash.main(["--path", "bootstrap script", "--jobs", "1", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["paths"] == [{"path": "bootstrap script", "calls": 1, "kills": 2, "failures": []}]


def test_what_cannot_be_killed_and_what_is_broken_afterwards_fail_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def breaks(rig: Any) -> None:
        """As if the product left an activation current whose code is nowhere."""
        rig.script(rig.environment())

    def without_codes(rig: Any) -> None:
        raise AssertionError("current without its code")

    idle = Path("idle", lambda rig: None, lambda rig: None)
    monkeypatch.setattr(crash, "PATHS", [idle, Path("broken", lambda rig: None, breaks)])
    monkeypatch.setattr(crash, "all_is_known_after_one_keeper_run", without_codes)

    assert crash.main(["--room", "enrolment", "--jobs", "1"]) == 1

    printed = capsys.readouterr().out
    assert "unharmed: AssertionError: it makes no cloud call" in printed
    assert "after call 1: AssertionError: current without its code" in printed


def test_no_path_of_that_name_is_a_failure(capsys: Any) -> None:
    assert crash.main(["--path", "no such path"]) == 1


@pytest.mark.parametrize(("both", "points"), [(False, 4), (True, 6)])
def test_every_call_is_a_point(both: bool, points: int) -> None:
    assert len(list(crash._points(3, both=both))) == points
