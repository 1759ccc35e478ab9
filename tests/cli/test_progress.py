"""A deployment as it is seen: what was done to which resource, and a plan as a table."""

import io
from datetime import UTC, datetime

import pytest

from moorings.cli.output import Results
from moorings.cli.progress import DeployProgress, show_plans
from moorings.cli.talk import Talk
from moorings.cli.terminal import console_on
from moorings.deploy.stacks import Change, ChangeSet, StackEvent


def _event(status: str, reason: str = "") -> StackEvent:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return StackEvent(
        id=status, at=at, stack="s", resource="Log", type="AWS::Logs::LogGroup", status=status, reason=reason
    )


def _plan(*changes: Change) -> ChangeSet:
    return ChangeSet(id="p", stack="s", stack_id="arn:s", creates=False, changes=changes)


def test_what_is_deleted_is_told_apart_from_what_is_made() -> None:
    """Above all where a failed stack goes back."""
    talk, stream = Talk(), io.StringIO()
    talk.console = console_on(stream)
    progress = DeployProgress(talk)

    for event in (_event("CREATE_COMPLETE"), _event("CREATE_FAILED", "why"), _event("DELETE_COMPLETE")):
        progress(event)

    assert stream.getvalue().splitlines() == [
        "✓ Log  AWS::Logs::LogGroup",
        "✗ Log (AWS::Logs::LogGroup) CREATE_FAILED: why",
        "✓ Log  AWS::Logs::LogGroup  deleted",
    ]


def test_a_plan_says_what_is_replaced_what_may_be_and_that_there_is_nothing_to_do(
    capfd: pytest.CaptureFixture[str],
) -> None:
    changes = [
        Change(action="Modify", resource=name, type="T", replacement=name == "A", may_replace=name == "B")
        for name in ("A", "B", "C")
    ]

    show_plans(Results(as_json=False), [_plan(*changes), _plan()])

    lines = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert [line for line in lines if line[0] == "Modify"] == [
        ["Modify", "(replaces", "it)", "A", "T"],
        ["Modify", "(may", "replace", "it)", "B", "T"],
        ["Modify", "C", "T"],
    ]
    assert lines[-1] == ["stack", "s:", "nothing", "to", "change"]
