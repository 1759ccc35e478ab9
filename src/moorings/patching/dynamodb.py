"""Guards and records in the stack's table: every write is one conditional write on one item.

A write whose answer was lost and whose repetition is refused by an item that shows our own write counts as done.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from moorings.clock import epoch, from_epoch
from moorings.clouds.aws_errors import translated
from moorings.errors import CloudFault, Misconfigured
from moorings.patching import codec
from moorings.patching.model import RECORD_LIFE, Guard, Run, VmRef
from moorings.patching.ports import Overtaken

CONDITION_FAILED = "ConditionalCheckFailedException"
DUE_INDEX = "due"
OPEN = "1"  # the index holds only records that the keeper shall look at
GUARD_LIFE = timedelta(days=90)


class DynamoGuards:
    """The `Guards` port."""

    def __init__(self, *, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def of(self, vm: VmRef) -> Guard | None:
        """See `ports.Guards.of`."""
        with translated("dynamodb:GetItem"):
            item = self._client.get_item(TableName=self._table, Key=_guard_key(vm), ConsistentRead=True).get("Item")
        return _guard(vm, item) if item else None

    def take(self, vm: VmRef, *, owner: str, until: datetime, seen: Guard | None) -> Guard | None:
        """See `ports.Guards.take`."""
        fence = (seen.fence if seen else 0) + 1
        condition = "attribute_not_exists(pk)" if seen is None else "#fence = :seen"
        values = {":owner": _text(owner), ":fence": _number(fence), ":until": _moment(until)}
        values[":ttl"] = _number(epoch(until + GUARD_LIFE))
        if seen is not None:
            values[":seen"] = _number(seen.fence)
        names = {"#owner": "owner", "#fence": "fence", "#until": "until", "#ttl": "expires"}
        update = "SET #owner = :owner, #fence = :fence, #until = :until, #ttl = :ttl"
        if self._updated(vm, update, condition, values, names):
            return Guard(vm=vm.key, owner=owner, fence=fence, until=until)
        now = self.of(vm)
        ours = now is not None and now.owner == owner and now.fence == fence
        return now if ours else None

    def hold(self, vm: VmRef, *, owner: str, fence: int, until: datetime) -> bool:
        """See `ports.Guards.hold`."""
        values = {":owner": _text(owner), ":fence": _number(fence), ":until": _moment(until)}
        names = {"#owner": "owner", "#fence": "fence", "#until": "until"}
        return self._updated(vm, "SET #until = :until", "#owner = :owner AND #fence = :fence", values, names)

    def release(self, vm: VmRef, *, owner: str, fence: int) -> None:
        """See `ports.Guards.release`: the item stays, so that fencing numbers go on rising."""
        values = {":owner": _text(owner), ":fence": _number(fence)}
        self._updated(
            vm, "REMOVE #owner", "#owner = :owner AND #fence = :fence", values, {"#owner": "owner", "#fence": "fence"}
        )

    def _updated(
        self, vm: VmRef, update: str, condition: str, values: Mapping[str, Any], names: Mapping[str, str]
    ) -> bool:
        try:
            with translated("dynamodb:UpdateItem"):
                self._client.update_item(
                    TableName=self._table,
                    Key=_guard_key(vm),
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ExpressionAttributeNames=names,
                )
        except CloudFault as fault:
            if fault.code != CONDITION_FAILED:
                raise
            return False
        return True


class DynamoRecords:
    """The `Records` port. The index `due` holds what the keeper shall look at, by time."""

    def __init__(self, *, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def load(self, execution: str) -> Run | None:
        """See `ports.Records.load`."""
        with translated("dynamodb:GetItem"):
            item = self._client.get_item(
                TableName=self._table, Key={"pk": _text(f"run#{execution}")}, ConsistentRead=True
            ).get("Item")
        return run_in(item) if item else None

    def save(self, run: Run) -> Run:
        """See `ports.Records.save`."""
        item = _record(run, version=run.version + 1)
        condition = "attribute_not_exists(pk)" if run.version == 0 else "#version = :version"
        values = {} if run.version == 0 else {":version": _number(run.version)}
        options: dict[str, Any] = {"ConditionExpression": condition}
        if values:
            options["ExpressionAttributeValues"] = values
            options["ExpressionAttributeNames"] = {"#version": "version"}
        try:
            with translated("dynamodb:PutItem"):
                self._client.put_item(TableName=self._table, Item=item, **options)
        except CloudFault as fault:
            if fault.code != CONDITION_FAILED:
                raise
            there = self.load(run.execution)
            if there is None or codec.encode(there) != item["body"]["S"]:
                raise Overtaken(
                    f"somebody else works on execution {run.execution}", remedy="try again, if it still wants doing"
                ) from fault
        return codec.decode(Run, item["body"]["S"])

    def postpone(self, run: Run, until: datetime) -> None:
        """See `ports.Records.postpone`: the index's attribute alone."""
        try:
            with translated("dynamodb:UpdateItem"):
                self._client.update_item(
                    TableName=self._table,
                    Key={"pk": _text(f"run#{run.execution}")},
                    UpdateExpression="SET #due = :due",
                    ConditionExpression="#version = :version AND attribute_exists(#open)",
                    ExpressionAttributeNames={"#due": "due", "#version": "version", "#open": "open"},
                    ExpressionAttributeValues={":due": _moment(until), ":version": _number(run.version)},
                )
        except CloudFault as fault:
            if fault.code != CONDITION_FAILED:
                raise

    def due(self, now: datetime, *, limit: int) -> list[str]:
        """See `ports.Records.due`."""
        with translated("dynamodb:Query"):
            answer = self._client.query(
                TableName=self._table,
                IndexName=DUE_INDEX,
                KeyConditionExpression="#open = :open AND #due <= :now",
                ExpressionAttributeNames={"#open": "open", "#due": "due"},
                ExpressionAttributeValues={":open": _text(OPEN), ":now": _number(epoch(now))},
                Limit=limit,
            )
        return [item["pk"]["S"].partition("#")[2] for item in answer.get("Items", ())]


