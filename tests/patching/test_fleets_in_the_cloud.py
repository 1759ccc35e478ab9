"""Fleets on the service's own rate control: several parents, one budget; the adapters over real calls."""

import json
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from tests.patching.fleetfake import Wall

from localcloud.aws.ssm.automation.automations import Automations
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from moorings.errors import Invalid, Misconfigured
from moorings.patching import codec
from moorings.patching.archive import DynamoArchive
from moorings.patching.automations import SsmAutomations
from moorings.patching.campaign import Campaign, View
from moorings.patching.executions import Runbook
from moorings.patching.fleets import fleet, next_start
from moorings.patching.model import Run

TABLE, DOCUMENT = "guards", "patch"
LIMIT = 60.0


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(clock=SteppedClock()) as running:
        running.client("dynamodb").create_table(
            TableName=TABLE, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "node")],
            GlobalSecondaryIndexes=[{"IndexName": "node", "KeySchema": [{"AttributeName": "node", "KeyType": "HASH"}],
                                     "Projection": {"ProjectionType": "KEYS_ONLY"}}],
        )  # fmt: skip
        yield running


class Settling(Wall):
    """A clock whose waiting lets the service do what it can."""

    def __init__(self, cloud: LocalCloud) -> None:
        super().__init__()
        self._cloud = cloud

    def wait(self, duration: timedelta) -> None:
        super().wait(duration)
        self._cloud.world.part(Automations).engine(self._cloud.world.region).settle(LIMIT)


@pytest.fixture
def runbook(cloud: LocalCloud) -> str:
    """A runbook that fails on nodes whose id ends in `bad`."""
    name = f"{DOCUMENT}-{uuid4().hex[:8]}"
    content = {
        "schemaVersion": "0.3",
        "parameters": {"InstanceId": {"type": "String"}, "Operation": {"type": "String", "default": "Install"}},
        "mainSteps": [
            {"name": "WellOrNot", "action": "aws:branch", "isEnd": True,
             "inputs": {"Choices": [{"NextStep": "Fail", "Variable": "{{ InstanceId }}", "EndsWith": "bad"}]}},
            {"name": "Fail", "action": "aws:executeAwsApi", "isEnd": True,
             "inputs": {"Service": "ssm", "Api": "GetParameter", "Name": "/no/such"}},
        ],
    }  # fmt: skip
    cloud.client("ssm").create_document(
        Name=name, DocumentType="Automation", DocumentFormat="JSON", Content=json.dumps(content)
    )
    return name


def names(count: int, *, bad: tuple[int, ...] = ()) -> list[str]:
    return [f"mi-{number:014x}{'bad' if number in bad else '000'}" for number in range(count)]


def campaign(cloud: LocalCloud) -> Campaign:
    wall = Settling(cloud)
    return Campaign(
        automations=SsmAutomations(client=cloud.client("ssm")),
        archive=DynamoArchive(client=cloud.client("dynamodb"), table=TABLE, clock=wall),
        clock=wall,
        on_view=lambda _: None,
    )


def begun(view: View) -> int:
    return sum(node.execution is not None for node in view.nodes)


@pytest.mark.parametrize(
    ("bad", "errors", "last"),
    [
        ((3, 310, 320), "2", 320),  # the third error, in the second parent
        ((3, 310), "2", 329),  # within the budget: all nodes, both parents
        ((299, 300), "0", 299),  # the first parent's last node: the second never begins
        ((1, 300), "1", 300),  # the second parent begins with nothing left, and stops at its first node
    ],
)
def test_the_budget_holds_over_parents_to_the_node(
    cloud: LocalCloud, runbook: str, bad: tuple[int, ...], errors: str, last: int
) -> None:
    nodes = names(330, bad=bad)

    ended = campaign(cloud).run(
        Runbook(document=runbook, parameters={}), fleet(nodes, max_concurrency="1", max_errors=errors)
    )

    assert begun(ended) == last + 1
    assert [node.node for node in ended.nodes if node.failed] == [nodes[number] for number in bad if number <= last]
    assert len(ended.executions) == (1 if last < 300 else 2)
    assert bool(ended.stopped) == (last < 329)


