"""Situations in which a verdict was too sure of itself, each found by asking how it could be wrong in production."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.patching.stage import Stage

from moorings.patching.judging import judge
from moorings.patching.model import Evidence, HealthReport, Verdict
from moorings.patching.observed import CommandState

WELL = HealthReport(boot="one", checks=(0, 0))


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.mark.parametrize("fresh", [True, False])
def test_a_patch_command_that_still_runs_is_neither_patched_nor_untouched(fresh: bool) -> None:
    """The checkpoint would be released under an installation."""
    evidence = Evidence(
        install=CommandState.WAITING.value, install_began=True, before=WELL, after=WELL, scan_fresh=fresh
    )

    assert judge(evidence).verdict is Verdict.UNKNOWN


def test_a_run_that_has_no_rounds_left_keeps_its_checkpoint(stage: Stage) -> None:
    """Without a pause between two looks, 100 rounds are over long before a long installation is."""
    stage.node.patch_time = timedelta(hours=3, minutes=30)

    run = stage.run(SleepDuration="PT5S")

    assert run.outputs["Report.Outcome"] == "UNDECIDED", run.outputs["Report.Reason"]
    assert stage.azure.snapshots
