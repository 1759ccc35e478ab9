"""Handing a call on to moto, for operations that only check before or complete afterwards what moto does."""

from typing import TYPE_CHECKING

from localcloud.aws import motobridge
from localcloud.aws.call import Call
from localcloud.wire import Response

if TYPE_CHECKING:
    from localcloud.world import World


def by_moto(world: "World", call: Call) -> Response:
    """moto's own answer to the call."""
    request = motobridge.moto_request(call.request, service=call.service, account=call.account, region=call.region)
    with world.moto_lock:
        return motobridge.call(request, service=call.service, operation=call.operation)
