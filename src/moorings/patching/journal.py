"""Log records and metrics of patching, through Powertools: one JSON line each, metrics in CloudWatch's own format."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit


class PowertoolsJournal:
    """The `Journal` port. Metrics carry the dimension `stack`."""

    def __init__(self, *, stack: str) -> None:
        self._logger = Logger()
        self._stack = stack
        self._metrics = self._no_metrics()

    def begin(self, request_id: str) -> None:
        """Every record until the next `begin` belongs to this request."""
        self._logger.append_keys(request_id=request_id)

    def record(self, event: str, **facts: object) -> None:
        """See `ports.Journal.record`."""
        self._logger.info({"event": event, **facts})

    def bug(self, error: BaseException) -> None:
        """Write an error that nobody expected, with its trace."""
        self._logger.error("bug", exc_info=error)

    def count(self, metric: str, value: float = 1) -> None:
        """See `ports.Journal.count`."""
        self._metrics.add_metric(name=metric, unit=MetricUnit.Count, value=value)

    def flush(self) -> None:
        """Write the metrics of this request, if there are any."""
        if self._metrics.metric_set:
            self._metrics.flush_metrics()
            self._metrics = self._no_metrics()

    def _no_metrics(self) -> EphemeralMetrics:
        metrics = EphemeralMetrics()
        metrics.add_dimension(name="stack", value=self._stack)
        return metrics
