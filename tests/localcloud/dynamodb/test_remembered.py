"""Expressions are read once: what a request brings besides its text is its own."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.cloud import LocalCloud

SET = "SET #n = if_not_exists(#n, :zero) + :step"


@pytest.fixture
def table() -> Iterator[Any]:
    with LocalCloud(in_process=True) as cloud:
        client = cloud.client("dynamodb")
        client.create_table(
            TableName="t",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        yield client


def _update(table: Any, name: str, step: int, *, unless: str = "") -> int:
    """The attribute `name` after it grew by `step`, refused if it is `unless` already."""
    condition: dict[str, Any] = {"ConditionExpression": "#n <> :unless"} if unless else {}
    values = {":zero": {"N": "0"}, ":step": {"N": str(step)}, **({":unless": {"N": unless}} if unless else {})}
    answer = table.update_item(
        TableName="t",
        Key={"pk": {"S": "a"}},
        UpdateExpression=SET,
        ExpressionAttributeNames={"#n": name},
        ExpressionAttributeValues=values,
        ReturnValues="ALL_NEW",
        **condition,
    )
    return int(answer["Attributes"][name]["N"])


def test_the_same_text_with_other_names_and_values_does_what_they_say(table: Any) -> None:
    assert [_update(table, "x", 1), _update(table, "x", 4), _update(table, "y", 10), _update(table, "x", 1)] == [
        1,
        5,
        10,
        6,
    ]


def test_the_same_condition_is_asked_anew_with_each_value(table: Any) -> None:
    assert _update(table, "x", 1, unless="9") == 1

    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        _update(table, "x", 1, unless="1")
    assert _update(table, "x", 1, unless="9") == 2


@pytest.mark.parametrize("member", ["UpdateExpression", "ConditionExpression"])
def test_what_cannot_be_read_is_refused_every_time(table: Any, member: str) -> None:
    given = {"UpdateExpression": "SET a = :v", "ConditionExpression": "a = :v", member: "a = = :v"}

    for _ in range(2):
        with pytest.raises(ClientError, match="ValidationException"):
            table.update_item(
                TableName="t", Key={"pk": {"S": "a"}}, ExpressionAttributeValues={":v": {"S": "1"}}, **given
            )
