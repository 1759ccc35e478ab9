"""Real kills in patching: a killed call to each cloud is survived, and what is broken afterwards fails the run."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bench.stand import patch_crash
from bench.stand.kills import Report, When
from bench.stand.patch_trial import Trial

from bench import crash


@pytest.fixture
def one_point(monkeypatch: pytest.MonkeyPatch) -> None:
    def points(first: int, *, both: bool) -> Iterator[tuple[int, When]]:
        del both
        yield first, "after"

    monkeypatch.setattr(patch_crash, "_points", points)


@pytest.mark.usefixtures("one_point")
def test_a_path_survives_a_kill_at_a_call_to_each_cloud(capsys: Any) -> None:
    assert crash.main(["--room", "patching", "--path", "patched", "--jobs", "1", "--json"]) == 0

    (path,) = json.loads(capsys.readouterr().out)["paths"]
    assert (path["kills"], path["failures"]) == (2, [])
    assert path["calls"] > 40


def test_a_world_that_is_not_as_it_must_be_is_told(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def left(trial: Trial) -> list[str]:
        return [f"snapshot of {trial.execution}"]

    monkeypatch.setattr(Trial, "_left", left)

    assert crash.main(["--room", "patching", "--path", "patched", "--jobs", "1"]) == 1
    assert "unharmed: AssertionError: left behind" in capsys.readouterr().out


def test_a_failure_of_patching_fails_the_whole_run(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Report(path="patched", failures=["after AWS call 3: AssertionError: down"])
    monkeypatch.setattr(patch_crash, "run", lambda *_args, **_options: [bad])

    assert crash.main(["--room", "patching", "--path", "patched"]) == 1


def test_points_go_on_until_a_run_comes_through_untouched() -> None:
    points = patch_crash._points(5, both=False)

    assert [next(points) for _ in range(3)] == [(5, "before"), (5, "after"), (6, "after")]
