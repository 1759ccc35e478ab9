"""Our own runbooks, with all that documents can use, run from their files through the engine against a local cloud."""

import io
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from localcloud.automation.alone import Alone
from localcloud.automation.errors import DocumentNotFound
from localcloud.automation.records import AutomationExecution, StepExecution
from localcloud.automation.refusals import InvalidDocument
from localcloud.automation.signals import Signal, SignalType
from localcloud.clock import SystemClock
from localcloud.cloud import LocalCloud

RUNBOOKS = Path(__file__).with_name("runbooks")
LIMIT = 60.0  # seconds (real) for any of these runs
SCALE = 0.01

COUNTER = """
def handler(event, context):
    if event.get("fail"):
        raise RuntimeError("told to fail")
    return {"enough": event["round"] >= event["rounds"], "settings": event["settings"]}
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(scale=SCALE) as running:
        yield running


@pytest.fixture(scope="module")
def function(cloud: LocalCloud) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = cloud.client("iam").create_role(RoleName="counter", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("code.py", COUNTER)
    cloud.client("lambda").create_function(
        FunctionName="counter",
        Role=role,
        Handler="code.handler",
        Code={"ZipFile": held.getvalue()},
        Runtime="python3.13",
        Timeout=20,
        MemorySize=256,
    )
    return "counter"


@pytest.fixture
def connected(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> LocalCloud:
    """For boto3 and for scripts, the local cloud is AWS."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    return cloud


@contextmanager
def opened(name: str, cloud: LocalCloud, *, folder: Path = RUNBOOKS) -> Iterator[Alone]:
    (file,) = folder.glob(f"{name}.*")
    with Alone(file, session=cloud.session(), clock=SystemClock(scale=SCALE)) as alone:
        yield alone


def ran(
    name: str, cloud: LocalCloud, given: Mapping[str, Any] | None = None, *, folder: Path = RUNBOOKS
) -> tuple[AutomationExecution, list[StepExecution]]:
    with opened(name, cloud, folder=folder) as alone:
        execution = alone.start(given or {})
        return alone.engine.wait(execution, LIMIT), alone.engine.steps(execution)


def statuses(steps: list[StepExecution]) -> dict[str, str]:
    return {step.name: step.status.value for step in steps}


