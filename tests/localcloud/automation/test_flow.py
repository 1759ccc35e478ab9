"""The flow of steps and the final status, as the service's users rely on them: each rule as a row."""

import pytest
from tests.localcloud.automation.stand import Stand, api

from localcloud.automation import flow
from localcloud.automation.document import Step
from localcloud.automation.flow import End, Go
from localcloud.automation.records import Status


def test_steps_run_in_the_order_of_the_list(stand: Stand) -> None:
    done = stand.run(api("One") + api("Two") + api("Three"))

    assert done.status is Status.SUCCESS
    assert stand.action.calls == ["One", "Two", "Three"]
    assert stand.statuses(done.id) == {"One": "Success", "Two": "Success", "Three": "Success"}


FAILS = "fail"
TIMES_OUT = "again"  # after 10 s, with a timeout of 1 s
PLAIN = api("Next") + api("Last")
# (steps, final status, steps called in order). "Bad" is the one that goes wrong.
ROWS = {
    "a failure aborts": (api("Bad", FAILS) + PLAIN, "Failed", "Bad"),
    "a failure jumps, and recovery does not clear it": (
        api("Bad", FAILS, onFailure="step:Last") + PLAIN,
        "Failed",
        "Bad Last",
    ),
    "a timeout jumps, and recovery does not clear it": (
        api("Bad", TIMES_OUT, timeoutSeconds=1, onFailure="step:Last") + PLAIN,
        "TimedOut",
        "Bad Last",
    ),
    "a timeout aborts": (api("Bad", TIMES_OUT, timeoutSeconds=1) + PLAIN, "TimedOut", "Bad"),
    "a failure that is not critical leaves Success after recovery": (
        api("Bad", FAILS, onFailure="step:Last", isCritical="false") + PLAIN,
        "Success",
        "Bad Last",
    ),
    "a failure that is not critical aborts all the same": (
        api("Bad", FAILS, isCritical="false") + PLAIN,
        "Success",
        "Bad",
    ),
    "Continue is not critical unless it says so": (
        api("Bad", FAILS, onFailure="Continue") + PLAIN,
        "Success",
        "Bad Next Last",
    ),
    "Continue and critical goes on, and fails": (
        api("Bad", FAILS, onFailure="Continue", isCritical="true") + PLAIN,
        "Failed",
        "Bad Next Last",
    ),
    "Continue honours nextStep": (
        api("Bad", FAILS, onFailure="Continue", nextStep="Last") + PLAIN,
        "Success",
        "Bad Last",
    ),
    "Continue honours isEnd": (api("Bad", FAILS, onFailure="Continue", isEnd="true") + PLAIN, "Success", "Bad"),
    "isEnd stops after success": (api("Bad", isEnd="true") + PLAIN, "Success", "Bad"),
    "isEnd with onFailure step:X jumps on failure": (
        api("Bad", FAILS, onFailure="step:Last", isEnd="true") + PLAIN,
        "Failed",
        "Bad Last",
    ),
    "nextStep wins over the list": (api("Bad", nextStep="Last") + PLAIN, "Success", "Bad Last"),
    "nextStep is not taken when the step aborts": (api("Bad", FAILS, nextStep="Last") + PLAIN, "Failed", "Bad"),
    "attempts are used up before it counts": (
        api("Bad", "fail-once", maxAttempts=2) + PLAIN,
        "Success",
        "Bad Bad Next Last",
    ),
    "all attempts fail": (api("Bad", FAILS, maxAttempts=3) + PLAIN, "Failed", "Bad Bad Bad"),
    "a timeout is retried like a failure": (
        api("Bad", TIMES_OUT, timeoutSeconds=1, maxAttempts=2) + PLAIN,
        "TimedOut",
        "Bad Bad",
    ),
    "the first critical failure decides, failed first": (
        api("Bad", FAILS, onFailure="step:Last") + api("Next") + api("Last", TIMES_OUT, timeoutSeconds=1),
        "Failed",
        "Bad Last",
    ),
    "the first critical failure decides, timed out first": (
        api("Bad", TIMES_OUT, timeoutSeconds=1, onFailure="step:Last") + api("Next") + api("Last", FAILS),
        "TimedOut",
        "Bad Last",
    ),
    "a recovery that fails itself": (
        api("Bad", FAILS, isCritical="false", onFailure="step:Last") + api("Next") + api("Last", FAILS),
        "Failed",
        "Bad Last",
    ),
    "a bug in an action is the step's failure": (api("Bad", "wrong") + PLAIN, "Failed", "Bad"),
}


