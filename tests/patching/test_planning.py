"""The reconciler's next move: total over any sight, and at its end within bounds over a VM that may misbehave."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorings.patching.model import RESTORE_TIME, Aim, CheckpointDisk, Restore
from moorings.patching.observed import Disk, Operation, OperationState, Power, Vm
from moorings.patching.planning import (
    BUSY,
    LATE,
    Deallocate,
    Finish,
    MakeDisk,
    Move,
    Sight,
    Start,
    Stop,
    Wait,
    WriteDisks,
    after_failure,
    plan,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MOST_UPDATES = 12  # in a burst, of one VM
STEP = timedelta(seconds=30)
LUNS = (None, 0, 3)


def entry(lun: int | None) -> CheckpointDisk:
    word = "os" if lun is None else f"lun{lun}"
    return CheckpointDisk(
        lun=lun,
        source_id=f"/disks/source-{word}",
        source_unique_id="u",
        snapshot_id=f"/snapshots/{word}",
        replacement_id=f"/disks/ours-{word}",
        disk={},
        attachment={"caching": "ReadOnly"},
    )


def vm_wire(disks: dict[int | None, str], power: str, provisioning: str = "Succeeded") -> Vm:
    data = [{"lun": lun, "managedDisk": {"id": one}} for lun, one in disks.items() if lun is not None]
    view = {"statuses": [{"code": f"PowerState/{power}"}]} if power != "unknown" else {}
    profile = {"osDisk": {"createOption": "FromImage", "managedDisk": {"id": disks[None]}}, "dataDisks": data}
    return Vm(
        {
            "id": "/vm",
            "properties": {"provisioningState": provisioning, "storageProfile": profile, "instanceView": view},
        }
    )


def made(state: str = "Succeeded") -> Disk:
    return Disk({"properties": {"provisioningState": state}})


def fresh(**changes: Any) -> Restore:
    return replace(Restore(began_at=NOW, deadline=NOW + RESTORE_TIME), **changes)


# -- any sight

owners = st.sampled_from(["source", "ours", "foreign", "none"])
counters = st.integers(0, 7)
restores = st.builds(
    Restore,
    began_at=st.just(NOW),
    deadline=st.just(NOW + RESTORE_TIME),
    stops=counters,
    writes=counters,
    starts=counters,
    makes=counters,
    deallocate=st.booleans(),
    patch=st.booleans(),
    note=st.sampled_from(["", "write: 400 no"]),
)


@st.composite
def sights(draw: st.DrawFn) -> tuple[Sight, tuple[CheckpointDisk, ...]]:
    luns = draw(st.sampled_from([(None,), LUNS]))
    entries = tuple(entry(lun) for lun in luns)
    ids = {}
    for one in entries:
        owner = draw(owners)
        if one.lun is None and owner == "none":
            owner = "source"
        found = {"source": one.source_id, "ours": one.replacement_id, "foreign": "/disks/x", "none": ""}[owner]
        if found:
            ids[one.lun] = found.upper() if draw(st.booleans()) else found
    power = draw(st.sampled_from([power.value for power in Power]))
    provisioning = draw(st.sampled_from(["Succeeded", "Failed", "Updating", "Creating", ""]))
    states = st.sampled_from([None, "Succeeded", "Creating", "Failed"])
    drawn = {one.lun: draw(states) for one in entries}
    replacements = {lun: made(state) if state else None for lun, state in drawn.items()}
    operation = draw(st.none() | st.builds(Operation, state=st.sampled_from(OperationState)))
    vm = None if draw(st.integers(0, 9)) == 0 else vm_wire(ids, power, provisioning)
    return Sight(vm=vm, replacements=replacements, operation=operation), entries


@given(sights(), restores, st.integers(0, 60))
def test_any_sight_has_a_move_that_fits_it(
    drawn: tuple[Sight, tuple[CheckpointDisk, ...]], restore: Restore, minutes: int
) -> None:
    sight, entries = drawn

    move = plan(sight, entries, restore, now=NOW + timedelta(minutes=minutes))

    if sight.vm is None:
        assert move == Finish("gone", "the VM is gone")
        return
    busy = sight.vm.provisioning.lower() in BUSY
    running_operation = sight.operation is not None and sight.operation.state is OperationState.RUNNING
    if busy or running_operation:
        assert isinstance(move, Wait | Finish)
        assert not isinstance(move, Finish) or move.where == "foreign"
    match move:
        case WriteDisks():
            assert sight.vm.power not in {Power.RUNNING, Power.STARTING, Power.STOPPING, Power.DEALLOCATING}
        case Start():
            assert sight.vm.power in {Power.STOPPED, Power.DEALLOCATED, Power.UNKNOWN}
        case Finish(where="ours"):
            assert all(_holds(sight.vm, one, one.replacement_id) for one in entries)
            assert sight.vm.power is Power.RUNNING
        case Finish(where="source"):
            assert all(_holds(sight.vm, one, one.source_id) for one in entries)
            assert sight.vm.power is Power.RUNNING
        case _:
            pass


def _holds(vm: Vm, one: CheckpointDisk, disk_id: str) -> bool:
    attached = vm.attached(one.lun)
    return attached is not None and attached.disk_id.lower() == disk_id.lower()


@given(sights(), restores)
def test_a_foreign_disk_means_hands_off_at_once(
    drawn: tuple[Sight, tuple[CheckpointDisk, ...]], restore: Restore
) -> None:
    sight, entries = drawn
    if sight.vm is not None and any(
        (attached := sight.vm.attached(one.lun)) is not None and attached.disk_id.lower() == "/disks/x"
        for one in entries
    ):
        move = plan(sight, entries, restore, now=NOW)
        assert isinstance(move, Finish)
        assert move.where == "foreign"


# -- a small Azure


@dataclass
class SmallVm:
    """A VM that takes some steps for each operation, and fails those it is told to (by kind, first come)."""

    luns: tuple[int | None, ...]
    failing: dict[str, int]  # kind → how many of its operations fail
    refuses: frozenset[str] = frozenset()  # kinds refused at once, always
    needs_deallocated: bool = False
    power: str = "running"
    disks: dict[int | None, str] = field(default_factory=dict)
    replacements: dict[int | None, Disk | None] = field(default_factory=dict)
    pending: str = ""
    updates: int = 0

    def __post_init__(self) -> None:
        self.disks = {lun: entry(lun).source_id for lun in self.luns}
        self.replacements = dict.fromkeys(self.luns)

    def sight(self) -> Sight:
        return Sight(vm=vm_wire(self.disks, self.power), replacements=dict(self.replacements))

    def carry_out(self, move: Move, restore: Restore) -> Restore:
        kind = {MakeDisk: "make", Stop: "stop", Deallocate: "stop", WriteDisks: "write", Start: "start"}[type(move)]
        fails = "deallocate" if isinstance(move, Deallocate) else kind
        counted = replace(restore, **{f"{kind}s": getattr(restore, f"{kind}s") + 1})
        if kind != "make":
            self.updates += 1
        if kind in self.refuses:
            return after_failure(counted, kind=kind, status=400, code="No", message="never")
        if self.failing.get(fails, 0) > 0:
            self.failing[fails] -= 1
            return after_failure(counted, kind=kind, status=0, code="InternalError", message="later")
        if isinstance(move, WriteDisks) and self.needs_deallocated and self.power != "deallocated":
            return after_failure(counted, kind=kind, status=409, code="OperationNotAllowed", message="deallocate")
        self._take_effect(move)
        return counted

    def _take_effect(self, move: Move) -> None:
        match move:
            case MakeDisk(one):
                self.replacements[one.lun] = made()
            case Stop():
                self.power = "stopped"
            case Deallocate():
                self.power = "deallocated"
            case WriteDisks(storage):
                self.disks = {None: storage["osDisk"]["managedDisk"]["id"]}
                self.disks |= {one["lun"]: one["managedDisk"]["id"] for one in storage["dataDisks"]}
            case _:
                self.power = "running"


def reconcile(vm: SmallVm, *, began: datetime = NOW, most: int = 60) -> tuple[Finish, Restore]:
    """Plan and carry out until the end; the clock goes on by a step each time."""
    entries = tuple(entry(lun) for lun in vm.luns)
    restore, now = fresh(), began
    for _ in range(most):
        move = plan(vm.sight(), entries, restore, now=now)
        if isinstance(move, Finish):
            return move, restore
        if not isinstance(move, Wait):
            restore = vm.carry_out(move, restore)
        now += STEP
    raise AssertionError(f"no end after {most} moves: {vm}, {restore}")


failures = st.fixed_dictionaries(
    {kind: st.integers(0, 12) for kind in ("make", "stop", "deallocate", "write", "start")}
)


@given(
    luns=st.sampled_from([(None,), (None, 0), LUNS]),
    failing=failures,
    refuses=st.sets(st.sampled_from(["make", "stop", "write"])).map(frozenset),
    needs_deallocated=st.booleans(),
)
def test_whatever_fails_it_ends_with_a_running_vm_unless_azure_starts_none(
    luns: tuple[int | None, ...], failing: dict[str, int], refuses: frozenset[str], needs_deallocated: bool
) -> None:
    starts = failing["start"]
    vm = SmallVm(luns=luns, failing=failing, refuses=refuses, needs_deallocated=needs_deallocated)

    end, _ = reconcile(vm)

    assert vm.updates <= MOST_UPDATES
    assert vm.power == "running" or (end.where == "down" and starts >= 3)
    if end.where == "ours":
        assert vm.disks == {lun: entry(lun).replacement_id for lun in luns}
    if end.where == "source":
        assert vm.disks == {lun: entry(lun).source_id for lun in luns}


@given(luns=st.sampled_from([(None,), (None, 0), LUNS]), failing=failures)
def test_a_set_is_put_back_whole_or_not_at_all(luns: tuple[int | None, ...], failing: dict[str, int]) -> None:
    failing["write"] = min(failing["write"], 2)  # more, and Azure leaves no way back either
    failing["stop"] = min(failing["stop"], 1)
    vm = SmallVm(luns=luns, failing=failing)

    reconcile(vm)

    owners = {one.rsplit("/", 1)[-1].split("-")[0] for one in vm.disks.values()}
    assert len(owners) == 1
    assert set(vm.disks) == set(luns)


@given(
    failing=st.fixed_dictionaries({"make": st.integers(0, 2), "write": st.integers(0, 1), "start": st.integers(0, 2)})
)
def test_what_fails_only_for_a_while_is_put_back(failing: dict[str, int]) -> None:
    for luns in ((None,), LUNS):
        vm = SmallVm(luns=luns, failing=dict(failing))

        end, _ = reconcile(vm)

        assert end.where == "ours"


@pytest.mark.parametrize("luns", [(None,), (None, 0), LUNS])
@pytest.mark.parametrize("state", ["running", "stopped", "deallocated"])
def test_late_means_running_on_what_is_there(luns: tuple[int | None, ...], state: str) -> None:
    vm = SmallVm(luns=luns, failing={}, power=state)

    end, restore = reconcile(vm, began=NOW + RESTORE_TIME - LATE)

    assert end.where == "source"
    assert vm.power == "running"
    assert restore.writes == restore.makes == 0


def test_late_with_our_os_disk_and_its_set_apart_goes_on_to_a_whole_set() -> None:
    vm = SmallVm(luns=LUNS, failing={}, power="stopped")
    vm.replacements = dict.fromkeys(LUNS, made())
    vm.disks = {None: entry(None).replacement_id}

    entries = tuple(entry(lun) for lun in LUNS)
    restore, now = fresh(writes=1), NOW + RESTORE_TIME - LATE
    moves = []
    while not isinstance(move := plan(vm.sight(), entries, restore, now=now), Finish):
        moves.append(type(move).__name__)
        restore = vm.carry_out(move, restore)

    assert moves == ["WriteDisks", "Start"]
    assert move.where == "ours"


def test_the_good_way_in_order() -> None:
    vm = SmallVm(luns=LUNS, failing={})
    entries = tuple(entry(lun) for lun in LUNS)
    restore, moves = fresh(), []
    while not isinstance(move := plan(vm.sight(), entries, restore, now=NOW), Finish):
        moves.append(type(move).__name__)
        restore = vm.carry_out(move, restore)

    assert moves == ["MakeDisk"] * 3 + ["Stop", "WriteDisks", "WriteDisks", "Start"]
    assert move == Finish("ours")


@pytest.mark.parametrize(("luns", "hard"), [((None,), False), ((None, 0), True)])
def test_a_vm_is_cut_off_hard_only_if_every_disk_is_put_back(luns: tuple[int | None, ...], hard: bool) -> None:
    sight = Sight(
        vm=vm_wire({None: "/disks/source-os", 0: "/disks/source-lun0"}, "running"),
        replacements=dict.fromkeys(luns, made()),
    )

    assert plan(sight, tuple(entry(lun) for lun in luns), fresh(), now=NOW) == Stop(hard=hard)


@pytest.mark.parametrize(
    ("status", "code", "changes"),
    [
        (403, "AuthorizationFailed", {"patch": True}),
        (409, "OperationNotAllowed", {"deallocate": True}),
        (400, "InvalidParameter", {}),
    ],
)
def test_what_a_refused_write_changes(status: int, code: str, changes: dict[str, Any]) -> None:
    before = fresh(writes=1, pending="x", pending_kind="write")

    after = after_failure(before, kind="write", status=status, code=code, message="no.")

    assert after == replace(before, pending="", pending_kind="", note=f"write: {code} no", **changes)


def test_a_second_write_that_failed_may_need_a_deallocated_vm() -> None:
    assert after_failure(fresh(writes=2), kind="write", status=0, code="X", message="").deallocate


def test_the_aim_is_part_of_a_write() -> None:
    sight = Sight(vm=vm_wire({None: "/disks/source-os"}, "stopped"), replacements={None: made()})

    move = plan(sight, (entry(None),), fresh(), now=NOW)

    assert isinstance(move, WriteDisks)
    assert move.aim is Aim.OURS
    assert move.storage["osDisk"] == {
        "createOption": "FromImage",
        "name": "ours-os",
        "managedDisk": {"id": "/disks/ours-os"},
    }
