"""What the gateway writes: access log, execution log, metrics.

Source: API Gateway developer guide, "Variables for access logging" and "Amazon API Gateway dimensions and metrics".
Neither the role's right to write nor the Region's quota of log calls is checked.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from localcloud.aws.apigateway.model import MethodSetting, RestApi, Stage
from localcloud.aws.apigateway.proxy import Arrival
from localcloud.aws.apigateway.responses import Refusal
from localcloud.aws.apigateway.routing import Found
from localcloud.aws.functions import metrics
from localcloud.wire import Response
from localcloud.world import World

_VARIABLE = re.compile(r"\$(context\.[A-Za-z]\w*(?:\.[A-Za-z]\w*)*)")
ABSENT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One answered request; `found` None if no method served it."""

    arrival: Arrival
    api: RestApi
    stage: Stage
    found: Found | None
    setting: MethodSetting
    response: Response
    refusal: Refusal | None
    seconds: float
    integration_seconds: float | None
    integration_request: str  # the function's request id; empty if none was invoked


def variables(arrival: Arrival, api: RestApi, stage_name: str, found: Found | None) -> Callable[[str], str]:
    """`$context` variables of a request; an unknown or empty one is a dash."""
    identity = {
        "sourceIp": arrival.source_ip,
        "userAgent": arrival.request.headers.get("User-Agent"),
        "vpceId": arrival.vpce_id,
        "vpcId": arrival.vpc_id,
    }
    known = {
        "context.requestId": arrival.id,
        "context.extendedRequestId": arrival.extended_id,
        "context.accountId": arrival.account,
        "context.apiId": api.id,
        "context.domainName": arrival.domain,
        "context.domainPrefix": arrival.domain.partition(".")[0],
        "context.httpMethod": arrival.request.method,
        "context.path": arrival.request.path,
        "context.protocol": "HTTP/1.1",
        "context.requestTime": arrival.at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "context.requestTimeEpoch": str(int(arrival.at.timestamp() * 1000)),
        "context.resourceId": found.route.resource_id if found else "",
        "context.resourcePath": found.route.path if found else "",
        "context.stage": stage_name,
        **{f"context.identity.{name}": value for name, value in identity.items()},
    }
    return lambda name: known.get(name) or ABSENT


def access_line(entry: Entry) -> str:
    """The access log's line for a request, in the stage's format."""
    base = variables(entry.arrival, entry.api, entry.stage.name, entry.found)
    status = str(entry.response.status)
    took = "" if entry.integration_seconds is None else str(round(entry.integration_seconds * 1000))
    own = {
        "context.status": status,
        "context.responseLength": str(len(entry.response.body)),
        "context.responseLatency": str(round(entry.seconds * 1000)),
        "context.integrationLatency": took,
        "context.integration.latency": took,
        "context.integration.requestId": entry.integration_request,
        "context.integration.status": "200" if took and not entry.refusal else "",
        "context.integrationStatus": "200" if took and not entry.refusal else "",
        "context.error.message": entry.refusal.message if entry.refusal else "",
        "context.error.messageString": f'"{entry.refusal.message}"' if entry.refusal else "",
        "context.error.responseType": entry.refusal.type if entry.refusal else "",
        "context.integrationErrorMessage": entry.refusal.detail if entry.refusal else "",
        "context.integration.error": entry.refusal.detail if entry.refusal else "",
    }
    line = _VARIABLE.sub(
        lambda match: (own[match[1]] or ABSENT) if match[1] in own else base(match[1]), entry.stage.log_format
    )
    return line.replace("\n", " ")


class Journal:
    """Writes to the log groups and metrics of the world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def record(self, entry: Entry) -> None:
        """Write what the stage asks for about one request."""
        stage, api = entry.stage, entry.api
        if stage.log_destination:
            group = stage.log_destination.partition(":log-group:")[2].removesuffix(":*")
            self._write(api.region, group, stage.name, [access_line(entry)], entry, make_group=False)
        lines = _execution_lines(entry)
        if lines:
            group = f"API-Gateway-Execution-Logs_{api.id}/{stage.name}"
            self._write(api.region, group, entry.arrival.id.replace("-", ""), lines, entry, make_group=True)
        metrics.put(self._world, _metrics(entry), region=api.region)

    def _write(self, region: str, group: str, stream: str, lines: list[str], entry: Entry, *, make_group: bool) -> None:
        at = int(entry.arrival.at.timestamp() * 1000)
        with self._world.moto_lock:
            backend = self._world.backend("logs", region)
            if group not in backend.groups:
                if not make_group:
                    return  # the destination is gone; the service drops the line too
                backend.create_log_group(group, {})
            backend.ensure_log_stream(group, stream)
            backend.put_log_events(group, stream, [{"timestamp": at, "message": line} for line in lines])


def _execution_lines(entry: Entry) -> list[str]:
    level = entry.setting.logging
    failed = entry.refusal is not None and bool(entry.refusal.detail)
    if level == "OFF" or (level == "ERROR" and not failed):
        return []
    prefix = f"({entry.arrival.id})"
    lines = []
    if level == "INFO":
        lines.append(
            f"{prefix} HTTP Method: {entry.arrival.request.method}, Resource Path: {entry.arrival.request.path}"
        )
    if entry.refusal is not None and entry.refusal.detail:
        lines.append(f"{prefix} {entry.refusal.detail}")
    return [*lines, f"{prefix} Method completed with status: {entry.response.status}"]


def _metrics(entry: Entry) -> list[metrics.Metric]:
    status = entry.response.status
    values = {
        "Count": (1.0, "Count"),
        "4XXError": (float(400 <= status < 500), "Count"),
        "5XXError": (float(status >= 500), "Count"),
        "Latency": (entry.seconds * 1000, "Milliseconds"),
    }
    if entry.integration_seconds is not None:
        values["IntegrationLatency"] = (entry.integration_seconds * 1000, "Milliseconds")
    by_api = (("ApiName", entry.api.name),)
    by_stage = (*by_api, ("Stage", entry.stage.name))
    return [
        metrics.Metric(
            namespace="AWS/ApiGateway",
            name=name,
            values=(value,),
            unit=unit,
            dimensions=dimensions,
            at=entry.arrival.at,
        )
        for name, (value, unit) in values.items()
        for dimensions in (by_api, by_stage)
    ]
