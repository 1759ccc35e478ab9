"""The Automation APIs as boto3 sees them: shapes, refusals, filters, pages, roles, tags."""

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.aws.ssm.automation.automations import Automations
from localcloud.clock import SteppedClock
from localcloud.principals import Kind, Principal
from localcloud.world import World

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
NODE = """
schemaVersion: '0.3'
assumeRole: '{{ AutomationAssumeRole }}'
parameters:
  NodeId: {type: String}
  AutomationAssumeRole: {type: String, default: ''}
outputs: [Look.Name]
mainSteps:
- name: Look
  action: aws:executeAwsApi
  inputs: {Service: sts, Api: GetCallerIdentity}
  outputs: [{Name: Name, Selector: $.Arn, Type: String}]
- name: Rest
  action: aws:sleep
  onFailure: Continue
  inputs: {Duration: PT10S}
- name: Choose
  action: aws:branch
  inputs:
    Choices: [{NextStep: Last, Variable: '{{ NodeId }}', StringEquals: mi-1}]
  isEnd: true
- name: Last
  action: aws:sleep
  isEnd: true
  inputs: {Duration: PT0S}
"""
LOOP = """
schemaVersion: '0.3'
mainSteps:
- name: Each
  action: aws:loop
  inputs:
    Iterators: [a, b]
    Steps:
    - name: Nap
      action: aws:sleep
      inputs: {Duration: PT0S}
"""


@pytest.fixture
def create(ssm: Any) -> Callable[..., None]:
    """Stores a runbook."""

    def make(name: str, text: str) -> None:
        ssm.create_document(Name=name, DocumentType="Automation", DocumentFormat="YAML", Content=text)

    return make


@pytest.fixture
def settle(world: World) -> Callable[[], None]:
    """Waits until every execution waits for the clock or for somebody."""
    return lambda: world.part(Automations).engine("us-east-1").settle()


@pytest.fixture
def finish(world: World, clock: SteppedClock, ssm: Any) -> Callable[[str], dict[str, Any]]:
    """Steps the clock from timer to timer until an execution is over."""

    def run(execution_id: str) -> dict[str, Any]:
        engine = world.part(Automations).engine("us-east-1")
        engine.settle()
        while not engine.get(execution_id).status.over and (due := engine.scheduler.next_due()):
            clock.step(max(due - clock.now(), timedelta(0)))
            engine.settle()
        shown: dict[str, Any] = ssm.get_automation_execution(AutomationExecutionId=execution_id)["AutomationExecution"]
        return shown

    return run


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])


