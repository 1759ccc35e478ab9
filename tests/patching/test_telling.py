"""Who is told of an outcome: each once, whatever the others do, and for as long as it takes."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.patching.test_upkeep import EXECUTION, Ground

from moorings.errors import CloudFault
from moorings.patching.aws import SsmNodes
from moorings.patching.model import Conclusion, Outcome, Phase, Run

DENIED = CloudFault("not allowed", call="ssm:PutComplianceItems", code="AccessDeniedException")


@pytest.fixture
def ground() -> Ground:
    """A run that was cut off while patching: it ends UNDECIDED, which alarms."""
    made = Ground()
    made.began.add(EXECUTION)
    snapshot = made.snapshot()
    made.run(phase=Phase.CHECKPOINTED, checkpoint=(made.entry(snapshot),), leftovers=(snapshot,))
    return made


def counted(ground: Ground) -> list[str]:
    return [metric for metric in ground.stage.notebook.metrics if metric in {"OutcomeUndecided", "Wrong"}]


def test_a_compliance_item_that_is_not_taken_repeats_no_mail_and_no_alarm(ground: Ground) -> None:
    """A right was taken away: once it is back, the item is made good."""
    report, refusing = ground.stage.node.report_compliance, [DENIED] * 10

    def denied(node_id: str, run: Run) -> None:
        if refusing:
            raise refusing.pop()
        report(node_id, run)

    ground.stage.node.report_compliance = denied  # type: ignore[method-assign]

    ground.keep(40)

    assert not refusing
    assert len(ground.stage.notebook.announced) == 1
    assert counted(ground) == ["OutcomeUndecided", "Wrong"]
    assert len(ground.stage.node.compliance) == 1
    assert ground.stage.record(EXECUTION).look_at is None


def test_an_event_that_is_not_taken_repeats_no_alarm_and_no_compliance_item(ground: Ground) -> None:
    def no_bus(run: Run) -> None:
        raise CloudFault("there is no such bus", call="events:PutEvents")

    ground.stage.notebook.announce = no_bus  # type: ignore[method-assign]

    ground.keep(20)

    assert counted(ground) == ["OutcomeUndecided", "Wrong"]
    assert len(ground.stage.node.compliance) == 1
    assert ground.stage.record(EXECUTION).look_at is not None


def test_news_that_nobody_takes_are_counted_for_the_alarm_as_long_as_it_lasts_and_not_longer(ground: Ground) -> None:
    announce, failing = ground.stage.notebook.announce, [True]

    def no_bus(run: Run) -> None:
        if failing:
            raise CloudFault("there is no such bus", call="events:PutEvents")
        announce(run)

    def counted_in_ten_minutes() -> int:
        before = ground.stage.notebook.metrics.count("ReportIncomplete")
        ground.keep(10)
        return ground.stage.notebook.metrics.count("ReportIncomplete") - before

    ground.stage.notebook.announce = no_bus  # type: ignore[method-assign]

    assert min(counted_in_ten_minutes() for _ in range(3)) >= 1
    failing.clear()
    assert counted_in_ten_minutes() == 0


@pytest.mark.parametrize(("code", "raised"), [("InvalidResourceId", False), ("InternalServerError", True)])
def test_a_node_that_is_gone_has_no_compliance_item(ground: Ground, code: str, raised: bool) -> None:
    """Deregistered since: no later try finds it."""

    class Client:
        def put_compliance_items(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "PutComplianceItems")

    run = ground.stage.record(EXECUTION)
    ended = Run(
        execution=EXECUTION, node=run.node, began_at=run.began_at,
        conclusion=Conclusion(outcome=Outcome.PATCHED, reason="patched", wrong=False),
    )  # fmt: skip
    nodes = SsmNodes(client=Client())
    if raised:
        with pytest.raises(CloudFault):
            nodes.report_compliance(run.node, ended)
    else:
        nodes.report_compliance(run.node, ended)
