"""What the engine needs from its surroundings, and what it is asked to start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from localcloud.automation.actions.protocol import Surroundings
from localcloud.automation.document import Runbook
from localcloud.automation.errors import InvalidTargets
from localcloud.automation.records import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDocument:
    """A runbook as it is stored."""

    name: str
    version: str  # a number
    runbook: Runbook
    attachments: Mapping[str, bytes] = field(default_factory=dict)


class DocumentSource(Protocol):
    """Where runbooks come from."""

    def find(self, name: str, version: str) -> FoundDocument:
        """The document of a name (or ARN) and version ("" or "$DEFAULT", "$LATEST", a number).

        Raises errors.DocumentNotFound or errors.DocumentVersionNotFound.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """Who started an execution. `identity` is what the surroundings know him by; the engine only hands it on."""

    arn: str = ""
    identity: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """An execution that wants surroundings."""

    execution_id: str
    assume_role: str  # ARN or ""; references are resolved
    starter: Starter
    attachments: Mapping[str, bytes]


class Surrounder(Protocol):
    """Makes the surroundings of an execution."""

    def surroundings(self, setting: Setting) -> Surroundings:
        """Raises errors.CannotAssumeRole."""


class TargetSource(Protocol):
    """Finds what `Targets` means."""

    def resolve(self, key: str, values: Sequence[str]) -> list[str]:
        """The parameter values of one target (`tag:NAME`, `ResourceGroup`, `AWS::EC2::Instance`).

        `ParameterValues` never comes here. Raises errors.InvalidTargets for a key that it does not know.
        """


class NoTargets:
    """For engines without resources: only ParameterValues and TargetMaps can be targets."""

    def resolve(self, key: str, values: Sequence[str]) -> list[str]:
        """Refuse."""
        raise InvalidTargets(f"{key} cannot be resolved here; only ParameterValues can.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRequest:
    """Rate control as it is asked for."""

    parameter_name: str = ""
    targets: Sequence[Mapping[str, Any]] = ()  # [{"Key", "Values"}], at most one
    target_maps: Sequence[Mapping[str, Sequence[str]]] = ()
    max_concurrency: str = ""
    max_errors: str = ""

    def __bool__(self) -> bool:
        """Whether anything is targeted at all."""
        return bool(self.targets or self.target_maps)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """An execution to be started. `parameters`: wire form (lists of strings) or plain values."""

    document_name: str
    document_version: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    mode: Mode = Mode.AUTO
    starter: Starter = field(default_factory=Starter)
    client_token: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    rate: TargetRequest = field(default_factory=TargetRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The service's limits and durations; adjustable where an account's are."""

    concurrent: int = 100  # executions that run; up to 500 with adaptive concurrency
    blocked: int = 400  # further ones that wait in approve, pause, sleep, or for a child
    queued: int = 5000
    parents: int = 25  # rate-controlled executions
    queued_parents: int = 1000
    nesting: int = 5  # levels below the top
    cancel_budget: timedelta = timedelta(minutes=2)
    max_concurrency: str = "10"  # of a rate-controlled execution that does not say
    max_errors: str = "0"
    history: timedelta = timedelta(days=30)
