"""The managed nodes of a world: registered by activations, heard by heartbeats, forgotten by deregistration."""

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from localcloud.aws.agent import signatures
from localcloud.aws.ssm import choices
from localcloud.aws.ssm.activations import Activation, Activations, Tags
from localcloud.aws.ssm.node import ManagedNode, PingStatus
from localcloud.aws.ssm.settings import STANDARD, ServiceSettings
from localcloud.errors import ServiceError
from localcloud.principals import Credentials, Kind, Principal
from localcloud.world import World


class _TierFull(ServiceError):
    """The Region's tier allows no further node; the activation had room."""


class ManagedNodes:
    """All managed nodes of a world, in every Region. Threads may share it; nodes are values, changed by replacement.

    Adjustable: `heartbeat_threshold` (emulated time, scaled by the clock), `token_lifetime` (real time), `poll_hold`
    (emulated) and `held_polls` of the agent's long polls, `control_channel` (off: agents are kept on ec2messages),
    `takes_replies` (off: replies on control channels are lost, unacknowledged; agents send them again).
    `refusals` counts refused registrations by code.
    """

    def __init__(self, world: World) -> None:
        self.heartbeat_threshold = choices.HEARTBEAT_THRESHOLD
        self.token_lifetime: timedelta = choices.TOKEN_LIFETIME
        self.poll_hold = choices.POLL_HOLD
        self.held_polls = choices.HELD_POLLS
        self.control_channel = True
        self.takes_replies = True
        self.refusals: Counter[str] = Counter()
        self._world = world
        self._activations = world.part(Activations)
        self._settings = world.part(ServiceSettings)
        self._nodes: dict[str, ManagedNode] = {}
        self._by_registration_key: dict[str, str] = {}
        self._in_region: Counter[str] = Counter()
        self._channels: Counter[str] = Counter()
        self._lock = threading.Lock()

    def register(
        self, *, activation_id: str, code: str, fingerprint: str, public_key: str, region: str | None = None
    ) -> ManagedNode:
        """The node of this public key: a new one, or, if the key is known, the one whose answer was lost.

        A known fingerprint with a new key is a new node. Raises ServiceError with the service's code and counts
        nothing then. `region` None: the request did not say which; the activation's holds.
        """
        try:
            signatures.public_key(public_key)
            with self._lock:
                return self._repeated(activation_id, code, public_key) or self._registered(
                    activation_id, code, fingerprint, public_key, region
                )
        except ServiceError as refusal:
            with self._lock:
                self.refusals[choices.TIER_LIMIT if isinstance(refusal, _TierFull) else refusal.code] += 1
            raise

    def seed(
        self, *, node_id: str, fingerprint: str, public_key: str, region: str | None = None, iam_role: str = "node-role"
    ) -> ManagedNode:
        """Make a given node known, without a registration (recordings bring their own ids and keys)."""
        signatures.public_key(public_key)
        node = ManagedNode(
            id=node_id,
            region=region or self._world.region,
            activation_id="",
            iam_role=iam_role,
            registered_at=self._world.clock.now(),
            fingerprint=fingerprint,
            public_key=public_key,
            registration_key=public_key,
            source_id=node_id,
        )
        with self._lock:
            return self._add(node)

    def find(self, node_id: str) -> ManagedNode | None:
        """The node as it is now, or None if it is not (or no longer) registered."""
        return self._nodes.get(node_id)

    def get(self, node_id: str) -> ManagedNode:
        """The node as it is now; raises ServiceError InvalidInstanceId with the id if it is not registered."""
        node = self._nodes.get(node_id)
        if node is None:
            raise ServiceError("InvalidInstanceId", node_id)
        return node

    def all(self, region: str | None = None) -> list[ManagedNode]:
        """Every registered node, of one Region or of all."""
        with self._lock:
            return [node for node in self._nodes.values() if region in (None, node.region)]

    def ping_status(self, node: ManagedNode) -> PingStatus:
        """Online if a control channel is open, or the last heartbeat is younger than `heartbeat_threshold`."""
        clock = self._world.clock
        if self._channels[node.id]:
            return PingStatus.ONLINE
        if node.last_ping is None or clock.now() - node.last_ping >= clock.scaled(self.heartbeat_threshold):
            return PingStatus.CONNECTION_LOST
        return PingStatus.ONLINE

    def heard(self, node_id: str, reported: Mapping[str, str]) -> ManagedNode:
        """Note a heartbeat: the members of an UpdateInstanceInformation that the node sent."""
        with self._lock:
            node = self.get(node_id)
            return self._put(
                replace(node, heartbeat=node.heartbeat.updated(reported), last_ping=self._world.clock.now())
            )

    def channel_opened(self, node_id: str) -> None:
        """Note that the node has a control channel (one more)."""
        with self._lock:
            self._channels[node_id] += 1

    def channel_closed(self, node_id: str) -> None:
        """Note that one of the node's control channels is gone."""
        with self._lock:
            self._channels[node_id] -= 1

    def issue_token(self, node_id: str) -> Credentials:
        """A new role token of the node; the older ones stay good until they expire."""
        node = self.get(node_id)
        return self._world.credentials.issue(
            self.principal_of(node), expires_at=self._world.clock.now() + self.token_lifetime
        )

    def principal_of(self, node: ManagedNode) -> Principal:
        """Who a node is once it has its role token."""
        role = node.iam_role.rsplit("/", 1)[-1]
        arn = f"arn:aws:sts::{self._world.account}:assumed-role/{role}/{node.id}"
        return Principal(kind=Kind.NODE, arn=arn, role_name=role, session=node.id)

    def ask_for_new_key(self, node_id: str) -> None:
        """Set UpdateKeyPair in the node's next token answers, until it has changed its key."""
        with self._lock:
            self._put(replace(self.get(node_id), wants_new_key=True))

    def change_key(self, node_id: str, public_key: str, *, signed_with: str) -> None:
        """Switch the node to a new public key, in one step with clearing UpdateKeyPair.

        `signed_with` is the key that verified the request. Raises ServiceError InvalidPublicKey, or
        InvalidSignatureException if another change came first.
        """
        signatures.public_key(public_key)
        with self._lock:
            node = self.get(node_id)
            if node.public_key != signed_with:
                raise ServiceError("InvalidSignatureException", "The key of this signature has been replaced.")
            self._put(replace(node, public_key=public_key, wants_new_key=False))

    def change_tags(self, node_id: str, change: Callable[[Tags], Tags]) -> None:
        """Replace all tags of a node by `change` of the present ones, in one step; `change` may refuse by raising."""
        with self._lock:
            node = self.get(node_id)
            self._put(replace(node, tags=change(node.tags)))

    def set_source(self, node_id: str, *, source_id: str, source_type: str, location: str = "") -> None:
        """Say which cloud's VM the node is (`Microsoft.Compute/virtualMachines`, the VM's GUID, its place)."""
        with self._lock:
            self._put(
                replace(self.get(node_id), source_id=source_id, source_type=source_type, source_location=location)
            )

    def deregister(self, node_id: str, *, region: str) -> None:
        """Forget a node; its registration stays counted. Raises ServiceError InvalidInstanceId if there is none."""
        with self._lock:
            node = self.get(node_id)
            if node.region != region:
                raise ServiceError("InvalidInstanceId", node_id)
            del self._nodes[node_id]
            self._in_region[region] -= 1
            if self._by_registration_key.get(node.registration_key) == node_id:
                del self._by_registration_key[node.registration_key]

    def count(self, region: str) -> int:
        """How many nodes are registered in a Region."""
        return self._in_region[region]

    def _repeated(self, activation_id: str, code: str, public_key: str) -> ManagedNode | None:
        node_id = self._by_registration_key.get(public_key)
        if node_id is None:
            return None
        if not self._activations.fits(activation_id, code):
            raise ServiceError("InvalidActivation", "The activation is not valid: ID and code do not match.")
        node = self._nodes[node_id]
        if node.activation_id != activation_id:
            raise ServiceError("InstanceAlreadyRegistered", f"This public key is registered already, as {node_id}.")
        return node

    def _registered(
        self, activation_id: str, code: str, fingerprint: str, public_key: str, region: str | None
    ) -> ManagedNode:
        activation = self._activations.redeem(activation_id, code, region=region, admit=self._require_room)
        node_id = f"mi-0{secrets.token_hex(8)}"
        return self._add(
            ManagedNode(
                id=node_id,
                region=activation.region,
                activation_id=activation.id,
                iam_role=activation.iam_role,
                name=activation.default_instance_name,
                registered_at=self._world.clock.now(),
                fingerprint=fingerprint,
                public_key=public_key,
                registration_key=public_key,
                tags=activation.tags,
                source_id=node_id,
            )
        )

    def _require_room(self, activation: Activation) -> None:
        if self._settings.tier(activation.region).value != STANDARD:
            return
        if self._in_region[activation.region] >= choices.STANDARD_TIER_NODES:
            raise _TierFull(
                "RegistrationLimitExceeded",
                f"The standard tier allows {choices.STANDARD_TIER_NODES} hybrid nodes per account and Region.",
            )

    def _add(self, node: ManagedNode) -> ManagedNode:
        known = self._nodes.get(node.id)
        if known is not None:
            self._in_region[known.region] -= 1
        self._in_region[node.region] += 1
        self._by_registration_key[node.registration_key] = node.id
        return self._put(node)

    def _put(self, node: ManagedNode) -> ManagedNode:
        self._nodes[node.id] = node
        return node
