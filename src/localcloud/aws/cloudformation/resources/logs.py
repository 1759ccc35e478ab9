"""AWS::Logs: log groups and metric filters."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import INTEGER, TAGS, TEXT, Struct
from localcloud.aws.cloudformation.tags import retag, tags_of
from localcloud.aws.cloudformation.types import Failed, Place, ResourceType

Properties = Mapping[str, Any]


class LogGroup(ResourceType):
    """A log group with its retention and key."""

    name = "AWS::Logs::LogGroup"
    properties = Struct({"LogGroupName": TEXT, "RetentionInDays": INTEGER, "KmsKeyId": TEXT, "Tags": TAGS})
    replaced_by = frozenset({"LogGroupName"})
    attributes = frozenset({"Arn"})

    def create(self, place: Place, properties: Properties) -> Made:
        client = place.client("logs")
        name = properties.get("LogGroupName") or place.name(limit=512)
        arguments: dict[str, Any] = {"tags": tags} if (tags := tags_of(properties)) else {}
        if "KmsKeyId" in properties:
            arguments["kmsKeyId"] = properties["KmsKeyId"]
        client.create_log_group(logGroupName=name, **arguments)
        if "RetentionInDays" in properties:
            try:
                client.put_retention_policy(logGroupName=name, retentionInDays=properties["RetentionInDays"])
            except Exception:
                client.delete_log_group(logGroupName=name)
                raise
        arn = f"arn:aws:logs:{place.region}:{place.account}:log-group:{name}:*"
        return Made(id=name, attributes={"Arn": arn})

    def refuse_update(self, old: Properties, new: Properties) -> None:
        if old.get("KmsKeyId") != new.get("KmsKeyId"):
            raise Failed(f"Unsupported update of property: KmsKeyId of {self.name}")

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        client = place.client("logs")
        if old.get("RetentionInDays") != new.get("RetentionInDays"):
            if "RetentionInDays" in new:
                client.put_retention_policy(logGroupName=made.id, retentionInDays=new["RetentionInDays"])
            else:
                client.delete_retention_policy(logGroupName=made.id)
        arn = made.attributes["Arn"].removesuffix(":*")
        retag(
            old,
            new,
            untag=lambda keys: client.untag_resource(resourceArn=arn, tagKeys=keys),
            tag=lambda tags: client.tag_resource(resourceArn=arn, tags=tags),
        )
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("logs")
        try:
            client.delete_log_group(logGroupName=made.id)
        except client.exceptions.ResourceNotFoundException:
            return


TYPES: tuple[ResourceType, ...] = (LogGroup(),)
