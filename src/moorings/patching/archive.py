"""The `Archive` port over the stack's table: records of runs, for whoever looks at them."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from moorings.clock import Clock
from moorings.clouds.aws_errors import translated
from moorings.errors import Busy, CloudFault, Misconfigured
from moorings.patching.dynamodb import run_in
from moorings.patching.model import Run

NODE_INDEX = "node"
MOST_KEYS = 100  # of one BatchGetItem
_TRIES = 5
_PREFIX = "run#"
_WITH_LEFTOVERS = '"leftovers":'  # the codec leaves out what is empty


class DynamoArchive:
    """The `Archive` port. Reads are eventually consistent: a second later they show what they did not."""

    def __init__(self, *, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def runs(self, executions: Iterable[str]) -> dict[str, Run]:
        """See `executions.Archive.runs`."""
        wanted, found = list(dict.fromkeys(executions)), {}
        for at in range(0, len(wanted), MOST_KEYS):
            keys = [{"pk": {"S": f"{_PREFIX}{each}"}} for each in wanted[at : at + MOST_KEYS]]
            for item in self._batch(keys):
                run = run_in(item)
                found[run.execution] = run
        return found

    def of_node(self, node: str) -> list[Run]:
        """See `executions.Archive.of_node`."""
        found = self.runs(self._executions(node)).values()
        return sorted(found, key=lambda run: run.began_at, reverse=True)

    def with_leftovers(self) -> list[Run]:
        """See `executions.Archive.with_leftovers`."""
        values = {":wanted": {"S": _WITH_LEFTOVERS}}
        scanned = self._scan("contains(#body, :wanted)", values, {"#body": "body"})
        return sorted((run for run in scanned if run.leftovers), key=lambda run: run.began_at)

    def _executions(self, node: str) -> list[str]:
        """Those whose records the index knows of a node."""
        try:
            with translated("dynamodb:Query"):
                pages = self._client.get_paginator("query").paginate(
                    TableName=self._table,
                    IndexName=NODE_INDEX,
                    KeyConditionExpression="#node = :node",
                    ExpressionAttributeNames={"#node": "node"},
                    ExpressionAttributeValues={":node": {"S": node}},
                )
                return [item["pk"]["S"].removeprefix(_PREFIX) for page in pages for item in page["Items"]]
        except CloudFault as fault:
            if fault.code != "ValidationException":
                raise
            raise Misconfigured(
                f"the table {self._table} has no index {NODE_INDEX}: its stack is older than this command",
                remedy="update the stack: moorings patch deploy",
            ) from fault

    def _batch(self, keys: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Items of at most 100 keys; what the table puts off is asked for again."""
        for number in range(_TRIES):
            with translated("dynamodb:BatchGetItem"):
                answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys}})
            yield from answer.get("Responses", {}).get(self._table, ())
            keys = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            if not keys:
                return
            self._clock.wait(timedelta(seconds=0.2 * 2**number))
        raise Busy(f"table {self._table} puts off reads", retry_after=timedelta(seconds=5))

    def _scan(self, condition: str, values: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Run]:
        with translated("dynamodb:Scan"):
            pages = self._client.get_paginator("scan").paginate(
                TableName=self._table,
                FilterExpression=f"begins_with(#pk, :prefix) AND {condition}",
                ExpressionAttributeNames={"#pk": "pk", **names},
                ExpressionAttributeValues={":prefix": {"S": _PREFIX}, **values},
            )
            for page in pages:
                yield from map(run_in, page["Items"])
