"""DynamoDB refuses malformed requests in the service's words; nothing of them is an internal failure."""

from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.cloud import LocalCloud

TABLE = "things"
KEY = {"pk": {"S": "one"}}
X = {":v": {"S": "x"}}
UNDEFINED_NAME = "An expression attribute name used in the document path is not defined; attribute name: #a"
UNDEFINED_VALUE = "An expression attribute value used in expression is not defined; attribute value: :v"
RESERVED = "Attribute name is a reserved keyword; reserved keyword: status"
UNUSED = "unused in expressions: keys: {"
UNFIT = "The provided key element does not match the schema"
NULL = "failed to satisfy constraint: Member must not be null"


@pytest.fixture(scope="module")
def dynamodb():
    with LocalCloud(in_process=True) as cloud:
        client = cloud.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
        client.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        client.put_item(TableName=TABLE, Item={**KEY, "m": {"M": {"x": {"N": "1"}}}})
        yield client


def _update(expression: str | None = None, **more: Any) -> tuple[str, dict[str, Any]]:
    return "update_item", {"Key": KEY, **({"UpdateExpression": expression} if expression is not None else {}), **more}


def _put(condition: str | None = None, **more: Any) -> tuple[str, dict[str, Any]]:
    return "put_item", {"Item": KEY, **({"ConditionExpression": condition} if condition is not None else {}), **more}


def _names(**names: str) -> dict[str, dict[str, str]]:
    return {"ExpressionAttributeNames": {f"#{name}": text for name, text in names.items()}}


V = {"ExpressionAttributeValues": X}
W = {"ExpressionAttributeValues": {**X, ":w": {"S": "x"}}}
Q = {"KeyConditionExpression": "pk = :v"}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (_update("SET a = :v"), f"Invalid UpdateExpression: {UNDEFINED_VALUE}"),
        (_update("SET #a = :v", **V), f"Invalid UpdateExpression: {UNDEFINED_NAME}"),
        (_put("a = :v"), f"Invalid ConditionExpression: {UNDEFINED_VALUE}"),
        (_put("#a = :v", **V), f"Invalid ConditionExpression: {UNDEFINED_NAME}"),
        (("delete_item", {"Key": KEY, "ConditionExpression": "a = :v"}), f"ConditionExpression: {UNDEFINED_VALUE}"),
        (("get_item", {"Key": KEY, "ProjectionExpression": "#a"}), f"Invalid ProjectionExpression: {UNDEFINED_NAME}"),
        (("query", Q), f"Invalid KeyConditionExpression: {UNDEFINED_VALUE}"),
        (("scan", {"FilterExpression": "attribute_exists(#a)"}), f"Invalid FilterExpression: {UNDEFINED_NAME}"),
        (_update("SET a = :v", **W), f"Value provided in ExpressionAttributeValues {UNUSED}:w}}"),
        (_update("SET a = :v", **V, **_names(n="n")), f"Value provided in ExpressionAttributeNames {UNUSED}#n}}"),
        (_put("attribute_exists(a)", **V), f"Value provided in ExpressionAttributeValues {UNUSED}:v}}"),
        (("query", {**Q, **W}), f"{UNUSED}:w}}"),
        (_update(**_names(n="n")), "ExpressionAttributeNames can only be specified when using expressions"),
        (_update(**V), "when using expressions: UpdateExpression and ConditionExpression are null"),
        (_put(**V), "when using expressions: ConditionExpression is null"),
        (_update("SET a = :v", **V, ExpressionAttributeNames={}), "ExpressionAttributeNames must not be empty"),
        (_update("SET a = :v", **V, ExpressionAttributeNames={"n": "n"}), 'invalid key: Syntax error; key: "n"'),
        (_update(""), "Invalid UpdateExpression: The expression can not be empty;"),
        (_put("attribute_exists("), "Invalid ConditionExpression: Syntax error;"),
        (_put("exists(a)"), "Invalid ConditionExpression: Invalid function name; function: exists"),
        (_put(Item={**KEY, "a": {}}), "Supplied AttributeValue is empty, must contain exactly one"),
        (_put(Item={**KEY, "a": {"L": [{"M": {"b": {"S": "x", "N": "1"}}}]}}), "has more than one datatypes set"),
        (("get_item", {"Key": {"pk": {"N": "1"}}}), UNFIT),
        (("delete_item", {"Key": {**KEY, "a": {"S": "x"}}}), UNFIT),
        (("scan", {"ExclusiveStartKey": {"a": {"S": "x"}}}), "The provided starting key is invalid"),
    ],
)  # fmt: skip
def test_a_malformed_request_is_refused(dynamodb, request_, message):
    operation, params = request_
    assert message in _refusal(dynamodb, operation, {"TableName": TABLE, **params})


