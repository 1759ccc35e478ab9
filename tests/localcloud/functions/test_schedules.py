"""EventBridge's schedules: what an expression means, and that rules fire on the local clock."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.aws.schedules import Schedules, parse_expression, validate_expression
from localcloud.clock import SteppedClock
from localcloud.errors import ServiceError, Unsupported

START = datetime(2026, 11, 21, 21, 7, 30, tzinfo=UTC)  # a Saturday
_ONCE = Config(retries={"total_max_attempts": 1})
RECORDS = """
import json
def handler(event, context):
    with open("{file}", "a") as record:
        record.write(json.dumps(event) + "\\n")
"""


@pytest.mark.parametrize(
    ("expression", "following"),
    [
        ("rate(1 minute)", ["2026-11-21T21:08:30", "2026-11-21T21:09:30"]),
        ("rate(5 minutes)", ["2026-11-21T21:12:30", "2026-11-21T21:17:30"]),
        ("rate(1 day)", ["2026-11-22T21:07:30", "2026-11-23T21:07:30"]),
        ("cron(0/15 * * * ? *)", ["2026-11-21T21:15:00", "2026-11-21T21:30:00"]),
        ("cron(0 18 ? * MON-FRI *)", ["2026-11-23T18:00:00", "2026-11-24T18:00:00"]),
        ("cron(30 6,22 1 * ? *)", ["2026-12-01T06:30:00", "2026-12-01T22:30:00"]),
        ("cron(0 0 ? * 1 *)", ["2026-11-22T00:00:00", "2026-11-29T00:00:00"]),
        ("cron(0 0 29 FEB ? *)", ["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
        ("cron(5-7/2 3 1 1 ? 2027-2028)", ["2027-01-01T03:05:00", "2027-01-01T03:07:00"]),
        ("cron(0 0 1 1 ? 2026)", [None]),
    ],
)
def test_an_expression_names_its_next_occurrences(expression, following):
    schedule = parse_expression(expression)
    moment: datetime | None = START
    for expected in following:
        assert moment is not None
        moment = schedule.next_after(moment, since=START)
        assert (moment and moment.strftime("%Y-%m-%dT%H:%M:%S")) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(0 minutes)",
        "rate(5 seconds)",
        "every 5 minutes",
        "cron(0 12 * * * *)",
        "cron(0 12 ? * ? *)",
        "cron(0 12 * * ?)",
        "cron(60 12 * * ? *)",
        "cron(0 5-3 * * ? *)",
        "cron(0 x * * ? *)",
        "cron(0/0 * * * ? *)",
    ],
)
def test_what_eventbridge_refuses_is_refused(expression):
    with pytest.raises(ServiceError) as refused:
        validate_expression(expression)

    assert refused.value.code == "ValidationException"


@pytest.mark.parametrize("expression", ["cron(0 0 L * ? *)", "cron(0 0 3W * ? *)", "cron(0 0 ? * 6#3 *)"])
def test_last_weekday_and_nth_are_refused_by_name(expression):
    with pytest.raises(Unsupported, match="L, W and #"):
        validate_expression(expression)


@pytest.fixture(scope="module")
def stepped(workshop):
    with workshop.apart(clock=SteppedClock(datetime.now(UTC))) as other:
        yield other


def _rule(shop, name: str, expression: str, function_arn: str, *, allowed: bool = True, **target: str) -> str:
    events = shop.cloud.client("events")
    arn: str = events.put_rule(Name=name, ScheduleExpression=expression)["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": function_arn, **target}])
    if allowed:
        shop.api.add_permission(
            FunctionName=function_arn,
            StatementId=name,
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=arn,
        )
    return arn


def _received(shop, file) -> list[dict[str, object]]:
    assert shop.functions.wait_for_events(timedelta(seconds=20))
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_rule_fires_when_its_time_has_come_and_not_before(stepped, tmp_path):
    record = tmp_path / "record"
    rule = _rule(stepped, "keeper", "rate(5 minutes)", stepped.deploy("scheduled", RECORDS.format(file=record)))
    schedules = stepped.cloud.world.part(Schedules)

    stepped.cloud.world.clock.step(timedelta(minutes=4, seconds=59))
    early = schedules.run_due()
    stepped.cloud.world.clock.step(timedelta(seconds=1))
    due = schedules.run_due()
    again = schedules.run_due()

    assert (early, [one.rule for one in due], again) == ([], ["keeper"], [])
    (event,) = _received(stepped, record)
    assert event["source"] == "aws.events"
    assert event["detail-type"] == "Scheduled Event"
    assert event["resources"] == [rule]
    stepped.cloud.client("events").disable_rule(Name="keeper")


def test_a_rule_overdue_several_times_fires_once_and_keeps_its_rhythm(stepped, tmp_path):
    record = tmp_path / "record"
    arn = stepped.deploy("overdue", RECORDS.format(file=record))
    _rule(stepped, "overdue", "rate(10 minutes)", arn, Input='{"pool": "web"}')
    schedules = stepped.cloud.world.part(Schedules)

    stepped.cloud.world.clock.step(timedelta(minutes=35))
    assert [one.rule for one in schedules.run_due()] == ["overdue"]
    stepped.cloud.world.clock.step(timedelta(minutes=5))
    assert [one.rule for one in schedules.run_due()] == ["overdue"]

    assert _received(stepped, record) == [{"pool": "web"}] * 2
    stepped.cloud.client("events").disable_rule(Name="overdue")


def test_a_disabled_rule_does_not_fire(stepped, tmp_path):
    _rule(stepped, "disabled", "rate(1 minute)", stepped.deploy("disabled", RECORDS.format(file=tmp_path / "record")))
    stepped.cloud.client("events").disable_rule(Name="disabled")

    stepped.cloud.world.clock.step(timedelta(minutes=2))

    assert stepped.cloud.world.part(Schedules).run_due() == []


def test_a_rule_without_permission_invokes_nothing(stepped, tmp_path):
    arn = stepped.deploy("forbidden", RECORDS.format(file=tmp_path / "record"))
    _rule(stepped, "forbidden", "rate(1 minute)", arn, allowed=False)

    stepped.cloud.world.clock.step(timedelta(minutes=1))
    (fired,) = stepped.cloud.world.part(Schedules).run_due()

    assert (fired.invoked, fired.refused) == ((), (arn,))
    stepped.cloud.client("events").disable_rule(Name="forbidden")


def test_a_permission_binds_service_and_source(stepped):
    arn = stepped.deploy("guarded", "")
    source = f"arn:aws:events:us-east-1:{stepped.cloud.world.account}:rule/mine"
    stepped.api.add_permission(
        FunctionName="guarded",
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=source,
    )

    assert stepped.functions.may_invoke(arn, "events.amazonaws.com", source)
    assert not stepped.functions.may_invoke(arn, "events.amazonaws.com", source + "2")
    assert not stepped.functions.may_invoke(arn, "apigateway.amazonaws.com", source)


@pytest.mark.parametrize(
    ("expression", "code"),
    [("rate(2 minute)", "ValidationException"), ("cron(0 0 L * ? *)", "NotImplementedByLocalCloud")],
)
def test_a_bad_schedule_is_refused_when_the_rule_is_put(stepped, expression, code):
    with pytest.raises(ClientError) as refused:
        stepped.cloud.client("events", config=_ONCE).put_rule(Name="bad", ScheduleExpression=expression)

    assert refused.value.response["Error"]["Code"] == code


def test_a_target_that_would_not_be_served_is_refused_when_it_is_put(stepped):
    events = stepped.cloud.client("events", config=_ONCE)
    events.put_rule(Name="queue", ScheduleExpression="rate(1 day)")

    with pytest.raises(ClientError, match="only Lambda functions"):
        events.put_targets(Rule="queue", Targets=[{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:111122223333:queue"}])
    events.delete_rule(Name="queue")


def test_the_background_fires_on_the_scaled_clock(workshop, tmp_path):
    record = tmp_path / "record"
    schedules = workshop.cloud.world.part(Schedules)
    schedules.start()
    _rule(workshop, "background", "rate(5 minutes)", workshop.deploy("background", RECORDS.format(file=record)))

    waiting = workshop.cloud.world.stopping
    while not any(one.rule == "background" for one in schedules.firings):
        waiting.wait(0.02)

    assert _received(workshop, record)[0]["source"] == "aws.events"
