"""Failures on demand, by operation and count: slow, throttled, failing, answered into the void, killed.

Tests and benchmarks arm them; the AWS endpoint asks before and after each operation. Rules name botocore's service and
operation, `*` stands for any. `count` is how many calls a rule hits (None: all), `probability` how likely it hits one.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from localcloud.errors import ConnectionLost, ServiceError

# How each service words "too many requests" (code, HTTP status); the JSON services' ThrottlingException is the rule.
THROTTLES: dict[str, tuple[str, int]] = {
    "apigateway": ("TooManyRequestsException", 429),
    "cloudformation": ("Throttling", 400),
    "cloudwatch": ("Throttling", 400),
    "ec2": ("RequestLimitExceeded", 503),
    "iam": ("Throttling", 400),
    "lambda": ("TooManyRequestsException", 429),
    "s3": ("SlowDown", 503),
    "sts": ("Throttling", 400),
}


def throttled(service: str) -> ServiceError:
    """The refusal with which `service` throttles."""
    code, status = THROTTLES.get(service, ("ThrottlingException", 400))
    return ServiceError(code, "Rate exceeded", status=status)


@dataclass(kw_only=True)
class _Rule:
    service: str
    operations: tuple[str, ...]
    count: int | None = None
    probability: float = 1.0

    def matches(self, service: str, operation: str) -> bool:
        return fnmatchcase(service, self.service) and any(fnmatchcase(operation, one) for one in self.operations)


@dataclass(kw_only=True)
class _Latency(_Rule):
    seconds: float


@dataclass(kw_only=True)
class _Hold(_Rule):
    until: Callable[[], object]


@dataclass(kw_only=True)
class _Refusal(_Rule):
    code: str
    message: str
    status: int


@dataclass(kw_only=True)
class _Bucket(_Rule):
    per_second: float
    burst: float
    tokens: float
    filled_at: float

    def take(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.per_second)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(kw_only=True)
class Kill:
    """A function environment that dies at its function's n-th cloud call from now on."""

    function_name: str
    calls_left: int
    after: bool


