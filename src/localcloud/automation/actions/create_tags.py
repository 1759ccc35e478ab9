"""aws:createTags: tags EC2 resources, or one managed node, maintenance window or parameter of Systems Manager."""

from collections.abc import Mapping
from typing import Any

from localcloud.automation.actions.api import call_api
from localcloud.automation.actions.inputs import choice, only, require, texts
from localcloud.automation.actions.protocol import Finished, StepCall, Turn
from localcloud.automation.actions.single import SingleTurn
from localcloud.automation.actions.wording import invalid_input

_TYPES = ("EC2", "ManagedInstance", "MaintenanceWindow", "Parameter")
_NAMES = {"Key", "Value"}


class CreateTags(SingleTurn):
    """Adds the tags; those of the same key are overwritten."""

    name = "aws:createTags"
    default_timeout = None

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Resources and tags are there; more than one resource only of EC2."""
        require(inputs, "ResourceIds", "Tags")
        only(inputs, ("ResourceIds", "ResourceType", "Tags"))
        kind, ids = choice(inputs, "ResourceType", _TYPES), texts(inputs, "ResourceIds")
        if kind != "EC2" and len(ids) != 1:
            raise invalid_input(f"ResourceIds must hold exactly one resource of type {kind}, not {len(ids)}")
        tags = inputs["Tags"]
        if not isinstance(tags, list) or not all(isinstance(tag, Mapping) and set(tag) == _NAMES for tag in tags):
            raise invalid_input("Tags must be a list of maps, each with Key and Value")

    def begin(self, call: StepCall) -> Turn:
        """The call of EC2 or Systems Manager."""
        kind, ids = choice(call.inputs, "ResourceType", _TYPES), texts(call.inputs, "ResourceIds")
        tags = list(call.inputs["Tags"])
        if kind == "EC2":
            call_api(call, service="ec2", api="CreateTags", arguments={"Resources": ids, "Tags": tags})
        else:
            arguments = {"ResourceType": kind, "ResourceId": ids[0], "Tags": tags}
            call_api(call, service="ssm", api="AddTagsToResource", arguments=arguments)
        return Finished()
