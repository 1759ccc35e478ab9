"""The way of log lines to CloudWatch Logs: in the name of the function's role, which must be allowed to write them.

Without logs:CreateLogStream or logs:PutLogEvents a function runs all the same and its log stays empty, as in Lambda;
the local cloud keeps the lines for `Functions.logs` in any case.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from localcloud.aws.call import Call, CallRecord, Use
from localcloud.aws.functions import metrics
from localcloud.aws.functions.journal import Line
from localcloud.aws.functions.model import Deployed
from localcloud.aws.iam.enforce import authorise
from localcloud.errors import ServiceError
from localcloud.principals import Principal
from localcloud.wire import Request
from localcloud.world import World

_KEPT_LINES = 50_000  # a function


class Kept:
    """The newest lines of every function, whether or not they were delivered. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[tuple[str, str], deque[str]] = defaultdict(lambda: deque(maxlen=_KEPT_LINES))

    def add(self, place: tuple[str, str], lines: list[Line]) -> None:
        """Keep more lines of a function (its Region and name); the oldest go once there are too many."""
        with self._lock:
            self._lines[place].extend(line.text for line in lines)

    def of(self, place: tuple[str, str]) -> list[str]:
        """What is kept of a function (its Region and name), oldest first."""
        with self._lock:
            return list(self._lines[place])


class Delivery:
    """One environment's log stream. What the role may do is asked once: a new policy counts for new environments."""

    def __init__(self, world: World, *, function: Deployed, principal: Principal, stream: str, kept: Kept) -> None:
        self._world = world
        self._function = function
        self._principal = principal
        self._stream = stream
        self._kept = kept
        self._may_write: bool | None = None

    def __call__(self, lines: list[Line]) -> None:
        """Deliver the lines of one invocation, and the metrics in them."""
        self._kept.add(self._function.place, lines)
        if self._may_write is None:
            self._may_write = self._open()
        if not self._may_write:
            return
        events = [{"timestamp": line.at, "message": line.text} for line in lines]
        with self._world.moto_lock:
            backend = self._world.backend("logs", self._function.region)
            if self._function.log_group not in backend.groups:
                return  # somebody deleted it meanwhile
            backend.put_log_events(self._function.log_group, self._stream, events)
        found = [metric for line in lines for metric in metrics.embedded(line.text)]
        if found:
            metrics.put(self._world, found, region=self._function.region)

    def _open(self) -> bool:
        """Create the stream (and, where the role may, a missing group); False if the role may not write."""
        group = {"logGroupName": self._function.log_group}
        stream = {**group, "logStreamName": self._stream}
        with self._world.moto_lock:
            missing = self._function.log_group not in self._world.backend("logs", self._function.region).groups
        if missing and not self._allowed("CreateLogGroup", group):
            return False
        if not self._allowed("CreateLogStream", stream):
            return False
        if not self._allowed("PutLogEvents", {**stream, "logEvents": []}):
            return False
        with self._world.moto_lock:
            backend = self._world.backend("logs", self._function.region)
            backend.ensure_log_group(self._function.log_group)
            backend.ensure_log_stream(self._function.log_group, self._stream)
        return True

    def _allowed(self, operation: str, params: Mapping[str, Any]) -> bool:
        now = self._world.clock.now()
        call = Call(
            id=str(uuid4()),
            service="logs",
            operation=operation,
            params=params,
            principal=self._principal,
            account=self._world.account,
            region=self._function.region,
            now=now,
            request=Request(method="POST", path="/"),
        )
        uses: tuple[Use, ...] = ()
        error = ""
        try:
            uses = authorise(call, self._world)
        except ServiceError as refusal:
            error = refusal.code
        # Written down like any other call of the role: these rights are used, too.
        self._world.calls.append(
            CallRecord(
                service="logs",
                operation=operation,
                principal=self._principal,
                status=400 if error else 200,
                error=error,
                actions=tuple(dict.fromkeys(use.action for use in uses)),
                uses=uses,
                at=now,
            )
        )
        return not error