@pytest.mark.parametrize(
    ("request_", "member"),
    [
        (_update("SET status = :v", **V), "UpdateExpression"),
        (_update("REMOVE m.status"), "UpdateExpression"),
        (_update("SET a = if_not_exists(status, :v)", **V), "UpdateExpression"),
        (_put("attribute_exists(status)"), "ConditionExpression"),
        (_put("a = :v AND NOT (#m.status IN (:v))", **V, **_names(m="m")), "ConditionExpression"),
        (("get_item", {"Key": KEY, "ProjectionExpression": "a, status"}), "ProjectionExpression"),
        (("query", {"KeyConditionExpression": "status = :v", **V}), "KeyConditionExpression"),
        (("scan", {"FilterExpression": "size(status) > :v", **V}), "FilterExpression"),
    ],
)
def test_a_reserved_word_needs_a_placeholder(dynamodb, request_, member):
    operation, params = request_
    assert f"Invalid {member}: {RESERVED}" in _refusal(dynamodb, operation, {"TableName": TABLE, **params})


def test_words_of_the_grammar_and_attributes_that_look_like_words_pass(dynamodb):
    names = _names(status="status")
    dynamodb.update_item(
        TableName=TABLE,
        Key=KEY,
        UpdateExpression="SET #status = if_not_exists(#status, :v), sized = :v REMOVE gone",
        ConditionExpression="attribute_exists(pk) AND NOT (m.x BETWEEN :n AND :n OR sized IN (:v, :n))",
        ExpressionAttributeValues={**X, ":n": {"N": "7"}},
        **names,
    )

    found = dynamodb.get_item(TableName=TABLE, Key=KEY, ProjectionExpression="#status, sized", **names)["Item"]
    assert found == {"status": {"S": "x"}, "sized": {"S": "x"}}
    dynamodb.update_item(TableName=TABLE, Key=KEY, UpdateExpression="REMOVE #status, sized", **names)


def test_an_update_of_nothing_makes_the_item(dynamodb):
    dynamodb.update_item(TableName=TABLE, Key={"pk": {"S": "bare"}})
    dynamodb.update_item(TableName=TABLE, Key=KEY)

    assert dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": "bare"}})["Item"] == {"pk": {"S": "bare"}}
    assert dynamodb.get_item(TableName=TABLE, Key=KEY)["Item"]["m"] == {"M": {"x": {"N": "1"}}}


def test_batches_are_looked_at_too(dynamodb):
    asked = {TABLE: {"Keys": [KEY], "ProjectionExpression": "#a"}}
    assert UNDEFINED_NAME in _refusal(dynamodb, "batch_get_item", {"RequestItems": asked})
    put = {TABLE: [{"PutRequest": {"Item": {**KEY, "a": {}}}}]}
    assert "AttributeValue is empty" in _refusal(dynamodb, "batch_write_item", {"RequestItems": put})


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        (("KeySchema",), f"1 validation error detected: Value null at 'keySchema' {NULL}"),
        (("AttributeDefinitions",), f"1 validation error detected: Value null at 'attributeDefinitions' {NULL}"),
        (("KeySchema", "AttributeDefinitions"), "2 validation errors detected: "),
    ],
)
def test_a_table_needs_a_key(dynamodb, left_out, message):
    table = {
        "TableName": "keyless",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    assert message in _refusal(dynamodb, "create_table", {k: v for k, v in table.items() if k not in left_out})


def test_a_key_begins_with_its_partition(dynamodb):
    table = {
        "TableName": "sorted",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    }
    assert "The first KeySchemaElement is not a HASH key type" in _refusal(dynamodb, "create_table", table)


def _refusal(client, operation, params):
    with pytest.raises(ClientError) as raised:
        getattr(client, operation)(**params)
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    return raised.value.response["Error"]["Message"]