def filtered(filters: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return {"Filters": [{"Key": key, "Values": [value]} for key, value in filters]} if filters else {}


def test_an_execution_shows_what_the_service_shows(
    ssm: Any, create: Callable[..., None], finish: Callable[[str], dict[str, Any]], world: World
) -> None:
    create("Node", NODE)
    started = ssm.start_automation_execution(DocumentName="Node", Parameters={"NodeId": ["mi-1"]})
    shown = finish(started["AutomationExecutionId"])

    assert shown["AutomationExecutionStatus"] == "Success"
    assert (shown["DocumentName"], shown["DocumentVersion"], shown["Mode"]) == ("Node", "1", "Auto")
    assert shown["Parameters"]["NodeId"] == ["mi-1"]
    assert shown["Outputs"] == {"Look.Name": [f"arn:aws:iam::{world.account}:root"]}
    assert shown["ExecutedBy"] == f"arn:aws:iam::{world.account}:root"
    assert shown["Targets"] == []
    assert shown["ResolvedTargets"] == {"ParameterValues": [], "Truncated": False}
    assert "FailureMessage" not in shown
    assert shown["StepExecutionsTruncated"] is False
    look, rest, choose, last = shown["StepExecutions"]
    assert look["Inputs"] == {"Service": '"sts"', "Api": '"GetCallerIdentity"'}
    assert look["Outputs"]["Name"] == [f"arn:aws:iam::{world.account}:root"]
    assert (look["NextStep"], look["ValidNextSteps"], look["IsEnd"]) == ("Rest", ["Rest"], False)
    assert look["OverriddenParameters"] == {}
    assert not {"OnFailure", "IsCritical", "MaxAttempts", "TimeoutSeconds", "ParentStepDetails"} & set(look)
    assert rest["OnFailure"] == "Continue"
    assert rest["ExecutionEndTime"] - rest["ExecutionStartTime"] >= timedelta(seconds=9)
    assert choose["NextStep"] == "Last"
    assert last["StepStatus"] == "Success"


def test_steps_that_were_never_reached_are_pending_and_have_no_time(
    ssm: Any, create: Callable[..., None], finish: Callable[[str], dict[str, Any]]
) -> None:
    create("Node", NODE)
    started = ssm.start_automation_execution(DocumentName="Node", Parameters={"NodeId": ["mi-2"]})
    last = finish(started["AutomationExecutionId"])["StepExecutions"][-1]

    assert (last["StepName"], last["StepStatus"]) == ("Last", "Pending")
    assert not {"ExecutionStartTime", "ExecutionEndTime"} & set(last)


def test_each_refusal_has_the_services_name(ssm: Any, create: Callable[..., None], settle: Callable[[], None]) -> None:
    create("Node", NODE)
    ssm.create_document(
        Name="Cmd",
        DocumentType="Command",
        Content=json.dumps(
            {
                "schemaVersion": "2.2",
                "mainSteps": [
                    {"name": "x", "action": "aws:runShellScript", "inputs": {"runCommand": ["true"]}},
                ],
            }
        ),
    )
    start, some = ssm.start_automation_execution, str(uuid.uuid4())
    node = {"NodeId": ["mi-1"]}

    assert code_of(lambda: start(DocumentName="None")) == "AutomationDefinitionNotFoundException"
    assert code_of(lambda: start(DocumentName="Cmd")) == "AutomationDefinitionNotFoundException"
    assert code_of(lambda: start(DocumentName="Node", DocumentVersion="7")) == (
        "AutomationDefinitionVersionNotFoundException"
    )
    invalid = "InvalidAutomationExecutionParametersException"
    assert code_of(lambda: start(DocumentName="Node")) == invalid
    assert code_of(lambda: start(DocumentName="Node", Parameters=node | {"Other": ["x"]})) == invalid
    role = {"AutomationAssumeRole": ["arn:aws:iam::123456789012:role/none"]}
    assert code_of(lambda: start(DocumentName="Node", Parameters=node | role)) == invalid
    targets = [{"Key": "ParameterValues", "Values": ["mi-1"]}]
    assert code_of(lambda: start(DocumentName="Node", Targets=targets, TargetParameterName="nodeid")) == "InvalidTarget"
    assert code_of(lambda: ssm.get_automation_execution(AutomationExecutionId=some)) == (
        "AutomationExecutionNotFoundException"
    )
    running = start(DocumentName="Node", Parameters=node)["AutomationExecutionId"]
    settle()
    send = ssm.send_automation_signal
    assert code_of(lambda: send(AutomationExecutionId=running, SignalType="Approve")) == (
        "InvalidAutomationSignalException"
    )
    assert code_of(
        lambda: send(AutomationExecutionId=running, SignalType="StartStep", Payload={"StepName": ["Nothing"]})
    ) == ("AutomationStepNotFoundException")
    ssm.stop_automation_execution(AutomationExecutionId=running)
    assert code_of(lambda: ssm.stop_automation_execution(AutomationExecutionId=running)) == (
        "InvalidAutomationStatusUpdateException"
    )
    assert code_of(lambda: start(DocumentName="Node", Parameters=node, TargetLocations=[{"Accounts": ["1"]}])) == (
        "NotImplementedByLocalCloud"
    )


def test_a_client_token_starts_once(ssm: Any, create: Callable[..., None]) -> None:
    create("Loop", LOOP)
    token = str(uuid.uuid4())
    first = ssm.start_automation_execution(DocumentName="Loop", ClientToken=token)
    again = ssm.start_automation_execution(DocumentName="Loop", ClientToken=token.upper())

    assert first["AutomationExecutionId"] == again["AutomationExecutionId"]
    assert code_of(lambda: ssm.start_automation_execution(DocumentName="Node", ClientToken=token)) == (
        "IdempotentParameterMismatch"
    )


def test_the_passes_of_a_loop_are_steps_with_their_parent(
    ssm: Any, create: Callable[..., None], finish: Callable[[str], dict[str, Any]]
) -> None:
    create("Loop", LOOP)
    execution = ssm.start_automation_execution(DocumentName="Loop")["AutomationExecutionId"]
    each, *passes = finish(execution)["StepExecutions"]

    assert each["Outputs"] == {"CurrentIteration": ["2"], "CurrentIteratorValue": ["b"]}
    assert [one["ParentStepDetails"] for one in passes] == [
        {
            "StepExecutionId": each["StepExecutionId"],
            "StepName": "Each",
            "Action": "aws:loop",
            "Iteration": number,
            "IteratorValue": value,
        }
        for number, value in ((1, "a"), (2, "b"))
    ]

    def found(*filters: tuple[str, str], **options: Any) -> list[str]:
        listed = ssm.describe_automation_step_executions(
            AutomationExecutionId=execution,
            **filtered(filters),
            **options,
        )
        return [
            f"{one['StepName']}{one.get('ParentStepDetails', {}).get('Iteration', '')}"
            for one in listed["StepExecutions"]
        ]

    assert found() == ["Each", "Nap1", "Nap2"]
    assert found(ReverseOrder=True) == ["Nap2", "Nap1", "Each"]
    assert found(("ParentStepExecutionId", each["StepExecutionId"])) == ["Nap1", "Nap2"]
    assert found(("ParentStepIteration", "2")) == ["Nap2"]
    assert found(("ParentStepIteratorValue", "a")) == ["Nap1"]
    assert found(("Action", "aws:loop")) == ["Each"]
    assert found(("StepExecutionStatus", "Failed")) == []


def test_listings_are_paged_and_filtered(
    ssm: Any, create: Callable[..., None], finish: Callable[[str], dict[str, Any]], clock: SteppedClock
) -> None:
    create("Loop", LOOP)
    create("Node", NODE)
    ids = []
    for number in range(5):
        clock.step(timedelta(minutes=1))
        tags = [{"Key": "odd", "Value": "yes"}] if number % 2 else []
        ids.append(ssm.start_automation_execution(DocumentName="Loop", Tags=tags)["AutomationExecutionId"])
        finish(ids[-1])
    running = ssm.start_automation_execution(DocumentName="Node", Parameters={"NodeId": ["x"]})["AutomationExecutionId"]

    def listed(*filters: tuple[str, str], size: int = 50) -> list[str]:
        pages = ssm.get_paginator("describe_automation_executions").paginate(
            **filtered(filters), PaginationConfig={"PageSize": size}
        )
        return [one["AutomationExecutionId"] for page in pages for one in page["AutomationExecutionMetadataList"]]

    newest_first = [running, *reversed(ids)]
    assert listed() == listed(size=1) == listed(size=4) == newest_first
    assert listed(("DocumentNamePrefix", "Lo"), size=2) == newest_first[1:]
    assert listed(("ExecutionStatus", "InProgress")) == [running]
    assert listed(("ExecutionId", ids[2])) == [ids[2]]
    assert listed(("TagKey", "odd")) == [ids[3], ids[1]]
    assert listed(("AutomationType", "CrossAccount")) == []
    third = ssm.get_automation_execution(AutomationExecutionId=ids[2])["AutomationExecution"]["ExecutionStartTime"]
    assert listed(("StartTimeAfter", (third + timedelta(seconds=1)).isoformat())) == [running, ids[4], ids[3]]
    assert listed(("StartTimeBefore", (third - timedelta(seconds=1)).isoformat())) == [ids[1], ids[0]]
    assert code_of(lambda: listed(("StartTimeBefore", "yesterday"))) == "InvalidFilterValue"
    assert code_of(lambda: ssm.describe_automation_executions(NextToken="forged")) == "InvalidNextToken"


def test_rate_control_shows_its_children(
    ssm: Any, create: Callable[..., None], finish: Callable[[str], dict[str, Any]]
) -> None:
    create("Node", NODE)
    parent = ssm.start_automation_execution(
        DocumentName="Node",
        TargetMaps=[{"NodeId": [f"mi-{number}"]} for number in range(3)],
        MaxConcurrency="2",
        MaxErrors="1",
    )["AutomationExecutionId"]
    shown = finish(parent)

    assert shown["AutomationExecutionStatus"] == "Success"
    assert [one["StepName"] for one in shown["StepExecutions"]] == ["mi-0", "mi-1", "mi-2"]
    assert {one["Action"] for one in shown["StepExecutions"]} == {"aws:executeAutomation"}
    assert shown["ResolvedTargets"]["ParameterValues"] == ["mi-0", "mi-1", "mi-2"]
    assert (shown["MaxConcurrency"], shown["MaxErrors"]) == ("2", "1")
    assert shown["TargetsSummary"] == {
        "TotalCount": 3,
        "StartedCount": 3,
        "CompletedCount": 3,
        "SuccessfulCount": 3,
        "FailedCount": 0,
    }
    assert shown["ProgressCounters"]["SuccessSteps"] == 3
    children = ssm.describe_automation_executions(Filters=[{"Key": "ParentExecutionId", "Values": [parent]}])
    listed = children["AutomationExecutionMetadataList"]
    assert {(one["Target"], one["ParentAutomationExecutionId"]) for one in listed} == {
        (f"mi-{number}", parent) for number in range(3)
    }


def test_steps_act_as_the_role_in_a_session_named_after_the_execution(
    ssm: Any,
    create: Callable[..., None],
    finish: Callable[[str], dict[str, Any]],
    role: Callable[..., None],
    world: World,
) -> None:
    role("automation", TRUST)
    create("Node", NODE)
    arn = f"arn:aws:iam::{world.account}:role/automation"
    started = ssm.start_automation_execution(
        DocumentName="Node", Parameters={"NodeId": ["mi-1"], "AutomationAssumeRole": [arn]}
    )["AutomationExecutionId"]

    assert finish(started)["Outputs"]["Look.Name"] == [
        f"arn:aws:sts::{world.account}:assumed-role/automation/Automation-{started}"
    ]


def test_a_role_must_trust_systems_manager_for_this_execution(
    ssm: Any, create: Callable[..., None], role: Callable[..., None], world: World
) -> None:
    create("Node", NODE)
    other = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role("functions", {"Version": "2012-10-17", "Statement": [other]})
    executions = {"ArnLike": {"aws:SourceArn": f"arn:aws:ssm:*:{world.account}:automation-execution/*"}}
    role("deputy", {"Version": "2012-10-17", "Statement": [TRUST["Statement"][0] | {"Condition": executions}]})  # type: ignore[operator]

    def start(name: str) -> Any:
        arn = f"arn:aws:iam::{world.account}:role/{name}"
        return ssm.start_automation_execution(
            DocumentName="Node", Parameters={"NodeId": ["mi-1"], "AutomationAssumeRole": [arn]}
        )

    assert code_of(lambda: start("functions")) == "InvalidAutomationExecutionParametersException"
    assert start("deputy")["AutomationExecutionId"]


def test_tags_of_executions_change_as_those_of_anything(ssm: Any, create: Callable[..., None]) -> None:
    create("Loop", LOOP)
    tags = [{"Key": "one", "Value": "1"}]
    execution = ssm.start_automation_execution(DocumentName="Loop", Tags=tags)["AutomationExecutionId"]
    which = {"ResourceType": "Automation", "ResourceId": execution}
    ssm.add_tags_to_resource(**which, Tags=[{"Key": "two", "Value": "2"}])
    ssm.remove_tags_from_resource(**which, TagKeys=["one"])

    assert ssm.list_tags_for_resource(**which)["TagList"] == [{"Key": "two", "Value": "2"}]
    found = ssm.describe_automation_executions(Filters=[{"Key": "TagKey", "Values": ["two"]}])
    assert len(found["AutomationExecutionMetadataList"]) == 1
    nobody = {"ResourceType": "Automation", "ResourceId": str(uuid.uuid4())}
    assert code_of(lambda: ssm.list_tags_for_resource(**nobody)) == "InvalidResourceId"


def test_more_tags_than_five_at_start_are_refused(ssm: Any, create: Callable[..., None]) -> None:
    create("Loop", LOOP)
    tags = [{"Key": str(number), "Value": "x"} for number in range(6)]

    assert code_of(lambda: ssm.start_automation_execution(DocumentName="Loop", Tags=tags)) == "ValidationException"


@pytest.fixture
def set_rights(client: Callable[..., Any]) -> Callable[..., None]:
    """Gives a role exactly these statements."""

    def set_to(name: str, *statements: dict[str, Any]) -> None:
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        client("iam").put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=policy)

    return set_to


