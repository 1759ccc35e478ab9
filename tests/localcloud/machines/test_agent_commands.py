"""The simulated agent's Run Command, text for text beside recordings of the real one."""

import json
import socket
import time
import uuid
from typing import Any

import pytest
from tests.localcloud.machines import recordings
from tests.localcloud.machines.bench import sent, timeless, until


@pytest.mark.parametrize(
    "scenario",
    [
        "command-mgs-success",
        "command-mgs-failure",
        "command-multi-step",
        "command-multi-step-failure",
        "command-parameters",
        "command-schema-1.2",
    ],
)
def test_a_command_is_answered_text_for_text_as_recorded(bench: Any, scenario: str) -> None:
    run = bench(scenario)
    channel = run.channel()
    run.push(channel, run.jobs()[0])
    replies = run.recorded("agent_job_reply")
    channel.wait(lambda: len(channel.of("agent_job_reply")) >= len(replies))
    assert sent(channel, "agent_job_ack") == run.recorded("agent_job_ack")
    # Replies of the real agent leave in parallel, so their order varies.
    assert sorted(sent(channel, "agent_job_reply")) == sorted(replies)
    first = json.loads(json.loads(channel.of("agent_job_reply")[0].text)["content"])
    assert (first["documentStatus"], first["runtimeStatus"]) == ("InProgress", None)


def test_each_doubtful_document_is_answered_as_recorded(bench: Any) -> None:
    run = bench("command-rejected")
    channel = run.channel()
    for number, job in enumerate(run.jobs(), start=1):
        run.push(channel, job)
        wanted = sum(f'"{job["payload"]["JobId"]}"' in text for text in run.recorded("agent_job_reply"))
        mine = lambda: [f for f in channel.of("agent_job_reply") if f.json["jobId"] == job["payload"]["JobId"]]  # noqa: B023, E731
        channel.wait(lambda: len(mine()) >= wanted)  # noqa: B023
        assert len(channel.of("agent_job_ack")) == number
    assert sent(channel, "agent_job_ack") == run.recorded("agent_job_ack")
    assert sorted(sent(channel, "agent_job_reply")) == sorted(run.recorded("agent_job_reply"))


def test_stored_parameters_are_fetched_before_a_command_is_accepted(bench: Any) -> None:
    run = bench("command-ssm-parameter")
    lines = recordings.exchange("command-ssm-parameter")
    asked = [line for line in lines if "GetParameters" in str(dict(line.get("headers", [])).get("X-Amz-Target"))]
    numbers = {line["exchange"] for line in asked}
    answers = [line["body"] for line in lines if line.get("status") and line.get("exchange") in numbers]
    run.service.answers["GetParameters"] = answers
    channel = run.channel()
    for number, job in enumerate(run.jobs(), start=1):
        run.push(channel, job)
        channel.wait(lambda: len(channel.of("agent_job_reply")) >= 3 * number if number == 1 else 4)  # noqa: B023
    channel.wait(lambda: len(channel.of("agent_job_reply")) >= 4)
    assert sent(channel, "agent_job_ack") == run.recorded("agent_job_ack")
    assert sorted(sent(channel, "agent_job_reply")) == sorted(run.recorded("agent_job_reply"))
    seen = run.service.stub.of("GetParameters")
    assert [one.body for one in seen] == [line["body_raw"] for line in asked]
    shape = recordings.shape(asked[0]["method"], asked[0]["headers"], asked[0]["body"])
    assert recordings.shape(seen[0].method, seen[0].headers, seen[0].json) == shape


def test_a_command_that_takes_too_long_is_killed_and_reported_as_recorded(bench: Any) -> None:
    run = bench("command-timeout", time_scale=0.5)  # 6 seconds become 3
    channel = run.channel()
    run.push(channel, run.jobs()[0])
    channel.wait(lambda: len(channel.of("agent_job_reply")) >= 3)
    assert sorted(sent(channel, "agent_job_reply")) == sorted(run.recorded("agent_job_reply"))


def test_a_running_command_is_cancelled_as_recorded(bench: Any) -> None:
    run = bench("command-cancel")
    channel = run.channel()
    command, cancel = run.jobs()
    run.push(channel, command)
    output = run.node.folder / "document/orchestration" / command["payload"]["JobId"].split(".")[2]
    channel.wait(lambda: any(path.read_text() for path in output.rglob("stdout")) or time.sleep(0.01))
    run.push(channel, cancel)
    channel.wait(lambda: len(channel.of("agent_job_reply")) >= 4)
    assert sent(channel, "agent_job_ack") == run.recorded("agent_job_ack")
    assert sorted(sent(channel, "agent_job_reply")) == sorted(run.recorded("agent_job_reply"))


