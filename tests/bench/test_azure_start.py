"""The start of the patching function: measured on real processes, with its layer."""

import json
from typing import Any

import pytest
from bench.azure_start import Result, measure

from bench import azure_start


def test_all_three_are_really_started() -> None:
    result = measure(1)

    assert min(*result.ours, *result.bare, *result.by_hand) > 10  # milliseconds; a process cannot be faster
    assert result.layer_bytes < 12_000_000
    assert result.by_hand_unpacked_bytes > 20_000_000  # it holds Azure's modules


def test_the_result_is_one_object(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    sizes = dict.fromkeys(("zip_bytes", "layer_bytes", "unpacked_bytes", "by_hand_bytes", "by_hand_unpacked_bytes"), 1)
    result = Result(ours=(3, 1, 2), bare=(1,), by_hand=(4,), **sizes)
    monkeypatch.setattr(azure_start, "measure", lambda rounds: result)

    assert azure_start.main(["--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["ours_ms"], told["bare_ms"], told["by_hand_ms"]) == (2, 1, 4)
