"""The live table: whole in 80 columns, the most telling nodes first, colours that mean the outcome."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console
from tests.cli import patchstack
from tests.patching.fleetfake import Wall

from moorings.cli.patch.rows import CELLS, OUTCOME_STYLES, clock_time, outcome_word, phase_word, style_of, track
from moorings.cli.patch.screen import PatchScreen
from moorings.cli.patch.story import consequence
from moorings.cli.talk import Talk
from moorings.patching.campaign import View
from moorings.patching.executions import Execution
from moorings.patching.model import Outcome, Phase, Run
from moorings.patching.standing import Standing


def standing(number: int, *, phase: Phase | None = None, over: bool = False, wrong: bool = False) -> Standing:
    node = f"mi-{number:017x}"
    status = ("Failed" if wrong else "Success") if over else "InProgress"
    execution = Execution(
        id=f"run-{number}", status=status, over=over, node=node, began_at=patchstack.BEGAN,
        ended_at=patchstack.BEGAN + timedelta(seconds=3_725) if over else None,
    )  # fmt: skip
    run: Run | None = None
    if phase is not None:
        made = (patchstack.rolled_back if wrong else patchstack.record)(execution=execution.id, node=node)
        run = replace(made, phase=phase, vm=replace(patchstack.VM, name="a-rather-long-name-of-a-vm-in-the-cloud"))
    return Standing(node=node, execution=execution, run=run)


def drawn(view: View, *, width: int = 80, height: int = 24) -> list[str]:
    talk = Talk()
    talk.console = Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)
    screen = PatchScreen(talk, Wall())
    with talk.console.capture() as captured:
        talk.console.print(screen.picture(view))
    return captured.get().splitlines()


def test_it_fits_80_columns_and_cuts_no_node_and_no_state() -> None:
    nodes = (standing(1, phase=Phase.CHECKPOINTING), standing(2, phase=Phase.OVER, over=True, wrong=True))
    lines = drawn(View(nodes=(*nodes, Standing(node="mi-00000000000000003")), allowed=2))

    assert all(len(line.rstrip()) <= 80 for line in lines)
    text = "\n".join(lines)
    for words in (
        "mi-00000000000000001",
        "taking checkpoint",
        "ROLLED_BACK",
        "1:02:05",
        "waiting",
        "1 of 3 nodes over",
    ):
        assert words in text
    assert "1 of 2 errors allowed" in text


def test_many_nodes_show_those_under_way_and_those_not_well() -> None:
    well = [standing(number, phase=Phase.OVER, over=True) for number in range(40)]
    bad = standing(50, phase=Phase.OVER, over=True, wrong=True)
    going = standing(60, phase=Phase.PATCHING)

    lines = drawn(View(nodes=(*well, bad, going)), height=12)

    text = "\n".join(lines)
    assert len(lines) <= 12
    assert bad.node in text
    assert going.node in text
    assert "36 nodes more" in text


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_a_word_and_a_length_and_a_consequence(phase: Phase) -> None:
    node = standing(1, phase=phase)

    assert phase_word(node)
    assert len(track(node).plain) == CELLS
    assert consequence(node.run)


def test_every_outcome_has_a_colour() -> None:
    assert {outcome.value for outcome in Outcome} == set(OUTCOME_STYLES)


def test_a_node_that_failed_without_an_outcome_is_red_by_its_status() -> None:
    node = standing(1, over=True, wrong=True)

    assert (outcome_word(node), style_of(node)) == ("Failed", "red")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (42.9, "0:42"), (725, "12:05"), (3_727, "1:02:07"), (-3, "0:00")]
)
def test_times_read_as_clocks(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text
