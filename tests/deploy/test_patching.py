"""Patching deployed on the emulated account: it stands, stands twice, changes, and leaves nothing when it goes."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.attestation.authority import issue
from tests.deploy.conftest import Account, BriefClock, new_account
from tests.deploy.publisher import pem

from localcloud.cloud import LocalCloud
from moorings.deploy import patching
from moorings.deploy.package import FunctionPlatform, Package, build_layer, function_platform
from moorings.deploy.patching import Deployed, GivenLayer, PatchingPlan, deploy, preview, remove
from moorings.deploy.runbooks import RenderedRunbook, rendered
from moorings.deploy.stacks import ChangeSet, StackEvent, Stacks
from moorings.deploy.steps import Notice, Step
from moorings.errors import CloudFault, Conflict, Misconfigured, Refused

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
SCOPES = (SUBSCRIPTION, f"{SUBSCRIPTION}/resourceGroups/web_1(a).b")
TENANT, CLIENT = "aaaaaaaa-0000-0000-0000-000000000001", "aaaaaaaa-0000-0000-0000-000000000002"


@cache
def _layer(name: str, *, platform: FunctionPlatform, anchors: Path | None = None) -> Package:
    """The real layer, built once for all tests here."""
    return build_layer(name, platform=platform, anchors=anchors)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patching, "build_layer", _layer)


def _plan(stack: str, **changed: Any) -> PatchingPlan:
    """Each stack has a runbook name of its own, as they share an account."""
    parameters = {"DocumentName": f"{stack}-runbook", **changed.pop("parameters", {})}
    return PatchingPlan(**{"scopes": SCOPES, "stack": stack, "parameters": parameters, **changed})


def _deploy(account: Account, plan: PatchingPlan, **options: Any) -> Deployed:
    platform = function_platform(account.cloud.function_platform)
    return deploy(plan, aws=account.aws, clock=BriefClock(), platform=platform, **options)


def _preview(account: Account, plan: PatchingPlan) -> Any:
    platform = function_platform(account.cloud.function_platform)
    return preview(plan, aws=account.aws, clock=BriefClock(), platform=platform)


def _remove(account: Account, stack: str, **options: Any) -> Any:
    return remove(stack, aws=account.aws, clock=BriefClock(), **options)


def _environment(account: Account, deployed: Deployed) -> dict[str, str]:
    found = account.aws.client("lambda").get_function_configuration(FunctionName=deployed.function)
    return dict(found["Environment"]["Variables"])


def _document(account: Account, deployed: Deployed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(account.aws.client("ssm").get_document(Name=deployed.runbook)["Content"])
    return found


@dataclass(frozen=True)
class Standing:
    """One account with two deployments side by side, shared by the tests that only look."""

    account: Account
    one: Deployed
    two: Deployed


@pytest.fixture(scope="module")
def standing() -> Iterator[Standing]:
    with LocalCloud(in_process=True) as cloud, pytest.MonkeyPatch.context() as patched:
        patched.setattr(patching, "build_layer", _layer)
        account = new_account(cloud)
        one = _deploy(account, replace(_plan("one"), parameters={}))
        federated = {"FederationTenantId": TENANT, "FederationClientId": CLIENT, "OutcomeTopic": "wrong"}
        yield Standing(account, one, _deploy(account, _plan("two", parameters=federated)))


def test_two_stacks_stand_side_by_side(standing: Standing) -> None:
    one, two = standing.one, standing.two

    assert (one.runbook, two.runbook) == ("Azure-PatchVMWithRollback", "two-runbook")
    for output in ("AzureLambdaFunctionName", "KeeperFunctionName", "GuardTable", "StackMark", "AutomationRoleArn"):
        assert one.outputs[output] != two.outputs[output]


def test_the_runbook_defaults_to_what_the_stack_made(standing: Standing) -> None:
    parameters = _document(standing.account, standing.one)["parameters"]

    assert parameters["AutomationAssumeRole"]["default"] == standing.one.automation_role
    assert parameters["FunctionName"]["default"] == standing.one.function
    assert [parameters[name]["default"] for name in ("tenantid", "clientid", "clientsecret")] == [
        "/moorings/azure/tenant_id",
        "/moorings/azure/client_id",
        "/moorings/azure/client_secret",
    ]


def test_with_federation_the_runbook_names_no_secrets(standing: Standing) -> None:
    """Names that a run gives win over the federation, so none may be given by default."""
    parameters = _document(standing.account, standing.two)["parameters"]

    assert [parameters[name]["default"] for name in ("tenantid", "clientid", "clientsecret")] == ["", "", ""]
    assert json.loads(_environment(standing.account, standing.two)["MOORINGS_FEDERATION"]) == {
        "tenant": TENANT,
        "client": CLIENT,
        "audience": "api://AzureADTokenExchange",
    }
    assert _environment(standing.account, standing.one)["MOORINGS_FEDERATION"] == ""


def test_functions_know_the_scopes_and_have_the_layer(standing: Standing) -> None:
    functions = standing.account.aws.client("lambda")
    found = functions.get_function_configuration(FunctionName=standing.one.function)

    assert _environment(standing.account, standing.one)["MOORINGS_SCOPES"].split() == list(SCOPES)
    assert len(found["Layers"]) == 1
    assert (found["Timeout"], found["MemorySize"]) == (60, 512)


def test_no_output_holds_a_secret(standing: Standing) -> None:
    values = [value.lower() for value in standing.two.outputs.values()]

    assert not [value for value in values if "password" in value or "token" in value]


def test_a_topic_is_told_of_what_went_wrong(standing: Standing) -> None:
    aws, two = standing.account.aws, standing.two
    queue = aws.client("sqs").create_queue(QueueName="told")["QueueUrl"]
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    aws.client("sns").subscribe(
        TopicArn=two.outputs["OutcomeTopicArn"], Protocol="sqs", Endpoint=attributes["QueueArn"]
    )
    detail = {
        "stack": two.outputs["StackMark"], "wrong": True, "node": "mi-1", "outcome": "ROLLED_BACK", "reason": "Bad.",
        "execution": "e",
    }  # fmt: skip
    entry = {"Source": "moorings.patching", "DetailType": "Patch Run Ended"}
    for changed in ({}, {"wrong": False}, {"stack": standing.one.outputs["StackMark"]}):
        aws.client("events").put_events(Entries=[{**entry, "Detail": json.dumps({**detail, **changed})}])

    told = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]

    assert [json.loads(each["Body"])["Message"] for each in told] == ['"mi-1: ROLLED_BACK. Bad. (execution e)"']


def test_a_second_deployment_changes_nothing_and_says_so(account: Account, name: str) -> None:
    first = _deploy(account, _plan(name))
    steps: list[Step | Notice | StackEvent] = []

    second = _deploy(account, _plan(name, scopes=()), on_progress=steps.append)

    assert second == first
    assert not [step for step in steps if isinstance(step, StackEvent)]
    assert f"stack {name}: nothing to change" in {step.text for step in steps if isinstance(step, Step)}


def test_a_changed_runbook_is_a_new_version_and_the_default(
    account: Account, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _deploy(account, _plan(name))
    text = rendered().content.decode().replace("### Azure-PatchVMWithRollback", "### Another")
    monkeypatch.setattr(
        patching.runbooks, "rendered", lambda: RenderedRunbook(name="r", content=text.encode(), digest="0" * 64)
    )

    shown = _preview(account, _plan(name))
    _deploy(account, _plan(name))

    assert [(change.action, change.resource) for change in shown[0].changes] == [("Modify", "Runbook")]
    described = account.aws.client("ssm").describe_document(Name=first.runbook)["Document"]
    assert (described["DefaultVersion"], described["LatestVersion"]) == ("2", "2")
    assert "### Another" in _document(account, first)["description"]


def test_anchors_are_bundled_or_missed_aloud(account: Account, name: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for file, days in (("roots.pem", 3650), ("issuers.pem", 20)):
        holder = issue(file, authority=True, begins=now - timedelta(days=1), ends=now + timedelta(days=days))
        (tmp_path / file).write_bytes(pem(holder))
    steps: list[Step | Notice | StackEvent] = []

    without = _deploy(account, _plan(name), on_progress=steps.append)
    told = [step.text for step in steps if isinstance(step, Notice)]
    steps.clear()
    bundled = _deploy(account, _plan(name, anchors=tmp_path), on_progress=steps.append)

    assert (without.anchors, bundled.anchors) == (False, True)
    assert len(told) == 1
    assert "`moorings anchors update`" in told[0]
    warned = [step.text for step in steps if isinstance(step, Notice)]
    assert warned == [
        f"trust anchors: issuers.pem ends at {now + timedelta(days=20):%Y-%m-%d}: moorings anchors update"
    ]
    assert bundled.layer != without.layer


def test_a_layer_that_lies_in_a_bucket_already_is_used(account: Account, name: str) -> None:
    """As operators of the public sample have it."""
    bucket = f"own-{account.aws.account}"
    account.aws.client("s3").create_bucket(Bucket=bucket)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("python/azure.py", "")
    account.aws.client("s3").put_object(Bucket=bucket, Key="python3-azure-modules.zip", Body=packed.getvalue())

    deployed = _deploy(account, _plan(name, layer=GivenLayer(bucket=bucket, key="python3-azure-modules.zip")))

    assert deployed.layer == f"s3://{bucket}/python3-azure-modules.zip"
    told: list[Any] = []
    _deploy(account, _plan(name), on_progress=told.append)
    notices = [each.text for each in told if isinstance(each, Notice)]
    assert any(f"the layer {deployed.layer} gives way to one that is built" in text for text in notices)
    told.clear()
    _deploy(account, _plan(name), on_progress=told.append)
    assert not any("gives way" in each.text for each in told if isinstance(each, Notice))


def test_another_prefix_takes_the_names_along(account: Account, name: str) -> None:
    deployed = _deploy(account, _plan(name, parameters={"CredentialPrefix": "/team/azure"}))

    assert deployed.outputs["AzureCredentialParameters"].split(",") == [
        "/team/azure/tenant_id",
        "/team/azure/client_id",
        "/team/azure/client_secret",
    ]


def test_a_name_outside_of_the_prefix_is_refused(account: Account, name: str) -> None:
    with pytest.raises(Misconfigured, match="ClientSecret: no name below /moorings/azure"):
        _deploy(account, _plan(name, parameters={"ClientSecret": "/elsewhere/secret"}))


def test_a_document_of_somebody_else_is_not_taken_over(account: Account, name: str) -> None:
    step = {"name": "a", "action": "aws:runShellScript", "inputs": {"runCommand": ["true"]}}
    content = {"schemaVersion": "2.2", "mainSteps": [step]}
    account.aws.client("ssm").create_document(Name=f"{name}-runbook", Content=json.dumps(content))

    with pytest.raises(Conflict, match="which is not of stack"):
        _deploy(account, _plan(name))

    assert Stacks(account.aws, clock=BriefClock()).find(name) is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"parameters": {"NoSuch": "x"}}, "NoSuch cannot be given"),
        ({"parameters": {"RunbookKey": "x"}}, "RunbookKey cannot be given"),
        ({"scopes": ("/subscriptions/1",)}, "'/subscriptions/1' is no Azure scope"),
        ({"scopes": (f"{SUBSCRIPTION}/providers/x",)}, "is no Azure scope"),
        ({"anchors": Path("a"), "layer": GivenLayer(bucket="b", key="k")}, "brings its own trust anchors"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_called(
    account: Account, changed: dict[str, Any], message: str
) -> None:
    calls = len(account.cloud.world.calls)

    with pytest.raises(Misconfigured, match=message):
        _deploy(account, _plan("never", **changed))

    assert len(account.cloud.world.calls) == calls


def test_which_vms_may_be_patched_has_to_be_said_once(account: Account, name: str) -> None:
    with pytest.raises(Misconfigured, match="which VMs may be patched"):
        _deploy(account, _plan(name, scopes=()))


def test_half_a_federation_is_refused_by_the_template(account: Account, name: str) -> None:
    with pytest.raises(Misconfigured, match="FederationTenantId needs FederationClientId"):
        _deploy(account, _plan(name, parameters={"FederationTenantId": TENANT}))


def test_a_preview_of_a_new_stack_makes_and_uploads_nothing(fresh_account: Account) -> None:
    (planned,) = _preview(fresh_account, _plan("one"))

    assert {change.action for change in planned.changes} == {"Add"}
    assert "Runbook" in {change.resource for change in planned.changes}
    assert Stacks(fresh_account.aws, clock=BriefClock()).find("one") is None
    assert not fresh_account.aws.client("s3").list_buckets()["Buckets"]


def test_a_plan_that_is_not_approved_leaves_no_stack(account: Account, name: str) -> None:
    with pytest.raises(Refused, match="was not approved"):
        _deploy(account, _plan(name), approve=lambda _planned: False)

    assert Stacks(account.aws, clock=BriefClock()).find(name) is None


def test_removing_leaves_nothing_and_says_what_stays(fresh_account: Account) -> None:
    deployed = _deploy(fresh_account, _plan("one", parameters={"OutcomeTopic": "all"}))

    removed = _remove(fresh_account, "one")

    aws = fresh_account.aws
    assert (removed.stacks, removed.artifacts, removed.bucket) == (("one",), 3, True)
    assert not aws.client("lambda").list_functions()["Functions"]
    assert not aws.client("lambda").list_layers()["Layers"]
    assert not aws.client("dynamodb").list_tables()["TableNames"]
    assert not aws.client("ssm").list_documents(Filters=[{"Key": "Owner", "Values": ["Self"]}])["DocumentIdentifiers"]
    assert not aws.client("events").list_rules()["Rules"]
    assert not aws.client("sns").list_topics()["Topics"]
    assert not aws.client("logs").describe_log_groups()["logGroups"]
    assert not aws.client("iam").list_policies(Scope="Local")["Policies"]
    assert not aws.client("s3").list_buckets()["Buckets"]
    assert any(deployed.outputs["StackMark"] in sentence for sentence in removed.kept)
    assert any("/moorings/azure" in sentence for sentence in removed.kept)
    assert _remove(fresh_account, "one").stacks == ()


def test_a_protected_table_is_not_removed(account: Account, name: str) -> None:
    _deploy(account, _plan(name, parameters={"DeletionProtection": "yes"}))

    with pytest.raises(Refused, match="are protected from deletion"):
        _remove(account, name)

    _deploy(account, _plan(name, parameters={"DeletionProtection": "no"}))
    assert _remove(account, name).stacks == (name,)


def test_a_run_that_is_going_on_keeps_its_functions(account: Account, name: str) -> None:
    """Without them nobody would start the VM again that it has stopped."""
    deployed = _deploy(account, _plan(name))
    ssm = account.aws.client("ssm")
    waiting = {
        "schemaVersion": "0.3",
        "mainSteps": [{"name": "Wait", "action": "aws:sleep", "inputs": {"Duration": "PT1H"}}],
    }
    ssm.update_document(Name=deployed.runbook, Content=json.dumps(waiting), DocumentVersion="$LATEST")
    execution = ssm.start_automation_execution(DocumentName=deployed.runbook, DocumentVersion="2")

    with pytest.raises(Refused, match=f"1 runs of .*, such as {execution['AutomationExecutionId']}"):
        _remove(account, name)

    ssm.stop_automation_execution(AutomationExecutionId=execution["AutomationExecutionId"])


def test_both_functions_start_from_their_zip_and_layer_with_the_rights_they_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As processes under the runtime interface client, with the roles' policies enforced."""
    with LocalCloud() as cloud:
        monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint_url)
        account = new_account(cloud)
        deployed = _deploy(account, _plan("one"))

        kept = cloud.functions.invoke(deployed.outputs["KeeperFunctionName"], b"{}")
        unknown = {"call": "judge", "execution": "11111111-2222-3333-4444-555555555555", "node": "mi-0123456789abcdef0"}
        asked = cloud.functions.invoke(deployed.function, json.dumps(unknown).encode())

    assert (kept.function_error, json.loads(kept.payload)) == ("", {"seen": 0})
    assert json.loads(asked.payload)["errorType"] == "CallFailed"
    assert "has no record in this stack" in json.loads(asked.payload)["errorMessage"]


