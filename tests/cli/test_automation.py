"""`moorings local automation …`: runs a runbook's file and tells the truth by its exit code; checks files wholly."""

from pathlib import Path

import pytest
from tests.cli.conftest import Cli

from localcloud.cloud import LocalCloud

RUNBOOKS = Path(__file__).parent.parent / "localcloud" / "automation" / "runbooks"
GREET = """
schemaVersion: '0.3'
parameters:
  Who: {type: String, allowedPattern: '[a-z]+'}
  Hosts: {type: StringList, default: []}
mainSteps:
- name: Greet
  action: aws:executeScript
  inputs:
    Runtime: python3.11
    Handler: main
    InputPayload: {who: '{{ Who }}', hosts: '{{ Hosts }}'}
    Script: |
      def main(events, context):
          return {'said': 'hello ' + events['who'], 'hosts': events['hosts']}
  outputs:
  - {Name: Said, Selector: $.Payload.said}
  - {Name: Hosts, Selector: $.Payload.hosts, Type: StringList}
outputs: [Greet.Said, Greet.Hosts]
"""
FAILING = """
schemaVersion: '0.3'
mainSteps:
- name: Read
  action: aws:executeAwsApi
  inputs: {Service: ssm, Api: GetParameter, Name: /no/such}
- name: Never
  action: aws:copyImage
  inputs: {SourceImageId: ami-1, SourceRegion: us-east-1, ImageName: copy}
"""
ASKING = """
schemaVersion: '0.3'
mainSteps:
- {name: MayI, action: 'aws:approve', inputs: {Approvers: [somebody], Message: 'May I?'}}
- {name: Look, action: 'aws:pause', inputs: {}}
"""
WRONG = """
schemaVersion: '0.3'
mainSteps:
- {name: Sleep, action: 'aws:sleep', inputs: {Duration: PT1S}, nextStep: Nowhere}
- {name: Dance, action: 'aws:dance', inputs: {}}
"""


def written(tmp_path: Path, text: str, name: str = "runbook.yaml") -> str:
    file = tmp_path / name
    file.write_text(text)
    return str(file)


def test_a_runbook_runs_without_any_account(bare: Cli, tmp_path: Path) -> None:
    file = written(tmp_path, GREET)

    ended = bare("local", "automation", "run", file, "--param", "Who=you", "--param", "Hosts=a", "--param", "Hosts=b")

    assert ended.code == 0, ended.err
    assert "Greet.Said = hello you" in ended.out
    assert "Greet.Hosts = a, b" in ended.out
    assert ended.out.splitlines()[-1].startswith("Success  ")


def test_the_one_object_holds_steps_outputs_and_status(bare: Cli, tmp_path: Path) -> None:
    ended = bare("local", "automation", "run", written(tmp_path, GREET), "--param", "Who=you", "--json")

    assert ended.json["status"] == "Success"
    assert ended.json["outputs"] == {"Greet.Said": ["hello you"], "Greet.Hosts": []}
    assert ended.json["parameters"]["Who"] == ["you"]
    assert [(step["step"], step["status"], step["failure"]) for step in ended.json["steps"]] == [
        ("Greet", "Success", None)
    ]


def test_a_runbook_that_fails_says_what_happened_and_exits_with_1(cli: Cli, tmp_path: Path) -> None:
    ended = cli("local", "automation", "run", written(tmp_path, FAILING), "--json")

    assert ended.code == 1
    assert ended.json["status"] == "Failed"
    assert "ParameterNotFound" in ended.json["failure"]
    assert [step["status"] for step in ended.json["steps"]] == ["Failed", "Pending"]
    assert "Step Never: the action aws:copyImage is not supported" in ended.err


def test_without_credentials_a_call_of_aws_fails_its_step(bare: Cli, tmp_path: Path) -> None:
    ended = bare("local", "automation", "run", written(tmp_path, FAILING), "--region", "us-east-1")

    assert ended.code == 1
    assert "Unable to locate credentials" in ended.out


