"""How many calls to Resource Manager a run makes, by API, and which of them while its VM is down."""

from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from tests.journeys.harbour import Port

from localcloud.azure.calls import ArmCall

pytestmark = pytest.mark.machines
VM = "Microsoft.Compute/virtualMachines"
POWER_OFF, WRITE, START = f"{VM}/powerOff/action", f"{VM}/write", f"{VM}/start/action"
BURST = 12  # updates of one VM. Source: reference/azure-compute, throttling per VM
Record = Callable[[str, object], None]
# Of each API, what a run makes once. Polls come on top, one a round: of the snapshot until it is usable, and while the
# VM is put back of its operation, the VM and its disk.
GOOD_WRITES = Counter({"Microsoft.Compute/snapshots/write": 1, "Microsoft.Compute/snapshots/delete": 1})
BAD_WRITES = Counter(
    {
        "Microsoft.Compute/snapshots/write": 2,  # taken, and marked with its expiry
        "Microsoft.Compute/disks/write": 2,  # the new one made, the former one marked
        POWER_OFF: 1,
        WRITE: 1,
        START: 1,
    }
)
POLLS = {
    "Microsoft.Compute/snapshots/read",
    "Microsoft.Compute/locations/operations/read",
    f"{VM}/read",
    "Microsoft.Compute/disks/read",
}


def _calls(port: Port, name: str) -> list[ArmCall]:
    since = len(port.cloud.azure.calls)
    ended = port.run(name, HealthSettleTime=["PT2S"])
    assert ended.outcome in {"PATCHED", "ROLLED_BACK"}, ended.reason
    return port.arm_calls(since=since)


def _writes(calls: Sequence[ArmCall]) -> "Counter[str]":
    return Counter(call.action for call in calls if call.method != "GET")


def _table(calls: Sequence[ArmCall]) -> str:
    counted = sorted(Counter((call.method, call.action) for call in calls).items())
    return "; ".join(f"{count} {method} {action}" for (method, action), count in counted)


def test_a_run_that_goes_well_writes_a_snapshot_and_deletes_it(port: Port, record_property: Record) -> None:
    """Everything else is a look: two at the rights, one at locks, two at VM and disk before the checkpoint."""
    calls = _calls(port, "counted-good")
    record_property("success", _table(calls))

    looks = Counter(call.action for call in calls if call.method == "GET")
    polls = looks.pop("Microsoft.Compute/snapshots/read")
    assert _writes(calls) == GOOD_WRITES
    assert looks == {
        "Microsoft.Authorization/permissions/read": 2,
        "Microsoft.Authorization/locks/read": 1,
        f"{VM}/read": 2,
        "Microsoft.Compute/disks/read": 2,
    }
    assert len(calls) - polls == 9
    assert polls >= 2


def test_a_rollback_stops_writes_and_starts_the_vm_once_and_nothing_else_while_it_is_down(
    port: Port, record_property: Record
) -> None:
    """The new disk is made before; while the VM is down there is no call but the exchange, and looks at all three."""
    calls = _calls(port, "counted-bad")
    record_property("rollback", _table(calls))
    actions = [call.action for call in calls]
    down = calls[actions.index(POWER_OFF) + 1 : actions.index(START)]
    record_property("down", _table(down))

    assert _writes(calls) == BAD_WRITES
    assert [call.action for call in down if call.method != "GET"] == [WRITE]
    assert {call.action for call in down} <= {WRITE, *POLLS}
    assert actions.index("Microsoft.Compute/disks/write") < actions.index(POWER_OFF)
    assert sum(call.action in {POWER_OFF, WRITE, START} for call in calls) <= BURST
    rounds = sum(call.action == "Microsoft.Compute/locations/operations/read" for call in down)
    assert len(down) <= 1 + 3 * rounds


def test_no_call_failed_but_the_look_for_a_disk_that_is_not_there_yet(port: Port) -> None:
    failed = [call for call in port.arm_calls() if call.status >= 400 and "counted" in call.resource]

    assert {(call.method, call.action, call.status) for call in failed} <= {
        ("GET", "Microsoft.Compute/disks/read", 404)
    }
