"""A runbook's commands from StartAutomationExecution to a server's shell and back, with only the rights they need."""

import json
from pathlib import Path

import pytest
from tests.localcloud.machines.conftest import TRUST

from localcloud.cloud import LocalCloud
from moorings.testing.runs import Runbooks
from moorings.testing.servers import EnrolledNode

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


def test_a_runbooks_commands_run_on_the_server(
    enrolled_node: EnrolledNode, run_runbook: Runbooks, local_cloud: LocalCloud, tmp_path: Path
) -> None:
    iam = local_cloud.client("iam")
    role = iam.create_role(RoleName="runbook", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    allow = {"Effect": "Allow", "Action": RIGHTS, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="runbook", PolicyName="rights", PolicyDocument=policy)
    file = tmp_path / "look.yaml"
    file.write_text(RUNBOOK)

    run = run_runbook(file, {"Role": role, "NodeId": enrolled_node.id})

    assert run.succeeded, run
    assert run.output("Look.Output") == f"{enrolled_node.name} of {run.execution}\n\n----------ERROR-------\nnoise\n"
    assert run.output("Look.Code") == "0"
    assert run.steps["Fail"].outputs["Status"] == ["Failed"]
    assert "ResponseCode=[7], Output=[half-way\n" in run.steps["Fail"].failure
    assert enrolled_node.read("/root/told") == "status Failed code 7\n"