@pytest.fixture
def as_role(world: World, role: Callable[..., None], set_rights: Callable[..., None]) -> Callable[..., Any]:
    """Clients of a role with exactly the given statements."""
    import boto3

    from localcloud.aws.seam import attach

    def make(*statements: dict[str, Any]) -> Any:
        role("starter", TRUST)
        set_rights("starter", *statements)
        arn = f"arn:aws:sts::{world.account}:assumed-role/starter/me"
        who = world.credentials.issue(Principal(kind=Kind.ROLE, arn=arn, role_name="starter", session="me"))
        session = boto3.Session(
            aws_access_key_id=who.access_key, aws_secret_access_key=who.secret_key, region_name="us-east-1"
        )
        attach(session, world.endpoint.dispatch)
        return session.client("ssm")

    return make


def test_whoever_starts_a_runbook_with_a_role_must_be_allowed_to_pass_it(
    create: Callable[..., None],
    role: Callable[..., None],
    as_role: Callable[..., Any],
    set_rights: Callable[..., None],
    world: World,
) -> None:
    create("Node", NODE)
    role("automation", TRUST)
    arn = f"arn:aws:iam::{world.account}:role/automation"
    start = {"Effect": "Allow", "Action": "ssm:StartAutomationExecution", "Resource": "*"}
    given = {"NodeId": ["mi-1"], "AutomationAssumeRole": [arn]}

    poor = as_role(start)
    assert code_of(lambda: poor.start_automation_execution(DocumentName="Node", Parameters=given)) == (
        "AccessDeniedException"
    )
    passes = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": arn,
        "Condition": {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}},
    }
    set_rights("starter", start, passes)
    assert poor.start_automation_execution(DocumentName="Node", Parameters=given)["AutomationExecutionId"]


