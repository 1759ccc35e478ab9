"""What the runbook sends, checked: whatever a member holds, it is understood or refused in words."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.patching.inline import SwiftStage
from tests.patching.nodefake import NODE

from moorings.errors import Invalid, MooringsError
from moorings.patching import asks
from moorings.patching.model import CredentialNames, Options, RollbackOn, execution_id, nonce_of
from moorings.patching.outside import Deadline

EXECUTION = "11111111-2222-4333-8444-555555555555"
GOOD: dict[str, Any] = {
    "call": "describe",
    "execution": EXECUTION,
    "node": NODE,
    "commands": ["c0ffee00-0000-4000-8000-000000000001", "{{ ExtractVMDetailsWindows.CommandId }}"],
    "clientid": "",
    "tenantid": "",
    "clientsecret": "",
    "operation": "Install",
    "snapshotDataDisks": False,
    "restoreDataDisks": False,
    "rollbackOn": "Bad",
    "keepSnapshotHours": 0,
    "keepFailedDiskHours": 168,
    "baselineOverride": "",
    "bootTime": "",
    "settleTime": "PT5M",
    "dryRun": False,
    "prePatch": [],
}


def test_what_the_runbook_sends_is_understood() -> None:
    ask = asks.describe_ask(GOOD)

    assert (ask.execution, ask.node) == (EXECUTION, NODE)
    assert ask.commands == ("c0ffee00-0000-4000-8000-000000000001",)
    assert ask.options == Options()
    assert ask.credentials == CredentialNames()


def test_everything_that_can_be_chosen() -> None:
    ask = asks.describe_ask(
        GOOD
        | {"operation": "Scan", "snapshotDataDisks": "true", "restoreDataDisks": "True", "rollbackOn": "Never",
           "keepSnapshotHours": "24", "keepFailedDiskHours": 0, "bootTime": "PT1H30M", "settleTime": "PT30S",
           "dryRun": True, "baselineOverride": "s3://bucket/base.json", "clientid": "/m/c", "tenantid": "/m/t",
           "clientsecret": "/m/s"}
    )  # fmt: skip

    assert ask.options == Options(
        operation="Scan",
        snapshot_data_disks=True,
        restore_data_disks=True,
        rollback_on=RollbackOn.NEVER,
        keep_snapshot_hours=24,
        keep_failed_disk_hours=0,
        dry_run=True,
        boot_time=timedelta(minutes=90),
        settle_time=timedelta(seconds=30),
    )
    assert ask.credentials == CredentialNames(client="/m/c", tenant="/m/t", secret="/m/s")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("execution", None), ("execution", ""), ("execution", "{{ automation:EXECUTION_ID }}"), ("execution", 7),
        ("execution", EXECUTION.replace("1", "A")), ("execution", EXECUTION + "\n"), ("execution", "../" + EXECUTION),
        ("node", None), ("node", "i-0123456789abcdef0"), ("node", "mi-1"), ("node", NODE + "\n"), ("node", [NODE]),
        ("operation", "Remove"), ("operation", 1), ("operation", None), ("rollbackOn", "Always"), ("rollbackOn", None),
        ("snapshotDataDisks", "yes"), ("snapshotDataDisks", 1), ("snapshotDataDisks", None), ("dryRun", "{{ DryRun }}"),
        ("restoreDataDisks", True), ("keepSnapshotHours", -1), ("keepSnapshotHours", "a day"),
        ("keepSnapshotHours", 24 * 365 + 1), ("keepSnapshotHours", float("inf")), ("keepFailedDiskHours", None),
        ("keepFailedDiskHours", float("nan")), ("bootTime", "15 minutes"), ("bootTime", "PT"), ("bootTime", "PT4S"),
        ("bootTime", "PT2H1S"), ("bootTime", 900), ("settleTime", "PT-5M"), ("settleTime", "P1D"),
        ("settleTime", "PT1H1S"), ("baselineOverride", "s3://bucket"), ("baselineOverride", "s3://bucket/"),
        ("baselineOverride", "https://host"), ("baselineOverride", "ftp://a/b"), ("baselineOverride", 5),
        ("clientid", "/m/c"), ("tenantid", "/m/t"), ("clientsecret", "/m/s"), ("clientsecret", 5),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused_in_words(member: str, value: object) -> None:
    with pytest.raises(Invalid) as refused:
        asks.describe_ask(GOOD | {member: value})

    assert refused.value.message
    assert refused.value.remedy


@pytest.mark.parametrize("member", ["clientid", "tenantid", "clientsecret"])
@pytest.mark.parametrize("ask", [asks.describe_ask, asks.check_ask])
def test_a_secret_that_stands_in_the_place_of_its_parameters_name_is_repeated_nowhere(
    ask: Callable[[asks.Event], object], member: str
) -> None:
    """What a refusal says goes into the record, the log, events and mails."""
    names = {"clientid": "/m/c", "tenantid": "/m/t", "clientsecret": "/m/s"}
    vm = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v"

    with pytest.raises(Invalid) as refused:
        ask(GOOD | {"vm": vm} | names | {member: "kEy8QnotAnameButTheSecret.Itself"})

    assert member in refused.value.message
    assert "kEy8Q" not in f"{refused.value.message} {refused.value.remedy}"


@pytest.mark.parametrize("member", ["execution", "node"])
def test_what_is_missing_is_named(member: str) -> None:
    with pytest.raises(Invalid, match=member):
        asks.describe_ask({key: value for key, value in GOOD.items() if key != member})


def test_parameters_that_nobody_gave_have_their_defaults() -> None:
    ask = asks.describe_ask({"execution": EXECUTION, "node": NODE})

    assert ask.options == Options()
    assert ask.commands == ()


@pytest.mark.parametrize(
    ("value", "fence"), [(3, 3), ("3", 3), (None, None), ("", None), ("{{ DescribeVM.Fence }}", None), (True, None)]
)
def test_the_fencing_number(value: object, fence: int | None) -> None:
    assert asks.fence_of({"fence": value}) == fence


@pytest.mark.parametrize("value", ["x", [], {}, float("inf"), "1.5"])
def test_a_fencing_number_that_is_none(value: object) -> None:
    with pytest.raises(Invalid):
        asks.fence_of({"fence": value})


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (None, ()),
        ("c1", ("c1",)),
        ("{{ Step.CommandId }}", ()),
        (["{{ A.CommandId }}", "c2"], ("c2",)),
        ([None, "", "c1"], ("c1",)),
    ],
)
def test_ids_of_commands_that_did_run(value: object, ids: tuple[str, ...]) -> None:
    assert asks.command_ids({"scan": value}, "scan") == ids


def test_the_nonce_is_the_executions_id_in_32_characters() -> None:
    assert nonce_of(execution_id(EXECUTION)) == "11111111222243338444555555555555"


# -- anything at all

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
anything = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
likely = st.sampled_from([EXECUTION, NODE, "Install", "Scan", "PT5M", "true", "install", "node", "{{ A.B }}", 1, 0])
CALLS = ["describe", "checkpoint", "checkpoint-status", "evidence", "judge", "restore", "verify", "release", "report"]
MEMBERS = [*GOOD, "fence", "stage", "install", "scan", "prepatch", "health"]
events = st.dictionaries(st.sampled_from(MEMBERS), anything | likely)


@given(events, st.sampled_from(CALLS))
def test_any_event_is_answered_or_refused_in_our_words(event: dict[str, Any], call: str) -> None:
    stage = SwiftStage()
    countdown = Deadline(stage.outside.clock, timedelta(seconds=20))

    for known in ({}, {"execution": EXECUTION, "node": NODE}):
        try:
            answer = stage.patching.answer({**event, **known, "call": call}, countdown)
        except MooringsError as error:
            answer = {"refused": error.message}
        assert any(answer)


@given(anything)
def test_a_call_that_does_not_exist_is_refused_with_those_that_do(call: object) -> None:
    stage = SwiftStage()
    if str(call) in CALLS:
        return
    with pytest.raises(Invalid) as refused:
        stage.patching.answer({"call": call}, Deadline(stage.outside.clock, timedelta(seconds=20)))
    assert "describe" in refused.value.remedy