def test_a_survey_uses_all_that_documents_can_say(connected: LocalCloud, function: str) -> None:
    ec2, ssm = connected.client("ec2"), connected.client("ssm")
    vpcs = [ec2.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"] for n in range(3)]
    ssm.put_parameter(Name="/survey/owner", Value="the fleet's owner", Type="String")

    ended, steps = ran("Local-SurveyFleet", connected, {"VpcIds": vpcs, "Function": [function], "Rounds": ["3"]})

    assert (ended.status.value, ended.failure_message) == ("Success", "")
    assert ended.outputs["Sum.Count"] == 3
    assert ended.outputs["Sum.Types"] == {
        "vpcs": "list", "whole": "dict", "last": "dict", "seen": "list", "absent": "str", "node": "str",
        "buckets": "list", "marks": "list", "date": "str",
    }  # fmt: skip
    assert ended.outputs["DescribeVpcs.Cidr"] == "10.1.0.0/16"
    assert ended.outputs["Report.Status"] == "Success"
    found = {tuple(each["VpcId"] for each in ec2.describe_vpcs(VpcIds=vpcs)["Vpcs"] if each.get("Tags"))}
    assert len(found.pop()) == 3
    prefix = f"/survey/{ended.id}/us-east-1"
    written = {each: ssm.get_parameter(Name=f"{prefix}/{each}")["Parameter"]["Value"] for each in ("1", "3", "report")}
    assert written["1"].endswith("of the fleet's owner")
    assert written["report"] == "3 VPCs; mode counter; round 3"
    passes = [step.parent.iteration for step in steps if step.name == "Ask" and step.parent]
    assert passes == [1, 2, 3]
    assert [step.name for step in steps].count("RememberVpc") == 2


def test_a_recovery_does_not_clear_the_failure_that_led_to_it(connected: LocalCloud, function: str) -> None:
    ended, steps = ran("Local-Recover", connected, {"Function": [function]})

    assert ended.status.value == "Failed"
    assert statuses(steps) == {
        "Patch": "Failed",
        "Done": "Pending",
        "Restore": "Success",
        "Optional": "Failed",
        "NotCritical": "Failed",
        "NeverReached": "Pending",
        "CleanUp": "Success",
    }
    assert "told to fail" in ended.failure_message
    assert next(step for step in steps if step.name == "Patch").attempts == 2
    assert next(step for step in steps if step.name == "Restore").inputs["Value"] == "error Unhandled"
    assert ended.outputs["NeverReached.ImageId"] == (
        "No output available yet because the step is not successfully executed"
    )


def test_a_cancelled_runbook_puts_things_right(connected: LocalCloud) -> None:
    ssm = connected.client("ssm")
    with opened("Local-OnCancel", connected) as alone:
        execution = alone.start({})
        _until(alone, execution, step="LongWait")
        alone.engine.stop(execution)
        ended, steps = alone.engine.wait(execution, LIMIT), alone.engine.steps(execution)

    assert ended.status.value == "Cancelled"
    assert statuses(steps)["PutRight"] == "Success"
    assert statuses(steps)["NotAfterCancel"] == "Pending"
    assert ssm.get_parameter(Name="/cancel/state")["Parameter"]["Value"] == "put right"


@pytest.mark.parametrize("signed", [True, False])
def test_scripts_use_attachments_and_have_credentials_only_with_a_role(connected: LocalCloud, signed: bool) -> None:
    given = {"Role": [f"arn:aws:iam::{connected.world.account}:role/any"]} if signed else {}

    ended, _ = ran("Local-Attached", connected, given)

    assert (ended.status.value, ended.failure_message) == ("Success", "")
    assert ended.outputs["FromScript.Answer"] == 84
    assert ended.outputs["FromScript.Account"] == (connected.world.account if signed else "")


def test_an_attachment_that_is_not_the_one_meant_is_refused(connected: LocalCloud, tmp_path: Path) -> None:
    shutil.copy(RUNBOOKS / "Local-Attached.yaml", tmp_path)

    with (
        pytest.raises(InvalidDocument, match="not beside the runbook"),
        opened("Local-Attached", connected, folder=tmp_path),
    ):
        pass
    (tmp_path / "arithmetic.py").write_text("def double(events, context): return 0\n")
    with pytest.raises(InvalidDocument, match="another checksum"), opened("Local-Attached", connected, folder=tmp_path):
        pass


def test_children_run_under_rate_control(connected: LocalCloud) -> None:
    names = [f"/fleet/{n}" for n in range(5)]

    ended, _ = ran("Local-Fleet", connected, {"Names": names})

    assert (ended.status.value, ended.failure_message) == ("Success", "")
    values = {connected.client("ssm").get_parameter(Name=each)["Parameter"]["Value"] for each in names}
    assert values == {"one; two"}


def test_a_person_is_waited_for(connected: LocalCloud) -> None:
    with opened("Local-Asking", connected) as alone:
        execution = alone.start({})
        for step, kind in (("MayI", SignalType.APPROVE), ("Look", SignalType.RESUME)):
            _until(alone, execution, step=step, status="Waiting")
            alone.engine.signal(execution, Signal(type=kind, step_name=step, sender_arn="me", sender_may_all=True))
        ended = alone.engine.wait(execution, LIMIT)

    assert ended.status.value == "Success"
    assert ended.outputs == {"MayI.ApprovalStatus": "Approved"}


def test_a_child_may_be_kept_by_the_service(connected: LocalCloud, tmp_path: Path) -> None:
    shutil.copy(RUNBOOKS / "Local-Fleet.yaml", tmp_path)
    content = (RUNBOOKS / "Local-Report.json").read_text()
    connected.client("ssm").create_document(
        Name="Local-Report", Content=content, DocumentType="Automation", DocumentFormat="JSON"
    )

    ended, _ = ran("Local-Fleet", connected, {"Names": ["/fleet/stored"]}, folder=tmp_path)

    assert (ended.status.value, ended.failure_message) == ("Success", "")


def test_a_document_that_is_nowhere_is_told(connected: LocalCloud) -> None:
    with opened("Local-Report", connected) as alone, pytest.raises(DocumentNotFound, match="is not beside the runbook"):
        alone.engine._documents.find("No-Such-Document", "")


def _until(alone: Alone, execution: str, *, step: str, status: str = "InProgress") -> None:
    """Wait until a step shows a status."""
    for _ in range(int(LIMIT / 0.02)):
        if any(one.name == step and one.status.value == status for one in alone.engine.steps(execution)):
            return
        assert not alone.engine.get(execution).status.over
        alone.engine.scheduler.settle(0.02)
    raise AssertionError(f"{step} did not become {status}")
