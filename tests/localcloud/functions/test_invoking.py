"""What a caller of a function gets: answers, failures of every kind, limits."""

import base64
import json
import threading
import zlib

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.localcloud.functions.conftest import zipped

from localcloud.aws.functions.model import SYNCHRONOUS_PAYLOAD, Limits
from localcloud.errors import ServiceError

ECHO = """
import os
count = 0
def handler(event, context):
    global count
    count += 1
    print("asked", event)
    return {"event": event, "count": count, "pid": os.getpid(), "version": context.function_version,
            "left": context.get_remaining_time_in_millis(), "id": context.aws_request_id,
            "arn": context.invoked_function_arn}
"""


def test_a_function_answers_through_the_api_with_its_context(workshop):
    arn = workshop.deploy("answers", ECHO, Timeout=7)

    answer = workshop.api.invoke(FunctionName=arn, Payload=b'{"hello": [1]}')

    said = json.loads(answer["Payload"].read())
    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer
    assert answer["ExecutedVersion"] == said["version"] == "$LATEST"
    assert said["event"] == {"hello": [1]}
    assert said["arn"] == arn
    assert 6000 < said["left"] <= 7000
    assert said["id"] == answer["ResponseMetadata"]["RequestId"]


def test_the_same_environment_serves_one_invocation_after_the_other(workshop):
    workshop.deploy("warm", ECHO)

    first, second, third = (workshop.ask("warm") for _ in range(3))

    assert [first["count"], second["count"], third["count"]] == [1, 2, 3]
    assert first["pid"] == third["pid"]


def test_an_empty_payload_is_an_empty_object_and_anything_but_json_is_refused(workshop):
    workshop.deploy("payloads", ECHO)

    assert json.loads(workshop.functions.invoke("payloads", b"").payload)["event"] == {}
    with pytest.raises(ServiceError) as refused:
        workshop.functions.invoke("payloads", b"{")
    assert (refused.value.code, refused.value.status) == ("InvalidRequestContentException", 400)


def test_an_exception_is_an_unhandled_function_error_with_its_trace(workshop):
    workshop.deploy("raises", "def handler(event, context):\n    raise KeyError('gone')\n")

    failed = workshop.failure("raises")

    assert failed["errorType"] == "KeyError"
    assert failed["errorMessage"] == "'gone'"
    assert 'code.py", line 2, in handler' in failed["stackTrace"][-1]


def test_the_environment_survives_an_exception(workshop):
    source = ECHO.replace('    print("asked", event)', '    if event.get("raise"): raise ValueError')
    workshop.deploy("survives", source)
    before = workshop.ask("survives")["pid"]

    workshop.failure("survives", {"raise": True})

    assert workshop.ask("survives")["pid"] == before