def test_without_a_role_steps_act_as_whoever_started(
    create: Callable[..., None], as_role: Callable[..., Any], finish: Callable[[str], dict[str, Any]], world: World
) -> None:
    create("Node", NODE)
    definition = f"arn:aws:ssm:us-east-1:{world.account}:automation-definition/Node:*"
    ssm = as_role({"Effect": "Allow", "Action": "ssm:StartAutomationExecution", "Resource": definition})
    started = ssm.start_automation_execution(DocumentName="Node", Parameters={"NodeId": ["mi-1"]})

    shown = finish(started["AutomationExecutionId"])
    assert shown["Outputs"]["Look.Name"] == [f"arn:aws:sts::{world.account}:assumed-role/starter/me"]


def test_credentials_of_a_long_run_are_renewed(
    ssm: Any,
    create: Callable[..., None],
    finish: Callable[[str], dict[str, Any]],
    role: Callable[..., None],
    world: World,
) -> None:
    role("automation", TRUST)
    long = NODE.replace("PT10S", "PT3H").replace(
        "isEnd: true\n  inputs: {Duration: PT0S}", "nextStep: Again\n  inputs: {Duration: PT0S}"
    )
    again = "- name: Again\n  action: aws:executeAwsApi\n  inputs: {Service: sts, Api: GetCallerIdentity}\n"
    create("Long", long + again)
    arn = f"arn:aws:iam::{world.account}:role/automation"
    started = ssm.start_automation_execution(
        DocumentName="Long", Parameters={"NodeId": ["mi-1"], "AutomationAssumeRole": [arn]}
    )

    assert finish(started["AutomationExecutionId"])["AutomationExecutionStatus"] == "Success"


