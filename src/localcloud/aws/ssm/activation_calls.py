"""CreateActivation, DescribeActivations, DeleteActivation."""

from collections.abc import Callable, Mapping
from typing import Any

from localcloud.aws.call import Call
from localcloud.aws.ssm.activations import Activation, Activations
from localcloud.aws.ssm.paging import page
from localcloud.aws.ssm.roles import require_node_role
from localcloud.aws.ssm.tags import require_tags, wire_tags
from localcloud.errors import ServiceError, Unsupported
from localcloud.world import World

DEFAULT_PAGE = 50

_FILTERS: Mapping[str, Callable[[Activation], str]] = {
    "ActivationIds": lambda activation: activation.id,
    "DefaultInstanceName": lambda activation: activation.default_instance_name,
    "IamRole": lambda activation: activation.iam_role,
}


class ActivationCalls:
    """The activation operations of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._activations = world.part(Activations)

    def create(self, call: Call) -> Mapping[str, Any]:
        """CreateActivation: the only answer that ever shows the code."""
        params = call.params
        if params.get("RegistrationMetadata"):
            raise Unsupported("the local cloud does not keep CreateActivation's RegistrationMetadata (reserved)")
        tags = require_tags(params.get("Tags", []), code="InvalidParameters")
        require_node_role(self._world, params["IamRole"], region=call.region)
        activation = self._activations.create(
            region=call.region,
            iam_role=params["IamRole"],
            registration_limit=params.get("RegistrationLimit", 1),
            expires_at=params.get("ExpirationDate"),
            default_instance_name=params.get("DefaultInstanceName", ""),
            description=params.get("Description", ""),
            tags=tags,
        )
        return {"ActivationId": activation.id, "ActivationCode": activation.code}

    def describe(self, call: Call) -> Mapping[str, Any]:
        """DescribeActivations: oldest first, filters joined by AND, never a code."""
        filters = call.params.get("Filters", [])
        for one in filters:
            if one.get("FilterKey") not in _FILTERS:
                raise ServiceError("InvalidFilter", f"{one.get('FilterKey')} is not a filter key")
        wanted = [(_FILTERS[one["FilterKey"]], frozenset(one.get("FilterValues", []))) for one in filters]
        shown, token = page(
            (it for it in self._activations.live(call.region) if all(read(it) in values for read, values in wanted)),
            key=lambda activation: f"{activation.created_at.isoformat(timespec='microseconds')} {activation.id}",
            size=call.params.get("MaxResults", DEFAULT_PAGE),
            token=call.params.get("NextToken", ""),
            question=["DescribeActivations", call.region, filters],
        )
        answer: dict[str, Any] = {"ActivationList": [self._described(it, call) for it in shown]}
        return answer | ({"NextToken": token} if token else {})

    def delete(self, call: Call) -> Mapping[str, Any]:
        """DeleteActivation: registers nothing more; its nodes stay."""
        self._activations.delete(call.params["ActivationId"], region=call.region)
        return {}

    def _described(self, activation: Activation, call: Call) -> Mapping[str, Any]:
        count = self._activations.visible_count(activation.id)
        optional = {
            "Description": activation.description,
            "DefaultInstanceName": activation.default_instance_name,
            "Tags": wire_tags(activation.tags),
            "RegistrationsCount": count,  # absent at zero: the model's minimum is 1
        }
        return {
            "ActivationId": activation.id,
            "IamRole": activation.iam_role,
            "RegistrationLimit": activation.registration_limit,
            "ExpirationDate": activation.expires_at,
            "Expired": activation.expired(call.now),
            "CreatedDate": activation.created_at,
            **{name: value for name, value in optional.items() if value},
        }
