"""A node's clock may be wrong: what it reports is compared with what it reports, never with ours."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.patching.inline import SwiftStage

from moorings.patching.observed import CommandResult, PatchState


class Skewed:
    """A stage whose node dates everything by a clock of its own."""

    def __init__(self, skew: timedelta) -> None:
        self.stage = SwiftStage()
        self.skew = skew
        node = self.stage.node
        self._result, self._state = node.result, node.patch_state
        node.result = self.result  # type: ignore[method-assign]
        node.patch_state = self.patch_state  # type: ignore[method-assign]
        node.installed_since = self.installed_since  # type: ignore[method-assign]

    def result(self, command: str) -> CommandResult:
        found = self._result(command)
        return replace(found, started_at=self._told(found.started_at), ended_at=self._told(found.ended_at))

    def patch_state(self, node_id: str) -> PatchState | None:
        state = self._state(node_id)
        return replace(state, ended_at=self._told(state.ended_at)) if state else None

    def installed_since(self, node_id: str, since: datetime) -> int:
        del node_id
        return sum(1 for moment in self.stage.node.installs if moment + self.skew >= since)

    def _told(self, moment: datetime | None) -> datetime | None:
        return moment + self.skew if moment else None


SKEWS = [timedelta(hours=hours) for hours in (-30, -2, 0, 2, 30)]


@pytest.mark.parametrize("skew", SKEWS, ids=str)
def test_patches_are_counted_by_the_nodes_own_clock(skew: timedelta) -> None:
    skewed = Skewed(skew)

    run = skewed.stage.run()

    assert run.outputs["Report.Outcome"] == "PATCHED"
    assert "3 patches" in str(run.outputs["Report.Reason"])


@pytest.mark.parametrize("skew", SKEWS, ids=str)
def test_what_was_installed_before_the_run_is_none_of_its_patches(skew: timedelta) -> None:
    """On a clock that is fast it bears a time after the run began."""
    skewed = Skewed(skew)
    node = skewed.stage.node
    node.disk["missing"] = 0
    node.installs = [skewed.stage.clock.now() - timedelta(minutes=30)] * 2

    run = skewed.stage.run()

    assert run.outputs["Report.Outcome"] == "UNCHANGED"
    assert "compliant already" in str(run.outputs["Report.Reason"])


def test_what_prepatch_commands_installed_counts() -> None:
    skewed = Skewed(timedelta(hours=3))
    stage, node = skewed.stage, skewed.stage.node
    node.disk["missing"] = 0
    execution = stage.start(PrePatchCommands=["apt-get install -y openssl"])
    prepatch = f"moorings {execution} PrePatchLinux"
    stage.finish(execution, until=lambda: any(one.comment == prepatch for one in node.commands.values()))
    node.installs = [stage.clock.now()]

    run = stage.finish(execution)

    assert "patched (1 patch)" in str(run.outputs["Report.Reason"])
