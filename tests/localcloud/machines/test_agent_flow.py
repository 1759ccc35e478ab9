"""What the simulated agent makes of exit codes, flow, cancel and restarts, where nothing was recorded."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.localcloud.machines.bench import until
from tests.localcloud.machines.channel import Channel


def _job(lines: list[str], **inputs: Any) -> dict[str, Any]:
    """A job of our own with one or more scripts; each line is a step unless `lines` is one script."""
    command = str(uuid.uuid4())
    steps = [
        {"action": "aws:runShellScript", "name": f"s{number}", "inputs": {"runCommand": [line], **inputs}}
        for number, line in enumerate(lines, start=1)
    ]
    content = {"CommandId": command, "DocumentName": "Own", "Parameters": {}}
    document = {"schemaVersion": "2.2", "mainSteps": steps}
    topic = {"SchemaVersion": 1, "JobId": f"aws.ssm.{command}.mi-1", "Topic": "aws.ssm.sendCommand.x"}
    return {**topic, "Content": json.dumps({**content, "DocumentContent": document})}


def _reports(channel: Channel, job: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        json.loads(frame.json["content"])
        for frame in channel.of("agent_job_reply")
        if frame.json["jobId"] == job["JobId"]
    ]


def _finished(channel: Channel, job: dict[str, Any]) -> dict[str, tuple[str, int, str]]:
    """Status, code and output of each step, once the document is over; the document's own under ""."""

    def over() -> bool:
        return any(
            report["documentStatus"] not in {"InProgress", "SuccessAndReboot"} for report in _reports(channel, job)
        )

    channel.wait(over)
    found = {"": ("", 0, "")}
    for report in _reports(channel, job):
        for name, step in (report["runtimeStatus"] or {}).items():
            found[name] = (step["status"], step["code"], step["standardOutput"])
        found[""] = (report["documentStatus"], 0, "")
    return found


@pytest.mark.parametrize(
    ("lines", "inputs", "statuses"),
    [
        (["exit 3", "true"], {}, ["Failed", "Success", "Failed"]),
        (["exit 3", "true"], {"onFailure": "exit"}, ["Failed", "Skipped", "Failed"]),
        (["exit 3", "true"], {"onFailure": "successAndExit"}, ["Success", "Skipped", "Success"]),
        (["true", "true"], {"onSuccess": "exit"}, ["Success", "Skipped", "Success"]),
        (["exit 168", "true"], {}, ["Success", "Skipped", "Success"]),
        (["exit 169", "true"], {}, ["Failed", "Skipped", "Failed"]),
        (["exit 169", "true"], {"finallyStep": "true"}, ["Failed", "Success", "Failed"]),
    ],
)
def test_exit_codes_and_flow_decide_what_follows(
    bench: Any, lines: list[str], inputs: dict[str, Any], statuses: list[str]
) -> None:
    run = bench("command-mgs-success")
    channel, job = run.channel(), _job(lines, **inputs)
    channel.push("agent_job", job)
    found = _finished(channel, job)
    assert [found[name][0] for name in ("s1", "s2", "")] == statuses


def test_a_command_that_is_cancelled_while_it_waits_runs_at_the_next_start(bench: Any, tmp_path: Path) -> None:
    run = bench("command-mgs-success", time_scale=0.05)
    channel = run.channel()
    busy = [_job([f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"]) for _ in range(5)]
    waiting = _job(["echo after all"])
    for job in (*busy, waiting):
        channel.push("agent_job", job)
    cancel = {"SchemaVersion": 1, "JobId": f"aws.ssm.{uuid.uuid4()}.mi-1", "Topic": "aws.ssm.cancelCommand.x"}
    channel.push("agent_job", {**cancel, "Content": json.dumps({"CancelMessageId": waiting["JobId"]})})
    channel.wait(lambda: len(channel.of("agent_job_ack")) >= 7)
    (tmp_path / "go").touch()
    for job in busy:
        assert _finished(channel, job)[""][0] == "Success"
    assert [report["documentStatus"] for report in _reports(channel, waiting)] == ["InProgress"]
    run.node.stop()
    run.node.start()
    again = run.channel(2)
    assert _finished(again, waiting)["s1"] == ("Success", 0, "after all\n")


def test_a_script_that_outlives_its_agent_is_found_again(bench: Any, tmp_path: Path) -> None:
    run = bench("command-mgs-success", time_scale=0.05)
    channel = run.channel()
    job = _job([f"echo begun; touch {tmp_path}/begun; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; exit 5"])
    channel.push("agent_job", job)
    until((tmp_path / "begun").exists)
    run.node.stop()
    run.node.start()
    again = run.channel(2)
    (tmp_path / "go").touch()
    assert _finished(again, job)["s1"] == ("Failed", 5, "begun\n")
