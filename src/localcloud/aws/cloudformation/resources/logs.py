"""AWS::Logs: log groups and metric filters."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import INTEGER, NUMBER, TAGS, TEXT, ListOf, Struct
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


class MetricFilter(ResourceType):
    """A filter that turns log lines into a metric."""

    name = "AWS::Logs::MetricFilter"
    properties = Struct(
        {
            "FilterName": TEXT,
            "FilterPattern": TEXT,
            "LogGroupName": TEXT,
            "MetricTransformations": ListOf(
                Struct(
                    {
                        "MetricName": TEXT,
                        "MetricNamespace": TEXT,
                        "MetricValue": TEXT,
                        "DefaultValue": NUMBER,
                        "Unit": TEXT,
                    },
                    required=("MetricName", "MetricNamespace", "MetricValue"),
                )
            ),
        },
        required=("FilterPattern", "LogGroupName", "MetricTransformations"),
    )
    replaced_by = frozenset({"FilterName", "LogGroupName"})

    def create(self, place: Place, properties: Properties) -> Made:
        name = properties.get("FilterName") or place.name(limit=512)
        self._put(place, name, properties)
        return Made(id=name)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        # moto keeps a changed filter beside the old one of the same name.
        self.delete(place, made, old)
        self._put(place, made.id, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("logs")
        try:
            client.delete_metric_filter(logGroupName=properties["LogGroupName"], filterName=made.id)
        except client.exceptions.ResourceNotFoundException:
            return

    def _put(self, place: Place, name: str, properties: Properties) -> None:
        place.client("logs").put_metric_filter(
            logGroupName=properties["LogGroupName"],
            filterName=name,
            filterPattern=properties["FilterPattern"],
            metricTransformations=[
                {key[0].lower() + key[1:]: value for key, value in one.items()}
                for one in properties["MetricTransformations"]
            ],
        )


TYPES: tuple[ResourceType, ...] = (LogGroup(), MetricFilter())
