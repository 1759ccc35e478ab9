"""The control plane: APIs, resources, methods, integrations, gateway responses."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.aws.apigateway.apis import Apis, bad_request, checked_policy, find_resource, new_id, not_found
from localcloud.aws.apigateway.model import GatewayResponse, Integration, Method, PathResource, RestApi
from localcloud.aws.apigateway.responses import DEFAULTS, effective
from localcloud.aws.call import Call
from localcloud.world import World

Answer = Mapping[str, Any]

MAX_TIMEOUT = 29_000  # milliseconds
MIN_TIMEOUT = 50
_CREATE_INPUTS = {
    "name", "description", "policy", "endpointConfiguration", "binaryMediaTypes", "disableExecuteApiEndpoint", "tags",
}  # fmt: skip
_METHOD_INPUTS = {"restApiId", "resourceId", "httpMethod", "authorizationType"}
_INTEGRATION_INPUTS = {
    "restApiId",
    "resourceId",
    "httpMethod",
    "type",
    "integrationHttpMethod",
    "uri",
    "timeoutInMillis",
}


def only(call: Call, known: set[str]) -> None:
    """Refuse inputs that would change nothing here."""
    for name, value in call.params.items():
        if name not in known and value not in (None, False, [], {}):
            raise bad_request(f"{name} of {call.operation} is not supported by the local cloud")


class Control:
    """Operations on APIs and what they are made of."""

    def __init__(self, world: World) -> None:
        self._apis = world.part(Apis)
        self._account = world.account

    def table(self) -> Mapping[str, Callable[[Call], Answer]]:
        return {
            "CreateRestApi": self.create_api,
            "GetRestApi": lambda call: _api(self._api(call)),
            "GetRestApis": lambda call: {"items": [_api(one) for one in self._apis.of_region(call.region)]},
            "UpdateRestApi": self.update_api,
            "DeleteRestApi": self.delete_api,
            "CreateResource": self.create_resource,
            "GetResource": lambda call: _resource(find_resource(self._api(call), call.params["resourceId"])),
            "GetResources": lambda call: {"items": [_resource(one) for one in self._api(call).resources.values()]},
            "DeleteResource": self.delete_resource,
            "PutMethod": self.put_method,
            "GetMethod": lambda call: _method(self._method(call)),
            "DeleteMethod": self.delete_method,
            "PutIntegration": self.put_integration,
            "GetIntegration": self.get_integration,
            "PutGatewayResponse": self.put_response,
            "GetGatewayResponse": self.get_response,
            "GetGatewayResponses": self.get_responses,
            "DeleteGatewayResponse": self.delete_response,
        }

    def _api(self, call: Call) -> RestApi:
        return self._apis.find(call.region, call.params["restApiId"])

    def _arn(self, api: RestApi) -> str:
        return f"arn:aws:execute-api:{api.region}:{self._account}:{api.id}"

    def create_api(self, call: Call) -> Answer:
        only(call, _CREATE_INPUTS)
        params = call.params
        endpoint = params.get("endpointConfiguration", {})
        root = PathResource(id=new_id(), parent_id="", part="", path="/")
        api = RestApi(
            id=new_id(),
            region=call.region,
            name=params["name"],
            created=call.now,
            root_id=root.id,
            description=params.get("description", ""),
            types=tuple(endpoint.get("types") or ("EDGE",)),
            vpc_endpoint_ids=tuple(endpoint.get("vpcEndpointIds") or ()),
            endpoint_disabled=bool(params.get("disableExecuteApiEndpoint")),
            binary_types=tuple(params.get("binaryMediaTypes") or ()),
            tags=dict(params.get("tags") or {}),
            resources={root.id: root},
        )
        if api.vpc_endpoint_ids and not api.is_private:
            raise bad_request("VPCEndpoints can only be specified with PRIVATE apis.")
        api.policy = checked_policy(params.get("policy", ""), self._arn(api))
        self._apis.add(api)
        return _api(api)

    def update_api(self, call: Call) -> Answer:
        api = self._api(call)
        with self._apis.lock:
            for patch in call.params.get("patchOperations", []):
                self._patch(api, patch)
        return _api(api)

    def _patch(self, api: RestApi, patch: Mapping[str, str]) -> None:
        step, path, value = patch["op"], patch["path"], patch.get("value", "")
        if path == "/endpointConfiguration/vpcEndpointIds" and step in {"add", "remove"}:
            kept = [one for one in api.vpc_endpoint_ids if one != value]
            api.vpc_endpoint_ids = tuple([*kept, value] if step == "add" else kept)
        elif step != "replace":
            raise bad_request(f"Invalid patch operation {step} {path}")
        elif path == "/name":
            api.name = value
        elif path == "/description":
            api.description = value
        elif path == "/policy":
            api.policy = checked_policy(value, self._arn(api))
        elif path == "/disableExecuteApiEndpoint":
            api.endpoint_disabled = value == "true"
        else:
            raise bad_request(f"Invalid patch path {path} (not supported by the local cloud)")

    def delete_api(self, call: Call) -> Answer:
        self._apis.remove(self._api(call))
        return {}

    def create_resource(self, call: Call) -> Answer:
        api, part = self._api(call), call.params["pathPart"]
        with self._apis.lock:
            parent = find_resource(api, call.params["parentId"])
            if any(one.parent_id == parent.id and one.part == part for one in api.resources.values()):
                raise _conflict(f"Another resource with the same parent already has this name: {part}")
            path = f"{parent.path.rstrip('/')}/{part}"
            made = PathResource(id=new_id(6), parent_id=parent.id, part=part, path=path)
            api.resources[made.id] = made
        return _resource(made)

    def delete_resource(self, call: Call) -> Answer:
        api = self._api(call)
        with self._apis.lock:
            resource = find_resource(api, call.params["resourceId"])
            if resource.id == api.root_id:
                raise bad_request("Root resource cannot be deleted")
            for one in list(api.resources.values()):
                if one.path == resource.path or one.path.startswith(f"{resource.path}/"):
                    del api.resources[one.id]
        return {}

    def put_method(self, call: Call) -> Answer:
        only(call, _METHOD_INPUTS)
        params = call.params
        if params["authorizationType"] != "NONE":
            raise bad_request(f"authorizationType {params['authorizationType']} is not supported by the local cloud")
        resource = find_resource(self._api(call), params["resourceId"])
        with self._apis.lock:
            if params["httpMethod"] in resource.methods:
                raise _conflict("Method already exists for this resource")
            made = Method(http_method=params["httpMethod"])
            resource.methods[made.http_method] = made
        return _method(made)

    def _method(self, call: Call) -> Method:
        resource = find_resource(self._api(call), call.params["resourceId"])
        if call.params["httpMethod"] not in resource.methods:
            raise not_found("Invalid Method identifier specified")
        return resource.methods[call.params["httpMethod"]]

    def delete_method(self, call: Call) -> Answer:
        self._method(call)
        del find_resource(self._api(call), call.params["resourceId"]).methods[call.params["httpMethod"]]
        return {}

    def put_integration(self, call: Call) -> Answer:
        only(call, _INTEGRATION_INPUTS)
        params = call.params
        method = self._method(call)
        if params["type"] != "AWS_PROXY" or params.get("integrationHttpMethod") != "POST":
            raise bad_request("only AWS_PROXY integrations with integrationHttpMethod POST are made by the local cloud")
        timeout = int(params.get("timeoutInMillis") or MAX_TIMEOUT)
        if not MIN_TIMEOUT <= timeout <= MAX_TIMEOUT:
            raise bad_request(f"Timeout should be between {MIN_TIMEOUT} ms and {MAX_TIMEOUT} ms")
        uri = params.get("uri", "")
        if ":lambda:path/2015-03-31/functions/arn:" not in uri or not uri.endswith("/invocations"):
            raise bad_request("Invalid ARN specified in the request")
        made = Method(http_method=method.http_method, integration=Integration(uri=uri, timeout=timeout))
        resource = find_resource(self._api(call), params["resourceId"])
        resource.methods[made.http_method] = made
        return _integration(made)

    def get_integration(self, call: Call) -> Answer:
        method = self._method(call)
        if method.integration is None:
            raise not_found("Invalid Integration identifier specified")
        return _integration(method)

    def put_response(self, call: Call) -> Answer:
        params, api = call.params, self._api(call)
        kind = params["responseType"]
        if kind not in DEFAULTS:
            raise bad_request(f"Invalid response type specified: {kind}")
        made = GatewayResponse(
            type=kind,
            status=params.get("statusCode", ""),
            parameters=dict(params.get("responseParameters") or {}),
            templates=dict(params.get("responseTemplates") or {}),
        )
        for name, value in made.parameters.items():
            _check_parameter(name, value)
        with self._apis.lock:
            api.responses[kind] = made
        return _response(made, is_default=False)

    def get_response(self, call: Call) -> Answer:
        api, kind = self._api(call), call.params["responseType"]
        if kind not in DEFAULTS:
            raise not_found("Invalid response type specified")
        return _response(effective(kind, api.responses), is_default=kind not in api.responses)

    def get_responses(self, call: Call) -> Answer:
        api = self._api(call)
        return {
            "items": [
                _response(effective(kind, api.responses), is_default=kind not in api.responses) for kind in DEFAULTS
            ]
        }

    def delete_response(self, call: Call) -> Answer:
        api, kind = self._api(call), call.params["responseType"]
        if kind not in api.responses:
            raise not_found("Gateway response type not defined on api")
        del api.responses[kind]
        return {}


def _conflict(message: str) -> Exception:
    error = bad_request(message)
    error.code, error.status = "ConflictException", 409
    return error


def _check_parameter(name: str, value: str) -> None:
    static = len(value) > 1 and value[0] == value[-1] == "'"
    if not name.startswith("gatewayresponse.header.") or not static:
        raise bad_request(
            f"response parameter {name} = {value} is not supported by the local cloud: only static headers are"
        )


def _api(api: RestApi) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": api.id,
        "name": api.name,
        "createdDate": api.created,
        "apiKeySource": "HEADER",
        "endpointConfiguration": {"types": list(api.types), "vpcEndpointIds": list(api.vpc_endpoint_ids)},
        "disableExecuteApiEndpoint": api.endpoint_disabled,
        "rootResourceId": api.root_id,
        "tags": dict(api.tags),
    }
    if api.description:
        made["description"] = api.description
    if api.policy:
        made["policy"] = json.dumps(api.policy)
    if api.binary_types:
        made["binaryMediaTypes"] = list(api.binary_types)
    return made


def _resource(one: PathResource) -> dict[str, Any]:
    made: dict[str, Any] = {"id": one.id, "path": one.path}
    if one.parent_id:
        made |= {"parentId": one.parent_id, "pathPart": one.part}
    if one.methods:
        made["resourceMethods"] = {name: _method(method) for name, method in one.methods.items()}
    return made


def _method(one: Method) -> dict[str, Any]:
    made: dict[str, Any] = {"httpMethod": one.http_method, "authorizationType": "NONE", "apiKeyRequired": False}
    if one.integration is not None:
        made["methodIntegration"] = _integration(one)
    return made


def _integration(one: Method) -> dict[str, Any]:
    assert one.integration is not None
    return {
        "type": "AWS_PROXY",
        "httpMethod": "POST",
        "uri": one.integration.uri,
        "timeoutInMillis": one.integration.timeout,
        "passthroughBehavior": "WHEN_NO_MATCH",
    }


def _response(one: GatewayResponse, *, is_default: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "responseType": one.type,
        "responseParameters": dict(one.parameters),
        "responseTemplates": dict(one.templates),
        "defaultResponse": is_default,
    }
    if one.status:
        made["statusCode"] = one.status
    return made
