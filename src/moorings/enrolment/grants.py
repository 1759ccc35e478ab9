"""The grants in the ledger's table, read for an operator. The functions never scan: this is not in their zip."""

from collections.abc import Iterator
from typing import Any

from moorings.clouds.aws_errors import translated
from moorings.enrolment import items
from moorings.enrolment.model import Grant

_PREFIX = "grant#"


class DynamoGrants:
    """The `GrantBook` port: a scan, which costs as much as the table is large. Grants leave it some hours after."""

    def __init__(self, *, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def grants(self) -> Iterator[Grant]:
        """See `ports.GrantBook.grants`."""
        with translated("dynamodb:Scan"):
            pages = self._client.get_paginator("scan").paginate(
                TableName=self._table,
                FilterExpression="begins_with(pk, :prefix)",
                ExpressionAttributeValues={":prefix": items.text(_PREFIX)},
            )
            for page in pages:
                for item in page["Items"]:
                    pool, _, key_hash = item["pk"]["S"].removeprefix(_PREFIX).partition("#")
                    found = items.grant(item, pool=pool, key_hash=key_hash)
                    if found is not None:  # a claim that has not become a grant
                        yield found
