"""Events put on a bus reach what rules name, if its own policy lets them in."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.aws.event_bus import LARGEST_ENTRY, EventBuses
from localcloud.cloud import LocalCloud

PATTERN = {"source": ["moorings"], "detail": {"wrong": [True]}}
EVENT = {"Source": "moorings", "DetailType": "Outcome", "Detail": json.dumps({"wrong": True, "node": "mi-1", "n": 3})}
LET_IN = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish", "Resource": "*"}


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(in_process=True) as running:
        yield running


@dataclass
class Desk:
    """A topic with a rule that tells it, and a queue on which its messages arrive."""

    cloud: LocalCloud
    rule: str
    topic: str
    queue: str

    def put(self, **changed: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.cloud.client("events").put_events(Entries=[{**EVENT, **changed}])
        return answer

    def told(self) -> list[str]:
        """The messages that arrived since the last look."""
        found = self.cloud.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(each["Body"])["Message"] for each in found.get("Messages", [])]

    def refused(self) -> list[str]:
        deliveries = self.cloud.world.part(EventBuses).deliveries
        return [each.refused for each in deliveries if each.rule == self.rule and each.refused]

    def allow(self, *statements: dict[str, Any]) -> None:
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.cloud.client("sns").set_topic_attributes(
            TopicArn=self.topic, AttributeName="Policy", AttributeValue=policy
        )

    def target(self, **more: Any) -> None:
        self.cloud.client("events").put_targets(Rule=self.rule, Targets=[{"Id": "t", "Arn": self.topic, **more}])


@pytest.fixture
def desk(cloud: LocalCloud) -> Iterator[Desk]:
    name = f"t{uuid.uuid4().hex[:8]}"
    queue = cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    arn = cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    topic = cloud.client("sns").create_topic(Name=name)["TopicArn"]
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    cloud.client("events").put_rule(Name=name, EventPattern=json.dumps(PATTERN))
    made = Desk(cloud, name, topic, queue)
    made.allow(LET_IN)
    made.target()
    yield made
    cloud.client("events").remove_targets(Rule=name, Ids=["t"])
    cloud.client("events").delete_rule(Name=name)


def test_a_topic_is_told_the_event(desk: Desk) -> None:
    answer = desk.put(Resources=["arn:x"])

    (told,) = map(json.loads, desk.told())
    assert told["id"] == answer["Entries"][0]["EventId"]
    assert told["detail"] == {"wrong": True, "node": "mi-1", "n": 3}
    assert (told["source"], told["detail-type"], told["resources"]) == ("moorings", "Outcome", ["arn:x"])
    assert told["account"] == desk.cloud.world.account


@pytest.mark.parametrize("changed", [{"Source": "other"}, {"Detail": '{"wrong": false}'}, {"Detail": "{}"}])
def test_what_does_not_match_is_told_to_nobody(desk: Desk, changed: dict[str, str]) -> None:
    assert desk.put(**changed)["FailedEntryCount"] == 0

    assert desk.told() == []


def test_a_disabled_rule_tells_nobody(desk: Desk) -> None:
    desk.cloud.client("events").disable_rule(Name=desk.rule)

    desk.put()

    assert desk.told() == []


def test_a_text_may_be_made_from_the_event(desk: Desk) -> None:
    paths = {"node": "$.detail.node", "n": "$.detail.n", "none": "$.detail.none.at.all"}
    desk.target(InputTransformer={"InputPathsMap": paths, "InputTemplate": '"<node>: <n> of <none>."'})

    desk.put()

    assert desk.told() == ['"mi-1: 3 of ."']


def test_a_text_of_the_targets_own_takes_the_events_place(desk: Desk) -> None:
    desk.target(Input='"something happened"')

    desk.put()

    assert desk.told() == ['"something happened"']


@pytest.mark.parametrize(
    "condition",
    [
        {"ArnEquals": {"aws:SourceArn": "arn:aws:events:us-east-1:000000000000:rule/another"}},
        {"StringEquals": {"aws:SourceAccount": "000000000000"}},
    ],
)
def test_a_topic_that_does_not_let_the_rule_in_is_not_told(desk: Desk, condition: dict[str, Any]) -> None:
    desk.allow({**LET_IN, "Condition": condition})

    assert desk.put()["FailedEntryCount"] == 0  # as in the service: whoever puts an event does not learn of it

    assert desk.told() == []
    assert "the topic's policy does not allow it" in desk.refused()[0]


@pytest.mark.parametrize("let_in", ["whoever comes", "who comes for this account", "nobody"])
def test_the_key_of_an_encrypted_topic_must_let_events_in(desk: Desk, let_in: str) -> None:
    """EventBridge does not tell a key on whose behalf it comes, so a condition on that admits nobody."""
    lets_in = let_in == "whoever comes"
    account = desk.cloud.world.account
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    events: dict[str, Any] = {**LET_IN, "Action": ["kms:GenerateDataKey*", "kms:Decrypt"]}
    if let_in == "who comes for this account":
        events["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    statements = [{"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}]
    statements += [] if let_in == "nobody" else [events]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    key = desk.cloud.client("kms").create_key(Policy=policy)["KeyMetadata"]["KeyId"]
    desk.cloud.client("sns").set_topic_attributes(
        TopicArn=desk.topic, AttributeName="KmsMasterKeyId", AttributeValue=key
    )

    desk.put()

    assert len(desk.told()) == lets_in
    assert bool(desk.refused()) != lets_in


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"Source": ""}, "InvalidArgument"),
        ({"Source": "aws.ssm"}, "NotAuthorizedForSource"),
        ({"Detail": "[]"}, "MalformedDetail"),
        ({"Detail": "{"}, "MalformedDetail"),
        ({"Detail": json.dumps({"x": "x" * LARGEST_ENTRY})}, "InvalidArgument"),
        ({"EventBusName": "nowhere"}, "ResourceNotFoundException"),
    ],
)
def test_an_entry_that_is_none_is_refused_by_itself(desk: Desk, changed: dict[str, str], code: str) -> None:
    answer = desk.cloud.client("events").put_events(Entries=[{**EVENT, **changed}, EVENT])

    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == code
    assert len(desk.told()) == 1


def test_a_filter_that_is_not_compared_is_refused_by_its_name(cloud: LocalCloud) -> None:
    pattern = {"detail": {"x": [{"sounds-like": "y"}]}}

    with pytest.raises(ClientError, match="filter sounds-like"):
        cloud.client("events").put_rule(Name="odd", EventPattern=json.dumps(pattern))


@pytest.mark.parametrize("pattern", ["{", "[]", "{}", '{"source": "text"}'])
def test_what_is_no_pattern_is_refused(cloud: LocalCloud, pattern: str) -> None:
    with pytest.raises(ClientError) as refused:
        cloud.client("events").put_rule(Name="odd", EventPattern=pattern)

    assert refused.value.response["Error"]["Code"] == "InvalidEventPatternException"


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"Arn": "arn:aws:sqs:us-east-1:000000000000:queue"}, "only functions and topics"),
        ({"InputPath": "$.detail"}, "InputPath"),
        ({"InputTransformer": {"InputPathsMap": {"a": "$.x[0]"}, "InputTemplate": "a"}}, "path"),
    ],
)
def test_a_target_that_would_not_be_served_is_refused_by_its_name(desk: Desk, more: dict[str, Any], named: str) -> None:
    with pytest.raises(ClientError, match=named):
        desk.target(**more)