def test_a_vm_that_is_being_put_back_keeps_function_and_keeper(account: Account, name: str) -> None:
    deployed = _deploy(account, _plan(name))
    table, dynamodb = deployed.outputs["GuardTable"], account.aws.client("dynamodb")
    for execution, phase in (("e-1", "restoring"), ("e-2", "restored")):
        body = {"S": f'{{"execution":"{execution}","phase":"{phase}"}}'}
        dynamodb.put_item(TableName=table, Item={"pk": {"S": f"run#{execution}"}, "body": body})

    with pytest.raises(Refused, match="1 VMs are being put back, such as that of run e-1"):
        _remove(account, name)

    dynamodb.delete_item(TableName=table, Key={"pk": {"S": "run#e-1"}})
    assert _remove(account, name).stacks == (name,)


def test_a_half_deleted_stack_can_be_removed_again(account: Account, name: str) -> None:
    """Its table may have gone already: then nothing is put back any more."""
    _deploy(account, _plan(name))
    account.cloud.faults.error("logs", "DeleteLogGroup", status=400, code="X")
    with pytest.raises(CloudFault, match="DELETE_FAILED"):
        _remove(account, name)
    account.cloud.faults.clear()

    assert _remove(account, name).stacks == (name,)


def test_whoever_is_asked_knows_that_there_are_no_anchors(account: Account, name: str) -> None:
    """A colleague's may be in the layer that is replaced."""
    told: list[Any] = []

    _deploy(account, _plan(name), on_progress=told.append, approve=lambda planned: not told.append(planned))

    before = told[: next(number for number, each in enumerate(told) if isinstance(each, ChangeSet))]
    assert any("no trust anchors were bundled" in each.text for each in before if isinstance(each, Notice))
