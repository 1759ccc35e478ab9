"""EventBridge's schedules: rules with rate(...) or cron(...) that invoke Lambda functions on the world's clock.

Rules live in moto's events backend; this fires them. Intervals are scaled like everything that an emulated service
measures: at scale 0.01 a rule of five minutes fires every three seconds, and a cron rule runs through its calendar a
hundred times as fast. A rule that has become due several times at once fires once.

Source: EventBridge User Guide, "Schedule expressions".
"""

import calendar
import json
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from localcloud.aws.functions.service import Functions
from localcloud.clock import SteppedClock
from localcloud.errors import LocalCloudError, ServiceError, Unsupported
from localcloud.world import World

_RATE = re.compile(r"rate\((?P<count>[1-9]\d*) (?P<unit>minute|hour|day)(?P<plural>s?)\)")
_CRON = re.compile(r"cron\((?P<fields>[^()]*)\)")
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}
_SEARCH = 366 * 9  # days; a 29 February is never further away
_LOOK_AROUND = timedelta(milliseconds=200)  # real time between two looks for rules that have become due
_TARGET_MEMBERS = {"Id", "Arn", "Input", "RetryPolicy", "DeadLetterConfig"}
_STOP_LIMIT = 5.0  # seconds

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """rate(5 minutes): every interval, counted from when the rule was put."""

    interval: timedelta

    def next_after(self, moment: datetime, *, since: datetime) -> datetime | None:
        """The first occurrence after `moment` of a rule that was put at `since`."""
        passed = (moment - since) // self.interval
        return since + (passed + 1) * self.interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """cron(...): whole minutes in UTC whose fields all match."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None  # of the month; None: any (?)
    months: frozenset[int]
    weekdays: frozenset[int] | None  # 1 is Sunday; None: any (?)
    years: frozenset[int]

    def next_after(self, moment: datetime, *, since: datetime) -> datetime | None:
        """The first occurrence after `moment`, or None if there is none any more; `since` does not matter."""
        earliest = max(moment, since)
        day = earliest.date()
        for _ in range(_SEARCH):
            if self._runs_on(day):
                for at in self._times(day):
                    if at > earliest:
                        return at
            day += timedelta(days=1)
        return None

    def _runs_on(self, day: date) -> bool:
        return (
            day.year in self.years
            and day.month in self.months
            and (self.days is None or day.day in self.days)
            and (self.weekdays is None or day.isoweekday() % 7 + 1 in self.weekdays)
        )

    def _times(self, day: date) -> Iterator[datetime]:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                yield datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def parse_expression(text: str) -> Rate | Cron:
    """The schedule in `text`.

    Raises ServiceError ValidationException where EventBridge does, and Unsupported for L, W and # in cron fields.
    """
    if match := _RATE.fullmatch(text):
        count = int(match["count"])
        if (count == 1) == bool(match["plural"]):
            raise _invalid(text)  # the service insists on the grammar: 1 minute, 5 minutes
        return Rate(interval=count * _UNITS[match["unit"]])
    match = _CRON.fullmatch(text)
    fields = match["fields"].split() if match else []
    if len(fields) != 6:
        raise _invalid(text)
    minutes, hours, days, months, weekdays, years = fields
    if (days == "?") == (weekdays == "?"):
        raise _invalid(text)  # exactly one of the two days is left open
    return Cron(
        minutes=_field(minutes, 0, 59, text),
        hours=_field(hours, 0, 23, text),
        days=None if days == "?" else _field(days, 1, 31, text),
        months=_field(months, 1, 12, text, names=_MONTHS),
        weekdays=None if weekdays == "?" else _field(weekdays, 1, 7, text, names=_WEEKDAYS),
        years=_field(years, 1970, 2199, text),
    )


def validate_expression(text: str) -> None:
    """Raise what `parse_expression` raises; for whoever puts a rule."""
    parse_expression(text)


def validate_target(target: Mapping[str, Any]) -> None:
    """Raise Unsupported, with its name, for a target of a scheduled rule that would not be carried out as given."""
    if not re.match(r"arn:aws[a-z-]*:lambda:", str(target.get("Arn", ""))):
        raise Unsupported(f"target {target.get('Arn')} of a scheduled rule: only Lambda functions are invoked here")
    for member in target.keys() - _TARGET_MEMBERS:
        raise Unsupported(f"{member} of target {target.get('Id')} of a scheduled rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One rule that became due, with what its targets were asked; `refused` names targets that could not be."""

    rule: str
    region: str
    at: datetime
    invoked: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Watched:
    """A rule's place in its own calendar."""

    expression: str
    since: datetime
    due: datetime | None