def run_in(item: Mapping[str, Any]) -> Run:
    """The run whose record an item is. Misconfigured if this version cannot read it."""
    try:
        return codec.decode(Run, item["body"]["S"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Misconfigured(
            f"the record of execution {item['pk']['S'].partition('#')[2]} cannot be read: {error}",
            remedy="a newer version wrote it: update the stack, or the command that you run, to that one",
        ) from error


def _record(run: Run, *, version: int) -> dict[str, Any]:
    body = codec.encode(replace(run, version=version))
    item: dict[str, Any] = {
        "pk": _text(f"run#{run.execution}"),
        "body": _text(body),
        "version": _number(version),
        "node": _text(run.node),
        "expires": _number(epoch(run.began_at + RECORD_LIFE)),
    }
    if run.look_at is not None:
        item["open"] = _text(OPEN)
        item["due"] = _number(epoch(run.look_at))
    if run.look_at is not None or run.leftovers:
        item.pop("expires")  # what still wants looking after is not forgotten, nor what only a person removes
    return item


def _guard_key(vm: VmRef) -> dict[str, Any]:
    return {"pk": _text(f"guard#{vm.key}")}


def _guard(vm: VmRef, item: Mapping[str, Any]) -> Guard:
    return Guard(
        vm=vm.key,
        owner=item.get("owner", {}).get("S", ""),
        fence=int(item["fence"]["N"]),
        until=from_epoch(float(item["until"]["N"])),
    )


def _text(value: str) -> dict[str, Any]:
    return {"S": value}


def _number(value: int) -> dict[str, Any]:
    return {"N": str(value)}


def _moment(value: datetime) -> dict[str, Any]:
    return _number(epoch(value))
