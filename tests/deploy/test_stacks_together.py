"""Two people at one stack, and people who change their mind: nobody loses what another has made."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.deploy.conftest import Account, BriefClock
from tests.deploy.test_stacks import TEMPLATE, Mine

from localcloud.aws.cloudformation.stacks import Stacks as Emulated
from moorings.deploy.stacks import ChangeSet, StackEvent, Stacks
from moorings.deploy.steps import Notice, make, quiet
from moorings.errors import Busy, CloudFault, Conflict, Refused


@pytest.fixture
def mine(account: Account, name: str) -> Mine:
    return Mine(name, Stacks(account.aws, clock=BriefClock()))


def _settle(account: Account) -> None:
    account.cloud.world.part(Emulated).settle()


def test_saying_no_does_not_delete_the_stack_that_a_colleague_has_made_meanwhile(account: Account, mine: Mine) -> None:
    first, second = mine.stacks.plan(mine.spec()), mine.stacks.plan(mine.spec())
    mine.stacks.execute(first)

    mine.stacks.drop(second)

    _settle(account)
    standing = mine.stacks.find(mine.name)
    assert standing
    assert standing.status == "CREATE_COMPLETE"


@pytest.mark.parametrize("how", ["deployed", "dropped"])
def test_a_plan_that_a_colleague_was_faster_than_is_told_as_that(account: Account, mine: Mine, how: str) -> None:
    first, second = mine.stacks.plan(mine.spec()), mine.stacks.plan(mine.spec())
    if how == "deployed":
        mine.stacks.execute(first)
    else:
        mine.stacks.drop(first)
    _settle(account)

    with pytest.raises(Conflict, match=f"the plan of stack {mine.name} holds no more") as refused:
        mine.stacks.execute(second)

    assert "run the command again" in refused.value.remedy


def test_a_failed_stack_that_a_colleague_has_replaced_is_not_deleted(account: Account, mine: Mine) -> None:
    """Whoever makes way for a new stack deletes the one that was looked at, not whatever has its name by then."""
    account.aws.client("logs").create_log_group(logGroupName=f"{mine.name}-taken")
    with pytest.raises(CloudFault, match="ROLLBACK_COMPLETE"):
        mine.deploy(Name=f"{mine.name}-taken")
    slow = _Interrupted(account, after="describe_stacks", by=mine.deploy)

    with pytest.raises(Conflict, match="was made meanwhile"):
        Stacks(slow, clock=BriefClock()).plan(mine.spec())  # type: ignore[arg-type]

    standing = mine.stacks.find(mine.name)
    assert standing
    assert standing.status == "CREATE_COMPLETE"


@pytest.mark.parametrize("answer", [False, KeyboardInterrupt()])
def test_whoever_does_not_agree_leaves_nothing_behind(
    account: Account, mine: Mine, answer: bool | KeyboardInterrupt
) -> None:
    def approve(_planned: ChangeSet) -> bool:
        if isinstance(answer, KeyboardInterrupt):
            raise answer
        return answer

    with pytest.raises((Refused, KeyboardInterrupt)):
        make(mine.spec(), mine.stacks, on_progress=quiet, approve=approve)

    _settle(account)
    there = account.aws.client("cloudformation").describe_stacks()["Stacks"]
    assert mine.name not in {each["StackName"] for each in there}


def test_whoever_stops_watching_is_told_that_cloudformation_goes_on(account: Account, mine: Mine) -> None:
    told: list[object] = []

    def watch(progress: object) -> None:
        told.append(progress)
        if isinstance(progress, StackEvent):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(mine.spec(), mine.stacks, on_progress=watch, approve=lambda _: True)

    assert told[-1] == Notice(
        f"CloudFormation goes on with stack {mine.name}; run the command again once it has settled"
    )
    _settle(account)
    assert mine.deploy().status == "CREATE_COMPLETE"


def test_whoever_does_not_agree_to_an_update_leaves_no_plan_behind(account: Account, mine: Mine) -> None:
    mine.deploy()

    with pytest.raises(Refused):
        make(mine.spec(Days="30"), mine.stacks, on_progress=quiet, approve=lambda _: False)

    assert account.aws.client("cloudformation").list_change_sets(StackName=mine.name)["Summaries"] == []


def test_another_output_alone_is_a_change_too(account: Account, mine: Mine) -> None:
    """CloudFormation lists changed resources only, and an update may have none."""
    mine.deploy()
    more = replace(mine.spec(), template=f"{TEMPLATE}  More: {{Value: there}}\n")

    planned = mine.stacks.plan(more)

    told = [(change.action, change.resource, change.type) for change in planned.changes]
    assert told == [("Modify", mine.name, "AWS::CloudFormation::Stack")]
    assert mine.stacks.execute(planned).outputs["More"] == "there"


def test_a_stack_that_is_being_changed_is_not_deleted_and_says_so(account: Account, mine: Mine) -> None:
    mine.deploy()
    emulated = account.cloud.world.part(Emulated).find(account.cloud.world.region, mine.name)
    emulated.status = "UPDATE_IN_PROGRESS"

    with pytest.raises(Busy, match="UPDATE_IN_PROGRESS") as busy:
        mine.stacks.delete(mine.name)

    assert "wait" in busy.value.remedy
    emulated.status = "CREATE_COMPLETE"


class _Interrupted:
    """An account in which something happens just after the first call of an operation of CloudFormation."""

    def __init__(self, account: Account, *, after: str, by: Callable[[], object]) -> None:
        self._client = account.aws.client("cloudformation")
        self._after, self._pending = after, [by]

    def client(self, _service: str) -> "_Interrupted":
        return self

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)
        if name != self._after:
            return operation

        def call(**given: Any) -> Any:
            answer = operation(**given)
            while self._pending:
                self._pending.pop()()
            return answer

        return call
