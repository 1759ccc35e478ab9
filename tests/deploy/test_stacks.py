"""Stacks: planned, made, watched, explained, removed. Small templates on the emulated CloudFormation."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from tests.deploy.conftest import Account, BriefClock, WaitingClock

from moorings.clouds.aws import Aws, Patience
from moorings.deploy.stacks import DEADLINE, DEAF, OnEvent, Stack, StackEvent, Stacks, StackSpec, silent
from moorings.errors import Busy, CloudFault, Conflict, Misconfigured, Refused

TEMPLATE = """
Parameters:
  Days: {Type: Number, Default: 7}
  Name: {Type: String, Default: ''}
Conditions:
  Named: !Not [!Equals [!Ref Name, '']]
Resources:
  Log:
    Type: AWS::Logs::LogGroup
    Properties:
      LogGroupName: !If [Named, !Ref Name, !Ref AWS::NoValue]
      RetentionInDays: !Ref Days
Outputs:
  Group: {Value: !Ref Log}
"""


class Mine:
    """The one stack that a test plays with."""

    def __init__(self, name: str, stacks: Stacks) -> None:
        self.name = name
        self.stacks = stacks

    def spec(self, **parameters: str) -> StackSpec:
        return StackSpec(name=self.name, template=TEMPLATE, parameters=parameters, tags={"application": "test"})

    def deploy(self, on_event: OnEvent = silent, **parameters: str) -> Stack:
        return self.stacks.deploy(self.spec(**parameters), on_event=on_event)


@pytest.fixture
def mine(account: Account, name: str) -> Mine:
    return Mine(name, Stacks(account.aws, clock=BriefClock()))


def _throttled() -> ClientError:
    return ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "DescribeStacks")


def test_a_new_stack_is_made_and_every_event_is_told_in_order(mine: Mine) -> None:
    seen: list[StackEvent] = []

    stack = mine.deploy(seen.append)

    assert stack.status == "CREATE_COMPLETE"
    assert stack.outputs["Group"].startswith(f"{mine.name}-Log-")
    assert [event.status for event in seen if event.resource == "Log"][-1] == "CREATE_COMPLETE"
    assert (seen[-1].resource, seen[-1].status) == (mine.name, "CREATE_COMPLETE")
    assert len({event.id for event in seen}) == len(seen)


def test_a_plan_changes_nothing_until_it_is_carried_out(mine: Mine) -> None:
    planned = mine.stacks.plan(mine.spec())

    assert mine.stacks.find(mine.name) is None
    assert [(change.action, change.resource) for change in planned.changes] == [("Add", "Log")]

    mine.stacks.drop(planned)
    assert mine.deploy().status == "CREATE_COMPLETE"


def test_an_update_tells_its_own_events_only_and_keeps_parameters_that_are_not_given(mine: Mine) -> None:
    mine.deploy(Days="30")
    seen: list[StackEvent] = []

    stack = mine.deploy(seen.append, Name=mine.name)

    assert stack.parameters == {"Days": "30", "Name": mine.name}
    assert "CREATE_COMPLETE" not in {event.status for event in seen if event.resource == mine.name}


def test_tags_that_are_not_given_again_stay(account: Account, mine: Mine) -> None:
    mine.stacks.deploy(StackSpec(name=mine.name, template=TEMPLATE, tags={"application": "test", "cost": "42"}))

    after = mine.deploy(Days="30")

    assert after.tags == {"application": "test", "cost": "42"}


def test_a_stack_that_is_protected_from_termination_is_refused_with_the_way_out(account: Account, mine: Mine) -> None:
    mine.deploy()
    protect = account.aws.client("cloudformation").update_termination_protection
    protect(StackName=mine.name, EnableTerminationProtection=True)

    with pytest.raises(Refused, match="is protected from termination") as refused:
        mine.stacks.delete(mine.name)

    assert f"--no-enable-termination-protection --stack-name {mine.name}" in refused.value.remedy
    protect(StackName=mine.name, EnableTerminationProtection=False)
    assert mine.stacks.delete(mine.name)


def test_an_unchanged_stack_is_left_alone(mine: Mine) -> None:
    before = mine.deploy()

    planned = mine.stacks.plan(mine.spec())

    assert planned.changes == ()
    assert mine.stacks.execute(planned) == before


def test_a_failed_creation_names_the_resource_and_the_next_one_starts_afresh(account: Account, mine: Mine) -> None:
    account.aws.client("logs").create_log_group(logGroupName=f"{mine.name}-taken")

    with pytest.raises(CloudFault, match=r"ended as ROLLBACK_COMPLETE: Log \(AWS::Logs::LogGroup\) failed"):
        mine.deploy(Name=f"{mine.name}-taken")

    assert mine.deploy(Name=f"{mine.name}-free").status == "CREATE_COMPLETE"


def test_a_look_at_a_plan_deletes_no_stack_that_failed(account: Account, mine: Mine) -> None:
    """Its events tell why it failed, and somebody may still want to read them."""
    account.aws.client("logs").create_log_group(logGroupName=f"{mine.name}-taken")
    with pytest.raises(CloudFault):
        mine.deploy(Name=f"{mine.name}-taken")

    with pytest.raises(Conflict, match="ROLLBACK_COMPLETE"):
        mine.stacks.plan(mine.spec(), make_way=False)

    failed = mine.stacks.find(mine.name)
    assert failed
    assert failed.status == "ROLLBACK_COMPLETE"


def test_a_failed_update_is_rolled_back_and_explained(account: Account, mine: Mine) -> None:
    mine.deploy(Name=f"{mine.name}-a")
    account.aws.client("logs").create_log_group(logGroupName=f"{mine.name}-taken")

    with pytest.raises(CloudFault, match="UPDATE_ROLLBACK_COMPLETE") as failed:
        mine.deploy(Name=f"{mine.name}-taken")

    assert "already exists" in failed.value.message
    assert failed.value.remedy
    assert mine.deploy(Name=f"{mine.name}-b").parameters["Name"] == f"{mine.name}-b"


def test_a_refused_parameter_is_the_operators_business(mine: Mine) -> None:
    with pytest.raises(Misconfigured, match="Days"):
        mine.deploy(Days="many")


def test_a_parameter_that_names_what_is_not_there_is_the_operators_business(mine: Mine) -> None:
    """No stack is meant by that "does not exist"."""
    template = TEMPLATE.replace("Parameters:", "Parameters:\n  Vpc: {Type: 'AWS::EC2::VPC::Id'}")
    spec = StackSpec(name=mine.name, template=template, parameters={"Vpc": "vpc-0123"})

    with pytest.raises(Misconfigured, match="vpc-0123") as refused:
        mine.stacks.plan(spec)

    assert refused.value.remedy == "correct the parameter it names"


def test_an_account_that_is_full_of_stacks_is_told_as_that_and_not_as_too_fast(account: Account, mine: Mine) -> None:
    """The same error code means "slow down" elsewhere."""
    account.cloud.faults.error("cloudformation", "CreateChangeSet", status=400, code="LimitExceededException")
    once = Patience(connect=10, read=60, attempts=1)
    hasty = Aws(region=account.aws.region, session=account.cloud.session(), patience=once)

    with pytest.raises(Misconfigured, match="takes no more stacks") as refused:
        Stacks(hasty, clock=BriefClock()).plan(mine.spec())

    account.cloud.faults.clear()
    assert "Service Quotas" in refused.value.remedy


def test_a_deleted_stack_is_gone_and_deleting_it_again_is_fine(mine: Mine) -> None:
    mine.deploy()
    seen: list[StackEvent] = []

    assert mine.stacks.delete(mine.name, on_event=seen.append) is True
    assert mine.stacks.delete(mine.name) is False
    assert mine.stacks.find(mine.name) is None
    assert "DELETE_COMPLETE" in {event.status for event in seen}


def test_a_template_that_no_request_can_carry_is_refused_before_any_call(clock: WaitingClock) -> None:
    with pytest.raises(Misconfigured, match="exceeds 51,200 bytes"):
        Stacks(_Scripted([]), clock=clock).plan(StackSpec(name="one", template="x" * 51_201))


@pytest.mark.parametrize(
    ("status", "error"),
    [("UPDATE_IN_PROGRESS", Busy), ("DELETE_FAILED", Conflict), ("UPDATE_ROLLBACK_FAILED", Conflict)],
)
def test_a_stack_that_cannot_be_changed_now_says_what_to_do(
    status: str, error: type[Exception], clock: WaitingClock
) -> None:
    with pytest.raises(error, match="stack one") as refused:
        Stacks(_Scripted([status]), clock=clock).plan(StackSpec(name="one", template="x"))

    assert refused.value.remedy  # type: ignore[attr-defined]


def test_waiting_is_patient_and_ends_at_the_deadline(clock: WaitingClock) -> None:
    stuck = _Scripted(["DELETE_IN_PROGRESS"])

    with pytest.raises(CloudFault, match="has not settled"):
        Stacks(stuck, clock=clock).delete("one")

    assert sum(clock.waited, timedelta(0)) >= DEADLINE
    assert clock.waited[0] < clock.waited[-1] <= timedelta(seconds=5)


def test_an_interrupted_deletion_is_explained_by_what_could_not_go(clock: WaitingClock) -> None:
    failing = _Scripted(
        ["CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_FAILED"],
        events=[("Ledger", "DELETE_FAILED", "it is currently protected by deletion protection")],
    )

    with pytest.raises(CloudFault, match="Ledger") as failed:
        Stacks(failing, clock=clock).delete("one")

    assert "update-table --no-deletion-protection-enabled" in failed.value.remedy


@pytest.mark.parametrize("before", ["UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_the_status_from_before_the_update_is_not_taken_for_its_end(before: str, clock: WaitingClock) -> None:
    """CloudFormation answers ExecuteChangeSet before the stack's status changes."""
    late = _Updating([before, before, before, before, "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"])

    with pytest.raises(CloudFault, match="Log"):
        Stacks(late, clock=clock).deploy(StackSpec(name="one", template=TEMPLATE))

    assert not late.left, "every status was waited for"