def test_the_published_quotas_throttle_starts(ssm: Any, create: Callable[..., None], world: World) -> None:
    create("Loop", LOOP)
    world.faults.published_quotas()
    ssm.start_automation_execution(DocumentName="Loop")

    assert code_of(lambda: ssm.start_automation_execution(DocumentName="Loop")) == "ThrottlingException"


STORED = """
schemaVersion: '0.3'
parameters:
  Name: {type: String, default: '{{ ssm:/run/name }}'}
  Names: {type: StringList, default: ['{{ ssm:/run/name }}']}
outputs: [Look.Name]
mainSteps:
- name: Look
  action: aws:executeAwsApi
  inputs: {Service: ssm, Api: GetParameter, Name: '{{ Name }}'}
  outputs: [{Name: Name, Selector: $.Parameter.Name, Type: String}]
"""


def test_defaults_of_parameter_store_are_read_at_the_start(
    ssm: Any, create: Callable[..., None], finish: Callable[[str], dict[str, Any]]
) -> None:
    ssm.put_parameter(Name="/run/name", Value="/run/name", Type="String")
    create("Stored", STORED)
    shown = finish(ssm.start_automation_execution(DocumentName="Stored")["AutomationExecutionId"])

    assert shown["AutomationExecutionStatus"] == "Success"
    assert shown["Parameters"] == {"Name": ["/run/name"], "Names": ["/run/name"]}
    assert shown["Outputs"]["Look.Name"] == ["/run/name"]


