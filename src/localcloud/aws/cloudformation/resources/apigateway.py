"""AWS::ApiGateway: REST APIs with Lambda proxy integrations, their deployments, stages and gateway responses."""

import json
from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import (
    BOOLEAN,
    DOCUMENT,
    INTEGER,
    TAGS,
    TEXT,
    ListOf,
    MapOf,
    Struct,
)
from localcloud.aws.cloudformation.tags import retag, tags_of
from localcloud.aws.cloudformation.types import Failed, Place, ResourceType, picked

Properties = Mapping[str, Any]


def ignoring_absence(place: Place, call: str, **arguments: Any) -> None:
    """Delete something that may be gone already."""
    client = place.client("apigateway")
    try:
        getattr(client, call)(**arguments)
    except client.exceptions.NotFoundException:
        return


def replace_patch(path: str, value: Any) -> dict[str, str]:
    """A patch operation that sets `path`."""
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return {"op": "replace", "path": path, "value": text}


class RestApi(ResourceType):
    """An API. Its policy and endpoint configuration are what the private front evaluates."""

    name = "AWS::ApiGateway::RestApi"
    properties = Struct(
        {
            "Name": TEXT,
            "Description": TEXT,
            "Policy": DOCUMENT,
            "EndpointConfiguration": Struct({"Types": ListOf(TEXT), "VpcEndpointIds": ListOf(TEXT)}),
            "DisableExecuteApiEndpoint": BOOLEAN,
            "BinaryMediaTypes": ListOf(TEXT),
            "Tags": TAGS,
        },
        required=("Name",),
    )
    attributes = frozenset({"RootResourceId", "RestApiId"})

    def create(self, place: Place, properties: Properties) -> Made:
        arguments: dict[str, Any] = {"name": properties["Name"], **_settings(properties)}
        if tags := tags_of(properties):
            arguments["tags"] = tags
        made = place.client("apigateway").create_rest_api(**arguments)
        attributes = {"RootResourceId": made["rootResourceId"], "RestApiId": made["id"]}
        return Made(id=made["id"], attributes=attributes)

    def refuse_update(self, old: Properties, new: Properties) -> None:
        if set(old.get("BinaryMediaTypes", [])) != set(new.get("BinaryMediaTypes", [])):
            raise Failed(f"Unsupported update of property: BinaryMediaTypes of {self.name}")
        before, after = old.get("EndpointConfiguration", {}), new.get("EndpointConfiguration", {})
        if before.get("Types", []) != after.get("Types", []):
            raise Failed(f"Unsupported update of property: EndpointConfiguration.Types of {self.name}")

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        patches = []
        for key, path, default in (
            ("Name", "/name", ""),
            ("Description", "/description", ""),
            ("DisableExecuteApiEndpoint", "/disableExecuteApiEndpoint", False),
        ):
            if old.get(key, default) != new.get(key, default):
                patches.append(replace_patch(path, new.get(key, default)))
        if old.get("Policy") != new.get("Policy"):
            patches.append(replace_patch("/policy", json.dumps(new["Policy"]) if "Policy" in new else ""))
        patches += _endpoint_patches(old.get("EndpointConfiguration", {}), new.get("EndpointConfiguration", {}))
        client = place.client("apigateway")
        if patches:
            client.update_rest_api(restApiId=made.id, patchOperations=patches)
        arn = f"arn:aws:apigateway:{place.region}::/restapis/{made.id}"
        retag_api(client, arn, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        ignoring_absence(place, "delete_rest_api", restApiId=made.id)


def retag_api(client: Any, arn: str, old: Properties, new: Properties) -> None:
    """Bring the tags of an API or a stage from `old` to `new`."""
    retag(
        old,
        new,
        untag=lambda keys: client.untag_resource(resourceArn=arn, tagKeys=keys),
        tag=lambda tags: client.tag_resource(resourceArn=arn, tags=tags),
    )


def _settings(properties: Properties) -> dict[str, Any]:
    names = {
        "Description": "description",
        "DisableExecuteApiEndpoint": "disableExecuteApiEndpoint",
        "BinaryMediaTypes": "binaryMediaTypes",
    }
    made = picked(properties, names)
    if "Policy" in properties:
        made["policy"] = json.dumps(properties["Policy"])
    if "EndpointConfiguration" in properties:
        named = {"Types": "types", "VpcEndpointIds": "vpcEndpointIds"}
        made["endpointConfiguration"] = picked(properties["EndpointConfiguration"], named)
    return made


def _endpoint_patches(old: Properties, new: Properties) -> list[dict[str, str]]:
    path = "/endpointConfiguration/vpcEndpointIds"
    had, wanted = set(old.get("VpcEndpointIds", [])), set(new.get("VpcEndpointIds", []))
    added = [{"op": "add", "path": path, "value": one} for one in sorted(wanted - had)]
    return added + [{"op": "remove", "path": path, "value": one} for one in sorted(had - wanted)]


class Resource(ResourceType):
    """A path part of an API."""

    name = "AWS::ApiGateway::Resource"
    properties = Struct(
        {"RestApiId": TEXT, "ParentId": TEXT, "PathPart": TEXT}, required=("RestApiId", "ParentId", "PathPart")
    )
    replaced_by = frozenset(properties.members)
    attributes = frozenset({"ResourceId"})

    def create(self, place: Place, properties: Properties) -> Made:
        made = place.client("apigateway").create_resource(
            restApiId=properties["RestApiId"], parentId=properties["ParentId"], pathPart=properties["PathPart"]
        )
        return Made(id=made["id"], attributes={"ResourceId": made["id"]})

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        ignoring_absence(place, "delete_resource", restApiId=properties["RestApiId"], resourceId=made.id)


class Method(ResourceType):
    """A method of a resource with its Lambda proxy integration; without authorisation."""

    name = "AWS::ApiGateway::Method"
    properties = Struct(
        {
            "RestApiId": TEXT,
            "ResourceId": TEXT,
            "HttpMethod": TEXT,
            "AuthorizationType": TEXT,
            "Integration": Struct(
                {"Type": TEXT, "IntegrationHttpMethod": TEXT, "Uri": TEXT, "TimeoutInMillis": INTEGER},
                required=("Type",),
            ),
        },
        required=("RestApiId", "ResourceId", "HttpMethod", "Integration"),
    )
    replaced_by = frozenset({"RestApiId", "ResourceId", "HttpMethod"})

    def create(self, place: Place, properties: Properties) -> Made:
        client = place.client("apigateway")
        where = _method(properties)
        client.put_method(**where, authorizationType=properties.get("AuthorizationType", "NONE"))
        try:
            self._integrate(client, properties)
        except Exception:
            client.delete_method(**where)
            raise
        return Made(id=place.name())

    def refuse_update(self, old: Properties, new: Properties) -> None:
        if old.get("AuthorizationType", "NONE") != new.get("AuthorizationType", "NONE"):
            raise Failed(f"Unsupported update of property: AuthorizationType of {self.name}")

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        self._integrate(place.client("apigateway"), new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        ignoring_absence(place, "delete_method", **_method(properties))

    def _integrate(self, client: Any, properties: Properties) -> None:
        named = {
            "Type": "type",
            "IntegrationHttpMethod": "integrationHttpMethod",
            "Uri": "uri",
            "TimeoutInMillis": "timeoutInMillis",
        }
        client.put_integration(**_method(properties), **picked(properties["Integration"], named))


def _method(properties: Properties) -> dict[str, str]:
    named = {"RestApiId": "restApiId", "ResourceId": "resourceId", "HttpMethod": "httpMethod"}
    return picked(properties, named)


class Deployment(ResourceType):
    """A snapshot of an API; every change makes a new one."""

    name = "AWS::ApiGateway::Deployment"
    properties = Struct({"RestApiId": TEXT, "Description": TEXT}, required=("RestApiId",))
    replaced_by = frozenset(properties.members)
    attributes = frozenset({"DeploymentId"})

    def create(self, place: Place, properties: Properties) -> Made:
        named = {"RestApiId": "restApiId", "Description": "description"}
        made = place.client("apigateway").create_deployment(**picked(properties, named))
        return Made(id=made["id"], attributes={"DeploymentId": made["id"]})

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        ignoring_absence(place, "delete_deployment", restApiId=properties["RestApiId"], deploymentId=made.id)


class GatewayResponse(ResourceType):
    """What the gateway itself answers in a given case."""

    name = "AWS::ApiGateway::GatewayResponse"
    properties = Struct(
        {
            "RestApiId": TEXT,
            "ResponseType": TEXT,
            "StatusCode": TEXT,
            "ResponseParameters": MapOf(TEXT),
            "ResponseTemplates": MapOf(TEXT),
        },
        required=("RestApiId", "ResponseType"),
    )
    replaced_by = frozenset({"RestApiId", "ResponseType"})
    attributes = frozenset({"Id"})

    def create(self, place: Place, properties: Properties) -> Made:
        named = {
            "RestApiId": "restApiId",
            "ResponseType": "responseType",
            "StatusCode": "statusCode",
            "ResponseParameters": "responseParameters",
            "ResponseTemplates": "responseTemplates",
        }
        place.client("apigateway").put_gateway_response(**picked(properties, named))
        made = f"{properties['RestApiId']}:{properties['ResponseType']}"
        return Made(id=made, attributes={"Id": made})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        return self.create(place, new)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        named = {"RestApiId": "restApiId", "ResponseType": "responseType"}
        ignoring_absence(place, "delete_gateway_response", **picked(properties, named))


class Account(ResourceType):
    """The account's role for API Gateway's logs in this Region; it stays when the stack goes, as in the service."""

    name = "AWS::ApiGateway::Account"
    properties = Struct({"CloudWatchRoleArn": TEXT})
    attributes = frozenset({"Id"})

    def create(self, place: Place, properties: Properties) -> Made:
        role = properties.get("CloudWatchRoleArn", "")
        place.client("apigateway").update_account(patchOperations=[replace_patch("/cloudwatchRoleArn", role)])
        made = place.name(limit=128)
        return Made(id=made, attributes={"Id": made})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        role = new.get("CloudWatchRoleArn", "")
        place.client("apigateway").update_account(patchOperations=[replace_patch("/cloudwatchRoleArn", role)])
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Nothing to remove: the setting belongs to the account."""


TYPES: tuple[ResourceType, ...] = (RestApi(), Resource(), Method(), Deployment(), GatewayResponse(), Account())