def test_a_deletion_is_not_over_because_the_stack_still_stands(clock: WaitingClock) -> None:
    late = _Scripted(["CREATE_COMPLETE", "CREATE_COMPLETE", "CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"])

    assert Stacks(late, clock=clock).delete("one") is True

    assert late.left == ["DELETE_COMPLETE"]


def test_what_happened_in_years_before_is_not_read_again(clock: WaitingClock) -> None:
    """A page has a hundred events, and each is a call."""
    old = _Old(["CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"])
    seen: list[StackEvent] = []

    assert Stacks(old, clock=clock).delete("one", on_event=seen.append) is True

    assert [event.id for event in seen] == ["new"]


@pytest.mark.parametrize("told", [(True, False), (False, True), (False, False)])
def test_a_plan_tells_what_is_replaced_and_what_may_be(told: tuple[bool, bool], clock: WaitingClock) -> None:
    """Of some changes CloudFormation knows only while it makes them."""
    word = {(True, False): "True", (False, True): "Conditional", (False, False): "False"}[told]

    planned = Stacks(_Updating(["CREATE_COMPLETE"], replacement=word), clock=clock).plan(
        StackSpec(name="one", template=TEMPLATE)
    )

    assert [(change.replacement, change.may_replace) for change in planned.changes] == [told]


