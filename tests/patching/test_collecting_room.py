"""The keeper's room, asked by a person: what that person has to mend is an answer, never an error of the function."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from tests.patching.fleetfake import Wall

from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from moorings.patching import codec
from moorings.patching.assembly import PatchingRoom
from moorings.patching.model import Phase, Run
from moorings.patching.outside import Deadline
from moorings.settings import PatchingSettings


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(clock=SteppedClock()) as running:
        running.client("dynamodb").create_table(
            TableName="guards", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )  # fmt: skip
        yield running


@pytest.fixture
def room(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> PatchingRoom:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "patching")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Moorings")
    settings = PatchingSettings(
        region=cloud.world.region, table="guards", stack="test", scopes=(), credential_prefix="/moorings/azure",
        federation=None, azure_environment="AzurePublicCloud", arm_url="", authority_url="", event_bus="default",
        anchors=None,
    )  # fmt: skip
    return PatchingRoom(settings, session=cloud, clock=Wall())


def collected(room: PatchingRoom, execution: str) -> dict[str, object]:
    return room.collect(execution, Deadline(Wall(), timedelta(seconds=50)), rehearse=False)


def test_a_run_that_left_nothing_has_nothing_to_remove(cloud: LocalCloud, room: PatchingRoom) -> None:
    run = Run(execution=str(uuid4()), node="mi-0", began_at=datetime(2026, 11, 21, tzinfo=UTC), phase=Phase.OVER)
    item = {"pk": {"S": f"run#{run.execution}"}, "body": {"S": codec.encode(run)}}
    cloud.client("dynamodb").put_item(TableName="guards", Item=item)

    assert collected(room, run.execution) == {"deleted": [], "kept": [], "rehearsed": False}


def test_an_unknown_execution_is_an_answer(room: PatchingRoom) -> None:
    answer = collected(room, str(uuid4()))

    assert "no record" in str(answer["refused"])
    assert answer["family"] == "conflict"


def test_what_is_no_execution_is_an_answer(room: PatchingRoom) -> None:
    assert collected(room, "nonsense")["family"] == "invalid"