class Faults:
    """The armed faults of one local cloud. Threads may share it."""

    def __init__(
        self,
        *,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rng = rng
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._latencies: list[_Latency] = []
        self._holds: list[_Hold] = []
        self._refusals: list[_Refusal] = []
        self._losses: list[_Rule] = []
        self._buckets: list[_Bucket] = []
        self._kills: list[Kill] = []

    def clear(self) -> None:
        """Disarm everything, quotas too."""
        with self._lock:
            for rules in (self._latencies, self._holds, self._refusals, self._losses, self._buckets, self._kills):
                rules.clear()

    def latency(self, service: str, operation: str, seconds: float) -> None:
        """Every matching call takes `seconds` longer; several rules add up."""
        self._arm(self._latencies, _Latency(service=service, operations=(operation,), seconds=seconds))

    def hold(self, service: str, operation: str, *, until: Callable[[], object]) -> None:
        """Every matching call waits ahead of its effect until `until` returns, so that others can look around."""
        self._arm(self._holds, _Hold(service=service, operations=(operation,), until=until))

    def throttle(self, service: str, operation: str, *, count: int | None = None, probability: float = 1.0) -> None:
        """Matching calls are refused as the service throttles; they have no effect."""
        self._refuse(service, operation, throttled(service), count, probability)

    def error(
        self,
        service: str,
        operation: str,
        *,
        status: int = 500,
        code: str = "InternalServerError",
        count: int | None = None,
        probability: float = 1.0,
    ) -> None:
        """Matching calls fail with this status and code; they have no effect."""
        refusal = ServiceError(code, "An injected fault: the service failed.", status=status)
        self._refuse(service, operation, refusal, count, probability)

    def lose_answer(self, service: str, operation: str, *, count: int | None = None, probability: float = 1.0) -> None:
        """Matching calls take effect, then the connection breaks instead of an answer."""
        self._arm(self._losses, _Rule(service=service, operations=(operation,), count=count, probability=probability))

    def quota(
        self, service: str, operations: str | tuple[str, ...], *, per_second: float, burst: float | None = None
    ) -> None:
        """Matching calls share a token bucket; one that finds it empty is throttled."""
        names = (operations,) if isinstance(operations, str) else operations
        size = per_second if burst is None else burst
        self._arm(
            self._buckets,
            _Bucket(
                service=service,
                operations=names,
                per_second=per_second,
                burst=size,
                tokens=size,
                filled_at=self._clock(),
            ),
        )

    def published_quotas(self) -> None:
        """Arm the service's default quotas (standard throughput); CreateActivation's is assumed, not published."""
        self.quota("ssm", ("GetParameter", "GetParameters", "GetParametersByPath"), per_second=40)
        self.quota("ssm", "PutParameter", per_second=3)
        self.quota("ssm", "CreateActivation", per_second=2)
        for operation in ("StartAutomationExecution", "StopAutomationExecution"):
            self.quota("ssm", operation, per_second=1)
        for operation in (
            "GetAutomationExecution",
            "DescribeAutomationExecutions",
            "DescribeAutomationStepExecutions",
            "SendAutomationSignal",
        ):
            self.quota("ssm", operation, per_second=3)

    def kill_function(self, function_name: str, *, at_call: int, when: str = "before") -> None:
        """The function's environment dies at its `at_call`-th cloud call from now on, before or after the effect."""
        if when not in {"before", "after"} or at_call < 1:
            raise ValueError("at_call counts from 1, when is 'before' or 'after'")
        self._arm(self._kills, Kill(function_name=function_name, calls_left=at_call, after=when == "after"))

    def before(self, service: str, operation: str) -> None:
        """Called by the endpoint ahead of the operation: waits, or raises ServiceError."""
        with self._lock:
            delay = sum(rule.seconds for rule in self._latencies if rule.matches(service, operation))
            holds = [rule for rule in self._holds if rule.matches(service, operation)]
            refusal = next((rule for rule in self._refusals if self._hits(rule, service, operation)), None)
        if delay:
            self._sleep(delay)
        for hold in holds:
            hold.until()
        if refusal:
            raise ServiceError(refusal.code, refusal.message, status=refusal.status)

    def take_quota(self, service: str, operation: str) -> None:
        """Called by the endpoint for a valid request: raises the service's throttling error if a bucket is empty."""
        with self._lock:
            now = self._clock()
            buckets = [bucket for bucket in self._buckets if bucket.matches(service, operation)]
            taken = [bucket.take(now) for bucket in buckets]
        if not all(taken):
            raise throttled(service)

    def after(self, service: str, operation: str) -> None:
        """Called by the endpoint once the effect is there: raises ConnectionLost if the answer gets lost."""
        with self._lock:
            lost = any(self._hits(rule, service, operation) for rule in self._losses)
        if lost:
            raise ConnectionLost(f"the answer to {service}:{operation} was lost on purpose")

    def death(self, function_name: str) -> Kill | None:
        """Count one cloud call of a function; the kill that is due at it, or None. It fires once."""
        with self._lock:
            for kill in self._kills:
                if kill.function_name == function_name:
                    kill.calls_left -= 1
            due = next(
                (kill for kill in self._kills if kill.calls_left <= 0 and kill.function_name == function_name), None
            )
            if due:
                self._kills.remove(due)
        return due

    def _refuse(
        self, service: str, operation: str, refusal: ServiceError, count: int | None, probability: float
    ) -> None:
        rule = _Refusal(
            service=service,
            operations=(operation,),
            count=count,
            probability=probability,
            code=refusal.code,
            message=refusal.message,
            status=refusal.status,
        )
        self._arm(self._refusals, rule)

    def _arm(self, rules: list, rule: object) -> None:  # type: ignore[type-arg]
        with self._lock:
            rules.append(rule)

    def _hits(self, rule: _Rule, service: str, operation: str) -> bool:
        if not rule.matches(service, operation) or rule.count == 0:
            return False
        if rule.probability < 1.0 and self._rng.random() >= rule.probability:
            return False
        if rule.count is not None:
            rule.count -= 1
        return True
