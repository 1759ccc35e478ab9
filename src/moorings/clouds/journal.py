"""Log records and metrics of functions, through Powertools: one JSON line each, metrics in CloudWatch's own format."""

from collections.abc import Mapping

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit


class PowertoolsJournal:
    """The `Journal` port of both halves. Metrics carry the dimension `stack`, so that two stacks in one account stay
    apart. `audited` names the events that are written at every log level, `units` those of gauges."""

    def __init__(
        self, *, stack: str, audited: frozenset[str] = frozenset(), units: Mapping[str, MetricUnit] | None = None
    ) -> None:
        self._logger = Logger()
        self._audit = Logger(child=True, level="INFO")
        self._audited = audited
        self._units = units or {}
        self._stack = stack
        self._metrics = self._no_metrics()

    def begin(self, request_id: str) -> None:
        """Every record until the next `begin` belongs to this request."""
        self._logger.append_keys(request_id=request_id)

    def record(self, event: str, **facts: object) -> None:
        """Write one event with its facts."""
        # One object under `message`: as keys beside it, facts could collide with those of the log record itself.
        logger = self._audit if event in self._audited else self._logger
        logger.info({"event": event, **facts})

    def bug(self, error: BaseException) -> None:
        """Write an error that nobody expected, with its trace."""
        self._logger.error("bug", exc_info=error)

    def count(self, metric: str, value: float = 1) -> None:
        """Add to a counter."""
        self._metrics.add_metric(name=metric, unit=MetricUnit.Count, value=value)

    def measure(self, metric: str, value: float) -> None:
        """Set a gauge."""
        self._metrics.add_metric(name=metric, unit=self._units.get(metric, MetricUnit.NoUnit), value=value)

    def flush(self) -> None:
        """Write the metrics of this request, if there are any."""
        if self._metrics.metric_set:
            self._metrics.flush_metrics()
            self._metrics = self._no_metrics()

    def _no_metrics(self) -> EphemeralMetrics:
        metrics = EphemeralMetrics()
        metrics.add_dimension(name="stack", value=self._stack)
        return metrics
