"""The keeper: each of its branches, over runs in every state."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.patching.azurefake import VM_GUID
from tests.patching.inline import SwiftStage
from tests.patching.nodefake import NODE
from tests.patching.test_crash_points import BRISK

from moorings.errors import CloudFault
from moorings.patching.deleting import CHECKPOINT, Deleter, expiry_text, own_tags
from moorings.patching.describing import LOOK_AGAIN
from moorings.patching.model import (
    TAG_EXPIRY,
    CheckpointDisk,
    Conclusion,
    Guard,
    Judgement,
    Outcome,
    Phase,
    Restore,
    Run,
    Verdict,
)
from moorings.patching.outside import Deadline
from moorings.patching.ports import AzureRefused
from moorings.patching.upkeep import AFTER_A_FAILURE, EVERY, LONGEST_RESTORE, ONE_RUN

EXECUTION = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"


class Ground:
    """A stage with one run of a given state, whose execution is over unless told otherwise."""

    def __init__(self) -> None:
        self.stage = SwiftStage()
        self.stage.ended.add(EXECUTION)
        self.began: set[str] = set()
        self.stage.began = lambda execution, steps: bool(steps) and execution in self.began  # type: ignore[method-assign]
        self.over = self.stage.over
        self.stage.over = lambda execution: execution in self.stage.ended  # type: ignore[method-assign]

    def run(self, **changes: object) -> Run:
        """A run as the table has it, with its guard."""
        now = self.stage.clock.now()
        run = Run(
            execution=EXECUTION, node=NODE, began_at=now, vm=self.stage.vm, vm_guid=VM_GUID, platform="Linux", fence=1,
            look_at=now,
        )  # fmt: skip
        run = replace(run, **changes)  # type: ignore[arg-type]
        if run.vm is not None and run.fence:
            key = run.vm.key
            guard = Guard(vm=key, owner=EXECUTION, fence=run.fence, until=now + timedelta(hours=1))
            self.stage.table.guards[key] = guard
        return self.stage.shelf.save(run)

    def snapshot(self, *, expiry: timedelta | None = None) -> str:
        """A snapshot of this execution; with an expiry from now if given."""
        disk = self.stage.azure.os_disk_of(self.stage.vm)
        resource = self.stage.vm.child("snapshots", "s")
        tags = own_tags(name="s", execution=EXECUTION, role=CHECKPOINT, stack="test", copied={})
        if expiry is not None:
            tags[TAG_EXPIRY] = expiry_text(self.stage.clock.now() + expiry)
        creation = {"sourceResourceId": disk, "createOption": "Copy"}
        self.stage.azure.put_snapshot(resource, {"tags": tags, "properties": {"creationData": creation}})
        self.stage.clock.step(timedelta(minutes=1))
        self.stage.azure.settle()
        return resource

    def entry(self, snapshot: str) -> CheckpointDisk:
        """The checkpoint of the OS disk."""
        disk = self.stage.azure.disks[self.stage.azure.os_disk_of(self.stage.vm)]
        return CheckpointDisk(
            lun=None, source_id=disk["id"], source_unique_id="", snapshot_id=snapshot, disk=disk, begun=True,
            replacement_id=self.stage.vm.child("disks", "new"), usable=True,
        )  # fmt: skip

    def keep(self, times: int = 1, *, every: timedelta = EVERY) -> Run:
        """The run after so many keeper runs."""
        self.stage.keep(times, every=every)
        return self.stage.record(EXECUTION)


@pytest.fixture
def ground() -> Ground:
    return Ground()


@pytest.mark.parametrize(
    ("phase", "patience"),
    [
        (Phase.DESCRIBED, LOOK_AGAIN),
        (Phase.PATCHING, LOOK_AGAIN),
        (Phase.RESTORING, EVERY),
        (Phase.RESTORED, EVERY),
        (Phase.OVER, LOOK_AGAIN),  # its news may not be out
    ],
)
def test_a_run_that_goes_on_is_left_alone_and_looked_at_later(
    ground: Ground, phase: Phase, patience: timedelta
) -> None:
    ground.stage.ended.clear()
    before = ground.run(phase=phase)

    after = ground.keep()

    assert after == replace(before, look_at=ground.stage.clock.now() + patience)
    assert not ground.stage.azure.calls


def test_the_keepers_look_is_in_the_way_of_no_call_of_the_run(ground: Ground) -> None:
    """The call has read the record before the keeper looks, and writes it afterwards."""
    ground.stage.ended.clear()
    read = ground.run(phase=Phase.PATCHING)

    ground.keep()

    assert ground.stage.table.save(replace(read, vm_guid="changed")).version == read.version + 1


@pytest.mark.parametrize("phase", [Phase.DESCRIBED, Phase.CHECKPOINTED])
def test_a_run_that_was_cut_off_before_patching_is_unchanged_and_its_checkpoint_released(
    ground: Ground, phase: Phase
) -> None:
    snapshot = ground.snapshot()
    ground.run(phase=phase, checkpoint=(ground.entry(snapshot),), leftovers=(snapshot,))

    after = ground.keep()

    assert after.phase is Phase.OVER
    assert after.conclusion is not None
    assert after.conclusion.outcome is Outcome.UNCHANGED
    assert ground.keep(8).look_at is None
    assert not ground.stage.azure.snapshots
    assert ground.stage.table.guards[ground.stage.vm.key].owner == ""
    assert len(ground.stage.notebook.announced) == len(ground.stage.node.compliance) == 1


@pytest.mark.parametrize(("phase", "began"), [(Phase.CHECKPOINTED, True), (Phase.PATCHING, False)])
def test_a_run_that_was_cut_off_while_patching_is_undecided_and_its_checkpoint_kept(
    ground: Ground, phase: Phase, began: bool
) -> None:
    snapshot = ground.snapshot()
    ground.began = {EXECUTION} if began else set()
    ground.run(phase=phase, checkpoint=(ground.entry(snapshot),), leftovers=(snapshot,))

    after = ground.keep()

    assert after.conclusion is not None
    assert after.conclusion.outcome is Outcome.UNDECIDED
    assert after.look_at is None
    ground.keep(5, every=timedelta(days=100))
    assert list(ground.stage.azure.snapshots) == [snapshot.lower()]
    assert TAG_EXPIRY not in ground.stage.azure.snapshots[snapshot.lower()]["tags"]


def test_a_refused_run_without_a_report_is_reported(ground: Ground) -> None:
    ground.run(fence=0, refusal="it is offline", remedy="start it")

    after = ground.keep()

    assert after.conclusion is not None
    assert after.conclusion.reason == "it is offline"
    assert not ground.stage.azure.calls


def test_a_verdict_whose_restore_never_began_is_undecided(ground: Ground) -> None:
    ground.run(phase=Phase.JUDGED, judgement=Judgement(verdict=Verdict.BAD, reason="it is dead"))

    after = ground.keep()

    assert after.conclusion is not None
    assert after.conclusion.outcome is Outcome.UNDECIDED
    assert "the restore did not begin" in after.conclusion.reason


def restoring(ground: Ground, **changes: object) -> Run:
    snapshot = ground.snapshot()
    now = ground.stage.clock.now()
    restore = Restore(began_at=now, deadline=now + timedelta(minutes=45))
    return ground.run(
        phase=Phase.RESTORING, checkpoint=(ground.entry(snapshot),), leftovers=(snapshot,),
        restore=replace(restore, **changes),  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_restore_is_gone_on_with_until_the_vm_runs_and_the_node_is_back(ground: Ground) -> None:
    restoring(ground)

    after = ground.keep(9)

    assert after.conclusion is not None
    assert after.conclusion.outcome is Outcome.ROLLED_BACK
    assert after.restore is not None
    assert after.restore.online
    assert ground.stage.azure.os_disk_of(ground.stage.vm).endswith("/new")


def test_a_node_that_never_comes_back_is_said_to_be_away(ground: Ground) -> None:
    restoring(ground, ended="ours", ended_at=ground.stage.clock.now())
    ground.stage.node.online = False

    waiting = ground.keep()
    assert waiting.phase is not Phase.OVER
    after = ground.keep(16)

    assert after.conclusion is not None
    assert "has not come online" in after.conclusion.reason


@pytest.mark.parametrize("ended", ["source", "mixed", "foreign", "down", "gone"])
def test_a_restore_that_has_ended_otherwise_is_only_reported(ground: Ground, ended: str) -> None:
    restoring(ground, ended=ended, ended_at=ground.stage.clock.now())

    after = ground.keep()

    assert after.conclusion is not None
    assert after.conclusion.outcome is Outcome.ROLLBACK_FAILED
    assert after.conclusion.remedy
    assert not any(action.startswith("virtualMachines/") for action, _ in ground.stage.azure.calls)


def test_a_restore_that_takes_longer_than_a_day_is_given_up_for_a_person(ground: Ground) -> None:
    restoring(ground)
    ground.stage.azure.unauthenticated = "AADSTS700016: no such application"

    ground.keep()
    ground.stage.clock.step(LONGEST_RESTORE)
    after = ground.keep()

    assert after.conclusion is not None
    assert after.conclusion.outcome is Outcome.ROLLBACK_FAILED
    assert after.conclusion.remedy == f"az vm start --ids {ground.stage.vm.id}"


def test_a_vm_that_another_run_holds_by_now_is_left_to_it(ground: Ground) -> None:
    restoring(ground)
    key = ground.stage.vm.key
    ground.stage.table.guards[key] = replace(ground.stage.table.guards[key], owner=OTHER, fence=9)

    after = ground.keep()

    assert after.conclusion is not None
    assert after.conclusion.outcome is Outcome.ROLLBACK_FAILED
    assert "another run holds the VM" in after.conclusion.reason
    assert ground.stage.table.guards[key].owner == OTHER


def test_what_has_expired_goes_and_what_has_not_stays_until_then(ground: Ground) -> None:
    snapshot = ground.snapshot(expiry=timedelta(hours=2))
    moment = ground.stage.clock.now()
    ground.run(phase=Phase.OVER, leftovers=(snapshot,), expires_at=moment + timedelta(hours=2), announced=True,
               conclusion=_patched())  # fmt: skip

    waiting = ground.keep()
    assert ground.stage.azure.snapshots
    assert waiting.look_at is not None
    assert waiting.look_at >= moment + timedelta(hours=1, minutes=50)

    ground.keep(every=timedelta(hours=2))
    after = ground.keep(5)
    assert not ground.stage.azure.snapshots
    assert (after.leftovers, after.look_at) == ((), None)


def _patched() -> Conclusion:
    return Conclusion(outcome=Outcome.PATCHED, reason="patched", wrong=False)


def test_what_azure_would_not_mark_is_marked_later(ground: Ground) -> None:
    snapshot = ground.snapshot()
    ground.run(phase=Phase.OVER, leftovers=(snapshot,), expires_at=ground.stage.clock.now(), announced=True,
               conclusion=_patched())  # fmt: skip

    ground.keep(8)

    assert not ground.stage.azure.snapshots


def test_news_that_nobody_took_are_told_again(ground: Ground) -> None:
    announce, told = ground.stage.notebook.announce, []

    def fails_once(run: Run) -> None:
        told.append(run.execution)
        if len(told) == 1:
            raise CloudFault("no bus", call="events:PutEvents")
        announce(run)

    ground.stage.notebook.announce = fails_once  # type: ignore[method-assign]
    ground.run()

    after = ground.keep(4)

    assert told == [EXECUTION, EXECUTION]
    assert after.announced
    assert after.look_at is None


def test_one_run_that_fails_holds_up_none(ground: Ground) -> None:
    ground.run()
    ground.stage.ended.add(OTHER)
    other = Run(
        execution=OTHER, node=NODE, began_at=ground.stage.clock.now(), refusal="x", look_at=ground.stage.clock.now()
    )
    ground.stage.shelf.save(other)
    over = ground.stage.over

    def fails(execution: str) -> bool:
        if execution == EXECUTION:
            raise CloudFault("throttled", call="ssm:GetAutomationExecution")
        return over(execution)

    ground.stage.over = fails  # type: ignore[method-assign]

    waiting = ground.keep()

    assert ground.stage.record(OTHER).phase is Phase.OVER
    assert waiting.phase is Phase.DESCRIBED
    assert waiting.look_at == ground.stage.clock.now() + AFTER_A_FAILURE
    assert "UpkeepFailed" in ground.stage.notebook.metrics


def test_a_run_that_meets_a_bug_waits_for_its_next_turn_as_any_that_fails(ground: Ground) -> None:
    """It would be looked at first by every run of the keeper, before VMs that are down, and never let an alarm go."""
    ground.run()

    def never_thought_of(execution: str) -> bool:
        raise KeyError(execution)

    ground.stage.over = never_thought_of  # type: ignore[method-assign]

    with pytest.raises(KeyError):  # Lambda must show it as an error
        ground.keep()

    assert ground.stage.record(EXECUTION).look_at == ground.stage.clock.now() + AFTER_A_FAILURE
    assert ground.stage.notebook.metrics == ["UpkeepFailed"]
    ground.keep()  # looks at nothing, and so meets no bug


def test_no_run_is_begun_that_does_not_fit(ground: Ground) -> None:
    before = ground.run()

    seen = ground.stage.upkeep.run(Deadline(ground.stage.outside.clock, timedelta(seconds=ONE_RUN - 1)))

    assert seen == 0
    assert ground.stage.record(EXECUTION) == before


def test_a_refusal_of_azure_waits_for_the_next_turn(ground: Ground) -> None:
    snapshot = ground.snapshot(expiry=timedelta(0))
    ground.run(phase=Phase.OVER, leftovers=(snapshot,), expires_at=ground.stage.clock.now(), announced=True,
               conclusion=_patched())  # fmt: skip
    locked = AzureRefused(status=409, code="ScopeLocked", message="locked")
    ground.stage.azure.refusing["snapshots/delete"] = [locked]

    after = ground.keep()
    assert after.leftovers == (snapshot,)
    assert after.look_at is not None

    ground.keep(12)
    assert not ground.stage.azure.snapshots


def test_a_person_collects_what_only_a_person_may(ground: Ground) -> None:
    snapshot = ground.snapshot()
    ground.run(phase=Phase.PATCHING, checkpoint=(ground.entry(snapshot),), leftovers=(snapshot,))
    with_undecided = ground.keep()
    assert with_undecided.conclusion is not None

    assert ground.stage.upkeep.collect(EXECUTION, deleter=Deleter.PERSON, rehearse=True) == ([snapshot], [])
    assert ground.stage.azure.snapshots
    assert ground.stage.upkeep.collect(EXECUTION, deleter=Deleter.PERSON) == ([snapshot], [])
    ground.keep(5)
    assert not ground.stage.azure.snapshots


def test_a_run_that_goes_on_is_not_collected(ground: Ground) -> None:
    snapshot = ground.snapshot()
    ground.stage.ended.clear()
    ground.run(phase=Phase.PATCHING, checkpoint=(ground.entry(snapshot),), leftovers=(snapshot,))

    deleted, kept = ground.stage.upkeep.collect(EXECUTION, deleter=Deleter.PERSON)

    assert deleted == []
    assert "its execution is not over" in kept[0]


def test_a_run_that_ends_well_asks_nothing_more_of_the_keeper() -> None:
    stage = SwiftStage()
    execution = stage.start(**BRISK)
    stage.finish(execution)
    stage.keep(8)

    run = stage.record(execution)
    assert run.look_at is None
    assert stage.table.due(stage.clock.now() + timedelta(days=365), limit=9) == []
