"""Handing a call on to moto, for operations that only check before or complete afterwards what moto does."""

from typing import TYPE_CHECKING

from localcloud.aws import motobridge
from localcloud.aws.call import Call
from localcloud.wire import Response

if TYPE_CHECKING:
    from localcloud.world import World


def by_moto(world: "World", call: Call) -> Response:
    """moto's own answer to the call."""
    return motobridge.pass_on(world, call)
