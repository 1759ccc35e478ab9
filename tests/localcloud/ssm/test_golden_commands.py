"""Recorded commands of the real agent, replayed against the service: what each recording asks of it."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.localcloud.ssm.recordings import facts, needs_recordings, scenarios
from tests.localcloud.ssm.replay import Replay, job_of, lines

from localcloud.aws.agent import frames
from localcloud.aws.ssm.commands import answers
from localcloud.aws.ssm.commands.model import Invocation, StepResult
from localcloud.aws.ssm.commands.outbox import BUSY_REOFFER_AFTER, REOFFER_AFTER
from localcloud.aws.ssm.commands.status import Detail
from localcloud.clock import SteppedClock
from localcloud.world import World

pytestmark = needs_recordings

Replayed = Callable[[str], Replay]


@pytest.fixture
def replay(world: World, clock: SteppedClock) -> Replayed:
    return lambda scenario: Replay(world=world, clock=clock, scenario=scenario)


def invocation(on: Replay, command_id: str = "") -> Invocation:
    """The only invocation of a command, by default of the recorded one."""
    (found,) = on.sent(command_id or facts(on.scenario)["command_id"]).invocations
    return found


def step(on: Replay, name: str = "runShellScript", command_id: str = "") -> StepResult:
    found = invocation(on, command_id).step(name)
    assert found is not None
    return found


def shown(on: Replay, plugin: str = "") -> dict[str, Any]:
    """What GetCommandInvocation would answer."""
    sent = on.sent(facts(on.scenario)["command_id"])
    return answers.invocation_answer(sent.command, sent.invocations[0], plugin=plugin)


def final_replies(scenario: str) -> dict[str, list[str]]:
    """By job: the documentStatus of each recorded reply."""
    found: dict[str, list[str]] = {}
    for line in lines(scenario):
        frame = line.get("frame_decoded")
        if isinstance(frame, dict) and frame.get("message_type") == "agent_job_reply":
            found.setdefault(frame["payload"]["jobId"], []).append(frame["content_decoded"]["documentStatus"])
    return found


def test_every_recorded_frame_is_read_and_written_alike() -> None:
    checked = 0
    for scenario in scenarios():
        for line in lines(scenario):
            recorded = line.get("frame_decoded")
            if line.get("opcode") != "binary" or not isinstance(recorded, dict):
                continue
            data = base64.b64decode(line["frame_base64"])
            frame = frames.decode(data)
            assert (frame.kind, str(frame.id)) == (recorded["message_type"], recorded["message_id"])
            assert json.loads(frame.payload) == recorded["payload"]
            assert frame.encode() == data
            checked += 1
    assert checked > 100


@pytest.mark.parametrize(
    "scenario", [name for name in scenarios() if any(job_of(line) for line in lines(name))] or ["none"]
)
def test_the_jobs_are_pushed_as_recorded_and_each_reply_is_acknowledged(scenario: str, replay: Replayed) -> None:
    on = replay(scenario)

    on.run()

    recorded = [job for line in lines(scenario) if (job := job_of(line)) and job["JobId"] not in on.ids]
    pushed = {job["JobId"]: job for job in on.jobs}
    for job in recorded:
        ours = pushed[job["JobId"]]
        assert set(ours) == set(job)
        assert ours["Topic"] == job["Topic"]
        assert json.loads(ours["Content"]) == json.loads(job["Content"])
    replies = [
        line["frame_decoded"]["message_id"]
        for line in lines(scenario)
        if isinstance(frame := line.get("frame_decoded"), dict) and frame.get("message_type") == "agent_job_reply"
    ]
    assert on.acks == replies


def test_a_command_over_the_channel_succeeds(replay: Replayed) -> None:
    on = replay("command-mgs-success")
    on.run()

    assert invocation(on).detail is Detail.SUCCESS
    assert on.sent(facts(on.scenario)["command_id"]).detail is Detail.SUCCESS
    answer = shown(on)
    assert (answer["ResponseCode"], answer["Status"]) == (0, "Success")
    assert "hello" in answer["StandardOutputContent"]
    assert answer["ExecutionElapsedTime"].startswith("PT0.")


def test_a_command_over_the_channel_fails(replay: Replayed) -> None:
    on = replay("command-mgs-failure")
    on.run()

    answer = shown(on)
    assert (answer["ResponseCode"], answer["StatusDetails"]) == (3, "Failed")
    assert answer["StandardErrorContent"].endswith("failed to run commands: exit status 3")


@pytest.mark.parametrize(
    ("scenario", "detail"),
    [("command-timeout", Detail.EXECUTION_TIMED_OUT), ("command-cancel", Detail.CANCELLED)],
)
def test_a_command_that_was_killed_keeps_its_output_so_far(scenario: str, detail: Detail, replay: Replayed) -> None:
    on = replay(scenario)
    on.run()

    assert invocation(on).detail is detail
    assert step(on).code == 137
    assert step(on).standard_output == "started\n"


def test_a_cancellation_is_under_way_until_the_agent_says_so(replay: Replayed) -> None:
    on = replay("command-cancel")
    seen = [invocation(on).detail for line in on.steps() if on.jobs]

    assert list(dict.fromkeys(seen)) == [Detail.PENDING, Detail.IN_PROGRESS, Detail.CANCELLING, Detail.CANCELLED]
    assert on.sent(facts(on.scenario)["command_id"]).detail is Detail.CANCELLED


def test_a_reboot_is_not_the_end(replay: Replayed) -> None:
    on = replay("command-reboot")
    states = [invocation(on).detail for line in on.steps() if on.jobs]

    assert list(dict.fromkeys(states)) == [Detail.PENDING, Detail.IN_PROGRESS, Detail.SUCCESS]
    assert step(on).code == 0
    assert len(step(on).standard_output.splitlines()) >= 2


def test_steps_are_merged_by_name_and_cut_to_the_services_limits(replay: Replayed) -> None:
    on = replay("command-multi-step")
    on.run()

    assert {one.name: one.word for one in invocation(on).steps} == {
        "windowsOnly": "Skipped",
        "first": "Success",
        "second": "Success",
    }
    second = shown(on, "second")
    assert len(second["StandardOutputContent"]) == 24_000
    assert second["StandardOutputContent"].endswith("--output truncated--")
    assert len(second["StandardErrorContent"]) == 8_000
    assert shown(on, "windowsOnly")["Status"] == "Success"


def test_a_failed_step_ends_a_document_as_it_asks(replay: Replayed) -> None:
    on = replay("command-multi-step-failure")
    on.run()

    assert invocation(on).detail is Detail.FAILED
    assert [one.word for one in invocation(on).steps].count("Skipped") == 1


def test_a_step_is_merged_after_the_end(replay: Replayed) -> None:
    on = replay("command-parameters")
    on.run()

    assert invocation(on).detail is Detail.SUCCESS
    assert step(on, "list").standard_output == "first\nsecond & third\n"


def test_a_rejected_command_fails(replay: Replayed) -> None:
    on = replay("command-rejected")
    on.run()

    ended = {job: words[-1] for job, words in final_replies("command-rejected").items()}
    rejected = [job for job, words in final_replies("command-rejected").items() if words == ["Failed"]]
    assert len(rejected) >= 3
    for job in rejected:
        assert invocation(on, job.split(".")[2]).detail is Detail.FAILED
    assert len(ended) > len(rejected)


def test_a_parameter_that_is_missing_in_the_store_rejects_a_command(replay: Replayed) -> None:
    on = replay("command-ssm-parameter")
    on.world.backend("ssm").put_parameter(
        name="/demo/greeting",
        description="",
        value="hello from the parameter store",
        parameter_type="String",
        allowed_pattern="",
        keyid="",
        overwrite=False,
        tags=[],
        data_type="text",
        tier=None,
        policies=None,
    )
    on.run()

    first, second = on.command_ids()
    assert invocation(on, first).detail is Detail.SUCCESS
    assert invocation(on, second).detail is Detail.FAILED


def test_an_old_document_reports_under_its_plugins_name(replay: Replayed) -> None:
    on = replay("command-schema-1.2")
    on.run()

    assert shown(on)["PluginName"] == "aws:runShellScript"
    assert shown(on)["Status"] == "Success"


def test_a_duplicate_leaves_the_first_result(replay: Replayed, world: World, clock: SteppedClock) -> None:
    first = replay("command-mgs-success")
    first.run()
    before = invocation(first)

    again = Replay(world=world, clock=clock, scenario="command-duplicate")
    again.connect()
    (ack,) = [line for line in lines("command-duplicate") if line["direction"] == "agent->service"]
    assert again.channel is not None
    again.channel.receive(base64.b64decode(ack["frame_base64"]))

    assert invocation(first) == before


def test_a_full_agent_is_offered_the_job_again(replay: Replayed, clock: SteppedClock) -> None:
    on = replay("command-buffer-full")
    on.run()
    refused = on.command_ids()[-1]
    assert invocation(on, refused).detail is Detail.PENDING
    pushed = len(on.jobs)

    clock.step(BUSY_REOFFER_AFTER)
    on.commands.run_due()

    assert [job["JobId"].split(".")[2] for job in on.jobs[pushed:]] == [refused]


def test_a_job_without_an_acknowledgement_is_pushed_again(replay: Replayed, clock: SteppedClock) -> None:
    on = replay("command-mgs-success")
    next(line for line in on.steps() if on.jobs)
    assert len(on.jobs) == 1

    clock.step(REOFFER_AFTER)
    on.commands.run_due()

    assert [job["JobId"] for job in on.jobs] == [on.jobs[0]["JobId"]] * 2


def test_replies_that_come_again_after_a_restart_count_once(replay: Replayed) -> None:
    on = replay("restart-unacked-reply")
    on.run()

    assert len(on.acks) == 5
    assert len(set(on.acks)) == 3
    assert invocation(on).detail is Detail.SUCCESS


def test_a_service_that_takes_no_replies_acknowledges_none_and_learns_from_the_repeated_ones(replay: Replayed) -> None:
    on = replay("restart-unacked-reply")
    on.nodes.takes_replies = False
    for line in on.steps():
        on.nodes.takes_replies = line["t"] > 11

    assert len(on.acks) == 2
    assert invocation(on).detail is Detail.SUCCESS


def test_the_newest_connection_gets_the_jobs(replay: Replayed, clock: SteppedClock) -> None:
    on = replay("control-channel-reconnect")
    older: list[bytes] = []
    on.channels.channel(on.node_id, older.append).open()
    on.run()

    content = {"CommandId": "11111111-2222-4333-8444-555555555555", "DocumentName": "D", "Parameters": {}}
    on.send(content | {"DocumentContent": {"schemaVersion": "2.2", "mainSteps": []}})

    assert not older
    assert len(on.jobs) == 1


@pytest.mark.parametrize(
    ("scenario", "detail"),
    [
        ("command-mds-success", Detail.SUCCESS),
        ("command-mds-failure", Detail.FAILED),
        ("command-mds-cancel", Detail.CANCELLED),
        ("command-mds-rejected", Detail.FAILED),
    ],
)
def test_a_command_goes_out_by_polling(scenario: str, detail: Detail, replay: Replayed) -> None:
    on = replay(scenario)

    on.run()

    details = [invocation(on, command_id).detail for command_id in on.command_ids()]
    assert details[0] is detail
    assert not on.commands.outbox.poll(on.node_id, visibility=timedelta(0))


def test_the_reason_of_a_rejection_is_the_trace(replay: Replayed) -> None:
    on = replay("command-mds-rejected")
    on.run()

    assert all(invocation(on, command_id).trace for command_id in on.command_ids())
