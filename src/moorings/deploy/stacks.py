"""CloudFormation stacks: created and updated through change sets, watched event by event, explained when they fail.

Waiting is done on the clock that is handed in, until a deadline. Nothing here knows what a stack is for.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from moorings.clock import Clock
from moorings.clouds.aws import Aws, calling
from moorings.deploy.explain import fault_of, remedy_for
from moorings.deploy.templates import parameter_names
from moorings.errors import Busy, CloudFault, Conflict, Misconfigured, Refused

LARGEST_TEMPLATE = 51_200  # bytes that a request may carry. Source: CloudFormation quotas
DEADLINE = timedelta(minutes=60)  # an interface endpoint takes minutes, a function's network interface up to 40
# Short first, because an unchanged stack and a local cloud answer at once; then as patient as the service wants it.
_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (0.1, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5))
_PARAMETER = "correct the parameter it names"
_NOTHING_TO_CHANGE = ("didn't contain changes", "No updates are to be performed")


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
        if described is None or described["StackStatus"] in {"DELETE_COMPLETE", "REVIEW_IN_PROGRESS"}:
            return None
        return _stack(described)

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
        described = self._settled_change_set(created)
        if described["Status"] == "FAILED":
            self._drop_change_set(created["Id"], created["StackId"], creates=creates)
            reason = str(described.get("StatusReason", ""))
            if not any(text in reason for text in _NOTHING_TO_CHANGE):
                raise Misconfigured(
                    f"CloudFormation cannot plan {spec.name}: {reason}", remedy=remedy_for(reason) or _PARAMETER
                )
        changes = tuple(_change(entry["ResourceChange"]) for entry in self._changes(described, created))
        return ChangeSet(
            id=created["Id"], stack=spec.name, stack_id=created["StackId"], creates=creates, changes=changes
        )

    def execute(self, planned: ChangeSet, *, on_event: OnEvent = silent) -> Stack:
        """Carry out a plan, telling every event as it is seen; the stack once it stands.

        CloudFault, naming the first resource that failed, why, and the remedy, if CloudFormation rolled it back.
        """
        if planned.changes:
            seen = self._event_ids(planned.stack_id)
            with calling("cloudformation:ExecuteChangeSet"):
                self._client.execute_change_set(StackName=planned.stack_id, ChangeSetName=planned.id)
            self._watch(planned.stack_id, planned.stack, seen=seen, on_event=on_event)
        stack = self.find(planned.stack_id)
        if stack is None:
            raise CloudFault(
                f"stack {planned.stack} is gone", call="cloudformation:DescribeStacks", remedy="deploy again"
            )
        return stack

    def drop(self, planned: ChangeSet) -> None:
        """Forget a plan that is not wanted."""
        self._drop_change_set(planned.id, planned.stack_id, creates=planned.creates)

    def delete(self, name: str, *, on_event: OnEvent = silent) -> bool:
        """Delete a stack and wait until it is gone; False if there was none.

        CloudFault as in `execute`; Refused if it is protected from termination.
        """
        described = self._describe(name)
        if described is None or described["StackStatus"] == "DELETE_COMPLETE":
            return False
        require_unprotected(_stack(described))
        stack_id = str(described["StackId"])
        seen = self._event_ids(stack_id)
        with calling("cloudformation:DeleteStack"):
            self._client.delete_stack(StackName=stack_id)
        self._watch(stack_id, name, seen=seen, on_event=on_event)
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
                # The service has no error code of its own for "no such stack".
                if "does not exist" in str(error):
                    return None
                raise
        return found[0] if found else None

    def _make_way(self, name: str, on_event: OnEvent, *, delete: bool) -> bool:
        """Whether the stack has still to be created."""
        described = self._describe(name)
        status = described["StackStatus"] if described else "DELETE_COMPLETE"
        if status in {"DELETE_COMPLETE", "REVIEW_IN_PROGRESS"}:
            return True
        if status in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"}:
            if not delete:
                raise Conflict(
                    f"stack {name} is {status}: its creation failed, and nothing can be planned while it is there",
                    remedy="deploy without --dry-run, which deletes it first, or delete it",
                )
            self.delete(name, on_event=on_event)
            return True
        if status.endswith("_IN_PROGRESS"):
            raise Busy(
                f"stack {name} is {status}", retry_after=timedelta(minutes=1), remedy="wait until it has settled"
            )
        if status == "DELETE_FAILED":
            raise Conflict(
                f"stack {name} is half deleted",
                remedy=f"finish its removal (`aws cloudformation delete-stack --stack-name {name}`), then deploy again",
            )
        if status == "UPDATE_ROLLBACK_FAILED":
            raise Conflict(
                f"stack {name} could not be rolled back",
                remedy=f"run `aws cloudformation continue-update-rollback --stack-name {name}`, then deploy again",
            )
        return False

    def _create_change_set(self, spec: StackSpec, *, creates: bool) -> dict[str, Any]:
        found = None if creates else self.find(spec.name)
        # An update would take away what it is not given; tags of `aws:` are not ours to give.
        kept = {key: value for key, value in found.tags.items() if not key.startswith("aws:")} if found else {}
        with calling("cloudformation:CreateChangeSet"):
            try:
                answer: dict[str, Any] = self._client.create_change_set(
                    StackName=spec.name,
                    ChangeSetName=f"moorings-{uuid.uuid4().hex}",
                    ChangeSetType="CREATE" if creates else "UPDATE",
                    TemplateBody=spec.template,
                    Capabilities=["CAPABILITY_IAM"],
                    Parameters=_parameters(spec, found),
                    Tags=[{"Key": key, "Value": value} for key, value in sorted({**kept, **spec.tags}.items())],
                )
            except ClientError as error:
                raise _refusal(spec.name, error) or error from None
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

    def _changes(self, first_page: dict[str, Any], created: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        page = first_page
        while True:
            yield from page.get("Changes", [])
            token = page.get("NextToken")
            if not token:
                return
            page = self._described_change_set(created, NextToken=token)

    def _drop_change_set(self, change_set_id: str, stack_id: str, *, creates: bool) -> None:
        """A failed plan leaves the change set, and for a new stack an empty stack; neither is of use."""
        with calling("cloudformation:DeleteChangeSet"):
            self._client.delete_change_set(StackName=stack_id, ChangeSetName=change_set_id)
        if creates:
            with calling("cloudformation:DeleteStack"):
                self._client.delete_stack(StackName=stack_id)

    def _watch(self, stack_id: str, name: str, *, seen: set[str], on_event: OnEvent) -> None:
        """Tell new events until the stack has settled; raises CloudFault if that is not where it should be.

        A status may still be that of the time before: until an event has shown that the work is under way, only a stack
        that is gone counts as settled.
        """
        happened: list[StackEvent] = []
        for _ in self._pauses(f"stack {name}"):
            begun = bool(happened)
            # Status before events: whatever led to a settled status is then among the events.
            described = self._describe(stack_id)
            status = described["StackStatus"] if described else "DELETE_COMPLETE"
            for event in self._news(stack_id, seen):
                happened.append(event)
                on_event(event)
            if status.endswith("_IN_PROGRESS") or not (begun or status == "DELETE_COMPLETE"):
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
            if "does not exist" not in fault.message:
                raise
        seen.update(event.id for event in fresh)
        return fresh[::-1]

    def _event_ids(self, stack_id: str) -> set[str]:
        return {event.id for event in self._news(stack_id, set())}

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


def _refusal(name: str, error: ClientError) -> Misconfigured | Busy | None:
    """Why a stack cannot be planned; None if that is not for this module to say."""
    told = error.response.get("Error", {})
    code, message = told.get("Code"), str(told.get("Message", ""))
    if code == "LimitExceededException":  # of stacks; elsewhere the code means "slow down"
        return Misconfigured(f"CloudFormation takes no more stacks: {message}", remedy=remedy_for("quota"))
    if code != "ValidationError":
        return None
    if "_IN_PROGRESS state" in message:  # somebody was faster
        return Busy(
            f"stack {name} is being changed", retry_after=timedelta(minutes=1), remedy="wait until it has settled"
        )
    return Misconfigured(f"CloudFormation refuses {name}: {message}", remedy=remedy_for(message) or _PARAMETER)


def require_unprotected(stack: Stack | None) -> None:
    """Refused, with the command that ends it, if the stack is protected from termination."""
    if stack and stack.protected:
        raise Refused(
            f"stack {stack.name} is protected from termination",
            remedy=f"`aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name"
            f" {stack.name}`, then remove again",
        )


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
    )


def _change(entry: Mapping[str, Any]) -> Change:
    return Change(
        action=str(entry["Action"]),
        resource=str(entry["LogicalResourceId"]),
        type=str(entry["ResourceType"]),
        replacement=entry.get("Replacement") == "True",
    )
