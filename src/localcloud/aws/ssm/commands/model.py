"""A command, its invocations, and what the steps on a node reported, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.aws.ssm.commands.status import Detail, reported, share
from localcloud.aws.ssm.document_model import CommandStep, DocumentVersion, steps_of

_ID_PREFIX = "aws.ssm."


def message_id(command_id: str, node_id: str) -> str:
    """The id under which a command travels to a node, on either channel."""
    return f"{_ID_PREFIX}{command_id}.{node_id}"


def command_of(message: str) -> tuple[str, str]:
    """(command id, node id) of a message's id: its last two parts."""
    rest, _, node_id = message.rpartition(".")
    return rest.rpartition(".")[2], node_id


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step of an invocation last reported. `word` is the agent's own, such as Skipped or SuccessAndReboot."""

    name: str
    word: str
    code: int = -1
    output: str = ""  # both streams, as the agent shortened them
    standard_output: str = ""
    standard_error: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A command on one node."""

    node_id: str
    node_name: str = ""
    detail: Detail = Detail.PENDING
    steps: tuple[StepResult, ...] = ()  # as first reported
    trace: str = ""
    sent_at: datetime | None = None  # when MaxConcurrency let it go; from then on it is offered
    delivered: bool = False
    cancelling_since: datetime | None = None

    def step(self, name: str) -> StepResult | None:
        """What a step reported, if it did."""
        return next((one for one in self.steps if one.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command as it was sent."""

    id: str
    region: str
    document: DocumentVersion
    document_version: str  # as asked for: $DEFAULT, $LATEST or a number
    parameters: Mapping[str, list[str]] = field(repr=False)  # as given
    typed_parameters: Mapping[str, Any] = field(repr=False)  # as the agent gets them
    requested_at: datetime
    deliver_until: datetime  # not offered from then on
    expires_at: datetime  # from then on it is over, whatever the agent does
    timeout_seconds: int
    max_concurrency: str = "50"
    max_errors: str = "0"
    comment: str = ""
    instance_ids: tuple[str, ...] = ()
    targets: tuple[Mapping[str, Any], ...] = ()
    service_role: str = ""
    cancelled: bool = False  # somebody asked for its cancellation

    @property
    def steps(self) -> tuple[CommandStep, ...]:
        """The document's steps."""
        return tuple(steps_of(self.document.content))

    def concurrency(self, total: int) -> int:
        """On how many of `total` nodes it may run at once."""
        return share(self.max_concurrency, total, at_least=1)

    def errors_allowed(self, total: int) -> int:
        """How many errors of `total` nodes do not stop it."""
        return share(self.max_errors, total, at_least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What an agent says about a message; `id` is the same when it is sent again."""

    id: str
    status: str  # the agent's word for the document
    trace: str = ""
    steps: tuple[StepResult, ...] = ()


def merged(present: tuple[StepResult, ...], news: tuple[StepResult, ...]) -> tuple[StepResult, ...]:
    """The steps after a reply, by name: an end stands, anything else is replaced by what comes later.

    A step's only report may come after the document's end, so this goes on then.
    """
    found = {one.name: one for one in present}
    for one in news:
        known = found.get(one.name)
        if known is None or not reported(known.word).terminal:
            found[one.name] = one
    return tuple(found.values())
