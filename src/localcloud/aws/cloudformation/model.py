"""Stacks as the engine keeps them: resources, events, change sets."""

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.aws.cloudformation.template import ResourceDefinition, Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a resource type hands back: the physical id (what Ref yields) and the attributes for Fn::GetAtt."""

    id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class StackResource:
    """One resource of a stack; `properties` are the resolved ones it was last made with."""

    definition: ResourceDefinition
    made: Made | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    reason: str = ""
    at: datetime

    @property
    def logical_id(self) -> str:
        return self.definition.logical_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a stack's history."""

    id: str
    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str
    at: datetime
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a create or update asks for, checked and complete."""

    template: Template
    values: Mapping[str, str]  # text of every parameter
    tags: Mapping[str, str]
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of a change set."""

    action: str  # Add, Modify, Remove
    logical_id: str
    physical_id: str
    type: str
    replacement: str = ""  # True, False, Conditional; only for Modify
    properties: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class ChangeSet:
    """A change set; FAILED with the service's reason if it holds no change."""

    id: str
    name: str
    kind: str
    wanted: Wanted
    description: str
    created: datetime
    changes: tuple[Change, ...]
    status: str
    reason: str = ""
    execution: str = "AVAILABLE"


@dataclass(slots=True, kw_only=True)
class Stack:
    """One stack and all that DescribeStacks and its relatives tell of it."""

    id: str
    name: str
    wanted: Wanted
    created: datetime
    status: str = ""
    reason: str = ""
    updated: datetime | None = None
    deleted: datetime | None = None
    resources: dict[str, StackResource] = field(default_factory=dict)
    outputs: list[dict[str, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    on_failure: str = "ROLLBACK"
    protected: bool = False
    token: str = ""
    operation: threading.Thread | None = None  # the last one that was begun
    turning: threading.Lock = field(default_factory=threading.Lock, repr=False)  # a deletion may meet a creation

    def turn(self, status: str, *, at: datetime, after: str, reason: str = "") -> bool:
        """Note the stack's next status if it still is in `after`; False if somebody has turned it elsewhere."""
        with self.turning:
            if self.status != after:
                return False
            self.note(at=at, status=status, reason=reason)
            return True

    def note(self, *, at: datetime, status: str, reason: str = "", resource: StackResource | None = None) -> None:
        """Add an event about `resource`, or about the stack itself, and make it the current status."""
        if resource is None:
            self.status, self.reason = status, reason
            logical, physical, kind = self.name, self.id, "AWS::CloudFormation::Stack"
        else:
            resource.status, resource.reason, resource.at = status, reason, at
            logical, kind = resource.logical_id, resource.definition.type
            physical = resource.made.id if resource.made else ""
        self.events.append(
            Event(
                id=str(uuid.uuid4()) if resource is None else f"{logical}-{status}-{uuid.uuid4()}",
                logical_id=logical,
                physical_id=physical,
                type=kind,
                status=status,
                reason=reason,
                at=at,
                token=self.token,
            )
        )

    @property
    def is_busy(self) -> bool:
        """Whether an operation is still under way."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"
