"""A runbook as a value: what its text says, after parsing and validation, before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class ValueType(Enum):
    """The types of parameters, variables and outputs."""

    STRING = "String"
    STRING_LIST = "StringList"
    INTEGER = "Integer"
    BOOLEAN = "Boolean"
    STRING_MAP = "StringMap"
    MAP_LIST = "MapList"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a document. `aws_type` is set for `AWS::EC2::Instance::Id` and the like (then `type` is String or
    StringList)."""

    name: str
    type: ValueType
    aws_type: str = ""
    description: str = ""
    default: Any = None  # None: the parameter is required
    allowed_values: tuple[Any, ...] = ()
    allowed_pattern: str = ""
    min_items: int | None = None
    max_items: int | None = None
    min_chars: int | None = None
    max_chars: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable of a document."""

    name: str
    type: ValueType
    default: Any = None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A named output of a step."""

    name: str
    selector: str
    type: ValueType = ValueType.STRING


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step. `on_failure` and `on_cancel` are "Abort", "Continue" or "step:NAME"; `critical` has its default resolved.

    A step of a loop lies in the loop step's `steps`, not in the document's.
    """

    name: str
    action: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    max_attempts: int = 1
    timeout_seconds: int | None = None  # None: the action's default
    on_failure: str = "Abort"
    on_cancel: str = "Abort"
    is_end: bool = False
    next_step: str = ""
    critical: bool = True
    outputs: tuple[Output, ...] = ()
    steps: tuple["Step", ...] = ()
    # What the text sets explicitly: the service shows only such properties in its answers.
    explicit: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """A validated Automation document."""

    steps: tuple[Step, ...]
    description: str = ""
    assume_role: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    variables: Mapping[str, Variable] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()  # "Step.Output"
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # attachments: name -> {"checksums": …}

    def step(self, name: str) -> Step:
        """The step of that name, inside loops too; KeyError if there is none."""
        return self.all_steps()[name]

    def all_steps(self) -> dict[str, Step]:
        """Every step by name, inside loops too, in the document's order."""
        found: dict[str, Step] = {}
        for step in self.steps:
            found[step.name] = step
            found.update((inner.name, inner) for inner in step.steps)
        return found
