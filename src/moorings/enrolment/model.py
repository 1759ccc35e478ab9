"""The values of enrolment: pools, rules, activations as the ledger knows them, grants. No decisions, no clouds.

The life of an activation: standby → current → draining → deleted. One ledger item per pool holds them all.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import IPv4Network, IPv6Network

LEASE = timedelta(seconds=5)  # how long one function may be the only one to create an activation for a pool
REPEAT_MARGIN = timedelta(minutes=10)  # a grant this close to the end of its claim window is not handed out again
KEEPER_PERIOD = timedelta(minutes=5)
SINGLE_USE_LIFE = timedelta(hours=1)
# On every activation, and so on every node that registers with it: whose it is, long after the activation is gone.
STACK_TAG = "moorings:stack"


class Mode(Enum):
    """How a pool hands out activations."""

    SHARED = "shared"  # one activation with many slots, counted by the ledger
    SINGLE_USE = "single-use"  # one activation per key, limit 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Settings under which activations are created and granted. Checked by `configuration.parse`, never by hand."""

    name: str
    mode: Mode
    node_role: str  # the IAM role (name, with its path) of the nodes
    registration_limit: int  # 1 to 1,000
    life: timedelta
    margin: timedelta  # an activation this close to its expiry is not granted any more
    claim_window: timedelta  # how long after its grant a node may still register
    grants_per_hour: int
    default_instance_name: str = ""
    tags: tuple[tuple[str, str], ...] = ()  # land on every node that registers
    code_key: str = ""  # the KMS key of the codes: the stack's, not the document's

    def settings_hash(self) -> str:
        """Changes whenever an activation made before would differ from one made now, or its code be out of reach."""
        made_of = [
            self.mode.value,
            self.node_role,
            self.registration_limit,
            self.default_instance_name,
            self.code_key,
            self.life.total_seconds(),
            sorted(self.tags),
        ]
        text = json.dumps(made_of, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Whoever shows `proof` and matches may draw from `pools`; none named means the first. Deny by default."""

    name: str
    proof: str
    vpces: frozenset[str]
    cidrs: tuple[Network, ...]
    pools: tuple[str, ...]
    tags: tuple[tuple[str, str], ...] = ()  # beside the pool's own, which they overrule; for single-use pools alone


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleNodes:
    """When a silent node counts as stale, and whether the keeper may deregister it (off unless asked for)."""

    after: timedelta
    deregister: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """What the served bootstrap scripts are filled in with, beside the API's own URL and Region."""

    packages: str  # base URL of the agent's packages; empty: the publisher's own for the Region
    signing_key: str  # armoured OpenPGP public key that signs the Linux packages; empty: not configured


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All pools and rules in force. `version` rises with every accepted change; 0 is the stack's own default."""

    version: int
    pools: Mapping[str, Pool]
    rules: tuple[Rule, ...]
    bootstrap: Bootstrap
    stale_nodes: StaleNodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a request came through, as the gateway itself says (requestContext), never a header."""

    vpce_id: str
    ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an accepted proof proved. `key` names it in audit records."""

    proof: str
    key: str
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHint:
    """What a server says of itself: for the audit record alone, never for a decision."""

    name: str = ""
    machine_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request for an activation. `key` empty: the plain form, which cannot be repeated for free."""

    source: Source
    key: str = field(default="", repr=False)
    pool: str = ""
    node: NodeHint = field(default_factory=NodeHint)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewActivation:
    """What CreateActivation answered: the only moment at which the code is shown."""

    id: str
    code: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An activation whose code is stored, as a ledger item holds it (current and standby alike)."""

    id: str
    limit: int
    expires_at: datetime
    settings: str  # Pool.settings_hash at its creation


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining:
    """An activation that is not granted any more; deleted at `until`. `issued` is its final count of slots."""

    id: str
    until: datetime
    issued: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """One pool's ledger item. Absent item: everything empty, generation 0."""

    current: Prepared | None = None
    issued: int = 0
    generation: int = 0  # rises with every change of `current`
    version: int = 0  # of the configuration that `current` was made under
    standby: Prepared | None = None
    draining: tuple[Draining, ...] = ()
    lease_id: str = ""
    lease_until: datetime | None = None
    hour: int = 0  # epoch hour that `granted_in_hour` counts
    granted_in_hour: int = 0

    def known(self) -> set[str]:
        """The ids of every activation that this item answers for."""
        held = {prepared.id for prepared in (self.current, self.standby) if prepared}
        return held | {drained.id for drained in self.draining}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One activation slot taken from a pool: ours alone, whatever happens next."""

    activation_id: str
    expires_at: datetime
    generation: int
    issued: int  # including this one
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One slot handed to one key. `attempt` tells our own write, seen again after a lost answer, from another's."""

    pool: str
    key_hash: str
    activation_id: str
    granted_at: datetime
    expires_at: datetime  # of the activation
    attempt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A single-use grant in the making: who creates its activation, until when."""

    pool: str
    key_hash: str
    lease_id: str
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Vended:
    """What a server gets."""

    activation_id: str
    code: str = field(repr=False)
    pool: Pool
    expires_at: datetime
    repeated: bool  # the same key had it before; no new slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An activation of this stack as the service lists it; pool and lease come from its Description."""

    id: str
    pool: str
    lease_id: str
    registrations: int
    limit: int
    created_at: datetime
    expires_at: datetime
    expired: bool


def key_hash(key: str) -> str:
    """How a request key is kept: it opens a grant, so the ledger does not hold it.

    160 bits, since it lies in the Description of single-use activations too, beside names of any length.
    """
    return hashlib.sha256(key.encode()).hexdigest()[:40]


def single_use_lease(hashed_key: str, nonce: str) -> str:
    """The lease id of a single-use claim: it names the key's grant, so that the keeper finds it from the activation."""
    return f"{hashed_key}.{nonce}"


def new_single_use_lease(hashed_key: str) -> str:
    """A lease id for another try at a key's single-use activation."""
    return single_use_lease(hashed_key, uuid.uuid4().hex[:8])


def grant_of_lease(lease_id: str) -> str:
    """The key hash in a single-use lease id; empty for the lease of a shared pool."""
    hashed, dot, _ = lease_id.partition(".")
    return hashed if dot else ""
