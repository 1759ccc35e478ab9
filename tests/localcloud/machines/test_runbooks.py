"""A runbook's commands from StartAutomationExecution to a server's shell and back, with only the rights they need."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.localcloud.machines.conftest import TRUST, Make

from localcloud.cloud import LocalCloud

pytestmark = pytest.mark.machines

RUNBOOK = """
schemaVersion: '0.3'
assumeRole: '{{ Role }}'
parameters:
  Role: {type: AWS::IAM::Role::Arn}
  NodeId: {type: AWS::EC2::Instance::Id}
mainSteps:
- name: Look
  action: aws:runCommand
  inputs:
    DocumentName: AWS-RunShellScript
    InstanceIds: ['{{ NodeId }}']
    Parameters: {commands: ['echo "$(hostname) of {{ automation:EXECUTION_ID }}"', 'echo noise >&2']}
  outputs:
  - {Name: Code, Selector: $.ResponseCode, Type: Integer}
- name: Fail
  action: aws:runCommand
  onFailure: Continue
  isCritical: false
  inputs:
    DocumentName: AWS-RunShellScript
    Targets: [{Key: InstanceIds, Values: ['{{ NodeId }}']}]
    Parameters: {commands: [echo half-way, exit 7]}
- name: Tell
  action: aws:runCommand
  inputs:
    DocumentName: AWS-RunShellScript
    InstanceIds: ['{{ NodeId }}']
    Parameters: {commands: ['echo status {{ Fail.Status }} code {{ Fail.ResponseCode }} > /root/told']}
outputs: [Look.Output, Look.Code]
"""
RIGHTS = ["ssm:SendCommand", "ssm:ListCommands", "ssm:ListCommandInvocations"]


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_runbooks_commands_run_on_the_server(make: Make, enrolling: str, cloud: LocalCloud) -> None:
    machine = make(user_data=enrolling)
    ssm, iam = cloud.client("ssm"), cloud.client("iam")
    role = iam.create_role(RoleName="runbook", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    allow = {"Effect": "Allow", "Action": RIGHTS, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="runbook", PolicyName="rights", PolicyDocument=policy)
    ssm.create_document(Name="Look", DocumentType="Automation", DocumentFormat="YAML", Content=RUNBOOK)
    until(lambda: machine.node_id)

    started = ssm.start_automation_execution(
        DocumentName="Look", Parameters={"Role": [role], "NodeId": [machine.node_id]}
    )["AutomationExecutionId"]

    def ended() -> dict[str, Any] | None:
        shown = ssm.get_automation_execution(AutomationExecutionId=started)["AutomationExecution"]
        return dict(shown) if shown["AutomationExecutionStatus"] not in {"Pending", "InProgress"} else None

    shown = until(ended)
    steps = {step["StepName"]: step for step in shown["StepExecutions"]}
    assert shown["AutomationExecutionStatus"] == "Success", shown.get("FailureMessage")
    assert shown["Outputs"]["Look.Output"] == [f"{machine.name} of {started}\n\n----------ERROR-------\nnoise\n"]
    assert shown["Outputs"]["Look.Code"] == ["0"]
    assert steps["Fail"]["Outputs"]["Status"] == ["Failed"]
    assert "ResponseCode=[7], Output=[half-way\n" in steps["Fail"]["FailureMessage"]
    assert machine.run(["cat", "/root/told"]).stdout == "status Failed code 7\n"
