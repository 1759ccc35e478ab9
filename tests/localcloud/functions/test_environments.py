"""What a function finds around it, and how its environments come and go."""

import os
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from localcloud.aws.functions.model import Limits
from localcloud.clock import SteppedClock
from localcloud.errors import Unsupported

LOOK = """
import importlib, os, sys, tempfile
def handler(event, context):
    failed = {}
    for name in event.get("import", []):
        try:
            importlib.import_module(name)
        except ImportError as error:
            failed[name] = str(error)
    return {"environment": dict(os.environ), "failed": failed, "path": sys.path, "pid": os.getpid(),
            "temporary": tempfile.gettempdir(), "cwd": os.getcwd()}
"""


def test_only_the_zip_layers_and_the_runtime_can_be_imported(workshop):
    workshop.deploy("alone", LOOK)

    found = workshop.ask(
        "alone", {"import": ["localcloud", "moorings", "moto", "pytest", "boto3", "awslambdaric", "code"]}
    )

    assert set(found["failed"]) == {"localcloud", "moorings", "moto", "pytest"}
    sources = str(Path(__file__).resolve().parents[3])
    assert not [entry for entry in found["path"] if entry.startswith(sources)]


def test_the_environment_is_lambdas_the_templates_and_nothing_else(workshop, monkeypatch):
    monkeypatch.setenv("INHERITED", "never")
    workshop.deploy("variables", LOOK, Environment={"Variables": {"MINE": "yes", "TZ": ":Europe/Berlin"}})

    found = workshop.ask("variables")

    variables = found["environment"]
    assert "INHERITED" not in variables
    assert variables["MINE"] == "yes"
    assert variables["TZ"] == ":Europe/Berlin"
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "variables"
    assert variables["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert variables["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert variables["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/variables"
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == workshop.cloud.world.region
    assert variables["AWS_ENDPOINT_URL"] == workshop.cloud.endpoint_url
    assert variables["_HANDLER"] == "code.handler"
    assert variables["LAMBDA_TASK_ROOT"] == found["cwd"]
    assert "[$LATEST]" in variables["AWS_LAMBDA_LOG_STREAM_NAME"]


def test_each_environment_has_keys_of_its_own_for_the_functions_role(workshop):
    source = """
import boto3
def handler(event, context):
    return boto3.client("sts").get_caller_identity()["Arn"]
"""
    workshop.deploy("role", source)

    arn = workshop.ask("role")

    (session,) = workshop.functions.sessions("role")
    account = workshop.cloud.world.account
    assert arn == f"arn:aws:sts::{account}:assumed-role/role-role/role"
    seen = [record.principal for record in workshop.cloud.world.calls.snapshot() if record.principal.arn == arn]
    assert {principal.session for principal in seen} == {session}
    assert {principal.role_name for principal in seen} == {"role-role"}


def test_what_the_role_may_not_do_the_function_cannot_do(workshop):
    source = """
import boto3, botocore.exceptions
def handler(event, context):
    try:
        boto3.client("dynamodb").list_tables()
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
"""
    workshop.deploy("denied", source)

    assert workshop.ask("denied") == "AccessDeniedException"


def test_layers_lie_below_opt_and_come_after_the_code(workshop):
    from zipfile import ZipFile

    layers = []
    for number in (1, 2):
        place = workshop.cloud.world.state_dir / f"layer{number}.zip"
        with ZipFile(place, "w") as archive:
            archive.writestr(f"python/from_layer{number}.py", f"value = {number}")
            archive.writestr("python/both.py", f"value = {number}")
            archive.writestr("python/code.py", "raise RuntimeError('the code wins')")
        content = {"ZipFile": place.read_bytes()}
        published = workshop.api.publish_layer_version(LayerName=f"layer{number}", Content=content)
        layers.append(published["LayerVersionArn"])
    source = """
import from_layer1, from_layer2, both
def handler(event, context):
    return [from_layer1.value, from_layer2.value, both.value]
"""
    workshop.deploy("layered", source, Layers=layers)

    assert workshop.ask("layered") == [1, 2, 2]


def test_every_environment_has_its_own_temporary_directory(workshop, tmp_path):
    source = """
import os, tempfile, time
def handler(event, context):
    open(os.path.join(event["meet"], context.aws_request_id), "w").close()
    while len(os.listdir(event["meet"])) < 2:
        time.sleep(0.002)
    return tempfile.gettempdir()
"""
    workshop.deploy("temporary", source)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(workshop.ask("temporary", {"meet": str(tmp_path)})))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 2
    workshop.functions.retire("temporary")
    assert not any(Path(place).exists() for place in found)


def test_the_last_used_environment_is_taken_first(workshop, tmp_path):
    source = """
import os, time
def handler(event, context):
    if "meet" in event:
        open(os.path.join(event["meet"], context.aws_request_id), "w").close()
        while len(os.listdir(event["meet"])) < 2:
            time.sleep(0.002)
    return os.getpid()
"""
    workshop.deploy("order", source)
    order: list[int] = []
    threads = [
        threading.Thread(target=lambda: order.append(workshop.ask("order", {"meet": str(tmp_path)}))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    again = {workshop.ask("order") for _ in range(3)}

    assert len(set(order)) == 2
    assert len(again) == 1


def test_an_update_takes_effect_at_once_and_interrupts_nobody(workshop, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    source = "def handler(event, context):\n    open(event['gate']).read() if event else None\n    return {0!r}\n"
    workshop.deploy("updated", source.format("old"))
    answers: list[str] = []
    running = threading.Thread(target=lambda: answers.append(workshop.ask("updated", {"gate": str(gate)})))
    running.start()
    held = gate.open("w")  # returns once the function waits at the gate

    workshop.update("updated", source.format("new"))
    during = workshop.ask("updated")
    held.close()
    running.join()
    after = workshop.ask("updated")

    assert (during, answers, after) == ("new", ["old"], "new")
    assert len(workshop.functions.sessions("updated")) == 1


def test_a_new_configuration_means_a_new_environment(workshop):
    workshop.deploy("configured", LOOK, Environment={"Variables": {"WHAT": "first"}})
    first = workshop.ask("configured")

    workshop.api.update_function_configuration(FunctionName="configured", Environment={"Variables": {"WHAT": "second"}})
    second = workshop.ask("configured")

    assert (first["environment"]["WHAT"], second["environment"]["WHAT"]) == ("first", "second")
    assert not Path(f"/proc/{first['pid']}").exists()


def test_a_kill_ends_the_invocation_at_once(workshop, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    workshop.deploy("killed", "def handler(event, context):\n    return open(event['gate']).read()\n")
    failures: list[dict[str, str]] = []
    running = threading.Thread(target=lambda: failures.append(workshop.failure("killed", {"gate": str(gate)})))
    running.start()
    with gate.open("w"):
        (session,) = workshop.functions.sessions("killed")
        request_id = workshop.functions.current_invocation(session)
        workshop.functions.kill(session)
        running.join()

    assert failures[0]["errorType"] == "Runtime.ExitError"
    assert failures[0]["errorMessage"] == f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
    assert workshop.functions.sessions("killed") == []
    assert workshop.functions.current_invocation(session) == ""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_fault_kills_at_the_nth_cloud_call(workshop, when):
    source = """
import boto3
table = boto3.client("dynamodb")
def handler(event, context):
    for number in "12":
        table.put_item(TableName=event["table"], Item={"pk": {"S": number}})
    return "through"
"""
    name = f"doomed-{when}"
    tables = workshop.cloud.client("dynamodb")
    tables.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    workshop.deploy(name, source, rights=("dynamodb:PutItem",))
    workshop.cloud.faults.kill_function(name, at_call=2, when=when)

    failed = workshop.failure(name, {"table": name})

    written = {item["pk"]["S"] for item in tables.scan(TableName=name)["Items"]}
    assert failed["errorMessage"].endswith("signal: killed")
    assert written == ({"1"} if when == "before" else {"1", "2"})
    assert workshop.ask(name, {"table": name}) == "through"


def test_a_process_that_dies_between_invocations_is_replaced_unseen(workshop):
    workshop.deploy("replaced", LOOK)
    first = workshop.ask("replaced")["pid"]
    (session,) = workshop.functions.sessions("replaced")
    workshop.functions.kill(session)

    assert workshop.ask("replaced")["pid"] != first


def test_a_deleted_function_leaves_no_environment(workshop):
    workshop.deploy("deleted", LOOK)
    pid = workshop.ask("deleted")["pid"]

    workshop.api.delete_function(FunctionName="deleted")

    assert not Path(f"/proc/{pid}").exists()


def test_a_cloud_without_a_socket_runs_no_function(workshop):
    with workshop.apart(in_process=True) as other:
        other.deploy("unreachable", LOOK)

        with pytest.raises(Unsupported, match="in-process"):
            other.invoke("unreachable")


def test_an_environment_goes_before_its_keys_run_out(workshop):
    source = """
import boto3, os
def handler(event, context):
    boto3.client("sts").get_caller_identity()
    return os.getpid()
"""
    clock = SteppedClock(datetime.now(UTC))
    with workshop.apart(clock=clock) as other:
        other.deploy("lasting", source)
        first = other.ask("lasting")
        clock.step(timedelta(hours=11))
        same = other.ask("lasting")
        clock.step(timedelta(hours=1))
        renewed = other.ask("lasting")

    assert first == same != renewed


def test_idle_environments_end(workshop):
    with workshop.apart() as other:
        other.deploy("idle", LOOK)
        other.functions.limits = Limits(idle=timedelta(0))
        pid = other.ask("idle")["pid"]
        ended = threading.Event()
        while Path(f"/proc/{pid}").exists():
            ended.wait(0.02)

        assert other.functions.sessions("idle") == []


def test_stopping_the_cloud_leaves_nothing_behind(workshop):
    source = """
import os, subprocess
def handler(event, context):
    return [os.getpid(), subprocess.Popen(["sleep", "60"]).pid]
"""
    with workshop.apart() as other:
        other.deploy("stays", source)
        pid, child = other.ask("stays")
        state = other.cloud.world.state_dir

    assert not state.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert _state(child) in {"", "Z"}  # its parent is gone, so the host's init reaps it


def _state(pid: int) -> str:
    asked = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return asked.stdout.strip()[:1]
