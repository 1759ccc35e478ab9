"""Metrics of functions: what they embed in their logs, and what Lambda itself counts of them.

Source: CloudWatch, "Specification: Embedded metric format"; AWS Lambda, "Viewing metrics" (namespace AWS/Lambda).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localcloud.world import World

_LAMBDA = "AWS/Lambda"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric with its values under one set of dimensions."""

    namespace: str
    name: str
    values: tuple[float, ...]
    unit: str = "None"
    dimensions: tuple[tuple[str, str], ...] = ()
    at: datetime


def embedded(line: str) -> Iterator[Metric]:
    """The metrics that a log line carries in the embedded metric format; none if it is an ordinary line."""
    if '"_aws"' not in line:
        return
    try:
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
        at = datetime.fromtimestamp(document["_aws"]["Timestamp"] / 1000, UTC)
    except (ValueError, TypeError, KeyError):
        return  # the service leaves a malformed document a mere log line
    for directive in directives:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = tuple((name, str(document.get(name, ""))) for name in names)
            for definition in directive.get("Metrics", ()):
                yield from _defined(definition, document, directive["Namespace"], dimensions, at)


def _defined(
    definition: Mapping[str, Any],
    document: Mapping[str, Any],
    namespace: str,
    dimensions: tuple[tuple[str, str], ...],
    at: datetime,
) -> Iterator[Metric]:
    value = document.get(definition["Name"])
    values = value if isinstance(value, list) else [value]
    numbers = tuple(float(one) for one in values if isinstance(one, int | float))
    if len(numbers) < len(values):
        return
    yield Metric(
        namespace=namespace,
        name=definition["Name"],
        values=numbers,
        unit=definition.get("Unit", "None"),
        dimensions=dimensions,
        at=at,
    )


def of_lambda(function_name: str, values: Mapping[str, float], *, at: datetime) -> list[Metric]:
    """Lambda's own metrics of a function; Duration in milliseconds, the others are counts."""
    return [
        Metric(
            namespace=_LAMBDA,
            name=name,
            values=(value,),
            unit="Milliseconds" if name == "Duration" else "Count",
            dimensions=(("FunctionName", function_name),),
            at=at,
        )
        for name, value in values.items()
    ]


def put(world: World, metrics: list[Metric], *, region: str) -> None:
    """Make the metrics readable through a Region's CloudWatch."""
    with world.moto_lock:
        backend = world.backend("cloudwatch", region)
        for metric in metrics:
            datum = {
                "MetricName": metric.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
                "Values": list(metric.values),
                "Unit": metric.unit,
                "Timestamp": metric.at.astimezone(UTC).replace(tzinfo=None),  # moto compares naive times
            }
            backend.put_metric_data(metric.namespace, [datum])