@pytest.mark.parametrize("row", ROWS, ids=list(ROWS))
def test_final_status_and_order(row: str, stand: Stand) -> None:
    text, status, order = ROWS[row]
    done = stand.run(text)

    assert (done.status.value, stand.action.calls) == (status, order.split())
    untouched = [one for one in stand.engine.steps(done.id) if one.name not in order.split()]
    assert all(one.status is Status.PENDING and one.started_at is None for one in untouched)


def test_a_backward_jump_runs_the_steps_before(stand: Stand) -> None:
    """Without a cycle, nextStep may point upwards."""
    text = api("Begin", nextStep="Second") + api("First", isEnd="true") + api("Second", nextStep="First")
    done = stand.run(text)

    assert stand.action.calls == ["Begin", "Second", "First"]
    assert done.status is Status.SUCCESS


BRANCH = """
- name: Choose
  action: aws:branch
  {end}
  inputs:
    Choices:
    - {{NextStep: Two, Variable: '{{{{ Which }}}}', StringEquals: two}}
    - NextStep: Three
      Or: [{{Variable: '{{{{ Which }}}}', StringEquals: three}}, {{Variable: '{{{{ Which }}}}', StringEquals: tres}}]
    {default}
"""


@pytest.mark.parametrize(
    ("which", "end", "default", "called"),
    [
        ("two", "", "", "Two"),
        ("three", "", "Default: One", "Three"),
        ("other", "", "Default: Two", "Two"),
        ("other", "isEnd: true", "Default: Three", "Three"),
        ("other", "isEnd: true", "", ""),
        ("other", "", "", "One"),
    ],
)
def test_a_branch(which: str, end: str, default: str, called: str, stand: Stand) -> None:
    branch = BRANCH.format(end=end or "description: none", default=default)
    steps = "".join(api(name, isEnd="true") for name in ("One", "Two", "Three"))
    text = "parameters: {Which: {type: String}}\nmainSteps:" + branch + steps
    done = stand.run(text, {"Which": [which]})

    assert (done.status, stand.action.calls) == (Status.SUCCESS, called.split())
    assert stand.step(done.id, "Choose").status is Status.SUCCESS


def test_outputs_of_steps_that_never_ran_stay_literal(stand: Stand) -> None:
    """One step is fed by two of which one ran; a branch asks whether an output is there."""
    text = """
- name: Choose
  action: aws:branch
  inputs: {Choices: [{NextStep: Linux, Not: {Variable: '{{ Windows.Says }}', StringEquals: yes}}]}
- name: Windows
  action: aws:executeAwsApi
  inputs: {Service: test, Api: ok, Says: windows}
  outputs: [{Name: Says, Selector: $.Says}]
- name: Linux
  action: aws:executeAwsApi
  inputs: {Service: test, Api: ok, Says: linux}
  outputs: [{Name: Says, Selector: $.Says}, {Name: None, Selector: $.None}]
- name: Both
  action: aws:executeAwsApi
  inputs: {Service: test, Api: ok, One: '{{Windows.Says}}', Other: '{{ Linux.Says }}', Third: 'x{{ Linux.None }}'}
"""
    done = stand.run(text)
    inputs = stand.step(done.id, "Both").inputs

    assert (inputs["One"], inputs["Other"], inputs["Third"]) == ("{{Windows.Says}}", "linux", "x{{ Linux.None }}")
    assert stand.step(done.id, "Windows").status is Status.PENDING


def test_outputs_of_a_failed_step_stay_readable(stand: Stand) -> None:
    text = """
- name: Bad
  action: aws:executeAwsApi
  onFailure: Continue
  inputs: {Service: test, Api: fail}
  outputs: [{Name: Status, Selector: $.Status}]
- name: Then
  action: aws:executeAwsApi
  inputs: {Service: test, Api: ok, Seen: '{{ Bad.Status }}'}
"""
    done = stand.run(text)

    assert stand.step(done.id, "Then").inputs["Seen"] == "Failed"


def test_an_output_of_another_type_fails_the_step_after_the_fact(stand: Stand) -> None:
    text = """
- name: Bad
  action: aws:executeAwsApi
  inputs: {Service: test, Api: ok, Many: [1, 2]}
  outputs: [{Name: Number, Selector: $.Many, Type: Integer}]
"""
    done = stand.run(text)
    failure = stand.step(done.id, "Bad").failure

    assert done.status is Status.FAILED
    assert failure is not None
    assert failure.stage.value == "PostVerification"


