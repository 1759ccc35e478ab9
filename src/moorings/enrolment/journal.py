"""Audit records and metrics through Powertools: one JSON line each, metrics in CloudWatch's embedded format."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

GAUGES = {"HoursToExpiry": MetricUnit.NoUnit, "SlotsLeft": MetricUnit.Count, "StaleNodes": MetricUnit.Count}


class PowertoolsJournal:
    """The `Journal` port. Metrics carry the dimension `stack`, so that two stacks in one account stay apart."""

    def __init__(self, *, stack: str) -> None:
        self._logger = Logger()
        self._metrics = Metrics()
        self._metrics.set_default_dimensions(stack=stack)

    def begin(self, request_id: str) -> None:
        """Every record until the next `begin` belongs to this request."""
        self._logger.append_keys(request_id=request_id)

    def record(self, event: str, **facts: object) -> None:
        """See `ports.Journal.record`."""
        self._logger.info(event, extra=dict[str, Any](facts))

    def bug(self, error: BaseException) -> None:
        """Write an error that nobody expected, with its trace."""
        self._logger.error("bug", exc_info=error)

    def count(self, metric: str, value: float = 1) -> None:
        """See `ports.Journal.count`."""
        self._metrics.add_metric(name=metric, unit=MetricUnit.Count, value=value)

    def measure(self, metric: str, value: float) -> None:
        """See `ports.Journal.measure`."""
        self._metrics.add_metric(name=metric, unit=GAUGES.get(metric, MetricUnit.NoUnit), value=value)

    def flush(self) -> None:
        """Write the metrics of this request, if there are any."""
        if self._metrics.metric_set:
            self._metrics.flush_metrics()
