"""Asynchronous invocations: at once, again after failures, given up in the end."""

import json
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from localcloud.errors import ServiceError

FAILS_AT_FIRST = """
import os
def handler(event, context):
    with open(event["file"], "a") as record:
        record.write(context.aws_request_id + "\\n")
    if len(open(event["file"]).readlines()) <= event["failures"]:
        raise RuntimeError("not yet")
"""


def _settled(workshop) -> None:
    assert workshop.functions.wait_for_events(timedelta(seconds=20))


def test_an_event_is_accepted_at_once_and_runs(workshop, tmp_path):
    workshop.deploy("event", FAILS_AT_FIRST)
    event = {"file": str(tmp_path / "record"), "failures": 0}

    answer = workshop.api.invoke(FunctionName="event", InvocationType="Event", Payload=json.dumps(event))
    _settled(workshop)

    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""
    assert (tmp_path / "record").read_text().split() == [answer["ResponseMetadata"]["RequestId"]]


def test_a_failed_event_is_tried_twice_more_under_the_same_id(workshop, tmp_path):
    workshop.deploy("again", FAILS_AT_FIRST)

    workshop.invoke("again", {"file": str(tmp_path / "record"), "failures": 2}, kind="Event")
    _settled(workshop)

    attempts = (tmp_path / "record").read_text().split()
    assert len(attempts) == 3
    assert len(set(attempts)) == 1
    assert [dead for dead in workshop.functions.dead if dead.function_name == "again"] == []


def test_an_event_that_fails_three_times_is_dropped_and_known(workshop, tmp_path):
    workshop.deploy("hopeless", FAILS_AT_FIRST)

    workshop.invoke("hopeless", {"file": str(tmp_path / "record"), "failures": 9}, kind="Event")
    _settled(workshop)

    (dead,) = [dead for dead in workshop.functions.dead if dead.function_name == "hopeless"]
    assert (dead.attempts, dead.reason) == (3, "RetriesExhausted")
    assert len((tmp_path / "record").read_text().split()) == 3


def test_the_number_of_attempts_can_be_set(workshop, tmp_path):
    workshop.deploy("once", FAILS_AT_FIRST)
    workshop.api.put_function_event_invoke_config(FunctionName="once", MaximumRetryAttempts=0)

    workshop.invoke("once", {"file": str(tmp_path / "record"), "failures": 9}, kind="Event")
    _settled(workshop)

    (dead,) = [dead for dead in workshop.functions.dead if dead.function_name == "once"]
    assert dead.attempts == 1


def test_a_throttled_event_waits_until_it_is_too_old(workshop):
    workshop.deploy("throttled", "def handler(event, context):\n    return None\n", reserved=0)
    workshop.api.put_function_event_invoke_config(FunctionName="throttled", MaximumEventAgeInSeconds=60)

    workshop.invoke("throttled", kind="Event")
    _settled(workshop)

    (dead,) = [dead for dead in workshop.functions.dead if dead.function_name == "throttled"]
    assert dead.reason == "EventAgeExceeded"
    assert dead.attempts > 1


def test_events_are_smaller_than_requests(workshop):
    workshop.deploy("small", "def handler(event, context):\n    return None\n")

    with pytest.raises(ServiceError, match="1048576") as refused:
        workshop.functions.invoke("small", b'"' + b"x" * 1024 * 1024 + b'"', kind="Event")

    assert refused.value.status == 413


def test_destinations_are_refused_by_name(workshop):
    workshop.deploy("destined", "def handler(event, context):\n    return None\n")

    with pytest.raises(ClientError, match="destinations"):
        workshop.api.put_function_event_invoke_config(
            FunctionName="destined",
            DestinationConfig={"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:111122223333:dead"}},
        )


def test_the_last_event_configuration_counts(workshop):
    workshop.deploy("twice", "def handler(event, context):\n    return None\n")
    put = workshop.api.put_function_event_invoke_config
    put(FunctionName="twice", MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60)
    put(FunctionName="twice", MaximumRetryAttempts=1)
    workshop.api.update_function_event_invoke_config(FunctionName="twice", MaximumEventAgeInSeconds=90)

    config = workshop.api.get_function_event_invoke_config(FunctionName="twice")

    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (1, 90)


def test_an_event_that_lambda_refuses_later_is_dropped_with_the_reason(workshop, tmp_path):
    with workshop.apart(scale=0.001) as other:
        other.deploy("vanishing", "def handler(event, context):\n    raise RuntimeError\n")
        policy = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
        other.cloud.client("iam").update_assume_role_policy(RoleName="vanishing-role", PolicyDocument=document)
        other.invoke("vanishing", kind="Event")

        assert other.functions.wait_for_events(timedelta(seconds=20))
        (dead,) = other.functions.dead
        assert (dead.attempts, dead.reason) == (1, "AccessDeniedException")