def test_document_outputs_say_when_their_step_did_not_succeed(stand: Stand) -> None:
    text = f"""
outputs: [Good.Service, Bad.Service]
mainSteps:
- name: Good
  action: aws:executeAwsApi
  inputs: {{Service: test, Api: ok}}
  outputs: [{{Name: Service, Selector: $.Service}}]
{api("Bad", "fail", outputs="[{Name: Service, Selector: $.Service}]")}
"""
    done = stand.run(text)

    assert done.outputs == {
        "Good.Service": "test",
        "Bad.Service": "No output available yet because the step is not successfully executed",
    }
    assert "Bad was told to fail" in done.failure_message


def test_an_unsupported_action_fails_by_its_name_when_reached(stand: Stand) -> None:
    text = """
- name: Hook
  action: aws:invokeWebhook
  inputs: {IntegrationName: x}
"""
    done = stand.run(text)

    assert done.status is Status.FAILED
    assert "aws:invokeWebhook" in done.failure_message


def test_variables_keep_exactly_their_type(stand: Stand) -> None:
    text = """
variables:
  Text: {type: String, default: before}
  Count: {type: Integer, default: 1}
mainSteps:
- name: Set
  action: aws:updateVariable
  inputs: {Name: 'variable:Text', Value: after}
- name: Use
  action: aws:executeAwsApi
  inputs: {Service: test, Api: ok, Seen: '{{ variable:Text }}', Kept: '{{variable:Count}}'}
- name: Wrong
  action: aws:updateVariable
  inputs: {Name: 'variable:Count', Value: two}
"""
    done = stand.run(text)

    inputs = stand.step(done.id, "Use").inputs
    assert (inputs["Seen"], inputs["Kept"]) == ("after", 1)
    assert done.variables == {"Text": "after", "Count": 1}
    failure = stand.step(done.id, "Wrong").failure
    assert failure is not None
    assert failure.stage.value == "InputValidation"


def test_defaults_are_expanded_when_used_and_given_values_never(stand: Stand) -> None:
    text = """
parameters:
  Name: {type: String, default: 'run-{{ automation:EXECUTION_ID }}'}
  Given: {type: String}
mainSteps:
- name: Use
  action: aws:executeAwsApi
  inputs: {Service: test, Api: ok, Name: '{{ Name }}', Given: '{{ Given }}', Day: '{{ global:DATE }}'}
"""
    done = stand.run(text, {"Given": ["{{ automation:EXECUTION_ID }}"]})
    inputs = stand.step(done.id, "Use").inputs

    assert inputs["Name"] == f"run-{done.id}"
    assert inputs["Given"] == "{{ automation:EXECUTION_ID }}"
    assert inputs["Day"] == "2026-11-21"


def test_times_are_those_of_the_step_across_midnight(stand: Stand) -> None:
    text = """
- name: Before
  action: aws:executeAwsApi
  inputs: {Service: test, Api: ok, Day: '{{ global:DATE }}'}
- name: Wait
  action: aws:sleep
  inputs: {Duration: PT2H}
- name: After
  action: aws:executeAwsApi
  inputs: {Service: test, Api: ok, Day: '{{ global:DATE }}'}
"""
    done = stand.run(text)

    days = [stand.step(done.id, name).inputs["Day"] for name in ("Before", "After")]
    assert days == ["2026-11-21", "2026-11-22"]


@pytest.mark.parametrize(
    ("step", "status", "following", "move"),
    [
        (Step(name="A", action="x"), Status.SUCCESS, "B", Go("B")),
        (Step(name="A", action="x"), Status.SUCCESS, "", End.REACHED),
        (Step(name="A", action="x", is_end=True), Status.SUCCESS, "B", End.REACHED),
        (Step(name="A", action="x", next_step="C"), Status.SUCCESS, "B", Go("C")),
        (Step(name="A", action="x", next_step="C"), Status.FAILED, "B", End.ABORTED),
        (Step(name="A", action="x", on_failure="Continue"), Status.TIMED_OUT, "B", Go("B")),
        (Step(name="A", action="x", on_failure="step:D", is_end=True), Status.TIMED_OUT, "B", Go("D")),
        (Step(name="A", action="x", on_failure="Abort"), Status.CANCELLED, "B", End.ABORTED),
    ],
)
def test_the_pure_rule(step: Step, status: Status, following: str, move: flow.Move) -> None:
    assert flow.after(step, status, following=following) == move


def test_where_a_step_may_lead_is_shown(stand: Stand) -> None:
    done = stand.run(api("One", nextStep="Three") + api("Two") + api("Three"))
    shown = {one.name: one.valid_next_steps for one in stand.engine.steps(done.id)}

    assert shown == {"One": ("Three",), "Two": ("Three",), "Three": ()}
