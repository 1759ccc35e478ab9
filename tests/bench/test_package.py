"""Packaging and deploying as they are measured: what each target looks at."""

import json
from typing import Any

import pytest
from bench.package import COLD_TARGET, Deed, Result, packaged

from bench import package

DIGESTS = {"enrolment": "1", "patching": "2", "layer": "3"}
PARTS: dict[str, Any] = {
    "seconds": dict.fromkeys(DIGESTS, 1.0),
    "bytes": dict.fromkeys(DIGESTS, 10),
    "files": dict.fromkeys(DIGESTS, 3),
    "digests": DIGESTS,
    "notices": [],
}


def _result(*, seconds: float = 1.0, digests: dict[str, str] | None = None, events: int = 0, left: int = 0) -> Result:
    return Result(
        platform="python3.13/arm64",
        cold=PARTS,
        warm={**PARTS, "digests": digests or DIGESTS},
        cold_process=seconds,
        deeds=[Deed(name="enrolment again", seconds=1, calls=9, events=events, uploads=0)],
        left=left,
    )


@pytest.mark.parametrize(
    ("result", "missed"),
    [
        (_result(), []),
        (_result(seconds=COLD_TARGET + 1), ["package: "]),
        (_result(digests={**DIGESTS, "layer": "4"}), ["the same sources gave other zips"]),
        (_result(events=2), ["deploying what stands already changed something"]),
        (_result(left=1), ["1 stacks or buckets are left"]),
    ],
)
@pytest.mark.parametrize("flag", ["--json", ""])
def test_each_target_can_be_missed(
    result: Result, missed: list[str], flag: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(package, "measure", lambda platform: result)

    assert package.main([flag] if flag else []) == (1 if missed else 0)

    told = capsys.readouterr().out
    assert all(text in told for text in missed)
    if flag:
        assert len(json.loads(told)["missed"]) == len(missed)


def test_what_is_packaged_is_told_part_by_part() -> None:
    from moorings.deploy.natives import host_platform

    told = packaged(host_platform())

    assert set(told["digests"]) == set(DIGESTS)
    assert all(told["bytes"][name] > 1000 for name in DIGESTS)
