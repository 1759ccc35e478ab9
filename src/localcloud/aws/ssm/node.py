"""A managed node as a value, and what its heartbeat reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum

from localcloud.aws.ssm.activations import Tags

HYBRID_SOURCE = "AWS::SSM::ManagedInstance"


class PingStatus(StrEnum):
    """Whether a node's heartbeats arrive."""

    ONLINE = "Online"
    CONNECTION_LOST = "ConnectionLost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a node last said of itself; empty fields were not reported (yet)."""

    agent_name: str = ""
    agent_status: str = ""
    agent_version: str = ""
    availability_zone: str = ""
    availability_zone_id: str = ""
    computer_name: str = ""
    ip_address: str = ""
    platform_name: str = ""
    platform_type: str = ""
    platform_version: str = ""
    connection_channel: str = ""  # "", "ec2messages" or "ssmmessages"

    def updated(self, params: Mapping[str, str]) -> "Heartbeat":
        """This heartbeat with the fields that an UpdateInstanceInformation names; a short one leaves the rest alone."""
        reported = {name: params.get(wire, getattr(self, name)) for name, wire in WIRE_NAMES.items()}
        return Heartbeat(**reported)


WIRE_NAMES: Mapping[str, str] = {
    "agent_name": "AgentName",
    "agent_status": "AgentStatus",
    "agent_version": "AgentVersion",
    "availability_zone": "AvailabilityZone",
    "availability_zone_id": "AvailabilityZoneId",
    "computer_name": "ComputerName",
    "ip_address": "IPAddress",
    "platform_name": "PlatformName",
    "platform_type": "PlatformType",
    "platform_version": "PlatformVersion",
    "connection_channel": "SSMConnectionChannel",
}
assert set(WIRE_NAMES) == {one.name for one in fields(Heartbeat)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedNode:
    """A hybrid node as the service knows it. `last_ping` None: it has never sent a heartbeat."""

    id: str  # mi- and 17 hex digits
    region: str
    activation_id: str
    iam_role: str
    name: str = ""
    registered_at: datetime
    fingerprint: str
    public_key: str = field(repr=False)  # base64 of the SubjectPublicKeyInfo that verifies its calls now
    registration_key: str = field(repr=False)  # the one it registered with
    tags: Tags = ()
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    last_ping: datetime | None = None
    wants_new_key: bool = False  # UpdateKeyPair in the next token answer
    source_id: str = ""
    source_type: str = HYBRID_SOURCE
    source_location: str = ""
