"""The control plane: deployments, stages, tags, and the account's log role."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from localcloud.aws.apigateway.apis import Apis, bad_request, find_stage, new_id, not_found, snapshot
from localcloud.aws.apigateway.control import only
from localcloud.aws.apigateway.model import Deployment, MethodSetting, RestApi, Stage
from localcloud.aws.call import Call
from localcloud.world import World

Answer = Mapping[str, Any]

NO_LOG_ROLE = "CloudWatch Logs role ARN must be set in account settings to enable logging"
_LEVELS = {"OFF", "ERROR", "INFO"}
_STAGE_INPUTS = {"restApiId", "stageName", "deploymentId", "description", "variables", "tracingEnabled", "tags"}


class Deploying:
    """Operations on what is served."""

    def __init__(self, world: World) -> None:
        self._apis = world.part(Apis)

    def table(self) -> Mapping[str, Callable[[Call], Answer]]:
        return {
            "CreateDeployment": self.deploy,
            "GetDeployment": lambda call: _deployment(self._deployment(call)),
            "GetDeployments": lambda call: {
                "items": [_deployment(one) for one in self._api(call).deployments.values()]
            },
            "DeleteDeployment": self.delete_deployment,
            "CreateStage": self.create_stage,
            "GetStage": lambda call: _stage(find_stage(self._api(call), call.params["stageName"])),
            "GetStages": lambda call: {"item": [_stage(one) for one in self._api(call).stages.values()]},
            "UpdateStage": self.update_stage,
            "DeleteStage": self.delete_stage,
            "GetAccount": self.get_account,
            "UpdateAccount": self.update_account,
            "TagResource": self.tag,
            "UntagResource": self.untag,
            "GetTags": lambda call: {"tags": dict(self._tagged(call))},
        }

    def _api(self, call: Call) -> RestApi:
        return self._apis.find(call.region, call.params["restApiId"])

    def deploy(self, call: Call) -> Answer:
        only(call, {"restApiId", "description", "stageName"})
        api = self._api(call)
        with self._apis.lock:
            made = snapshot(
                api, deployment_id=new_id(6), description=call.params.get("description", ""), created=call.now
            )
            api.deployments[made.id] = made
            name = call.params.get("stageName")
            if name and name in api.stages:
                api.stages[name].deployment_id, api.stages[name].updated = made.id, call.now
            elif name:
                api.stages[name] = Stage(name=name, deployment_id=made.id, created=call.now, updated=call.now)
        return _deployment(made)

    def _deployment(self, call: Call) -> Deployment:
        found = self._api(call).deployments.get(call.params["deploymentId"])
        if found is None:
            raise not_found("Invalid Deployment identifier specified")
        return found

    def delete_deployment(self, call: Call) -> Answer:
        api, deployment = self._api(call), self._deployment(call)
        with self._apis.lock:
            if any(stage.deployment_id == deployment.id for stage in api.stages.values()):
                raise bad_request("Active stages pointing to this deployment must be moved or deleted")
            del api.deployments[deployment.id]
        return {}

    def create_stage(self, call: Call) -> Answer:
        only(call, _STAGE_INPUTS)
        params = call.params
        api = self._api(call)
        with self._apis.lock:
            if params["stageName"] in api.stages:
                error = bad_request("Stage already exists")
                error.code, error.status = "ConflictException", 409
                raise error
            self._deployment(call)
            made = Stage(
                name=params["stageName"],
                deployment_id=params["deploymentId"],
                created=call.now,
                updated=call.now,
                description=params.get("description", ""),
                variables=dict(params.get("variables") or {}),
                tracing=bool(params.get("tracingEnabled")),
                tags=dict(params.get("tags") or {}),
            )
            api.stages[made.name] = made
        return _stage(made)

    def update_stage(self, call: Call) -> Answer:
        api = self._api(call)
        with self._apis.lock:
            stage = find_stage(api, call.params["stageName"])
            for patch in call.params.get("patchOperations", []):
                self._patch(api, stage, patch)
            stage.updated = call.now
        return _stage(stage)

    def _patch(self, api: RestApi, stage: Stage, patch: Mapping[str, str]) -> None:
        step, path, value = patch["op"], patch["path"], patch.get("value", "")
        if path == "/deploymentId":
            if value not in api.deployments:
                raise bad_request("Deployment id does not exist")
            stage.deployment_id = value
        elif path == "/description":
            stage.description = value
        elif path == "/tracingEnabled":
            stage.tracing = value == "true"
        elif path.startswith("/variables/"):
            name = path.removeprefix("/variables/")
            stage.variables = {key: text for key, text in stage.variables.items() if key != name}
            if step != "remove":
                stage.variables[name] = value
        elif path.startswith("/accessLogSettings"):
            self._patch_access_log(api, stage, step, path, value)
        else:
            self._patch_setting(api, stage, step, path, value)

    def _patch_access_log(self, api: RestApi, stage: Stage, step: str, path: str, value: str) -> None:
        if step == "remove":
            stage.log_destination = stage.log_format = ""
            return
        self._require_log_role(api)
        if path.endswith("/destinationArn"):
            if ":log-group:" not in value:
                raise bad_request(f"access logs to {value} are not supported by the local cloud: give a log group")
            stage.log_destination = value
        elif path.endswith("/format"):
            if "$context.requestId" not in value and "$context.extendedRequestId" not in value:
                raise bad_request(
                    "Access Log format must be single line and contain at least one of $context.requestId or "
                    "$context.extendedRequestId"
                )
            stage.log_format = value
        else:
            raise bad_request(f"Invalid stage patch path {path}")

    def _patch_setting(self, api: RestApi, stage: Stage, step: str, path: str, value: str) -> None:
        key, name = _setting_key(path)
        if step == "remove" and not name:
            stage.settings.pop(key, None)
            return
        old = stage.settings.get(key, MethodSetting())
        if name == "throttling/rateLimit":
            new = replace(old, rate=float(value))
        elif name == "throttling/burstLimit":
            new = replace(old, burst=int(value))
        elif name == "logging/loglevel":
            if value not in _LEVELS:
                raise bad_request(f"Invalid value {value} for logging level")
            if value != "OFF":
                self._require_log_role(api)
            new = replace(old, logging=value)
        elif name == "logging/dataTrace":
            new = replace(old, data_trace=value == "true")
        elif name == "metrics/enabled":
            new = replace(old, metrics=value == "true")
        else:
            raise bad_request(f"Invalid stage patch path {path} (not supported by the local cloud)")
        stage.settings[key] = new

    def _require_log_role(self, api: RestApi) -> None:
        if not self._apis.log_role(api.region):
            raise bad_request(NO_LOG_ROLE)

    def delete_stage(self, call: Call) -> Answer:
        api = self._api(call)
        with self._apis.lock:
            del api.stages[find_stage(api, call.params["stageName"]).name]
        return {}

    def get_account(self, call: Call) -> Answer:
        role = self._apis.log_role(call.region)
        account: dict[str, Any] = {
            "throttleSettings": {"burstLimit": 5000, "rateLimit": 10000.0},
            "features": ["UsagePlans"],
            "apiKeyVersion": "4",
        }
        return {**account, "cloudwatchRoleArn": role} if role else account

    def update_account(self, call: Call) -> Answer:
        for patch in call.params.get("patchOperations", []):
            if patch["path"] != "/cloudwatchRoleArn" or patch["op"] not in {"replace", "add", "remove"}:
                raise bad_request(f"Invalid patch path {patch['path']} (not supported by the local cloud)")
            self._apis.set_log_role(call.region, "" if patch["op"] == "remove" else patch.get("value", ""))
        return self.get_account(call)

    def _tagged(self, call: Call) -> dict[str, str]:
        parts = call.params["resourceArn"].partition("::/restapis/")[2].split("/")
        api = self._apis.find(call.region, parts[0])
        if len(parts) == 3 and parts[1] == "stages":
            return find_stage(api, parts[2]).tags
        if len(parts) == 1:
            return api.tags
        raise not_found("Invalid Resource identifier specified")

    def tag(self, call: Call) -> Answer:
        self._tagged(call).update(call.params["tags"])
        return {}

    def untag(self, call: Call) -> Answer:
        tags = self._tagged(call)
        for key in call.params["tagKeys"]:
            tags.pop(key, None)
        return {}


def _setting_key(path: str) -> tuple[str, str]:
    """The key of a method setting and the setting's own path, from a path such as `/~1a~1b/GET/metrics/enabled`."""
    parts = path.removeprefix("/").split("/", 2)
    if len(parts) < 2:
        raise bad_request(f"Invalid stage patch path {path}")
    resource = "*" if parts[0] == "*" else parts[0].replace("~1", "/").removeprefix("/")
    return f"{resource}/{parts[1]}", parts[2] if len(parts) > 2 else ""


def _deployment(one: Deployment) -> dict[str, Any]:
    return {"id": one.id, "createdDate": one.created, **({"description": one.description} if one.description else {})}


def _stage(one: Stage) -> dict[str, Any]:
    made: dict[str, Any] = {
        "stageName": one.name,
        "deploymentId": one.deployment_id,
        "createdDate": one.created,
        "lastUpdatedDate": one.updated,
        "tracingEnabled": one.tracing,
        "cacheClusterEnabled": False,
        "cacheClusterStatus": "NOT_AVAILABLE",
        "methodSettings": {key: _setting(setting) for key, setting in one.settings.items()},
        "variables": dict(one.variables),
        "tags": dict(one.tags),
    }
    if one.description:
        made["description"] = one.description
    if one.log_destination:
        made["accessLogSettings"] = {"destinationArn": one.log_destination, "format": one.log_format}
    return made


def _setting(one: MethodSetting) -> dict[str, Any]:
    return {
        "metricsEnabled": one.metrics,
        "loggingLevel": one.logging,
        "dataTraceEnabled": one.data_trace,
        "throttlingBurstLimit": one.burst,
        "throttlingRateLimit": one.rate,
        "cachingEnabled": False,
    }