def test_a_command_that_came_before_is_not_run_again(bench: Any) -> None:
    run = bench("command-duplicate")
    channel = run.channel()
    (first,) = run.jobs("command-mgs-success")
    run.push(channel, first)
    channel.wait(lambda: len(channel.of("agent_job_reply")) >= 3)
    run.push(channel, run.jobs()[0])
    channel.wait(lambda: len(channel.of("agent_job_ack")) >= 2)
    assert sent(channel, "agent_job_ack")[1:] == run.recorded("agent_job_ack")
    assert len(channel.of("agent_job_reply")) == 3


def test_the_eleventh_command_is_refused_as_recorded(bench: Any) -> None:
    run = bench("command-buffer-full")
    channel = run.channel()
    for job in run.jobs():
        run.push(channel, job)
    channel.wait(lambda: len(channel.of("agent_job_ack")) >= 11)
    assert sent(channel, "agent_job_ack") == run.recorded("agent_job_ack")
    for job in run.jobs():
        name = {"CancelMessageId": job["payload"]["JobId"]}
        cancel = {"SchemaVersion": 1, "JobId": f"aws.ssm.{uuid.uuid4()}.mi-1", "Topic": "aws.ssm.cancelCommand.x"}
        channel.push("agent_job", {**cancel, "Content": json.dumps(name)})
    channel.wait(lambda: sum("Cancelled" in frame.text for frame in channel.frames) >= 10)


def test_a_script_that_wants_a_reboot_runs_again_after_it_and_both_outputs_are_joined(bench: Any) -> None:
    run = bench("command-reboot", time_scale=0.05)
    channel = run.channel()
    run.push(channel, run.jobs()[0])
    channel.wait(lambda: channel.ended)
    assert run.node.reboots.wait(60)
    run.node.stop()
    run.node.start()
    again = run.channel(2)
    again.wait(lambda: len(again.of("agent_job_reply")) >= 2)
    replies = sent(channel, "agent_job_reply") + sent(again, "agent_job_reply")
    assert sorted(replies) == sorted(run.recorded("agent_job_reply"))


def test_replies_that_nobody_acknowledged_are_sent_again_after_a_restart(bench: Any) -> None:
    run = bench("restart-unacked-reply", time_scale=0.05)
    channel = run.channel()
    channel.acknowledges = False
    run.push(channel, run.jobs()[0])
    channel.wait(lambda: len(channel.of("agent_job_reply")) >= 3)
    run.node.stop()
    kept = sorted(path.name.partition("_")[2] for path in (run.node.folder / "replies_mgs").iterdir())
    assert kept == sorted(frame.id for frame in channel.of("agent_job_reply")[1:])
    run.node.start()
    again = run.channel(2)
    again.wait(lambda: len(again.of("agent_job_reply")) >= 2)
    assert sorted(frame.id for frame in again.of("agent_job_reply")) == kept
    replies = sent(channel, "agent_job_reply") + sent(again, "agent_job_reply")
    assert sorted(replies) == sorted(run.recorded("agent_job_reply"))
    until(lambda: not list((run.node.folder / "replies_mgs").iterdir()))


@pytest.mark.parametrize(
    "scenario", ["command-mds-success", "command-mds-failure", "command-mds-cancel", "command-mds-rejected"]
)
def test_ec2messages_carry_the_recorded_calls_in_the_recorded_order(bench: Any, scenario: str) -> None:
    run = bench(scenario, open_channel=False)
    lines = recordings.exchange(scenario)
    stub = run.service.stub
    output = run.node.folder / "document/orchestration"
    wanted = [
        (recordings.target(line), _reduced(line["body"]))
        for line in recordings.requests(scenario)
        if recordings.target(line) not in {"GetMessages", "UpdateInstanceInformation", "ListInstanceAssociations"}
    ]
    for batch in [line["body"]["Messages"] for line in lines if (line.get("body") or {}).get("Messages")]:
        run.service.messages.append(batch)
        count = 3 if "sleep" in str(batch) else 0
        if count:
            stub.wait_for("AcknowledgeMessage")
            until(lambda: any(path.read_text() for path in output.rglob("stdout")))
    replies = sum(name == "SendReply" for name, _ in wanted)
    stub.wait_for("SendReply", replies)
    got = [(one.target, _reduced(one.json)) for one in list(stub.seen) if one.target in {name for name, _ in wanted}]
    # The cancelled command reports while the cancel message is still acknowledged.
    order = sorted if scenario == "command-mds-cancel" else list
    assert order(got) == order(wanted)
    recorded = next(line for line in recordings.requests(scenario) if recordings.target(line) == "SendReply")
    seen = stub.of("SendReply")[0]
    shape = recordings.shape(recorded["method"], recorded["headers"], recorded["body"])
    assert recordings.shape(seen.method, seen.headers, seen.json) == shape


