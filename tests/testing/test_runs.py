"""`run_runbook`, used as a test of anybody's would."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from localcloud.cloud import LocalCloud
from moorings.testing.runs import Runbooks

ADD = """
schemaVersion: '0.3'
parameters:
  Names: {type: StringList}
  Loud: {type: Boolean, default: false}
mainSteps:
- name: Keep
  action: aws:executeAwsApi
  inputs: {Service: ssm, Api: PutParameter, Name: /names, Type: StringList, Value: 'a,b'}
- name: Read
  action: aws:executeAwsApi
  inputs: {Service: ssm, Api: GetParameter, Name: /names}
  outputs:
  - {Name: Value, Selector: $.Parameter.Value, Type: String}
outputs: [Read.Value]
"""
MISSING = """
schemaVersion: '0.3'
mainSteps:
- {name: Read, action: 'aws:executeAwsApi', inputs: {Service: ssm, Api: GetParameter, Name: /missing}}
"""
ASKS = """
schemaVersion: '0.3'
mainSteps:
- {name: Wait, action: 'aws:pause', inputs: {}}
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "runbook.yaml"
    file.write_text(text)
    return file


def test_a_run_tells_status_outputs_and_steps(run_runbook: Runbooks, local_cloud: LocalCloud, tmp_path: Path) -> None:
    run = run_runbook(written(tmp_path, ADD), {"Names": ["a", "b"], "Loud": True})

    assert run.succeeded, run
    assert run.output("Read.Value") == "a,b"
    assert [(each.name, each.action, each.status) for each in run.steps.values()] == [
        ("Keep", "aws:executeAwsApi", "Success"),
        ("Read", "aws:executeAwsApi", "Success"),
    ]
    assert local_cloud.client("ssm").get_parameter(Name="/names")["Parameter"]["Value"] == "a,b"
    with pytest.raises(KeyError, match=r"there are: Read\.Value"):
        run.output("Read.Other")


def test_a_failed_run_tells_its_story(run_runbook: Runbooks, tmp_path: Path) -> None:
    run = run_runbook(written(tmp_path, MISSING))

    assert (run.status, run.succeeded) == ("Failed", False)
    assert "Read (aws:executeAwsApi): Failed" in str(run)
    assert "ParameterNotFound" in str(run)


def test_one_file_may_run_twice_and_a_bad_one_not_at_all(run_runbook: Runbooks, tmp_path: Path) -> None:
    file = written(tmp_path, MISSING)

    assert run_runbook(file).execution != run_runbook(file).execution
    with pytest.raises(ClientError, match="InvalidDocument"):
        run_runbook(written(tmp_path, "schemaVersion: '0.3'"))


def test_a_run_that_does_not_end_is_given_up_with_its_story(run_runbook: Runbooks, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"after 0\.3 s: .*(Waiting|InProgress)"):
        run_runbook(written(tmp_path, ASKS), within=0.3)
