"""API Gateway's control plane as operations of the endpoint; what is not here is refused by its name."""

from collections.abc import Mapping
from typing import NoReturn

from botocore.loaders import Loader

from localcloud.aws.apigateway.control import Control
from localcloud.aws.apigateway.stages import Deploying
from localcloud.aws.call import Call, Operation
from localcloud.errors import ServiceError
from localcloud.world import World


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """All operations of REST APIs for one world."""
    names = Loader().load_service_model("apigateway", "service-2")["operations"]
    made: dict[tuple[str, str], Operation] = {("apigateway", name): _refusal(name) for name in names}
    for table in (Control(world).table(), Deploying(world).table()):
        made.update({("apigateway", name): operation for name, operation in table.items()})
    return made


def _refusal(name: str) -> Operation:
    def refuse(_: Call) -> NoReturn:
        raise ServiceError(
            "NotImplementedByLocalCloud", f"the local cloud does not implement apigateway:{name}", status=501
        )

    return refuse
