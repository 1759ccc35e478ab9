"""VPC endpoints for execute-api as the front sees them: which they are, what their policy says, whom they let in."""

import ipaddress
from dataclasses import dataclass
from typing import Any

from localcloud.errors import ServiceError
from localcloud.world import World

HTTPS = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An interface endpoint at the time of a request."""

    id: str
    region: str
    vpc_id: str
    policy: str
    allowed: tuple[str, ...]  # CIDR blocks that its security groups let in on 443

    def lets_in(self, source_ip: str) -> bool:
        """Whether a packet from there reaches the endpoint."""
        address = ipaddress.ip_address(source_ip)
        return any(address in ipaddress.ip_network(block, strict=False) for block in self.allowed)


def endpoint(world: World, vpce_id: str) -> Endpoint:
    """The endpoint of an id, in whatever Region. Raises ServiceError (InvalidVpcEndpointId.NotFound)."""
    with world.moto_lock:
        for region in world.regions("ec2"):
            backend = world.backend("ec2", region)
            found = backend.vpc_end_points.get(vpce_id)
            if found is not None and found.service_name == f"com.amazonaws.{region}.execute-api":
                return Endpoint(
                    id=vpce_id,
                    region=region,
                    vpc_id=found.vpc_id,
                    policy=found.policy_document,
                    allowed=_allowed(backend, found),
                )
    message = f"The Vpc Endpoint Id '{vpce_id}' does not exist, or is not for execute-api"
    raise ServiceError("InvalidVpcEndpointId.NotFound", message)


def _allowed(backend: Any, found: Any) -> tuple[str, ...]:
    group_ids = found.security_group_ids or [_default_group(backend, found.vpc_id)]
    blocks = []
    for group_id in group_ids:
        group = backend.get_security_group_from_id(group_id)
        for rule in group.ingress_rules if group else []:
            if _covers(rule):
                # Rules that name a security group let nobody in: simulated servers belong to none.
                blocks.append(rule.ip_range.get("CidrIp", ""))
    return tuple(block for block in blocks if block)


def _default_group(backend: Any, vpc_id: str) -> str:
    group = backend.get_default_security_group(vpc_id)
    return str(group.id) if group else ""


def _covers(rule: Any) -> bool:
    if str(rule.ip_protocol) == "-1":
        return True
    if str(rule.ip_protocol) not in {"tcp", "6"}:
        return False
    return int(rule.from_port) <= HTTPS <= int(rule.to_port)
