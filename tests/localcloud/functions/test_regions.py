"""Functions, events and schedules of two Regions in one account: each Region has its own, also under one name."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.localcloud.functions.conftest import Workshop

from localcloud.aws.schedules import Schedules
from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud

HOME, AWAY = "us-east-1", "eu-central-1"
SAYS = """
import os
def handler(event, context):
    print("said in", os.environ["AWS_REGION"])
    return {{"code": "{code}", "arn": context.invoked_function_arn, "region": os.environ["AWS_REGION"],
             "default": os.environ["AWS_DEFAULT_REGION"]}}
"""
RECORDS = """
import json
def handler(event, context):
    with open("{file}", "a") as record:
        record.write(json.dumps(event) + "\\n")
"""
_ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture
def away(workshop):
    """The same account, worked on in the other Region."""
    return _in_region(workshop, AWAY)


def _in_region(workshop, region):
    other = Workshop(cloud=workshop.cloud)
    other.api = workshop.cloud.client("lambda", region_name=region, config=_ONCE)
    other.role = lambda name, *actions: workshop.role(f"{name}-{region}", *actions)
    return other


def test_one_name_is_two_functions(workshop, away):
    here, there = workshop.deploy("twin", SAYS.format(code="here")), away.deploy("twin", SAYS.format(code="there"))

    assert workshop.ask("twin") == {"code": "here", "arn": here, "region": HOME, "default": HOME}
    answered = json.loads(away.api.invoke(FunctionName="twin")["Payload"].read())
    assert answered == {"code": "there", "arn": there, "region": AWAY, "default": AWAY}
    assert json.loads(workshop.invoke(there).payload)["code"] == "there"
    assert workshop.functions.sessions("twin") != workshop.functions.sessions("twin", region=AWAY) != []


def test_a_function_of_another_region_is_not_reached(workshop, away):
    arn = away.deploy("abroad", SAYS.format(code="there"))

    with pytest.raises(ClientError, match="Functions from 'eu-central-1' are not reachable in this region"):
        workshop.api.invoke(FunctionName=arn)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        workshop.api.invoke(FunctionName="abroad")


def test_log_and_metrics_are_the_regions_own(workshop, away):
    away.deploy("talker", SAYS.format(code="there"))
    away.api.invoke(FunctionName="talker")

    groups = [
        [each["logGroupName"] for each in workshop.cloud.client("logs", region_name=region).describe_log_groups(
            logGroupNamePrefix="/aws/lambda/talker")["logGroups"]]
        for region in (HOME, AWAY)
    ]  # fmt: skip
    assert groups == [[], ["/aws/lambda/talker"]]
    assert "said in eu-central-1" in workshop.functions.logs("talker", region=AWAY)
    assert workshop.functions.logs("talker") == []
    assert _metrics(workshop.cloud, HOME, "talker") == []
    assert "Invocations" in _metrics(workshop.cloud, AWAY, "talker")


def _metrics(cloud, region, function):
    dimension = [{"Name": "FunctionName", "Value": function}]
    found = cloud.client("cloudwatch", region_name=region).list_metrics(Namespace="AWS/Lambda", Dimensions=dimension)
    return [one["MetricName"] for one in found["Metrics"]]


def test_configuration_is_kept_and_shown_in_its_region(workshop, away):
    workshop.deploy("quiet", "")
    away.deploy("quiet", "", reserved=900, LoggingConfig={"LogFormat": "JSON", "LogGroup": "/elsewhere"})

    assert away.api.get_function(FunctionName="quiet")["Configuration"]["LoggingConfig"]["LogGroup"] == "/elsewhere"
    shown = workshop.api.get_function(FunctionName="quiet")["Configuration"]
    assert shown["LoggingConfig"]["LogGroup"] == "/aws/lambda/quiet"
    # 900 of one Region's thousand leave nothing to reserve there, and take nothing from the other.
    with pytest.raises(ClientError, match="UnreservedConcurrentExecution"):
        away.deploy("greedy", "", reserved=1)
    workshop.api.put_function_concurrency(FunctionName="quiet", ReservedConcurrentExecutions=1)
    away.api.put_function_event_invoke_config(FunctionName="quiet", MaximumRetryAttempts=0)
    away.api.delete_function(FunctionName="quiet")
    assert workshop.invoke("quiet", kind="DryRun").status == 204


def test_reserved_concurrency_is_counted_by_region(workshop, away):
    workshop.deploy("narrow", SAYS.format(code="here"), reserved=0)
    away.deploy("narrow", SAYS.format(code="there"))

    with pytest.raises(ClientError, match="TooManyRequestsException"):
        workshop.cloud.client("lambda", config=_ONCE).invoke(FunctionName="narrow")
    assert away.api.invoke(FunctionName="narrow")["StatusCode"] == 200


def test_rules_of_every_region_fire_in_their_own(tmp_path):
    clock = SteppedClock(datetime(2026, 11, 21, 21, 7, 30, tzinfo=UTC))
    with LocalCloud(clock=clock) as cloud:
        home = Workshop(cloud=cloud)
        records = {}
        for region in (HOME, AWAY):
            records[region] = tmp_path / region
            arn = _in_region(home, region).deploy("kept", RECORDS.format(file=records[region]))
            _rule(cloud, region, arn)
        clock.step(timedelta(minutes=1))

        fired = cloud.world.part(Schedules).run_due()

        assert sorted((one.rule, one.region) for one in fired) == [("kept", AWAY), ("kept", HOME)]
        assert all(one.invoked and not one.refused for one in fired)
        assert home.functions.wait_for_events(timedelta(seconds=30))
    for region, record in records.items():
        event = json.loads(record.read_text())
        assert event["region"] == region
        assert f":{region}:" in event["resources"][0]


def _rule(cloud, region, arn):
    events = cloud.client("events", region_name=region)
    source = events.put_rule(Name="kept", ScheduleExpression="rate(1 minute)")["RuleArn"]
    cloud.client("lambda", region_name=region).add_permission(
        FunctionName="kept",
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=source,
    )
    events.put_targets(Rule="kept", Targets=[{"Id": "it", "Arn": arn}])
