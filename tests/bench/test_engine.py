"""The engine's benchmark: measured in a process of its own, judged against both targets."""

import json
from typing import Any

import pytest
from bench.engine import Result, measure

from bench import engine


def result(**changes: Any) -> Result:
    plain = {"executions": 1000, "steps": 24_000, "seconds": 2.0, "peak_kib": 60_000, "base_kib": 20_000, "threads": 8}
    return Result(**{**plain, **changes})


def test_executions_really_run() -> None:
    found = measure(2)

    assert (found.executions, found.steps) == (2, 48)
    assert found.threads <= 16
    assert found.rate > 10


@pytest.mark.parametrize(
    ("results", "missed"),
    [
        ([result(executions=10, steps=240, seconds=0.02), result()], []),
        ([result(executions=10, steps=240, seconds=0.02), result(seconds=5.0)], ["growth: 4800"]),
        ([result(peak_kib=400_000)], ["memory: 380"]),
    ],
)
def test_each_target_can_be_missed(
    results: list[Result], missed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    waiting = list(results)
    monkeypatch.setattr(engine, "measure", lambda size: waiting.pop(0))

    arguments = ["--json", "--sizes", *(str(one.executions) for one in results)]
    assert engine.main(arguments) == (1 if missed else 0)

    told = json.loads(capsys.readouterr().out)
    assert [text[: len(start)] for text, start in zip(told["missed"], missed, strict=True)] == missed
    assert len(told["runs"]) == len(results)