def test_a_token_starts_one_execution_however_often_it_is_sent(cloud: LocalCloud, runbook: str) -> None:
    automations, wanted = SsmAutomations(client=cloud.client("ssm")), fleet(names(3))
    start = next_start(wanted, begun=0, failed=0)
    assert start is not None
    token = str(uuid4())

    first = automations.start(Runbook(document=runbook, parameters={}), start, token=token)
    again = automations.start(Runbook(document=runbook, parameters={}), start, token=token)

    assert first == again
    found = automations.find(first)
    assert found is not None
    assert (found.fleet, found.targets) == (True, wanted.nodes)


def test_one_node_is_followed_by_its_own_execution(cloud: LocalCloud, runbook: str) -> None:
    ended = campaign(cloud).run(Runbook(document=runbook, parameters={"Operation": ["Scan"]}), fleet(names(1)))

    assert [(node.node, node.status, node.wrong) for node in ended.nodes] == [(names(1)[0], "Success", False)]


def test_a_parameter_that_does_not_exist_is_invalid(cloud: LocalCloud, runbook: str) -> None:
    with pytest.raises(Invalid):
        campaign(cloud).run(Runbook(document=runbook, parameters={"Nonsense": ["1"]}), fleet(names(2)))


def test_the_latest_are_those_that_somebody_started(cloud: LocalCloud, runbook: str) -> None:
    parent = campaign(cloud).run(Runbook(document=runbook, parameters={}), fleet(names(4))).executions[0]
    single = campaign(cloud).run(Runbook(document=runbook, parameters={}), fleet(names(1))).executions[0]

    latest = SsmAutomations(client=cloud.client("ssm")).recent(runbook, most=10)

    assert [each.id for each in latest] == [single, parent]


def test_records_are_found_by_execution_by_node_and_by_what_they_left(cloud: LocalCloud) -> None:
    wall = Wall()
    archive = DynamoArchive(client=cloud.client("dynamodb"), table=TABLE, clock=wall)
    runs = [
        Run(execution=str(uuid4()), node=f"mi-{number % 2:017x}", began_at=wall.now() + timedelta(minutes=number),
            leftovers=("/snapshots/one",) if number == 7 else ())
        for number in range(130)
    ]  # fmt: skip
    for run in runs:
        item = {"pk": f"run#{run.execution}", "body": codec.encode(run), "node": run.node}
        cloud.client("dynamodb").put_item(TableName=TABLE, Item={key: {"S": value} for key, value in item.items()})

    found = archive.runs([*(run.execution for run in runs), str(uuid4())])

    assert found == {run.execution: run for run in runs}
    assert archive.of_node(runs[1].node) == [run for run in reversed(runs) if run.node == runs[1].node]
    assert archive.with_leftovers() == [runs[7]]


def test_runs_of_a_node_are_found_without_reading_those_of_others(cloud: LocalCloud) -> None:
    archive = DynamoArchive(client=cloud.client("dynamodb"), table=TABLE, clock=Wall())
    since = len(cloud.world.calls)

    archive.of_node("mi-00000000000000001")

    asked = {call.operation for call in cloud.world.calls.since(since)}
    assert "Query" in asked
    assert "Scan" not in asked


def test_a_stack_from_before_the_index_is_told_to_be_updated(cloud: LocalCloud) -> None:
    """DynamoDB's words for it; the emulator has others."""
    client = cloud.client("dynamodb")
    error = {"Code": "ValidationException", "Message": "The table does not have the specified index: node"}

    def refuse(**_: object) -> None:
        raise ClientError({"Error": error}, "Query")

    client.meta.events.register("before-call.dynamodb.Query", refuse)
    archive = DynamoArchive(client=client, table=TABLE, clock=Wall())

    with pytest.raises(Misconfigured, match="no index node") as refused:
        archive.of_node("mi-00000000000000001")

    assert "moorings patch deploy" in refused.value.remedy