def test_a_default_that_cannot_be_read_fails_the_run_before_its_first_step(
    ssm: Any, create: Callable[..., None], finish: Callable[[str], dict[str, Any]]
) -> None:
    create("Stored", STORED)
    missing = finish(ssm.start_automation_execution(DocumentName="Stored")["AutomationExecutionId"])
    ssm.put_parameter(Name="/run/name", Value="hidden", Type="SecureString")
    secret = finish(ssm.start_automation_execution(DocumentName="Stored")["AutomationExecutionId"])

    for shown in (missing, secret):
        assert shown["AutomationExecutionStatus"] == "Failed"
        assert shown["StepExecutions"][0]["StepStatus"] == "Pending"
        assert "/run/name" in shown["FailureMessage"]
        assert "hidden" not in shown["FailureMessage"]


def test_rights_are_asked_of_the_execution_with_its_tags(
    ssm: Any, create: Callable[..., None], as_role: Callable[..., Any]
) -> None:
    create("Loop", LOOP)
    tagged, other = (
        ssm.start_automation_execution(DocumentName="Loop", Tags=[{"Key": "team", "Value": team}])
        for team in ("mine", "theirs")
    )
    mine = {"StringEquals": {"aws:ResourceTag/team": "mine"}}
    reader = as_role({"Effect": "Allow", "Action": "ssm:GetAutomationExecution", "Resource": "*", "Condition": mine})

    assert reader.get_automation_execution(AutomationExecutionId=tagged["AutomationExecutionId"])
    assert code_of(lambda: reader.get_automation_execution(AutomationExecutionId=other["AutomationExecutionId"])) == (
        "AccessDeniedException"
    )
    assert code_of(reader.describe_automation_executions) == "AccessDeniedException"


def test_a_step_of_the_role_is_bound_by_the_roles_policy(
    ssm: Any,
    create: Callable[..., None],
    finish: Callable[[str], dict[str, Any]],
    role: Callable[..., None],
    world: World,
) -> None:
    role("automation", TRUST)
    create(
        "Delete",
        """
schemaVersion: '0.3'
assumeRole: '{{ Role }}'
parameters: {Role: {type: 'AWS::IAM::Role::Arn'}}
mainSteps:
- name: Delete
  action: aws:executeAwsApi
  inputs: {Service: ssm, Api: DeleteParameter, Name: x}
""",
    )
    arn = f"arn:aws:iam::{world.account}:role/automation"
    started = ssm.start_automation_execution(DocumentName="Delete", Parameters={"Role": [arn]})
    (delete,) = finish(started["AutomationExecutionId"])["StepExecutions"]

    assert delete["StepStatus"] == "Failed"
    assert delete["FailureDetails"]["FailureType"] == "Permission"


def test_a_cloud_that_goes_down_stops_its_executions(
    ssm: Any, create: Callable[..., None], settle: Callable[[], None], world: World, caplog: pytest.LogCaptureFixture
) -> None:
    create("Node", NODE)
    for _ in range(5):
        ssm.start_automation_execution(DocumentName="Node", Parameters={"NodeId": ["mi-1"]})
    settle()
    engine = world.part(Automations).engine("us-east-1")
    world.close()

    assert engine.scheduler.threads == 0
    assert not caplog.records
