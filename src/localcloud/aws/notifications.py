"""Subscriptions of topics: only those whose messages arrive without leaving this host.

moto would post to web addresses in earnest, and give functions their messages by Docker.
"""

from collections.abc import Mapping

from localcloud.aws import motobridge
from localcloud.aws.call import Call, Operation
from localcloud.errors import Unsupported
from localcloud.wire import Response
from localcloud.world import World

# Mail is accepted, as a template for both worlds needs it, and sent to nobody.
PROTOCOLS = frozenset({"email", "email-json", "sqs"})


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """Subscribe, checked."""

    def subscribe(call: Call) -> Response:
        protocol = call.params["Protocol"]
        if protocol not in PROTOCOLS:
            raise Unsupported(f"the local cloud delivers no messages of topics by {protocol}")
        return motobridge.pass_on(world, call)

    return {("sns", "Subscribe"): subscribe}
