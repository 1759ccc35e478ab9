"""AWS::ApiGateway::Stage: what is served, with its logs and throttles."""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.resources.apigateway import ignoring_absence, replace_patch, retag_api
from localcloud.aws.cloudformation.shapes import BOOLEAN, INTEGER, NUMBER, TAGS, TEXT, ListOf, MapOf, Struct
from localcloud.aws.cloudformation.tags import tags_of
from localcloud.aws.cloudformation.types import Place, ResourceType, picked

Properties = Mapping[str, Any]

_SETTING_PATHS: Mapping[str, tuple[str, Any]] = {
    "ThrottlingRateLimit": ("throttling/rateLimit", 10_000.0),
    "ThrottlingBurstLimit": ("throttling/burstLimit", 5_000),
    "LoggingLevel": ("logging/loglevel", "OFF"),
    "DataTraceEnabled": ("logging/dataTrace", False),
    "MetricsEnabled": ("metrics/enabled", False),
}


class Stage(ResourceType):
    """A stage that serves a deployment."""

    name = "AWS::ApiGateway::Stage"
    properties = Struct(
        {
            "RestApiId": TEXT,
            "StageName": TEXT,
            "DeploymentId": TEXT,
            "Description": TEXT,
            "Variables": MapOf(TEXT),
            "TracingEnabled": BOOLEAN,
            "AccessLogSetting": Struct({"DestinationArn": TEXT, "Format": TEXT}),
            "MethodSettings": ListOf(
                Struct(
                    {
                        "HttpMethod": TEXT,
                        "ResourcePath": TEXT,
                        "ThrottlingRateLimit": NUMBER,
                        "ThrottlingBurstLimit": INTEGER,
                        "LoggingLevel": TEXT,
                        "DataTraceEnabled": BOOLEAN,
                        "MetricsEnabled": BOOLEAN,
                    },
                    required=("HttpMethod", "ResourcePath"),
                )
            ),
            "Tags": TAGS,
        },
        required=("RestApiId", "DeploymentId"),
    )
    replaced_by = frozenset({"RestApiId", "StageName"})

    def create(self, place: Place, properties: Properties) -> Made:
        client = place.client("apigateway")
        name = properties.get("StageName") or "Stage"
        named = {
            "DeploymentId": "deploymentId",
            "Description": "description",
            "Variables": "variables",
            "TracingEnabled": "tracingEnabled",
        }
        tags = tags_of(properties)
        client.create_stage(
            restApiId=properties["RestApiId"],
            stageName=name,
            **picked(properties, named),
            **({"tags": tags} if tags else {}),
        )
        try:
            self._patch(client, name, {}, {**properties, "Variables": {}})
        except Exception:
            client.delete_stage(restApiId=properties["RestApiId"], stageName=name)
            raise
        return Made(id=name)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        client = place.client("apigateway")
        patches = []
        for key, path, default in (
            ("DeploymentId", "/deploymentId", ""),
            ("Description", "/description", ""),
            ("TracingEnabled", "/tracingEnabled", False),
        ):
            if old.get(key, default) != new.get(key, default):
                patches.append(replace_patch(path, new.get(key, default)))
        if patches:
            client.update_stage(restApiId=new["RestApiId"], stageName=made.id, patchOperations=patches)
        self._patch(client, made.id, old, new)
        arn = f"arn:aws:apigateway:{place.region}::/restapis/{new['RestApiId']}/stages/{made.id}"
        retag_api(client, arn, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        ignoring_absence(place, "delete_stage", restApiId=properties["RestApiId"], stageName=made.id)

    def _patch(self, client: Any, name: str, old: Properties, new: Properties) -> None:
        patches = [*_log_patches(old, new), *_method_patches(old, new)]
        had, wanted = old.get("Variables", {}), new.get("Variables", {})
        patches += [replace_patch(f"/variables/{key}", value) for key, value in wanted.items() if had.get(key) != value]
        patches += [{"op": "remove", "path": f"/variables/{key}"} for key in had if key not in wanted]
        if patches:
            client.update_stage(restApiId=new["RestApiId"], stageName=name, patchOperations=patches)


def _log_patches(old: Properties, new: Properties) -> list[dict[str, str]]:
    wanted = new.get("AccessLogSetting")
    if wanted == old.get("AccessLogSetting"):
        return []
    if wanted is None:
        return [{"op": "remove", "path": "/accessLogSettings"}]
    return [
        replace_patch("/accessLogSettings/destinationArn", wanted.get("DestinationArn", "").removesuffix(":*")),
        replace_patch("/accessLogSettings/format", wanted.get("Format", "")),
    ]


def _method_patches(old: Properties, new: Properties) -> list[dict[str, str]]:
    def by_method(properties: Properties) -> dict[str, Properties]:
        return {_setting_key(one): one for one in properties.get("MethodSettings", [])}

    had, wanted, patches = by_method(old), by_method(new), []
    for key, setting in wanted.items():
        before = had.get(key, {})
        for name, (path, default) in _SETTING_PATHS.items():
            if setting.get(name) != before.get(name):
                patches.append(replace_patch(f"/{key}/{path}", setting.get(name, default)))
    return patches + [{"op": "remove", "path": f"/{key}"} for key in had if key not in wanted]


def _setting_key(setting: Properties) -> str:
    """As in a patch path: `*/*`, or `~1path~1part/GET` (the slashes of the resource path escaped)."""
    path = setting["ResourcePath"]
    if path in {"*", "/*"}:
        return f"*/{setting['HttpMethod']}"
    return f"{path.replace('/', '~1')}/{setting['HttpMethod']}"


TYPES: tuple[ResourceType, ...] = (Stage(),)
