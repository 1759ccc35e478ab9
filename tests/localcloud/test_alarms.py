"""DescribeAlarms shows the alarms that every given filter lets through."""

from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.cloud import LocalCloud

ACTION = "arn:aws:sns:eu-central-1:1:people"


@pytest.fixture(scope="module")
def cloudwatch() -> Iterator[Any]:
    with LocalCloud(in_process=True) as cloud:
        client = cloud.client("cloudwatch")
        for name, actions in (("one-up", [ACTION]), ("one-down", [ACTION]), ("two-down", [])):
            client.put_metric_alarm(
                AlarmName=name, Namespace="N", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1,
                Threshold=1, ComparisonOperator="GreaterThanThreshold", AlarmActions=actions,
            )  # fmt: skip
            if name.endswith("down"):
                client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="r")
        yield client


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, ["one-down", "one-up", "two-down"]),
        ({"StateValue": "ALARM"}, ["one-down", "two-down"]),
        ({"AlarmNamePrefix": "one-"}, ["one-down", "one-up"]),
        ({"AlarmNamePrefix": "one-", "StateValue": "ALARM"}, ["one-down"]),
        ({"AlarmNames": ["one-up", "two-down"], "StateValue": "ALARM"}, ["two-down"]),
        ({"ActionPrefix": ACTION[:12], "StateValue": "ALARM"}, ["one-down"]),
        ({"AlarmNamePrefix": "two-", "ActionPrefix": ACTION}, []),
    ],
    ids=str,
)
def test_every_filter_narrows_what_the_others_leave(cloudwatch: Any, given: dict[str, Any], shown: list[str]) -> None:
    answer = cloudwatch.describe_alarms(**given)

    assert sorted(alarm["AlarmName"] for alarm in answer["MetricAlarms"]) == shown


def test_an_alarm_that_is_shown_is_shown_whole(cloudwatch: Any) -> None:
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["one-down"])["MetricAlarms"]

    assert (alarm["StateValue"], alarm["AlarmActions"], alarm["Period"]) == ("ALARM", [ACTION], 60)
    assert alarm["AlarmArn"].endswith(":alarm:one-down")