@pytest.mark.parametrize("failing", [EndpointConnectionError(endpoint_url="https://cfn.example"), _throttled()])
def test_a_network_that_is_gone_for_a_moment_does_not_end_the_watching(failing: Exception, clock: WaitingClock) -> None:
    stack = _Scripted(["CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"])
    stack.failing = {3: failing}

    assert Stacks(stack, clock=clock).delete("one") is True


def test_a_network_that_stays_away_does(clock: WaitingClock) -> None:
    """Long before the deadline."""
    stack = _Scripted(["CREATE_COMPLETE", "DELETE_IN_PROGRESS"])
    gone = EndpointConnectionError(endpoint_url="https://cfn.example")
    stack.failing = dict.fromkeys(range(3, 1_000), gone)

    with pytest.raises(CloudFault, match="Could not connect"):
        Stacks(stack, clock=clock).delete("one")

    assert DEAF <= sum(clock.waited, timedelta(0)) < DEADLINE


class _Scripted:
    """A CloudFormation whose stack goes through the given statuses, one at each look, and stays at the last."""

    def __init__(self, statuses: list[str], events: list[tuple[str, str, str]] | None = None) -> None:
        self._statuses = list(statuses)
        self._events = events or []
        self._deleting = False
        self._looks = 0
        self.failing: dict[int, Exception] = {}  # which look at the stack meets what

    @property
    def left(self) -> list[str]:
        """The statuses that nobody has looked at, and the last one, which stays."""
        return self._statuses

    def client(self, _service: str) -> "_Scripted":
        return self

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        self._looks += 1
        if error := self.failing.get(self._looks):
            raise error
        if not self._statuses:
            missing = {"Error": {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}}
            raise ClientError(missing, "DescribeStacks")
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return {"Stacks": [{"StackName": "one", "StackId": "arn:one", "StackStatus": status}]}

    def delete_stack(self, StackName: str) -> None:
        self._deleting = True

    def get_paginator(self, _name: str) -> "_Scripted":
        return self

    def paginate(self, StackName: str) -> list[dict[str, Any]]:
        if not self._deleting:
            return [{"StackEvents": []}]
        at = datetime(2026, 1, 1, tzinfo=UTC)
        return [
            {
                "StackEvents": [
                    {
                        "EventId": name, "Timestamp": at, "StackName": "one", "LogicalResourceId": name,
                        "ResourceType": "AWS::DynamoDB::Table", "ResourceStatus": status,
                        "ResourceStatusReason": reason,
                    }
                    for name, status, reason in self._events
                ]
            }
        ]  # fmt: skip