class Schedules:
    """The schedules of one local cloud, in all its Regions. Threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._functions = world.part(Functions)  # held, so that it outlives this part
        self._origin = world.clock.now()
        self._speed = timedelta(hours=1) / world.clock.scaled(timedelta(hours=1))
        self._lock = threading.Lock()
        self._watched: dict[str, _Watched] = {}
        self._firings: list[Firing] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Fire rules in the background. Under a SteppedClock nothing starts: who steps it calls `run_due`."""
        if self._thread is None and not isinstance(self._world.clock, SteppedClock):
            self._thread = threading.Thread(target=self._keep_running, name="schedules", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop; returns once nothing fires any more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_STOP_LIMIT)

    @property
    def firings(self) -> list[Firing]:
        """What has fired so far."""
        with self._lock:
            return list(self._firings)

    def notice(self) -> None:
        """Begin to count the time of rules that are new; whoever puts a rule calls it, else the next look does."""
        self._look()

    def run_due(self) -> list[Firing]:
        """Fire every rule that is due now; returns what was fired. The functions run asynchronously."""
        fired = [self._fire(rule) for rule in self._look(take=True)]
        with self._lock:
            self._firings += fired
        return fired

    def _keep_running(self) -> None:
        while not self._stop.wait(_LOOK_AROUND.total_seconds()):
            self.run_due()

    def _service_time(self) -> datetime:
        """The time on the service's own calendar, which runs faster if durations are scaled."""
        return self._origin + (self._world.clock.now() - self._origin) * self._speed

    def _look(self, *, take: bool = False) -> list[Mapping[str, Any]]:
        """Update what is watched; with `take` also the rules whose time has come, each once."""
        with self._world.moto_lock:  # never while holding our own lock: others come here with this one
            rules: list[Mapping[str, Any]] = [
                {
                    "arn": rule.arn,
                    "name": rule.name,
                    "region": region,
                    "expression": rule.scheduled_expression,
                    "targets": list(rule.targets),
                }
                for region in self._world.regions("events")
                for bus in self._world.backend("events", region).event_buses.values()
                for rule in bus.rules.values()
                if rule.scheduled_expression and rule.state.startswith("ENABLED")
            ]
        now = self._service_time()
        with self._lock:
            before = self._watched
            self._watched = {rule["arn"]: self._watch(before.get(rule["arn"]), rule, now) for rule in rules}
            return [rule for rule in rules if take and self._take(self._watched[rule["arn"]], now)]

    def _watch(self, watched: _Watched | None, rule: Mapping[str, Any], now: datetime) -> _Watched:
        if watched is not None and watched.expression == rule["expression"]:
            return watched
        due = parse_expression(rule["expression"]).next_after(now, since=now)
        return _Watched(expression=rule["expression"], since=now, due=due)

    def _take(self, watched: _Watched, now: datetime) -> bool:
        if watched.due is None or watched.due > now:
            return False
        watched.due = parse_expression(watched.expression).next_after(now, since=watched.since)
        return True

    def _fire(self, rule: Mapping[str, Any]) -> Firing:
        at = self._world.clock.now()
        invoked: list[str] = []
        refused: list[str] = []
        for target in rule["targets"]:
            try:
                self._invoke(rule, target, at)
                invoked.append(target["Arn"])
            except LocalCloudError as error:
                # EventBridge counts it as a failed invocation and goes on with the next target.
                log.error("rule %s: target %s was not invoked: %s", rule["name"], target["Arn"], error)
                refused.append(target["Arn"])
        return Firing(rule=rule["name"], region=rule["region"], at=at, invoked=tuple(invoked), refused=tuple(refused))

    def _invoke(self, rule: Mapping[str, Any], target: Mapping[str, Any], at: datetime) -> None:
        validate_target(target)
        region = rule["region"]  # a target in another Region is not reached
        if not self._functions.may_invoke(target["Arn"], "events.amazonaws.com", rule["arn"], region=region):
            raise ServiceError("AccessDeniedException", "the function's resource policy does not allow it", status=403)
        payload = target.get("Input") or json.dumps(self._event(rule, at))
        self._functions.invoke(target["Arn"], payload.encode(), kind="Event", region=region)

    def _event(self, rule: Mapping[str, Any], at: datetime) -> dict[str, Any]:
        return {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": self._world.account,
            "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": rule["region"],
            "resources": [rule["arn"]],
            "detail": {},
        }


def _field(
    text: str, low: int, high: int, expression: str, *, names: Mapping[str, int] | None = None
) -> frozenset[int]:
    """The values of one cron field: lists, ranges, steps and names."""
    values: set[int] = set()
    for part in text.upper().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            begin, end = low, high
        else:
            begin = _number(first, expression, names)
            end = _number(last, expression, names) if dash else (high if slash else begin)
        width = _number(step, expression, None) if slash else 1
        if not (low <= begin <= end <= high and width >= 1):
            raise _invalid(expression)
        values.update(range(begin, end + 1, width))
    return frozenset(values)


def _number(text: str, expression: str, names: Mapping[str, int] | None) -> int:
    if names and text in names:
        return names[text]
    if text.isdecimal():
        return int(text)
    if re.fullmatch(r"(\d*L|\d*W|LW|\d+#\d+|[A-Z]{3}(L|#\d+))", text):
        raise Unsupported(f"{text} in the schedule {expression}: the local cloud knows no L, W and #")
    raise _invalid(expression)


def _invalid(text: str) -> ServiceError:
    return ServiceError("ValidationException", f"Parameter ScheduleExpression is not valid. ({text})")
