"""What must hold of the world after any run, whatever stopped it: invariants 6, 7 and 8 of patching, as assertions.

Every port call of the function goes through `Watched`, so that a test can stop, fail or lose any one of them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from tests.patching.inline import SwiftStage
from tests.patching.stage import Crash

from moorings.errors import CloudFault
from moorings.patching.answers import Answer
from moorings.patching.asks import Event
from moorings.patching.deleting import CHECKPOINT, ROLES, expiry_of
from moorings.patching.model import TAG_EXECUTION, TAG_EXPIRY, TAG_NAME, TAG_ROLE, Outcome, Phase, Run
from moorings.patching.outside import Deadline, Outside
from moorings.patching.ports import Countdown
from moorings.patching.service import Patching
from moorings.patching.upkeep import Upkeep

# Calls that change nothing: where one fails, the world is as where its answer is lost.
READS = {
    *(f"azure.{name}" for name in ("vm", "disk", "snapshot", "operation", "locks", "missing_actions", "time")),
    *(f"nodes.{name}" for name in ("node", "command", "find_command", "patch_state", "installed_since")),
    *(f"executions.{name}" for name in ("over", "listens", "began")),
    *("guards.of", "records.load", "records.due"),
}
KEPT_FOR_A_PERSON = {Outcome.ROLLBACK_FAILED, Outcome.UNDECIDED}


@dataclass
class Tripwire:
    """Sees every call of the function and of the keeper to a cloud, and trips at the n-th sight.

    `how`: `crash` (the process dies once), `dead` (it dies, and the function does so ever after; the keeper lives),
    `fault` (the cloud fails: before, without effect; after, the answer is lost). Who dies before a call leaves the
    world as who dies after the one before it, so deaths are tried at the beginning and after each call; and what only
    reads fails once. `look`: nothing happens, and what only reads is watched.
    """

    at: int
    how: str
    seen: int = 0
    tripped: str = ""
    keeper: bool = False

    def sight(self, what: str) -> None:
        """What is about to happen (`before …`), has happened (`after …`), or begins (`begin …`)."""
        moment, _, call = what.partition(" ")
        if moment == ("begin" if self.how == "fault" else "before") or (moment == "before" and call in READS):
            return
        self.seen += 1
        if self.tripped and self.how == "dead" and not self.keeper:
            raise Crash(what)
        if self.seen == self.at:
            self.tripped = what
            if self.how == "fault":
                raise CloudFault(f"no answer to {what}", call=what)
            raise Crash(what)


class Watched:
    """A port whose every call is seen."""

    def __init__(self, port: Any, name: str, world: "World") -> None:
        self._port = port
        self._name = name
        self._world = world

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._port, method)

        def call(*arguments: Any, **options: Any) -> Any:
            what = f"{self._name}.{method}"
            if method == "compute":  # opens a client, asks nothing
                return Watched(found(*arguments, **options), "azure", self._world)
            sight = self._world.wire.sight
            sight(f"before {what}")
            with self._world.unchanged() if what in READS and self._world.wire.how == "look" else nullcontext():
                result = found(*arguments, **options)
            sight(f"after {what}")
            return result

        return call


class _Begun(Patching):
    """The function, whose every invocation is seen to begin."""

    def __init__(self, outside: Outside, wire: Tripwire) -> None:
        super().__init__(outside)
        self._wire = wire

    def answer(self, event: Event, countdown: Countdown) -> Answer:
        self._wire.sight(f"begin {event['call']}")
        return super().answer(event, countdown)


class World:
    """A stage, what must never happen on it, and what must hold in the end."""

    def __init__(self, stage: SwiftStage, wire: Tripwire) -> None:
        self.stage = stage
        self.wire = wire
        ports: dict[str, Any] = {
            name: Watched(getattr(stage.outside, name), name, self)
            for name in ("clouds", "nodes", "executions", "guards", "records", "news")
        }
        stage.outside = replace(stage.outside, **ports)
        stage.patching = _Begun(stage.outside, wire)
        stage.upkeep = Upkeep(stage.outside)
        self.execution = ""
        self.violations: list[str] = []
        self.before = dict(stage.node.disk)
        self.original = stage.azure.os_disk_of(stage.vm)
        self.bystanders = self._bystanders()
        self._wrap()

    def _bystanders(self) -> set[str]:
        """What lies beside the VM's own resources and must survive."""
        azure = self.stage.azure
        disk = azure.add_disk("somebody-elses")
        azure.disks[disk.lower()]["tags"] = {TAG_ROLE: CHECKPOINT, TAG_EXPIRY: "2020-01-01T00:00:00Z"}
        return {disk.lower()}

    def _wrap(self) -> None:
        azure, node, news = self.stage.azure, self.stage.node, self.stage.notebook
        send, delete, announce = node.send, azure.delete, news.announce

        def sending(document: str, parameters: dict[str, Any], comment: str) -> str:
            if parameters.get("Operation") == ["Install"]:
                self.check(self.no_patch_without_checkpoint)
            return send(document, parameters, comment)

        def deleting(resource_id: str) -> None:
            self.check(lambda: self.only_ours_is_deleted(resource_id))
            delete(resource_id)

        def announcing(run: Run) -> None:
            if run.restore is None or run.restore.ended:
                self.check(lambda: self.outcome_equals_world(run))
            announce(run)

        node.send, azure.delete, news.announce = sending, deleting, announcing  # type: ignore[method-assign]

    def check(self, invariant: Callable[[], None]) -> None:
        """Note a violation: raised here it would only fail a step, or the keeper's run."""
        try:
            invariant()
        except (AssertionError, KeyError) as error:
            self.violations.append(f"{type(error).__name__}: {error}")

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """What is read must not change what is there."""
        before = self._everything()
        yield
        self.check(lambda: _same(before, self._everything()))

    def _everything(self) -> str:
        """What Azure, the node and the table hold by now, as text; all but the list of calls."""
        stage = self.stage
        stage.node.settle()
        azure, node, table = vars(stage.azure), vars(stage.node), (stage.shelf.guards, stage.shelf.runs)
        vms = [replace(vm, on_power=print) for vm in stage.azure.vms.values()]
        return repr((azure | {"vms": vms, "calls": ()}, node | {"azure": ()}, table, stage.notebook.announced))

    # -- invariant 6

    def no_patch_without_checkpoint(self) -> None:
        run = self.stage.record(self.execution)
        assert run.checkpoint, "no checkpoint"
        for entry in run.checkpoint:
            snapshot = self.stage.azure.snapshots[entry.snapshot_id.lower()]
            assert snapshot["properties"]["provisioningState"] == "Succeeded"

    def only_ours_is_deleted(self, resource_id: str) -> None:
        azure = self.stage.azure
        found = azure.snapshots.get(resource_id.lower()) or azure.disks.get(resource_id.lower())
        if found is None:
            return
        tags = found["tags"]
        assert tags[TAG_EXECUTION] == self.execution
        assert tags[TAG_NAME].lower() == found["name"].lower()
        assert tags[TAG_ROLE] in ROLES
        assert not found.get("managedBy")

    # -- invariant 7

    def outcome_equals_world(self, run: Run) -> None:
        assert run.conclusion is not None
        node, vm = self.stage.node, self.stage.azure.vms[self.stage.vm.key]
        disk_id = self.stage.azure.os_disk_of(self.stage.vm)
        match run.conclusion.outcome:
            case Outcome.PATCHED:
                assert node.online
                assert node.state is not None
                assert node.state.operation == "Scan"
                assert not node.disk.get("broken")
                assert disk_id == self.original
            case Outcome.ROLLED_BACK:
                assert vm.power == "running"
                assert disk_id == next(one for one in run.checkpoint if one.lun is None).replacement_id.lower()
                self.data_disks_are(run, "replacement_id")
                assert node.disk == self.before
            case Outcome.UNCHANGED:
                assert disk_id == self.original
                assert node.disk == self.before
            case Outcome.UNDECIDED | Outcome.ROLLBACK_FAILED:
                assert all(one.snapshot_id.lower() in self.stage.azure.snapshots for one in run.checkpoint)

    def data_disks_are(self, run: Run, member: str) -> None:
        profile = self.stage.azure.vms[self.stage.vm.key].wire["properties"]["storageProfile"]
        attached = {one["lun"]: one["managedDisk"]["id"].lower() for one in profile["dataDisks"]}
        if run.options.restore_data_disks:
            wanted = {one.lun: getattr(one, member).lower() for one in run.checkpoint if one.lun is not None}
            assert attached == wanted

    # -- invariant 8

    def is_up_or_coming_up(self) -> bool:
        vm = self.stage.azure.vms[self.stage.vm.key]
        at_work = any(not one.done and one.target == self.stage.vm.key for one in self.stage.azure._operations.values())
        return vm.power in {"running", "starting"} or at_work

    # -- the keeper

    def keep(self, times: int, *, every: timedelta = timedelta(minutes=1)) -> None:
        """So many runs of the keeper that come to their end."""
        self.wire.keeper = True
        while times:
            self.stage.clock.step(every)
            self.stage.azure.settle()
            self.stage.node.settle()
            tripped = self.wire.tripped
            with suppress(Crash, CloudFault):
                self.wire.sight("begin keeper")
                self.stage.upkeep.run(Deadline(self.stage.outside.clock, timedelta(seconds=50)))
            if self.wire.tripped == tripped:
                times -= 1  # else the schedule starts it again a minute later

    def keep_until_done(self) -> None:
        """Run the keeper whenever something is due, until nothing is."""
        for _ in range(80):
            run = self.record()
            if run is None or run.look_at is None:
                return
            self.keep(1, every=max(run.look_at - self.stage.clock.now(), timedelta(minutes=1)))
        raise AssertionError(f"the keeper never ends: {self.record()}")

    def record(self) -> Run | None:
        return self.stage.shelf.runs.get(self.execution)

    # -- the end

    def nothing_is_forgotten(self) -> None:
        """What must hold once the keeper has nothing more to do."""
        assert not self.violations
        run, azure = self.record(), self.stage.azure
        kept = self.bystanders | {self.original}
        if run is None:
            assert not azure.snapshots
            self.guard_is_free()
            return
        assert run.phase is Phase.OVER
        assert run.conclusion is not None
        self.outcome_equals_world(run)
        announced = [one.conclusion for one in self.stage.notebook.announced]
        assert run.conclusion in announced
        assert azure.vms[self.stage.vm.key].power == "running"
        assert self.bystanders <= set(azure.disks)
        self.guard_is_free()
        attached = {azure.os_disk_of(self.stage.vm)} | {
            one["managedDisk"]["id"].lower()
            for one in azure.vms[self.stage.vm.key].wire["properties"]["storageProfile"]["dataDisks"]
        }
        if run.conclusion.outcome is Outcome.ROLLED_BACK:
            kept -= {self.original}  # its expiry has passed
        original_data = {key for key in azure.disks if "-data" in key}
        left = (set(azure.disks) | set(azure.snapshots)) - kept - attached
        if run.conclusion.outcome in KEPT_FOR_A_PERSON:
            left -= original_data
            assert left <= {one.lower() for one in run.leftovers}
            assert all(expiry_of((azure.disks | azure.snapshots)[one]["tags"]) is None for one in left)
        else:
            assert not left - (original_data if run.conclusion.outcome is not Outcome.ROLLED_BACK else set())

    def guard_is_free(self) -> None:
        """Nobody holds the VM, or somebody whose time is over and whose execution is."""
        guard = self.stage.table.guards.get(self.stage.vm.key)
        if guard is None or not guard.owner:
            return
        assert self.record() is None, "a recorded run gives its guard up"
        assert guard.until <= self.stage.clock.now() + timedelta(hours=1, minutes=15)


def _same(before: str, after: str) -> None:
    assert before == after, f"a call that only reads has changed something: {before} -> {after}"
