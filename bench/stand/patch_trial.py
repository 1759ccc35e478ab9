"""One run of the runbook on a VM of its own, and what must hold of it whatever was killed: invariants 6, 7 and 8.

The world is asked, not the product: Azure's state, the node's disk, the automation engine. The product's record is only
compared with it.
"""

import itertools
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from bench.stand.light_nodes import LightNode
from bench.stand.patching import GROUP, PatchStand

from localcloud.azure.ids import key
from moorings.patching.deleting import CHECKPOINT, ROLES, expiry_of
from moorings.patching.model import TAG_EXECUTION, TAG_EXPIRY, TAG_NAME, TAG_ROLE, Outcome, Phase

PATIENCE = 180.0  # seconds for one run
GLANCE = 0.02  # seconds
KEEPER_RUNS = 25  # more than any path needs
KEPT_FOR_A_PERSON = {Outcome.ROLLBACK_FAILED, Outcome.UNDECIDED}
# As short as they go: what is killed are calls, not pauses.
BRISK = {"SleepDuration": ["PT5S"], "NodeBootTime": ["PT10S"], "HealthSettleTime": ["PT0S"]}
_numbers = itertools.count(1)


class Trial:
    """One VM, one run. `violations` are noted where they happen: raised there they would only fail a call."""

    def __init__(self, stand: PatchStand, *, parameters: Mapping[str, list[str]] = BRISK) -> None:
        self.stand = stand
        self._parameters = parameters
        self.node: LightNode = stand.nodes.add(f"vm-{next(_numbers)}")
        self.before = self.node.files
        self.execution = ""
        self.violations: list[str] = []
        self._state = stand.cloud.azure.state
        self._original = key(self.node.vm.os_disk_id)
        self._bystander = self._somebody_elses()
        stand.nodes.watch_install = lambda _node: self._check(self._has_checkpoint)
        stand.cloud.azure.faults.watch(self._seen)

    def run(self, *, cancel_when: Callable[["Trial"], bool] | None = None) -> None:
        """Start the run and return once its execution is over; `cancel_when` it says so, it is cancelled."""
        self.execution = self.stand.start(self.node.id, **self._parameters)
        engine = self.stand.engine
        while cancel_when is not None and not engine.get(self.execution).status.over:
            if cancel_when(self):
                self.stand.aws.client("ssm").stop_automation_execution(AutomationExecutionId=self.execution)
                break
            self.stand.cloud.world.stopping.wait(GLANCE)
        engine.wait(self.execution, PATIENCE)

    def keep(self, *, dying: bool = False) -> None:
        """A run of the keeper at the time at which the run wants to be looked at; `dying`: it may be killed."""
        self._a_minute_passes()
        self._hurry()
        answer = self.stand.keep()
        assert dying or not answer["error"], answer

    def judge(self, *, dying: bool = False) -> None:
        """Two keeper runs, then as many as it takes, and everything that must hold then. AssertionError if it does
        not. `dying`: the keeper may be killed once."""
        for _ in range(3 if dying else 2):
            self.keep(dying=dying)
        assert self._up_or_coming_up(), "two keeper runs later the VM is down and nobody is at it"
        for _ in range(KEEPER_RUNS):
            if self._settled():
                break
            self.keep(dying=dying)
        else:
            raise AssertionError(f"the keeper never ends: {self.stand.record(self.execution)}")
        self._hold()

    # -- while it runs

    def _check(self, invariant: Callable[[], None]) -> None:
        try:
            invariant()
        except (AssertionError, KeyError) as error:
            self.violations.append(f"{type(error).__name__}: {error}")

    def _has_checkpoint(self) -> None:
        with self._state.lock:
            usable = [
                one
                for one in self._state.snapshots.values()
                if one.tags.get(TAG_EXECUTION) == self.execution and one.provisioning == "Succeeded"
            ]
        assert usable, "patched without a checkpoint"

    def _seen(self, stage: str, action: str, resource: str) -> None:
        if stage == "before" and action.endswith("/delete"):
            self._check(lambda: self._ours(resource))

    def _ours(self, resource: str) -> None:
        with self._state.lock:
            found = self._state.resource(resource)
        if found is None:
            return
        assert found.tags.get(TAG_EXECUTION) == self.execution, f"{resource} is another's"
        assert found.tags.get(TAG_NAME, "").lower() == found.id.name.lower(), f"{resource} is a copy"
        assert found.tags.get(TAG_ROLE) in ROLES, f"{resource} has no role"
        assert not getattr(found, "managed_by", ""), f"{resource} is in use"

    # -- afterwards

    def _hold(self) -> None:
        assert not self.violations, "; ".join(self.violations)
        assert self.node.vm.power == "running", f"the VM is {self.node.vm.power}"
        left = self._left()
        run = self.stand.record(self.execution)
        if run is None:
            assert not left, f"left behind without a record: {left}"
            return
        assert run.phase is Phase.OVER, f"the record says {run.phase.value}"
        assert run.conclusion is not None
        assert run.announced, "nobody was told"
        outcome = run.conclusion.outcome
        self._equals_world(outcome, run)
        if outcome in KEPT_FOR_A_PERSON:
            assert set(left) <= {key(one) for one in run.leftovers}, "kept, and not in the record"
            with self._state.lock:
                kept = [found for one in left if (found := self._state.resource(one)) is not None]
            assert not [one for one in kept if expiry_of(one.tags)], "what is for a person expires"
        else:
            assert not left, f"left behind: {left}"

    def _equals_world(self, outcome: Outcome, run: Any) -> None:
        disk, files = key(self.node.vm.os_disk_id), self.node.files
        match outcome:
            case Outcome.PATCHED:
                assert disk == self._original
                assert files != self.before
                assert "broken" not in files
            case Outcome.ROLLED_BACK:
                assert disk == key(run.checkpoint[0].replacement_id)
                assert files == self.before, "the disk is not as it was at the checkpoint"
            case Outcome.UNCHANGED:
                assert disk == self._original
                assert files == self.before
            case _:
                with self._state.lock:
                    gone = [one for one in run.checkpoint if key(one.snapshot_id) not in self._state.snapshots]
                assert not gone, "the checkpoint is not kept"

    def _left(self) -> list[str]:
        """Disks and snapshots in the group that belong to this run's VM and are not what it runs on."""
        attached = {key(self.node.vm.os_disk_id)}
        with self._state.lock:
            assert self._bystander in self._state.disks, "somebody else's disk is gone"
            found = [*self._state.disks.values(), *self._state.snapshots.values()]
            ours = [one.key for one in found if one.tags.get(TAG_EXECUTION) == self.execution]
            former = [self._original] if self._original in self._state.disks else []
        run = self.stand.record(self.execution)
        rolled_back = run is not None and run.conclusion is not None and run.conclusion.outcome is Outcome.ROLLED_BACK
        return sorted({*ours, *(former if rolled_back else ())} - {self._bystander} - attached)

    def _settled(self) -> bool:
        run = self.stand.record(self.execution)
        return run is None or (run.phase is Phase.OVER and run.look_at is None)

    def _up_or_coming_up(self) -> bool:
        return self._at_work() or self.node.vm.power in {"running", "starting"}

    def _at_work(self) -> bool:
        """Whether Azure changes the VM, or one of the resources of this run."""
        with self._state.lock:
            found = [*self._state.disks.values(), *self._state.snapshots.values()]
            ours = [one.key for one in found if one.tags.get(TAG_EXECUTION) == self.execution]
            keys = [key(self.node.vm.id), self._original, *ours]
            return any(self._state.operations.holder(one) is not None for one in keys)

    def _a_minute_passes(self) -> None:
        """Until the schedule would run the keeper: an operation of Azure that was begun before is over by then."""
        minute = self.stand.cloud.world.clock.scaled(timedelta(minutes=1)).total_seconds()
        for _ in range(int(minute / GLANCE)):
            self.stand.cloud.azure.settle()
            if not self._at_work():
                return
            self.stand.cloud.world.stopping.wait(GLANCE)

    def _hurry(self) -> None:
        """Let the time come at which the record wants to be looked at."""
        item = {"pk": {"S": f"run#{self.execution}"}}
        dynamodb = self.stand.aws.client("dynamodb")
        try:
            dynamodb.update_item(
                TableName=self.stand.table,
                Key=item,
                UpdateExpression="SET due = :now",
                ConditionExpression="attribute_exists(due)",
                ExpressionAttributeValues={":now": {"N": "0"}},
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return  # it does not want to be looked at

    def _somebody_elses(self) -> str:
        """A disk of the same group that looks as if it had expired, and is none of ours."""
        azure = self.stand.cloud.azure
        vm = azure.vms.create(f"bystander-{self.node.vm.name}", resource_group=GROUP)
        with self._state.lock:
            disk = self._state.disks[key(vm.os_disk_id)]
            disk.document["tags"] = {TAG_ROLE: CHECKPOINT, TAG_EXPIRY: "2020-01-01T00:00:00Z"}
            disk.managed_by = ""
        return disk.key
