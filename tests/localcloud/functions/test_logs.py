"""Where the output of functions goes: CloudWatch Logs in the name of the role, and metrics."""

import json
import time
from datetime import UTC, datetime, timedelta

TALKS = """
import logging, sys
print("starting")
logging.getLogger().setLevel("INFO")
def handler(event, context):
    print("out")
    print("error", file=sys.stderr)
    logging.info("logged")
    if event:
        raise ValueError("bad")
"""


def _events(workshop, group: str) -> list[str]:
    return [event["message"] for event in workshop.cloud.client("logs").filter_log_events(logGroupName=group)["events"]]


def test_output_and_the_platforms_lines_reach_the_log_group_in_order(workshop):
    workshop.deploy("talks", TALKS)

    request_id = workshop.invoke("talks").request_id

    lines = _events(workshop, "/aws/lambda/talks")
    assert lines == workshop.functions.logs("talks")
    assert lines[1:5] == ["starting", f"START RequestId: {request_id} Version: $LATEST", "out", "error"]
    assert lines[5].startswith("[INFO]")
    assert lines[5].endswith(f"{request_id}\tlogged")
    assert lines[6] == f"END RequestId: {request_id}"
    assert lines[7].startswith(f"REPORT RequestId: {request_id}\tDuration: ")


def test_a_function_can_log_elsewhere_and_in_json(workshop):
    logging = {"LogFormat": "JSON", "LogGroup": "/mine", "ApplicationLogLevel": "INFO"}
    workshop.deploy("structured", TALKS, LoggingConfig=logging)

    request_id = workshop.invoke("structured").request_id

    lines = _events(workshop, "/mine")
    records = [json.loads(line) for line in lines if line.startswith("{")]
    assert [one["type"] for one in records if "type" in one] == [
        "platform.initStart",
        "platform.start",
        "platform.runtimeDone",
        "platform.report",
    ]
    (logged,) = [one for one in records if one.get("message") == "logged"]
    assert (logged["level"], logged["requestId"]) == ("INFO", request_id)
    shown = workshop.api.get_function_configuration(FunctionName="structured")["LoggingConfig"]
    assert shown == logging


def test_an_exception_is_one_log_event_with_its_trace(workshop):
    workshop.deploy("fails", TALKS)

    workshop.invoke("fails", {"fail": True})

    (line,) = [one for one in _events(workshop, "/aws/lambda/fails") if "[ERROR]" in one]
    assert line.startswith("[ERROR] ValueError: bad\rTraceback")


def test_each_environment_has_a_stream_of_its_own(workshop):
    workshop.deploy("streams", TALKS)
    workshop.invoke("streams")
    workshop.functions.retire("streams")
    workshop.invoke("streams")

    streams = workshop.cloud.client("logs").describe_log_streams(logGroupName="/aws/lambda/streams")["logStreams"]

    names = [stream["logStreamName"] for stream in streams]
    assert len(names) == 2
    assert all(name.startswith(time.strftime("%Y/%m/", time.gmtime())) and "/[$LATEST]" in name for name in names)


def test_without_the_right_nothing_is_delivered_and_the_function_runs_all_the_same(workshop):
    workshop.cloud.client("logs").create_log_group(logGroupName="/aws/lambda/silent")
    workshop.deploy("silent", TALKS, rights=())

    assert not workshop.invoke("silent").function_error

    assert _events(workshop, "/aws/lambda/silent") == []
    assert "out" in workshop.functions.logs("silent")


def test_a_missing_group_is_made_only_by_a_role_that_may(workshop):
    workshop.deploy("groupless", TALKS, rights=("logs:CreateLogStream", "logs:PutLogEvents"))

    workshop.invoke("groupless")

    groups = workshop.cloud.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/groupless")
    assert groups["logGroups"] == []


def test_the_rights_that_delivery_uses_are_on_record(workshop):
    workshop.deploy("recorded", TALKS)

    workshop.invoke("recorded")

    used = {
        action
        for record in workshop.cloud.world.calls.snapshot()
        if record.principal.role_name == "recorded-role"
        for action in record.actions
    }
    assert used == {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}


def test_embedded_metrics_can_be_read_from_cloudwatch(workshop):
    document = {
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": "Trade",
                    "Dimensions": [["pool"]],
                    "Metrics": [{"Name": "granted", "Unit": "Count"}, {"Name": "left", "Unit": "Count"}],
                }
            ],
        },
        "pool": "web",
        "granted": [1, 2],
        "left": 7,
    }
    workshop.deploy("measures", f"def handler(event, context):\n    print({json.dumps(document)!r})\n")

    workshop.invoke("measures")

    assert _sum(workshop, "Trade", "granted", {"Name": "pool", "Value": "web"}) == 3
    assert _sum(workshop, "Trade", "left", {"Name": "pool", "Value": "web"}) == 7


def test_a_line_that_only_looks_like_a_metric_is_a_line(workshop):
    workshop.deploy("pretends", """def handler(event, context):\n    print('{"_aws": {"CloudWatchMetrics": 1}}')\n""")

    assert not workshop.invoke("pretends").function_error
    assert '{"_aws": {"CloudWatchMetrics": 1}}' in _events(workshop, "/aws/lambda/pretends")


def test_lambda_counts_invocations_and_errors(workshop):
    workshop.deploy("counted", TALKS)
    workshop.invoke("counted")
    workshop.invoke("counted", {"fail": True})

    dimension = {"Name": "FunctionName", "Value": "counted"}

    assert _sum(workshop, "AWS/Lambda", "Invocations", dimension) == 2
    assert _sum(workshop, "AWS/Lambda", "Errors", dimension) == 1


def _sum(workshop, namespace: str, name: str, dimension: dict[str, str]) -> float:
    now = datetime.now(UTC)
    found = workshop.cloud.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[dimension],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=86400,
        Statistics=["Sum"],
    )
    return sum(point["Sum"] for point in found["Datapoints"])