def _reduced(body: dict[str, Any]) -> str:
    fields = {name: value for name, value in body.items() if name != "ReplyId"}
    return timeless(json.dumps(fields).replace("node1", socket.gethostname()))


def test_the_channel_is_joined_with_the_recorded_headers_and_greeting(bench: Any) -> None:
    run = bench("control-channel-reconnect")
    channel = run.channel()
    lines = recordings.exchange("control-channel-reconnect")
    upgrade = next(line for line in lines if line.get("method") == "GET")
    greeting = next(line["frame_decoded"] for line in lines if line.get("opcode") == "text")
    seen = next(one for one in run.service.stub.seen if one.method == "GET")
    shape = recordings.shape("GET", upgrade["headers"], {})
    assert recordings.shape("GET", seen.headers, {}) == shape
    assert seen.path == upgrade["path"]
    mine = json.loads(channel.greeting)
    assert mine["TokenValue"] == "token-1"
    assert [(key, type(value)) for key, value in mine.items()] == [
        (key, type(value)) for key, value in greeting.items()
    ]
    assert {**mine, "RequestId": "", "TokenValue": ""} == {**greeting, "RequestId": "", "TokenValue": ""}


def test_a_dropped_channel_is_opened_again(bench: Any) -> None:
    run = bench("control-channel-reconnect")
    run.channel().cut()
    channel = run.channel(2)
    channel.ping(b"are you there")
    channel.wait(lambda: channel.pings)
    assert channel.pings == [b"answer: are you there"]


def test_polling_rests_once_the_channel_has_been_open_for_a_minute(bench: Any) -> None:
    run = bench("control-channel-reconnect", time_scale=0.005)
    run.channel()
    run.service.stub.wait_for("ListInstanceAssociations", 3)
    polls = len(run.service.stub.of("GetMessages"))
    run.service.stub.wait_for("ListInstanceAssociations", 5)
    assert len(run.service.stub.of("GetMessages")) <= polls + 1


def test_every_frame_has_the_recorded_header(bench: Any) -> None:
    run = bench("command-mgs-success")
    channel = run.channel()
    run.push(channel, run.jobs()[0])
    channel.wait(lambda: len(channel.of("agent_job_reply")) >= 3)
    for frame in channel.frames:
        assert frame.head[:4] == (116).to_bytes(4, "big")
        assert frame.head[4:36] == frame.kind.encode().ljust(32)
        assert frame.head[36:40] == (1).to_bytes(4, "big")
        assert frame.head[48:64] == bytes(16)
        assert frame.head[112:116] == bytes(4)


def test_a_first_start_opens_the_channel_as_recorded(bench: Any) -> None:
    run = bench("first-start", time_scale=0.002)
    run.channel()
    stub = run.service.stub
    stub.wait_for("UpdateInstanceInformation", 4)
    stub.wait_for("ListInstanceAssociations", 2)
    stub.wait_for("GetMessages")
    wanted = [recordings.target(one) for one in recordings.requests("first-start")]
    names = [one.target for one in list(stub.seen) if one.method == "POST" and one.target != "RegisterManagedInstance"]
    first = wanted[: wanted.index("GetMessages") + 1]
    # At this scale what comes on a timetable may overtake the first poll.
    before = [name for name in names[: names.index("GetMessages") + 1] if name != "ListInstanceAssociations"]
    assert sorted(set(before)) == sorted(set(first))
    assert before[:2] == first[:2]
    recorded = [
        line["body"]["SSMConnectionChannel"]
        for line in recordings.requests("first-start")
        if "SSMConnectionChannel" in line["body"]
    ]
    beats = [beat.json.get("SSMConnectionChannel") for beat in stub.of("UpdateInstanceInformation")]
    assert beats[1:3] == recorded == ["", "ssmmessages"]