def test_a_function_over_its_timeout_is_killed_in_real_time(workshop):
    workshop.deploy("slow", "import time\ndef handler(event, context):\n    time.sleep(30)\n", Timeout=1)

    failed = workshop.failure("slow")

    assert failed["errorType"] == "Sandbox.Timedout"
    assert failed["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert workshop.functions.sessions("slow") == []
    assert any("Task timed out after 1.00 seconds" in line for line in workshop.functions.logs("slow"))


@pytest.mark.parametrize(
    ("leave", "words"),
    [
        ("os._exit(3)", "Runtime exited with error: exit status 3"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
    ],
)
def test_a_process_that_ends_is_an_exit_error_and_the_next_call_starts_anew(workshop, leave, words):
    name = f"leaves-{zlib.crc32(words.encode())}"
    workshop.deploy(name, f"import os\ndef handler(event, context):\n    if event: {leave}\n    return 'alive'\n")

    failed = workshop.failure(name, {"leave": True})

    assert failed["errorType"] == "Runtime.ExitError"
    assert failed["errorMessage"].endswith(f"Error: {words}")
    assert workshop.ask(name) == "alive"


@pytest.mark.parametrize(
    ("source", "handler", "kind", "message"),
    [
        ("import nowhere", "code.handler", "Runtime.ImportModuleError", "No module named 'nowhere'"),
        ("", "absent.handler", "Runtime.ImportModuleError", "Unable to import module 'absent'"),
        ("", "code.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'code'"),
        ("def (", "code.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'code'"),
        ("1 / 0", "code.handler", "ZeroDivisionError", "division by zero"),
        ("import os; os._exit(4)", "code.handler", "Runtime.ExitError", "exit status 4"),
    ],
)
def test_a_start_that_fails_is_told_as_the_runtime_client_tells_it(workshop, source, handler, kind, message):
    name = f"start-{zlib.crc32((source + handler).encode())}"
    workshop.deploy(name, source, handler=handler)

    failed = workshop.failure(name)

    assert failed["errorType"] == kind
    assert message in failed["errorMessage"]
    assert workshop.functions.sessions(name) == []


def test_payloads_have_limits_both_ways(workshop):
    workshop.deploy("large", "def handler(event, context):\n    return 'x' * event['size'] if event else 'small'\n")
    fits, over = SYNCHRONOUS_PAYLOAD - 2, SYNCHRONOUS_PAYLOAD - 1  # two quotation marks come with the text

    with pytest.raises(ServiceError) as refused:
        workshop.functions.invoke("large", b'"' + b"x" * over + b'"')

    assert (refused.value.code, refused.value.status) == ("RequestEntityTooLargeException", 413)
    assert len(workshop.invoke("large", {"size": fits}).payload) == SYNCHRONOUS_PAYLOAD
    assert workshop.failure("large", {"size": over})["errorType"] == "Function.ResponseSizeTooLarge"
    assert workshop.ask("large") == "small"


def test_reserved_concurrency_runs_that_many_at_once_and_refuses_the_next(workshop, tmp_path):
    source = """
import os, time
def handler(event, context):
    if not event:
        return "free"
    open(os.path.join(event["meet"], context.aws_request_id), "w").close()
    while len(os.listdir(event["meet"])) < event["people"]:
        time.sleep(0.002)
    return os.getpid()
"""
    workshop.deploy("meets", source, reserved=3)
    meeting = {"meet": str(tmp_path), "people": 4}
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(workshop.ask("meets", meeting)), daemon=True) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    while len(list(tmp_path.iterdir())) < 3:
        threading.Event().wait(0.005)

    with pytest.raises(ClientError) as refused:
        workshop.cloud.client("lambda", config=Config(retries={"total_max_attempts": 1})).invoke(FunctionName="meets")
    (tmp_path / "the fourth").touch()
    for thread in threads:
        thread.join()

    assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert refused.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert len(set(answers)) == 3
    assert workshop.ask("meets") == "free"


def test_no_reserved_concurrency_at_all_means_that_nothing_runs(workshop):
    workshop.deploy("closed", ECHO, reserved=0)

    with pytest.raises(ServiceError) as refused:
        workshop.invoke("closed")

    assert refused.value.code == "TooManyRequestsException"


def test_the_account_has_a_limit_too(workshop):
    workshop.deploy("account", ECHO)
    limits = workshop.functions.limits
    workshop.functions.limits = Limits(account_concurrency=0)

    try:
        with pytest.raises(ServiceError) as refused:
            workshop.invoke("account")
    finally:
        workshop.functions.limits = limits

    assert refused.value.fields["Reason"] == "ConcurrentInvocationLimitExceeded"


def test_the_tail_of_the_log_comes_with_the_answer_if_asked_for(workshop):
    workshop.deploy("tail", ECHO)

    answer = workshop.api.invoke(FunctionName="tail", LogType="Tail", Payload=b'{"a": 1}')

    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    assert lines[0].startswith("INIT_START")
    assert lines[1].startswith(f"START RequestId: {answer['ResponseMetadata']['RequestId']} Version: $LATEST")
    assert lines[2] == "asked {'a': 1}"
    assert lines[3].startswith("END RequestId")
    assert "Init Duration" in lines[4]


def test_a_dry_run_looks_the_function_up_and_runs_nothing(workshop):
    workshop.deploy("dry", ECHO)

    assert workshop.invoke("dry", kind="DryRun").status == 204
    assert workshop.functions.sessions("dry") == []


def test_versions_and_aliases_run_what_they_name(workshop):
    arn = workshop.deploy("versions", "def handler(event, context):\n    return [1, context.function_version]\n")
    workshop.api.publish_version(FunctionName="versions")
    workshop.api.create_alias(FunctionName="versions", Name="live", FunctionVersion="1")
    workshop.update("versions", "def handler(event, context):\n    return [2, 'latest']\n")

    assert workshop.ask("versions") == [2, "latest"]
    assert workshop.ask(f"{arn}:live") == [1, "1"]
    assert json.loads(workshop.invoke("versions", qualifier="live").payload) == [1, "1"]
    assert workshop.invoke("versions:live").executed_version == "1"


@pytest.mark.parametrize(
    "name", ["nobody", "known:absent", "known:7", "arn:aws:lambda:us-east-1:111122223333:function:known"]
)
def test_what_does_not_exist_is_not_found(workshop, name):
    if "known" not in {one["FunctionName"] for one in workshop.api.list_functions()["Functions"]}:
        workshop.deploy("known", ECHO)

    with pytest.raises(ServiceError) as refused:
        workshop.invoke(name)

    assert (refused.value.code, refused.value.status) == ("ResourceNotFoundException", 404)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"Runtime": "nodejs22.x"}, r"nodejs22\.x"),
        ({"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:111122223333:dead"}}, "DeadLetterConfig"),
        ({"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}, "VpcConfig"),
    ],
)
def test_what_would_not_be_carried_out_is_refused_by_name(workshop, settings, named):
    with pytest.raises(ClientError, match=named):
        workshop.deploy(f"foreign-{named[:4]}", "", **settings)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_REGION": "eu-west-1"}, "Reserved keys used in this request: AWS_REGION"),
        ({"LONG": "x" * 4096}, "exceeded the 4KB limit"),
    ],
)
def test_environments_that_lambda_refuses_are_refused(workshop, variables, words):
    with pytest.raises(ClientError, match=words) as refused:
        workshop.deploy(f"crowded-{len(words)}", "", Environment={"Variables": variables})

    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_a_reservation_leaves_a_hundred_to_the_others(workshop):
    workshop.deploy("greedy", "")

    with pytest.raises(ClientError, match=r"below its minimum value of \[100\]"):
        workshop.api.put_function_concurrency(FunctionName="greedy", ReservedConcurrentExecutions=901)


