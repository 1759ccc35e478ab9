"""What is counted of Azure's requests: a good run stops no VM, and each target can be missed."""

import json
from dataclasses import replace
from typing import Any

import pytest
from bench.arm_counts import NEEDED, Counted

from bench import arm_counts

GOOD = Counted(
    path="rolled back",
    outcome="ROLLED_BACK",
    requests=34,
    writes=7,
    by_api={"GET Compute/disks/read": 10},
    down=(NEEDED[0], "GET", "GET", NEEDED[1], "GET", NEEDED[2]),
    down_seconds=88.0,
    updates=3,
)


def test_a_good_run_is_counted_and_stops_no_vm(capsys: Any) -> None:
    assert arm_counts.main(["--path", "patched", "--json"]) == 0

    (path,) = json.loads(capsys.readouterr().out)["paths"]
    assert path["outcome"] == "PATCHED"
    assert path["requests"] == sum(path["by_api"].values())
    assert path["writes"] == 2
    assert (path["down"], path["updates"]) == ([], 0)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"updates": 13}, "13 updates"),
        ({"down": (*GOOD.down[:1], "disks.put", *GOOD.down[1:])}, "disks.put"),
        ({"path": "patched"}, "the VM was stopped"),
    ],
)
def test_each_target_can_be_missed(changes: dict[str, Any], told: str) -> None:
    assert not arm_counts.missed([GOOD])

    (text,) = arm_counts.missed([replace(GOOD, **changes)])
    assert told in text


def test_reads_in_a_row_are_folded(capsys: Any) -> None:
    arm_counts.show(GOOD)

    assert "powerOff → 2 GET → put → 1 GET → start" in capsys.readouterr().out
