"""From a request's host and path to the API, the stage and the deployed route.

Source: API Gateway developer guide, "Invoke a private API" (names of private APIs) and "Set up a proxy resource".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from localcloud.aws.apigateway.model import Deployment, Method, MethodSetting, Route, Stage
from localcloud.wire import Request

_HOST = re.compile(r"([a-z0-9]{10})(?:-(vpce-[0-9a-f]+))?\.execute-api\.([a-z0-9-]+)\.amazonaws\.com")
_ENDPOINT_HOST = re.compile(r"(?:\*\.)?(vpce-[0-9a-f]+)-[a-z0-9-]+\.execute-api\.([a-z0-9-]+)\.vpce\.amazonaws\.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a host name says: the API, and the VPC endpoint if the name holds one."""

    api_id: str
    vpce_id: str
    region: str


def named(request: Request) -> Named | None:
    """The API that a request names, by its Host or, with the endpoint's own DNS name, by `x-apigw-api-id`."""
    host = request.headers.get("Host").partition(":")[0].lower()
    if found := _HOST.fullmatch(host):
        return Named(api_id=found[1], vpce_id=found[2] or "", region=found[3])
    if found := _ENDPOINT_HOST.fullmatch(host):
        return Named(api_id=request.headers.get("x-apigw-api-id"), vpce_id=found[1], region=found[2])
    return None


def stage_and_path(path: str) -> tuple[str, str]:
    """The first segment and the rest, which begins with a slash."""
    first, _, rest = path.removeprefix("/").partition("/")
    return unquote(first), f"/{rest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The deployed method that serves a request, and the values of the path's parameters."""

    route: Route
    method: Method
    parameters: Mapping[str, str]


def find(deployment: Deployment, http_method: str, path: str) -> Found | None:
    """The method for a path: static segments win over `{parameters}`, these over `{proxy+}`; None if there is none."""
    candidates = sorted(deployment.routes, key=lambda route: _rank(route.path))
    for route in candidates:
        parameters = _matched(route.path, path)
        if parameters is None:
            continue
        method = route.methods.get(http_method) or route.methods.get("ANY")
        return None if method is None else Found(route=route, method=method, parameters=parameters)
    return None


def _rank(path: str) -> list[int]:
    return [2 if part.endswith("+}") else 1 if part.startswith("{") else 0 for part in path.split("/")]


def _matched(pattern: str, path: str) -> dict[str, str] | None:
    wanted, given = pattern.split("/"), path.split("/")
    parameters: dict[str, str] = {}
    for index, part in enumerate(wanted):
        if part.endswith("+}"):
            rest = "/".join(given[index:])
            return {**parameters, part[1:-2]: unquote(rest)} if rest else None
        if index >= len(given):
            return None
        if part.startswith("{") and given[index]:
            parameters[part[1:-1]] = unquote(given[index])
        elif part != unquote(given[index]):
            return None
    return parameters if len(given) == len(wanted) else None


def setting_of(stage: Stage, found: Found) -> MethodSetting:
    """The stage's settings for a method: those of the method itself, else those for all."""
    own = f"{found.route.path.removeprefix('/')}/{found.method.http_method}"
    return stage.settings.get(own) or stage.settings.get("*/*") or MethodSetting()