class _Old(_Scripted):
    """A stack with a long history, of which only the newest page may be asked for."""

    def paginate(self, StackName: str) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        ids = ["new", "last year"] if self._deleting else ["last year"]
        at = datetime(2026, 1, 1, tzinfo=UTC)
        yield {"StackEvents": [{"EventId": each, "Timestamp": at, "StackName": "one"} for each in ids]}
        raise AssertionError("nobody needs what was before")


class _Updating(_Scripted):
    """A scripted CloudFormation that takes one update, whose events begin when its status does."""

    def __init__(self, statuses: list[str], *, replacement: str = "False") -> None:
        super().__init__(statuses, events=[("Log", "UPDATE_FAILED", "it already exists")])
        self._replacement = replacement

    @property
    def left(self) -> list[str]:
        return self._statuses[1:]

    def create_change_set(self, **_request: Any) -> dict[str, str]:
        return {"Id": "arn:plan", "StackId": "arn:one"}

    def describe_change_set(self, **_request: Any) -> dict[str, Any]:
        change = {
            "Action": "Modify", "LogicalResourceId": "Log", "ResourceType": "AWS::Logs::LogGroup",
            "Replacement": self._replacement,
        }  # fmt: skip
        return {"Status": "CREATE_COMPLETE", "Changes": [{"ResourceChange": change}]}

    def execute_change_set(self, **_request: Any) -> None:
        """Answered at once; nothing has begun."""

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        found = super().describe_stacks(StackName)
        self._deleting = found["Stacks"][0]["StackStatus"] == "UPDATE_IN_PROGRESS" or len(self._statuses) == 1
        return found
