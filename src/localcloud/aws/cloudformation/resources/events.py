"""AWS::Events: rules on a schedule or with a pattern."""

import json
from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import DOCUMENT, INTEGER, TAGS, TEXT, ListOf, MapOf, Struct
from localcloud.aws.cloudformation.tags import retag, tag_pairs, tags_of
from localcloud.aws.cloudformation.types import Failed, Place, ResourceType, picked

Properties = Mapping[str, Any]


class Rule(ResourceType):
    """A rule with its schedule or pattern, and its targets."""

    name = "AWS::Events::Rule"
    properties = Struct(
        {
            "Name": TEXT,
            "Description": TEXT,
            "EventBusName": TEXT,
            "EventPattern": DOCUMENT,
            "ScheduleExpression": TEXT,
            "State": TEXT,
            "Targets": ListOf(
                Struct(
                    {
                        "Id": TEXT,
                        "Arn": TEXT,
                        "Input": TEXT,
                        "InputTransformer": Struct(
                            {"InputPathsMap": MapOf(TEXT), "InputTemplate": TEXT}, required=("InputTemplate",)
                        ),
                        "RetryPolicy": Struct({"MaximumRetryAttempts": INTEGER, "MaximumEventAgeInSeconds": INTEGER}),
                    },
                    required=("Id", "Arn"),
                )
            ),
            "Tags": TAGS,
        }
    )
    replaced_by = frozenset({"Name", "EventBusName"})
    attributes = frozenset({"Arn"})

    def create(self, place: Place, properties: Properties) -> Made:
        if not {"ScheduleExpression", "EventPattern"} & properties.keys():
            raise Failed("Parameter(s) EventPattern or ScheduleExpression must be specified.")
        name = properties.get("Name") or place.name()
        made = Made(id=name, attributes={"Arn": self._put(place, name, properties, tagged=True)})
        try:
            self._aim(place, name, {}, properties)
        except Exception:
            self.delete(place, made, properties)
            raise
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        self._put(place, made.id, new, tagged=False)
        self._aim(place, made.id, old, new)
        client = place.client("events")
        retag(
            old,
            new,
            untag=lambda keys: client.untag_resource(ResourceARN=made.attributes["Arn"], TagKeys=keys),
            tag=lambda tags: client.tag_resource(ResourceARN=made.attributes["Arn"], Tags=tag_pairs(tags)),
        )
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client, bus = place.client("events"), _bus(properties)
        try:
            targets = client.list_targets_by_rule(Rule=made.id, **bus)["Targets"]
        except client.exceptions.ResourceNotFoundException:
            return
        if targets:
            client.remove_targets(Rule=made.id, Ids=[target["Id"] for target in targets], **bus)
        client.delete_rule(Name=made.id, **bus)

    def _put(self, place: Place, name: str, properties: Properties, *, tagged: bool) -> str:
        arguments = picked(properties, {key: key for key in ("Description", "ScheduleExpression", "State")})
        arguments |= _bus(properties)
        if "EventPattern" in properties:
            arguments["EventPattern"] = json.dumps(properties["EventPattern"])
        if tagged and (tags := tag_pairs(tags_of(properties))):
            arguments["Tags"] = tags
        return str(place.client("events").put_rule(Name=name, **arguments)["RuleArn"])

    def _aim(self, place: Place, name: str, old: Properties, new: Properties) -> None:
        client, bus = place.client("events"), _bus(new)
        gone = {one["Id"] for one in old.get("Targets", [])} - {one["Id"] for one in new.get("Targets", [])}
        if gone:
            client.remove_targets(Rule=name, Ids=sorted(gone), **bus)
        if new.get("Targets"):
            answer = client.put_targets(Rule=name, Targets=new["Targets"], **bus)
            if answer.get("FailedEntryCount"):
                raise Failed(f"Targets of {name} were refused: {answer['FailedEntries']}")


def _bus(properties: Properties) -> dict[str, Any]:
    return picked(properties, {"EventBusName": "EventBusName"})


TYPES: tuple[ResourceType, ...] = (Rule(),)