def test_a_broken_zip_is_said_to_be_broken(workshop):
    workshop.deploy("broken", ECHO)
    workshop.api.update_function_code(FunctionName="broken", ZipFile=b"not a zip")

    with pytest.raises(ServiceError) as refused:
        workshop.invoke("broken")

    assert refused.value.code == "InvalidZipFileException"


def test_the_client_context_reaches_the_function(workshop):
    workshop.deploy("context", "def handler(event, context):\n    return context.client_context.custom\n")
    encoded = base64.b64encode(json.dumps({"custom": {"who": "test"}}).encode()).decode()

    answer = workshop.api.invoke(FunctionName="context", ClientContext=encoded)

    assert json.loads(answer["Payload"].read()) == {"who": "test"}


def test_more_memory_than_configured_kills(workshop):
    source = (
        "def handler(event, context):\n    held = bytearray(200 * 2**20)\n    held[::4096] = b'x' * len(held[::4096])\n"
    )
    workshop.deploy("hungry", source, MemorySize=128)

    assert workshop.failure("hungry")["errorType"] == "Runtime.OutOfMemory"
    assert workshop.functions.sessions("hungry") == []


def _trust(workshop, role, service, **condition):
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]}
    workshop.cloud.client("iam").update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(document))


@pytest.mark.parametrize(
    ("service", "condition"),
    [
        ("ec2.amazonaws.com", {}),
        ("lambda.amazonaws.com", {"StringEquals": {"aws:SourceAccount": "111111111111"}}),
        ("lambda.amazonaws.com", {"ArnLike": {"aws:SourceArn": "arn:aws:lambda:*:*:function:another"}}),
    ],
    ids=["another service", "another account", "another function"],
)
def test_a_role_that_lambda_may_not_take_on_is_refused(workshop, service, condition):
    name = f"untrusted-{service}-{len(str(condition))}".replace(".", "-")
    arn = workshop.role(name)
    _trust(workshop, name, service, **condition)

    with pytest.raises(ClientError) as refused:
        workshop.api.create_function(
            FunctionName=name, Role=arn, Handler="code.handler", Runtime="python3.13", Code={"ZipFile": zipped({})}
        )

    assert refused.value.response["Error"] == {
        "Code": "InvalidParameterValueException",
        "Message": "The role defined for the function cannot be assumed by Lambda.",
    }


def test_a_role_that_trusts_lambda_for_this_function_alone_will_do(workshop):
    workshop.deploy("trusted", ECHO)
    function = {"ArnLike": {"aws:SourceArn": "arn:aws:lambda:*:*:function:trusted"}}
    _trust(workshop, "trusted-role", "lambda.amazonaws.com", **function)
    workshop.functions.retire("trusted")

    assert workshop.ask("trusted")["count"] == 1


def test_a_function_starts_no_environment_once_its_role_no_longer_trusts_lambda(workshop):
    workshop.deploy("betrayed", ECHO)
    _trust(workshop, "betrayed-role", "ec2.amazonaws.com")

    with pytest.raises(ClientError) as refused:
        workshop.api.invoke(FunctionName="betrayed")

    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert workshop.functions.sessions("betrayed") == []
