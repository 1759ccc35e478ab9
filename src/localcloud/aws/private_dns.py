"""Private DNS names of interface endpoints: only in a VPC that has DNS, which moto does not look at.

Sources: EC2 API Reference, CreateVpcEndpoint and ModifyVpcEndpoint ("you must set the following VPC attributes to true:
enableDnsHostnames and enableDnsSupport"); the refusal is worded as the GuardDuty User Guide quotes it from EC2.
"""

from collections.abc import Mapping
from typing import Any

from localcloud.aws import motobridge
from localcloud.aws.call import Call, Operation
from localcloud.errors import ServiceError
from localcloud.wire import Response
from localcloud.world import World


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """CreateVpcEndpoint, checked; ModifyVpcEndpoint, which moto carries out without private DNS names."""

    def create(call: Call) -> Response:
        given = call.params
        # moto keeps them as wanted where nothing is said; gateway endpoints have none.
        if given.get("VpcEndpointType") == "Interface" and given.get("PrivateDnsEnabled", True):
            with world.moto_lock:
                _require_dns(world.backend("ec2", call.region).get_vpc(given["VpcId"]))
        return motobridge.pass_on(world, call)

    def modify(call: Call) -> Response:
        wanted = call.params.get("PrivateDnsEnabled")
        if wanted is None:
            return motobridge.pass_on(world, call)
        with world.moto_lock:
            backend = world.backend("ec2", call.region)
            (endpoint,) = backend.describe_vpc_endpoints(vpc_end_point_ids=[call.params["VpcEndpointId"]])
            if wanted:
                _require_dns(backend.get_vpc(endpoint.vpc_id))
            answer = motobridge.pass_on(world, call)
            endpoint.private_dns_enabled = wanted
        return answer

    return {("ec2", "CreateVpcEndpoint"): create, ("ec2", "ModifyVpcEndpoint"): modify}


def _require_dns(vpc: Any) -> None:
    # moto keeps what ModifyVpcAttribute brings as text.
    switches = (str(switch).lower() for switch in (vpc.enable_dns_support, vpc.enable_dns_hostnames))
    if any(switch != "true" for switch in switches):
        message = (
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for"
            f" {vpc.id}"
        )
        raise ServiceError("InvalidParameter", message)