def test_watched_in_a_pipe_every_step_is_a_line(bare: Cli, tmp_path: Path) -> None:
    ended = bare("local", "automation", "run", written(tmp_path, GREET), "--param", "Who=you", "--watch")

    assert [line.split()[:3] for line in ended.err.splitlines()] == [["✓", "Greet", "Success"]]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Missing required parameter: Who"),
        (("--param", "Who=YOU"), 'not matching "[a-z]+"'),
        (("--param", "Who=you", "--param", "Whom=her"), "Unknown parameters: [Whom]"),
        (("--param", "Who"), "write it as NAME=VALUE"),
        (("--param", "Who=you", "--scale", "0"), "no time scale"),
    ],
)
def test_what_cannot_start_is_a_wrong_use(bare: Cli, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    ended = bare("local", "automation", "run", written(tmp_path, GREET), *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


def test_a_document_that_is_refused_does_not_run(bare: Cli, tmp_path: Path) -> None:
    ended = bare("local", "automation", "run", written(tmp_path, WRONG))

    assert ended.code == 2
    assert "automation validate" in ended.err


def test_where_nobody_can_say_yes_a_waiting_runbook_is_cancelled(bare: Cli, tmp_path: Path) -> None:
    ended = bare("local", "automation", "run", written(tmp_path, ASKING), "--json")

    assert (ended.code, ended.json["status"]) == (1, "Cancelled")
    assert "waits for a person" in ended.err


def test_yes_approves_and_resumes(bare: Cli, tmp_path: Path) -> None:
    ended = bare("local", "automation", "run", written(tmp_path, ASKING), "--yes", "--json")

    assert (ended.code, ended.json["status"]) == (0, "Success")


def test_waits_are_scaled(bare: Cli, tmp_path: Path) -> None:
    text = "schemaVersion: '0.3'\nmainSteps: [{name: S, action: 'aws:sleep', inputs: {Duration: PT1H}}]\n"

    ended = bare("local", "automation", "run", written(tmp_path, text), "--scale", "0.00001")

    assert ended.code == 0


def test_all_that_is_wrong_is_told_with_the_steps_names(bare: Cli, tmp_path: Path) -> None:
    ended = bare("local", "automation", "validate", written(tmp_path, WRONG))

    assert ended.code == 1
    assert 'Unknown step name: "Nowhere" in nextStep' in ended.out
    assert "Unknown action: aws:dance" in ended.out


def test_good_documents_are_valid_and_what_is_not_supported_is_named(bare: Cli) -> None:
    files = [str(file) for file in sorted(RUNBOOKS.glob("Local-*"))]

    ended = bare("local", "automation", "validate", *files, "--json")

    assert ended.code == 0
    assert [each["file"] for each in ended.json["files"]] == files
    assert all(each["valid"] for each in ended.json["files"])
    assert [text for each in ended.json["files"] for text in each["unsupported"]] == [
        "Step NeverReached: the action aws:copyImage is not supported by this engine."
    ]


def test_calls_that_cannot_be_made_are_named_before_they_are_reached(bare: Cli, tmp_path: Path) -> None:
    text = """
schemaVersion: '0.3'
parameters: {Service: {type: String}}
mainSteps:
- {name: A, action: 'aws:executeAwsApi', inputs: {Service: s3, Api: GetObject, Bucket: b, Key: k}}
- {name: B, action: 'aws:executeAwsApi', inputs: {Service: ssm, Api: NoSuchThing}}
- {name: C, action: 'aws:executeAwsApi', inputs: {Service: nosuch, Api: List}}
- {name: D, action: 'aws:executeAwsApi', inputs: {Service: '{{ Service }}', Api: List}}
- {name: E, action: 'aws:executeAwsApi', inputs: {Service: EC2, Api: describe_vpcs}}
"""
    ended = bare("local", "automation", "validate", written(tmp_path, text), "--json")

    assert ended.json["files"][0]["unsupported"] == [
        "Step A: s3:GetObject is a streaming operation, which is not supported.",
        "Step B: ssm has no API NoSuchThing.",
        "Step C: nosuch is not a service that can be called.",
    ]


@pytest.mark.parametrize(("name", "text"), [("a.json", "schemaVersion: '0.3'"), ("a.yaml", "- a: [")])
def test_text_that_is_no_document_is_a_problem_of_its_file(bare: Cli, tmp_path: Path, name: str, text: str) -> None:
    ended = bare("local", "automation", "validate", written(tmp_path, text, name), str(tmp_path / "absent.yaml"))

    assert ended.code == 1
    assert "not well-formed" in ended.out
    assert "cannot be read: No such file or directory" in ended.out
    assert "Errno" not in ended.out


def test_a_runbook_calls_the_documents_beside_it(cli: Cli, cloud: LocalCloud) -> None:
    file = str(RUNBOOKS / "Local-Fleet.yaml")

    ended = cli("local", "automation", "run", file, "--param", "Names=/cli/a", "--param", "Names=/cli/b")

    assert ended.code == 0, ended.out
    assert cloud.client("ssm").get_parameter(Name="/cli/b")["Parameter"]["Value"] == "one; two"
