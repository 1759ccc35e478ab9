"""AWS::Events: rules on the default bus."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import INTEGER, TAGS, TEXT, ListOf, Struct
from localcloud.aws.cloudformation.tags import retag, tag_pairs, tags_of
from localcloud.aws.cloudformation.types import Failed, Place, ResourceType, picked

Properties = Mapping[str, Any]


class Rule(ResourceType):
    """A rule with its schedule and targets; nothing here delivers events by pattern."""

    name = "AWS::Events::Rule"
    properties = Struct(
        {
            "Name": TEXT,
            "Description": TEXT,
            "ScheduleExpression": TEXT,
            "State": TEXT,
            "Targets": ListOf(
                Struct(
                    {
                        "Id": TEXT,
                        "Arn": TEXT,
                        "Input": TEXT,
                        "RetryPolicy": Struct({"MaximumRetryAttempts": INTEGER, "MaximumEventAgeInSeconds": INTEGER}),
                    },
                    required=("Id", "Arn"),
                )
            ),
            "Tags": TAGS,
        },
        required=("ScheduleExpression",),
    )
    replaced_by = frozenset({"Name"})
    attributes = frozenset({"Arn"})

    def create(self, place: Place, properties: Properties) -> Made:
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
        client = place.client("events")
        try:
            targets = client.list_targets_by_rule(Rule=made.id)["Targets"]
        except client.exceptions.ResourceNotFoundException:
            return
        if targets:
            client.remove_targets(Rule=made.id, Ids=[target["Id"] for target in targets])
        client.delete_rule(Name=made.id)

    def _put(self, place: Place, name: str, properties: Properties, *, tagged: bool) -> str:
        arguments = picked(properties, {key: key for key in ("Description", "ScheduleExpression", "State")})
        if tagged and (tags := tag_pairs(tags_of(properties))):
            arguments["Tags"] = tags
        return str(place.client("events").put_rule(Name=name, **arguments)["RuleArn"])

    def _aim(self, place: Place, name: str, old: Properties, new: Properties) -> None:
        client = place.client("events")
        gone = {one["Id"] for one in old.get("Targets", [])} - {one["Id"] for one in new.get("Targets", [])}
        if gone:
            client.remove_targets(Rule=name, Ids=sorted(gone))
        if new.get("Targets"):
            answer = client.put_targets(Rule=name, Targets=new["Targets"])
            if answer.get("FailedEntryCount"):
                raise Failed(f"Targets of {name} were refused: {answer['FailedEntries']}")


TYPES: tuple[ResourceType, ...] = (Rule(),)
