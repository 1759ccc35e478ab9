"""Audit records and metrics through Powertools: one JSON line each, metrics in CloudWatch's embedded format."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

# Who got an activation, or did not: written at every log level.
AUDITED = frozenset({"granted", "refused"})
GAUGES = {"HoursToExpiry": MetricUnit.NoUnit, "SlotsLeft": MetricUnit.Count, "StaleNodes": MetricUnit.Count}


class PowertoolsJournal:
    """The `Journal` port. Metrics carry the dimension `stack`, so that two stacks in one account stay apart."""

    def __init__(self, *, stack: str) -> None:
        self._logger = Logger()
        self._audit = Logger(child=True, level="INFO")
        self._stack = stack
        self._metrics = self._no_metrics()

    def begin(self, request_id: str) -> None:
        """Every record until the next `begin` belongs to this request."""
        self._logger.append_keys(request_id=request_id)

    def record(self, event: str, **facts: object) -> None:
        """See `ports.Journal.record`."""
        # One object under `message`: as keys beside it, facts could collide with those of the log record itself.
        logger = self._audit if event in AUDITED else self._logger
        logger.info({"event": event, **facts})

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
            self._metrics = self._no_metrics()

    def _no_metrics(self) -> EphemeralMetrics:
        metrics = EphemeralMetrics()
        metrics.add_dimension(name="stack", value=self._stack)
        return metrics
