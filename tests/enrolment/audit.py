"""What a function writes while a test runs: its log, line by line as CloudWatch would get it."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

SERVICE = "enrolment"  # POWERTOOLS_SERVICE_NAME; Powertools names its logger so


class Audit:
    """The log of a function, kept as the bytes that would go out."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self.handler = logging.StreamHandler(io.TextIOWrapper(self._bytes, encoding="utf-8", write_through=True))
        self.handler.setFormatter(LambdaPowertoolsFormatter())

    @property
    def text(self) -> str:
        """Everything written so far."""
        return self._bytes.getvalue().decode()

    @property
    def records(self) -> list[dict[str, Any]]:
        """The audit records among it, oldest first."""
        lines = [json.loads(line)["message"] for line in self.text.splitlines()]
        return [message for message in lines if isinstance(message, dict)]

    def of(self, event: str) -> list[dict[str, Any]]:
        """The audit records of one event."""
        return [record for record in self.records if record["event"] == event]


@contextmanager
def listening() -> Iterator[Audit]:
    """The log from now on."""
    audit = Audit()
    logger = logging.getLogger(SERVICE)
    logger.addHandler(audit.handler)
    try:
        yield audit
    finally:
        logger.removeHandler(audit.handler)


def metrics(printed: str) -> list[dict[str, Any]]:
    """The metric records (CloudWatch's embedded format) in what a function printed."""
    records = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return [record for record in records if "_aws" in record]


def totals(printed: str) -> dict[str, float]:
    """Each metric's sum over everything printed."""
    found: dict[str, float] = {}
    for record in metrics(printed):
        for directive in record["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                name = metric["Name"]
                values = record[name]
                found[name] = found.get(name, 0) + (sum(values) if isinstance(values, list) else values)
    return found
