"""DynamoDB operations whose input moto does not check, or takes a crash for an answer."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from localcloud.aws.call import Call, Operation
from localcloud.aws.dynamodb.expressions import check_expressions
from localcloud.aws.dynamodb.values import check_item, check_key, invalid
from localcloud.aws.motobridge import pass_on
from localcloud.wire import Response
from localcloud.world import World

# What each operation takes, in the order in which the service names them.
_EXPRESSIONS = {
    "PutItem": ("ConditionExpression",),
    "DeleteItem": ("ConditionExpression",),
    "UpdateItem": ("UpdateExpression", "ConditionExpression"),
    "GetItem": ("ProjectionExpression",),
    "Query": ("ProjectionExpression", "FilterExpression", "KeyConditionExpression"),
    "Scan": ("ProjectionExpression", "FilterExpression"),
}


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """The operations on items, and CreateTable."""
    made: dict[tuple[str, str], Operation] = {
        ("dynamodb", name): _on_items(world, members) for name, members in _EXPRESSIONS.items()
    }
    checks: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
        "BatchGetItem": _check_gets,
        "BatchWriteItem": _check_writes,
        "CreateTable": _check_table,
    }
    return made | {("dynamodb", name): _checked(world, check) for name, check in checks.items()}


def _on_items(world: World, members: tuple[str, ...]) -> Operation:
    def carry_out(call: Call) -> Response:
        params = call.params
        check_expressions(params, members)
        check_item(params.get("Item") or {})
        types = _key_types(world, call)
        if types and "Key" in params:
            check_key(params["Key"], types)
        if types and params.get("ExclusiveStartKey") and not params.get("IndexName"):
            check_key(params["ExclusiveStartKey"], types, refusal="The provided starting key is invalid")
        if call.operation == "UpdateItem" and not {"UpdateExpression", "AttributeUpdates"} & params.keys():
            call = _with_no_updates(call)
        return pass_on(world, call)

    return carry_out


def _checked(world: World, check: Callable[[Mapping[str, Any]], None]) -> Operation:
    def carry_out(call: Call) -> Response:
        check(call.params)
        return pass_on(world, call)

    return carry_out


def _key_types(world: World, call: Call) -> Mapping[str, str]:
    """Types of the key's attributes; empty if there is no such table, which moto then says."""
    with world.moto_lock:
        table = world.backend("dynamodb", call.region).tables.get(call.params["TableName"].rsplit("/", 1)[-1])
        if table is None:
            return {}
        key = {table.hash_key_attr, table.range_key_attr}
        return {one["AttributeName"]: one["AttributeType"] for one in table.attr if one["AttributeName"] in key}


def _with_no_updates(call: Call) -> Call:
    """An update of nothing makes an item that is not there yet; moto must see an empty list to do so."""
    body = json.loads(call.request.body) | {"AttributeUpdates": {}}
    return replace(call, request=replace(call.request, body=json.dumps(body).encode()))


def _check_gets(params: Mapping[str, Any]) -> None:
    for asked in params["RequestItems"].values():
        check_expressions(asked, ("ProjectionExpression",))
        for key in asked["Keys"]:
            check_item(key)


def _check_writes(params: Mapping[str, Any]) -> None:
    for asked in params["RequestItems"].values():
        for one in asked:
            check_item((one.get("PutRequest") or {}).get("Item") or (one.get("DeleteRequest") or {}).get("Key") or {})


def _check_table(params: Mapping[str, Any]) -> None:
    missing = [name for name in ("AttributeDefinitions", "KeySchema") if not params.get(name)]
    if missing:
        sentences = "; ".join(
            f"Value null at '{name[0].lower()}{name[1:]}' failed to satisfy constraint: Member must not be null"
            for name in missing
        )
        raise invalid(f"{len(missing)} validation error{'s' * (len(missing) > 1)} detected: {sentences}")
    if params["KeySchema"][0]["KeyType"] != "HASH":
        raise invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
