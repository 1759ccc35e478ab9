"""CloudFormation stacks: created and updated through change sets, watched event by event, explained when they fail.

Waiting is done on the clock that is handed in, until a deadline. Nothing here knows what a stack is for.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from moorings.clock import Clock
from moorings.clouds.aws import Aws, calling
from moorings.clouds.aws_errors import code_of
from moorings.deploy import stack_states
from moorings.deploy.explain import fault_of, remedy_for
from moorings.deploy.templates import parameter_names
from moorings.errors import Busy, CloudFault, Conflict, Misconfigured

LARGEST_TEMPLATE = 51_200  # bytes that a request may carry. Source: CloudFormation quotas
DEADLINE = timedelta(minutes=60)  # an interface endpoint takes minutes, a function's network interface up to 40
DEAF = timedelta(minutes=5)  # for so long a stack is watched without an answer
# Short first, because an unchanged stack and a local cloud answer at once; then as patient as the service wants it.
_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (0.1, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5))
_STACK = "AWS::CloudFormation::Stack"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSpec:
    """A stack as it is wanted."""

    name: str
    template: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A stack as it stands."""

    name: str
    id: str
    status: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    protected: bool = False  # termination protection: CloudFormation refuses to delete it


@dataclass(frozen=True, slots=True, kw_only=True)
class StackEvent:
    """One thing that happened to one resource of a stack, in CloudFormation's words."""

    id: str
    at: datetime
    stack: str
    resource: str  # logical id
    type: str
    status: str
    reason: str = ""
    physical: str = ""  # what its service calls it

    @property
    def failed(self) -> bool:
        """Whether this resource could not be made, changed or deleted."""
        return self.status.endswith("_FAILED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What would be done to one resource."""

    action: str  # Add, Modify, Remove
    resource: str
    type: str
    replacement: bool
    may_replace: bool = False  # CloudFormation can tell only while it does it


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """A planned creation or update; executed or dropped, it is gone."""

    id: str
    stack: str
    stack_id: str
    creates: bool
    changes: tuple[Change, ...]  # none: the stack is already as wanted


OnEvent = Callable[[StackEvent], None]


def silent(_event: StackEvent) -> None:
    """For callers that do not watch."""


class Stacks:
    """The stacks of one account and Region."""

    def __init__(self, aws: Aws, *, clock: Clock) -> None:
        self._client = aws.client("cloudformation")
        self._clock = clock

    def find(self, name: str) -> Stack | None:
        """The stack of that name or id; None if there is none (or it is deleted, or only its first plan exists)."""
        described = self._describe(name)
        return _stack(described) if described and stack_states.is_made(described["StackStatus"]) else None

    def require_changeable(self, name: str) -> None:
        """Busy if the stack of that name is being changed, Conflict, with the cause, if a person has to mend it."""
        found = self.find(name)
        if found is None:
            return
        stack_states.require_settled(name, found.status)
        if found.status in stack_states.STUCK:
            raise stack_states.stuck(name, found.status, [*self.events(found.id)][::-1])

    def deploy(self, spec: StackSpec, *, on_event: OnEvent = silent) -> Stack:
        """Make the stack as wanted, and return it once it stands. See `plan` and `execute` for what is raised."""
        return self.execute(self.plan(spec, on_event=on_event), on_event=on_event)

    def plan(self, spec: StackSpec, *, on_event: OnEvent = silent, make_way: bool = True) -> ChangeSet:
        """What CloudFormation would do; nothing is changed yet.

        Parameters and tags that are not given keep their value. A stack whose first creation was rolled back holds
        nothing and cannot be updated, so it is deleted first; Conflict instead if `make_way` is False. Busy if it is
        being changed, Conflict if a person has to mend it, Misconfigured if the template or a parameter is refused.
        """
        if len(spec.template.encode()) > LARGEST_TEMPLATE:
            raise Misconfigured(f"the template of {spec.name} exceeds {LARGEST_TEMPLATE:,} bytes", remedy="shorten it")
        creates = self._make_way(spec.name, on_event, delete=make_way)
        created = self._create_change_set(spec, creates=creates)
        planned = ChangeSet(id=created["Id"], stack=spec.name, stack_id=created["StackId"], creates=creates, changes=())
        try:
            described = self._settled_change_set(created)
            if described["Status"] != "FAILED":
                return replace(planned, changes=self._changes(spec.name, described, created))
        except BaseException:  # Ctrl-C too: nobody will carry it out
            self.drop(planned)
            raise
        self.drop(planned)
        reason = str(described.get("StatusReason", ""))
        if not any(text in reason for text in stack_states.NOTHING_TO_CHANGE):
            raise Misconfigured(
                f"CloudFormation cannot plan {spec.name}: {reason}",
                remedy=remedy_for(reason) or "correct the parameter it names",
            )
        return planned

    def execute(self, planned: ChangeSet, *, on_event: OnEvent = silent) -> Stack:
        """Carry out a plan, telling every event as it is seen; the stack once it stands.

        CloudFault, naming the first resource that failed, why, and the remedy, if CloudFormation rolled it back.
        Conflict or Busy if somebody else was faster.
        """
        if planned.changes:
            seen = self._newest(planned.stack_id)
            with _asking("cloudformation:ExecuteChangeSet", planned.stack):
                self._client.execute_change_set(StackName=planned.stack_id, ChangeSetName=planned.id)
            self._watch(planned.stack_id, planned.stack, seen=seen, on_event=on_event)
        stack = self.find(planned.stack_id)
        if stack is None:
            raise CloudFault(
                f"stack {planned.stack} is gone", call="cloudformation:DescribeStacks", remedy="deploy again"
            )
        return stack

    def drop(self, planned: ChangeSet) -> None:
        """Forget a plan that is not wanted, and the stack that was only planned by it."""
        with calling("cloudformation:DeleteChangeSet"):
            try:
                self._client.delete_change_set(StackName=planned.stack_id, ChangeSetName=planned.id)
            except ClientError as error:
                if not stack_states.is_absent(code_of(error), str(error)):
                    raise
        described = self._describe(planned.stack_id) if planned.creates else None
        # Somebody else may have carried out a plan of theirs: then it is their stack.
        if described and described["StackStatus"] == stack_states.ONLY_PLANNED:
            with calling("cloudformation:DeleteStack"):
                self._client.delete_stack(StackName=planned.stack_id)

    def delete(self, name: str, *, on_event: OnEvent = silent) -> bool:
        """Delete the stack of that name or id and wait until it is gone; False if there was none.

        CloudFault as in `execute`; Refused if it is protected from termination, Busy if it is being changed.
        """
        described = self._describe(name)
        if described is None or described["StackStatus"] == stack_states.GONE:
            return False
        stack = _stack(described)
        require_deletable(stack)
        seen = self._newest(stack.id)
        with _asking("cloudformation:DeleteStack", stack.name):
            self._client.delete_stack(StackName=stack.id)
        self._watch(stack.id, stack.name, seen=seen, on_event=on_event)
        return True

    def events(self, stack_id: str) -> Iterator[StackEvent]:
        """All events of a stack, newest first."""
        with calling("cloudformation:DescribeStackEvents"):
            for page in self._client.get_paginator("describe_stack_events").paginate(StackName=stack_id):
                yield from (_event(entry) for entry in page["StackEvents"])

    def _describe(self, name: str) -> dict[str, Any] | None:
        with calling("cloudformation:DescribeStacks"):
            try:
                found: list[dict[str, Any]] = self._client.describe_stacks(StackName=name)["Stacks"]
            except ClientError as error:
                if stack_states.is_absent(code_of(error), str(error)):
                    return None
                raise
        return found[0] if found else None

    def _make_way(self, name: str, on_event: OnEvent, *, delete: bool) -> bool:
        """Whether the stack has still to be created."""
        found = self.find(name)
        if found is None:
            return True
        if found.status not in stack_states.NEVER_STOOD:
            self.require_changeable(name)
            return False
        if not delete:
            raise Conflict(
                f"stack {name} is {found.status}: its creation failed, and nothing can be planned while it is there",
                remedy="deploy without --dry-run, which deletes it first, or delete it",
            )
        self.delete(found.id, on_event=on_event)  # by its id: the name may be another's by then
        return True

    def _create_change_set(self, spec: StackSpec, *, creates: bool) -> dict[str, Any]:
        found = None if creates else self.find(spec.name)
        # An update would take away what it is not given; tags of `aws:` are not ours to give.
        kept = {key: value for key, value in found.tags.items() if not key.startswith("aws:")} if found else {}
        with _asking("cloudformation:CreateChangeSet", spec.name):
            answer: dict[str, Any] = self._client.create_change_set(
                StackName=spec.name,
                ChangeSetName=f"moorings-{uuid.uuid4().hex}",
                ChangeSetType="CREATE" if creates else "UPDATE",
                TemplateBody=spec.template,
                Capabilities=["CAPABILITY_IAM"],
                Parameters=_parameters(spec, found),
                Tags=[{"Key": key, "Value": value} for key, value in sorted({**kept, **spec.tags}.items())],
            )
        return answer

    def _settled_change_set(self, created: Mapping[str, Any]) -> dict[str, Any]:
        for _ in self._pauses(f"change set {created['Id']}"):
            described = self._described_change_set(created)
            if described["Status"] not in {"CREATE_PENDING", "CREATE_IN_PROGRESS"}:
                return described
        raise AssertionError  # _pauses ends by raising

    def _described_change_set(self, created: Mapping[str, Any], **page: str) -> dict[str, Any]:
        # Named by the stack too: rights are given on stacks, and the id alone would ask for the change set.
        with calling("cloudformation:DescribeChangeSet"):
            described: dict[str, Any] = self._client.describe_change_set(
                StackName=created["StackId"], ChangeSetName=created["Id"], **page
            )
        return described

    def _changes(self, name: str, first_page: dict[str, Any], created: Mapping[str, Any]) -> tuple[Change, ...]:
        entries, page = list(first_page.get("Changes", [])), first_page
        while token := page.get("NextToken"):
            page = self._described_change_set(created, NextToken=token)
            entries += page.get("Changes", [])
        # A plan that changes no resource changes the stack's outputs, which CloudFormation does not list.
        outputs_alone = Change(action="Modify", resource=name, type=_STACK, replacement=False)
        return tuple(_change(entry["ResourceChange"]) for entry in entries) or (outputs_alone,)

    def _watch(self, stack_id: str, name: str, *, seen: set[str], on_event: OnEvent) -> None:
        """Tell new events until the stack has settled; raises CloudFault if that is not where it should be.

        A status may still be that of the time before: until an event has shown that the work is under way, only a stack
        that is gone counts as settled.
        """
        happened: list[StackEvent] = []
        heard = self._clock.now()
        for _ in self._pauses(f"stack {name}"):
            begun = bool(happened)
            try:
                # Status before events: whatever led to a settled status is then among the events.
                described = self._describe(stack_id)
                news = self._news(stack_id, seen)
            except (Busy, CloudFault) as fault:
                # A network that is gone for a moment, or too many who ask: CloudFormation goes on all the same.
                if getattr(fault, "code", "") or self._clock.now() - heard > DEAF:
                    raise
                continue
            heard = self._clock.now()
            status = described["StackStatus"] if described else stack_states.GONE
            for event in news:
                happened.append(event)
                on_event(event)
            if status.endswith("_IN_PROGRESS") or not (begun or status == stack_states.GONE):
                continue
            if "ROLLBACK" in status or status.endswith("_FAILED"):
                raise fault_of(name, status, happened)
            return

    def _news(self, stack_id: str, seen: set[str]) -> list[StackEvent]:
        """Events not seen before, oldest first."""
        fresh: list[StackEvent] = []
        try:
            for event in self.events(stack_id):
                if event.id in seen:
                    break
                fresh.append(event)
        except CloudFault as fault:
            if not stack_states.is_absent(fault.code, fault.message):
                raise
        seen.update(event.id for event in fresh)
        return fresh[::-1]

    def _newest(self, stack_id: str) -> set[str]:
        """The id of the newest event: what comes later is news, and a stack that is years old has thousands before."""
        return {event.id for event in islice(self.events(stack_id), 1)}

    def _pauses(self, what: str) -> Iterator[None]:
        """Rounds of waiting, ever slower; CloudFault after the deadline."""
        end = self._clock.now() + DEADLINE
        rounds = 0
        while self._clock.now() < end:
            yield
            self._clock.wait(_PAUSES[min(rounds, len(_PAUSES) - 1)])
            rounds += 1
        raise CloudFault(
            f"{what} has not settled within {DEADLINE}",
            call="cloudformation:DescribeStacks",
            remedy="look at its events in the CloudFormation console; run the command again once it has settled",
        )


def _parameters(spec: StackSpec, found: Stack | None) -> list[dict[str, Any]]:
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in sorted(spec.parameters.items())]
    kept = (set(found.parameters) & parameter_names(spec.template)) - set(spec.parameters) if found else set()
    return [*given, *({"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept))]


@contextmanager
def _asking(call: str, name: str) -> Iterator[None]:
    """As `calling`, and what CloudFormation refuses about a stack in our words."""
    with calling(call):
        try:
            yield
        except ClientError as error:
            told = error.response.get("Error", {})
            raise stack_states.refusal(name, code_of(error), str(told.get("Message", ""))) or error from None


def require_deletable(stack: Stack | None) -> None:
    """Raises as `Stacks.delete` would now; nothing for a stack that is not there."""
    if stack:
        stack_states.require_deletable(stack.name, stack.status, protected=stack.protected)


def _stack(described: Mapping[str, Any]) -> Stack:
    return Stack(
        name=str(described["StackName"]),
        id=str(described["StackId"]),
        status=str(described["StackStatus"]),
        outputs={entry["OutputKey"]: entry["OutputValue"] for entry in described.get("Outputs", [])},
        parameters={
            entry["ParameterKey"]: entry.get("ParameterValue", "") for entry in described.get("Parameters", [])
        },
        tags={entry["Key"]: entry["Value"] for entry in described.get("Tags", [])},
        protected=bool(described.get("EnableTerminationProtection")),
    )


def _event(entry: Mapping[str, Any]) -> StackEvent:
    return StackEvent(
        id=str(entry["EventId"]),
        at=entry["Timestamp"],
        stack=str(entry["StackName"]),
        resource=str(entry.get("LogicalResourceId", "")),
        type=str(entry.get("ResourceType", "")),
        status=str(entry.get("ResourceStatus", "")),
        reason=str(entry.get("ResourceStatusReason", "")),
        physical=str(entry.get("PhysicalResourceId", "")),
    )


def _change(entry: Mapping[str, Any]) -> Change:
    return Change(
        action=str(entry["Action"]),
        resource=str(entry["LogicalResourceId"]),
        type=str(entry["ResourceType"]),
        replacement=entry.get("Replacement") == "True",
        may_replace=entry.get("Replacement") == "Conditional",
    )
