"""Which operations the local cloud carries out itself, instead of or beyond moto: the table of their owners.

An owner is a function `operations(world) -> Mapping[(service, operation), Operation]`. Overlays run outside moto's
lock: one that waits (a long poll, an invoked function) or calls the endpoint again holds nobody up. One that touches a
moto backend holds `world.moto_lock` while it does.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from localcloud.aws.call import Operation

if TYPE_CHECKING:
    from localcloud.world import World

OWNERS = (
    "localcloud.aws.identity",
    "localcloud.aws.iam.operations",
    "localcloud.aws.ssm.operations",
    "localcloud.aws.functions.operations",
    "localcloud.aws.cloudformation.operations",
    "localcloud.aws.apigateway.operations",
)


def overlays(world: "World") -> Mapping[tuple[str, str], Operation]:
    """All operations of all owners for one world; no operation has two owners."""
    found: dict[tuple[str, str], Operation] = {}
    for name in OWNERS:
        try:
            owner = importlib.import_module(name)
        except (ImportError, SyntaxError):
            continue
        for key, operation in owner.operations(world).items():
            if key in found:
                raise RuntimeError(f"two owners carry out {key[0]}:{key[1]}")
            found[key] = operation
    return found
