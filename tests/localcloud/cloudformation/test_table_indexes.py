"""Indexes of a table: CloudFormation makes or removes one in an update, and changes none."""

from collections.abc import Callable
from typing import Any

import pytest


def _indexed(*attributes: str, kind: str = "KEYS_ONLY") -> dict[str, Any]:
    """A table with an index on each of these attributes."""
    table: dict[str, Any] = {
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", *attributes)],
    }
    if attributes:
        table["GlobalSecondaryIndexes"] = [
            {"IndexName": name, "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}],
             "Projection": {"ProjectionType": kind}}
            for name in attributes
        ]  # fmt: skip
    return {"Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": table}}}


def test_an_index_is_added_to_a_table_and_removed_with_what_it_holds(create: Callable[..., Any], cloud: Any) -> None:
    stack = create(_indexed("due"))
    client = cloud.client("dynamodb")
    table = stack.physical("Table")
    client.put_item(TableName=table, Item={"pk": {"S": "1"}, "node": {"S": "n"}})

    assert stack.update(_indexed("due", "node")) == "UPDATE_COMPLETE"
    found = client.query(
        TableName=table,
        IndexName="node",
        KeyConditionExpression="node = :n",
        ExpressionAttributeValues={":n": {"S": "n"}},
    )
    assert [item["pk"]["S"] for item in found["Items"]] == ["1"]
    assert stack.update(_indexed("node")) == "UPDATE_COMPLETE"
    left = client.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"]
    assert [index["IndexName"] for index in left] == ["node"]


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (_indexed("due", "node", "owner"), "more than one GSI creation or deletion"),
        (_indexed("node"), "more than one GSI creation or deletion"),
        (_indexed("due", kind="ALL"), "Unsupported update of property: GlobalSecondaryIndexes"),
    ],
    ids=["two made", "one made, one removed", "another projection"],
)
def test_indexes_are_changed_one_in_an_update(create: Callable[..., Any], after: dict[str, Any], reason: str) -> None:
    stack = create(_indexed("due"))

    assert stack.update(after) == "UPDATE_ROLLBACK_COMPLETE"
    assert reason in stack.reason("Table")
