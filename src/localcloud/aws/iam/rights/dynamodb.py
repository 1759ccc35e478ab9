"""Rights of DynamoDB calls.

Sources: Service Authorization Reference, "Amazon DynamoDB"; DynamoDB Developer Guide, "Using IAM policy conditions for
fine-grained access control" (dynamodb:LeadingKeys) and "Using IAM with DynamoDB transactions" (a transaction needs the
rights of the single operations). Rights of a customer managed key on the table itself are not asked for.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from localcloud.aws.call import Call
from localcloud.aws.iam.policy import Values
from localcloud.aws.iam.rights.model import Directory, Entry, Right, arn, simple

_EQUALITY = re.compile(r"([#\w.-]+)\s*=\s*(:\w+)")


def _table(call: Call, name: str) -> str:
    return arn(call, "dynamodb", name if name.startswith("arn:") else f"table/{name}")


def _name(table: str) -> str:
    """The table's name, whether it was given by name or ARN."""
    return table.rsplit("table/", maxsplit=1)[-1]


def _scalar(value: Mapping[str, Any]) -> str:
    # A value without type, or with several, is refused once the caller may ask at all.
    if len(value) != 1:
        return ""
    ((kind, content),) = value.items()
    return base64.b64encode(content).decode() if kind == "B" else str(content)


def _leading(directory: Directory, table: str, items: Iterable[Mapping[str, Any]]) -> dict[str, Values]:
    key = directory.partition_key(_name(table))
    values = tuple(_scalar(item[key]) for item in items if key and key in item)
    return {"dynamodb:LeadingKeys": values} if values else {}


def _asked(call: Call) -> dict[str, Values]:
    asked = ("Select", "ReturnValues", "ReturnConsumedCapacity")
    return {f"dynamodb:{name}": str(call.params[name]) for name in asked if name in call.params}


def _on_item(operation: str) -> Entry:
    action = f"dynamodb:{operation}"

    def rights(call: Call, directory: Directory) -> Sequence[Right]:
        table = call.params["TableName"]
        item = call.params.get("Key") or call.params.get("Item") or {}
        keys = {**_asked(call), **_leading(directory, table, [item])}
        return [Right(action=action, resource=_table(call, table), keys=keys)]

    return Entry(actions=(action,), rights=rights)


def _search(operation: str) -> Entry:
    action = f"dynamodb:{operation}"

    def rights(call: Call, directory: Directory) -> Sequence[Right]:
        table, index = call.params["TableName"], call.params.get("IndexName")
        resource = _table(call, table) + (f"/index/{index}" if index else "")
        leading = _leading_of_query(call, directory.partition_key(_name(table))) if not index else {}
        return [Right(action=action, resource=resource, keys={**_asked(call), **leading})]

    return Entry(actions=(action,), rights=rights)


def _leading_of_query(call: Call, key: str | None) -> dict[str, Values]:
    names = call.params.get("ExpressionAttributeNames", {})
    values = call.params.get("ExpressionAttributeValues", {})
    for name, value in _EQUALITY.findall(call.params.get("KeyConditionExpression", "")):
        if names.get(name, name) == key and value in values:
            return {"dynamodb:LeadingKeys": (_scalar(values[value]),)}
    return {}


def _batch_get(call: Call, directory: Directory) -> Sequence[Right]:
    return [
        Right(
            action="dynamodb:BatchGetItem",
            resource=_table(call, table),
            keys=_leading(directory, table, asked.get("Keys", ())),
        )
        for table, asked in call.params["RequestItems"].items()
    ]


def _batch_write(call: Call, directory: Directory) -> Sequence[Right]:
    needed = []
    for table, writes in call.params["RequestItems"].items():
        items = [
            write["PutRequest"]["Item"] if "PutRequest" in write else write["DeleteRequest"]["Key"] for write in writes
        ]
        keys = _leading(directory, table, items)
        needed.append(Right(action="dynamodb:BatchWriteItem", resource=_table(call, table), keys=keys))
    return needed


_MEMBERS = {
    "Get": "dynamodb:GetItem",
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}


def _transaction(call: Call, directory: Directory) -> Sequence[Right]:
    needed = []
    for member in call.params["TransactItems"]:
        for kind, part in member.items():
            item = part.get("Key") or part.get("Item") or {}
            keys = {"dynamodb:EnclosingOperation": call.operation, **_leading(directory, part["TableName"], [item])}
            needed.append(Right(action=_MEMBERS[kind], resource=_table(call, part["TableName"]), keys=keys))
    return needed


ENTRIES: Mapping[tuple[str, str], Entry] = {
    **{
        ("dynamodb", operation): _on_item(operation) for operation in ("GetItem", "PutItem", "UpdateItem", "DeleteItem")
    },
    ("dynamodb", "Query"): _search("Query"),
    ("dynamodb", "Scan"): _search("Scan"),
    ("dynamodb", "BatchGetItem"): Entry(actions=("dynamodb:BatchGetItem",), rights=_batch_get),
    ("dynamodb", "BatchWriteItem"): Entry(actions=("dynamodb:BatchWriteItem",), rights=_batch_write),
    ("dynamodb", "TransactWriteItems"): Entry(actions=tuple(_MEMBERS.values())[1:], rights=_transaction),
    ("dynamodb", "TransactGetItems"): Entry(actions=("dynamodb:GetItem",), rights=_transaction),
    ("dynamodb", "DescribeTable"): simple(
        "dynamodb:DescribeTable", lambda call: _table(call, call.params["TableName"])
    ),
}
