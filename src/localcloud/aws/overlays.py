"""Which operations the local cloud carries out itself, instead of or beyond moto: the table of their owners.

An owner is a function `operations(world) -> Mapping[(service, operation), Operation]`. Overlays run outside moto's
lock: one that waits (a long poll, an invoked function) or calls the endpoint again holds nobody up. One that touches a
moto backend holds `world.moto_lock` while it does; one that only checks before or completes afterwards what moto does
uses `motobridge.pass_on`.
"""

from collections.abc import Mapping

from localcloud.aws import event_bus, identity, notifications, object_deletions, private_dns, web_identity
from localcloud.aws.apigateway import operations as apigateway
from localcloud.aws.call import Operation
from localcloud.aws.cloudformation import operations as cloudformation
from localcloud.aws.dynamodb import operations as dynamodb
from localcloud.aws.functions import operations as functions
from localcloud.aws.iam import operations as iam
from localcloud.aws.iam import simulation
from localcloud.aws.ssm import operations as ssm
from localcloud.world import World

OWNERS = (
    identity.operations,
    web_identity.operations,
    notifications.operations,
    event_bus.operations,
    private_dns.operations,
    object_deletions.operations,
    iam.operations,
    simulation.operations,
    dynamodb.operations,
    ssm.operations,
    functions.operations,
    cloudformation.operations,
    apigateway.operations,
)


def overlays(world: World) -> Mapping[tuple[str, str], Operation]:
    """All operations of all owners for one world; no operation has two owners."""
    found: dict[tuple[str, str], Operation] = {}
    for owner in OWNERS:
        for key, operation in owner(world).items():
            if key in found:
                raise RuntimeError(f"two owners carry out {key[0]}:{key[1]}")
            found[key] = operation
    return found
