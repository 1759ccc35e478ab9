"""The doctor's values: what was seen, and what it means. Nothing here calls a cloud."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class Group(Enum):
    """What findings are about; `--only` names one."""

    IDENTITY = "identity"
    RIGHTS = "rights"
    CLOCK = "clock"
    QUOTAS = "quotas"
    NETWORK = "network"
    STACKS = "stacks"
    FUNCTIONS = "functions"
    ALARMS = "alarms"
    CREDENTIALS = "credentials"
    ARTIFACTS = "artifacts"


class State(Enum):
    """Whether something has to be done."""

    OK = "ok"
    ADVICE = "advice"  # works as it is; worth knowing
    UNKNOWN = "unknown"  # cannot be judged from here, or may not be seen
    ACT = "act"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. Whatever is not OK says what it means and has exactly one command."""

    check: str  # its name in the catalogue
    state: State
    subject: str
    what: str
    means: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Unseen:
    """In the place of a fact: it could not be had, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is to be examined."""

    region: str
    enrolment: str  # names of stacks; they need not be there
    patching: str
    nodes: int = 0  # servers that are planned; 0: nothing is said about it
    vpc: str = ""  # for before the endpoint is there
    groups: frozenset[Group] = frozenset(Group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks."""

    arn: str
    account: str

    @property
    def is_root(self) -> bool:
        """Whether it is the account itself, which needs no rights and cannot be simulated."""
        return self.arn.endswith(":root")


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaLimits:
    """Concurrent executions of an account and Region."""

    total: int
    unreserved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpc:
    """The two attributes that private DNS names need."""

    id: str
    dns_support: bool
    dns_hostnames: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A VPC endpoint."""

    id: str
    service: str
    state: str
    private_dns: bool
    vpc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource of a stack."""

    logical: str
    physical: str
    type: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFacts:
    """A stack with what it is made of. `expected`: function's logical id → its settings as the template has them."""

    name: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    resources: tuple[Resource, ...]
    template: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """A document's versions: the one that is started unless another is named, and the newest."""

    default: str
    newest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function as it is configured."""

    name: str
    settings: Mapping[str, str]  # Runtime, Handler, Timeout, MemorySize, Architecture
    variables: frozenset[str]  # names in its environment
    state: str
    last_update: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm as it stands."""

    name: str
    state: str
    reason: str
    actions_enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriptions:
    """Who is told by a topic."""

    confirmed: int
    pending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The settings of a bucket that matter for zips."""

    name: str
    encrypted: bool
    versioned: bool
    private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A stored credential, without its value."""

    name: str
    expires_at: datetime | None  # of a certificate; a client secret does not tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All findings, in the order in which they were made."""

    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """Whether nothing has to be done."""
        return not self.needing_action

    @property
    def needing_action(self) -> tuple[Finding, ...]:
        """What has to be done."""
        return tuple(each for each in self.findings if each.state is State.ACT)
