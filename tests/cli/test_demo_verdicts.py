"""The demo's judgement of its own scenarios, and its live table; the scenarios themselves run in tests/journeys."""

import io
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from moorings.cli.demo.patching_screen import PatchingScreen
from moorings.cli.demo.scenarios import Play, Scenario, scenarios
from moorings.cli.demo.verdicts import played
from moorings.cli.talk import Talk
from moorings.patching.executions import Execution
from moorings.patching.model import Outcome
from moorings.patching.standing import Standing

BEGAN = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass
class Vm:
    """As far as the judgement looks at it."""

    id: str = "/vm"
    name: str = "web"
    power: str = "running"


@dataclass
class Berth:
    """A VM with a node."""

    vm: Vm = field(default_factory=Vm)
    name: str = "web"
    node: str = "mi-0123456789abcdef0"


@dataclass
class Harbour:
    """Knows of one disk."""

    equal: bool | None = True

    def equals_checkpoint(self, _berth: Any) -> bool | None:
        return self.equal


ROLLED_BACK = Scenario(key="web", title="service dead", expected=Outcome.ROLLED_BACK)


def play(scenario: Scenario = ROLLED_BACK, *, outcome: str = "ROLLED_BACK", over: bool = True, **world: Any) -> Play:
    execution = Execution(
        id="run-1", status="Failed" if over else "InProgress", over=over, began_at=BEGAN,
        ended_at=BEGAN + timedelta(seconds=7), outputs={"Report.Outcome": outcome},
    )  # fmt: skip
    berth: Any = Berth(vm=Vm(power=world.get("power", "running")))
    harbour: Any = Harbour(equal=world.get("equal", True))
    standing = Standing(node="mi-0123456789abcdef0", execution=execution)
    return Play(
        scenario=scenario, harbour=harbour, berth=berth, other=berth, execution="run-1", standing=standing,
        acted=world.get("acted", False),
    )  # fmt: skip


def test_a_scenario_that_ended_as_told_is_told_as_such() -> None:
    told = played(play())

    assert told.as_told
    assert told.row == {
        "node": "mi-0123456789abcdef0", "scenario": "service dead", "outcome": "ROLLED_BACK",
        "expected": "ROLLED_BACK", "disk_equals_checkpoint": True, "seconds": 7.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "ended",
    [
        play(outcome="ROLLBACK_FAILED"),
        play(over=False),
        play(equal=False),
        play(equal=None),
        play(power="stopped"),
        play(replace(ROLLED_BACK, wrong=False)),
        play(replace(ROLLED_BACK, warns=True)),
        play(replace(ROLLED_BACK, meanwhile=lambda _: None)),
    ],
    ids=[
        "another outcome",
        "no end",
        "other files",
        "not put back",
        "down",
        "not wrong",
        "no warning",
        "not cancelled",
    ],
)
def test_whatever_is_not_as_it_has_to_be_is_seen(ended: Play) -> None:
    assert not played(ended).as_told


def test_the_table_fits_the_screen() -> None:
    talk = Talk()
    talk.console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24, color_system=None)
    plays = [play(replace(ROLLED_BACK, key=each.key, title=each.title)) for each in scenarios()]

    with talk.console.capture() as captured:
        talk.console.print(PatchingScreen(talk, plays).picture(12.0))

    lines = captured.get().splitlines()
    assert len(lines) == len(plays) + 2 <= 24
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"{len(plays)} of {len(plays)} scenarios are over · 12 s")
