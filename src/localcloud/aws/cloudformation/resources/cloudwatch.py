"""AWS::CloudWatch: metric alarms and dashboards."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import BOOLEAN, INTEGER, NUMBER, TAGS, TEXT, ListOf, Struct
from localcloud.aws.cloudformation.tags import retag, tag_pairs, tags_of
from localcloud.aws.cloudformation.types import Place, ResourceType

Properties = Mapping[str, Any]

_DIMENSIONS = ListOf(Struct({"Name": TEXT, "Value": TEXT}))


class Alarm(ResourceType):
    """An alarm on a metric or on an expression over metrics."""

    name = "AWS::CloudWatch::Alarm"
    properties = Struct(
        {
            "AlarmName": TEXT,
            "AlarmDescription": TEXT,
            "ActionsEnabled": BOOLEAN,
            "AlarmActions": ListOf(TEXT),
            "OKActions": ListOf(TEXT),
            "InsufficientDataActions": ListOf(TEXT),
            "ComparisonOperator": TEXT,
            "EvaluationPeriods": INTEGER,
            "DatapointsToAlarm": INTEGER,
            "Threshold": NUMBER,
            "TreatMissingData": TEXT,
            "Namespace": TEXT,
            "MetricName": TEXT,
            "Dimensions": _DIMENSIONS,
            "Period": INTEGER,
            "Statistic": TEXT,
            "ExtendedStatistic": TEXT,
            "Unit": TEXT,
            "Metrics": ListOf(
                Struct(
                    {
                        "Id": TEXT,
                        "Expression": TEXT,
                        "Label": TEXT,
                        "ReturnData": BOOLEAN,
                        "MetricStat": Struct(
                            {
                                "Metric": Struct({"Namespace": TEXT, "MetricName": TEXT, "Dimensions": _DIMENSIONS}),
                                "Period": INTEGER,
                                "Stat": TEXT,
                                "Unit": TEXT,
                            }
                        ),
                    },
                    required=("Id",),
                )
            ),
            "Tags": TAGS,
        },
        required=("ComparisonOperator", "EvaluationPeriods"),
    )
    replaced_by = frozenset({"AlarmName"})
    attributes = frozenset({"Arn"})

    def create(self, place: Place, properties: Properties) -> Made:
        name = properties.get("AlarmName") or place.name(limit=255)
        self._put(place, name, properties, tags=tag_pairs(tags_of(properties)))
        return Made(id=name, attributes={"Arn": f"arn:aws:cloudwatch:{place.region}:{place.account}:alarm:{name}"})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        self._put(place, made.id, new, tags=[])
        client, arn = place.client("cloudwatch"), made.attributes["Arn"]
        retag(
            old,
            new,
            untag=lambda keys: client.untag_resource(ResourceARN=arn, TagKeys=keys),
            tag=lambda tags: client.tag_resource(ResourceARN=arn, Tags=tag_pairs(tags)),
        )
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        place.client("cloudwatch").delete_alarms(AlarmNames=[made.id])

    def _put(self, place: Place, name: str, properties: Properties, *, tags: list[dict[str, str]]) -> None:
        # The service takes tags from PutMetricAlarm only for a new alarm.
        arguments = {key: value for key, value in properties.items() if key not in {"AlarmName", "Tags"}}
        place.client("cloudwatch").put_metric_alarm(AlarmName=name, **arguments, **({"Tags": tags} if tags else {}))


class Dashboard(ResourceType):
    """A dashboard; its body is kept as text."""

    name = "AWS::CloudWatch::Dashboard"
    properties = Struct({"DashboardName": TEXT, "DashboardBody": TEXT}, required=("DashboardBody",))
    replaced_by = frozenset({"DashboardName"})

    def create(self, place: Place, properties: Properties) -> Made:
        name = properties.get("DashboardName") or place.name(limit=255)
        place.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=properties["DashboardBody"])
        return Made(id=name)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        place.client("cloudwatch").put_dashboard(DashboardName=made.id, DashboardBody=new["DashboardBody"])
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("cloudwatch")
        try:
            client.delete_dashboards(DashboardNames=[made.id])
        except client.exceptions.ResourceNotFound:
            return


TYPES: tuple[ResourceType, ...] = (Alarm(), Dashboard())
