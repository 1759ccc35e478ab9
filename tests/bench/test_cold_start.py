"""The start of a function: measured on real processes, judged against both targets."""

import json
from typing import Any

import pytest
from bench.cold_start import Result, measure

from bench import cold_start
from moorings.deploy.package import LARGEST


def test_both_are_really_started() -> None:
    result = measure(1)

    assert len(result.ours) == len(result.bare) == 1
    assert min(*result.ours, *result.bare) > 10  # milliseconds; a process cannot be faster
    assert 100_000 < result.zip_bytes <= LARGEST


@pytest.mark.parametrize(
    ("result", "missed"),
    [
        (Result(ours=(120, 130, 125), bare=(100, 110, 90), zip_bytes=1_000_000), []),
        (Result(ours=(140, 130, 135), bare=(100, 110, 90), zip_bytes=1_000_000), ["start: 1.35"]),
        (Result(ours=(100,), bare=(100,), zip_bytes=LARGEST + 1), ["zip: 5.24"]),
    ],
)
def test_each_target_can_be_missed(
    result: Result, missed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(cold_start, "measure", lambda rounds: result)

    assert cold_start.main(["--json"]) == (1 if missed else 0)

    told = json.loads(capsys.readouterr().out)
    assert [text[: len(start)] for text, start in zip(told["missed"], missed, strict=True)] == missed
