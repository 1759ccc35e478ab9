"""The REST APIs of a world: look-up, snapshots at deployment, and the account's setting per Region."""

import json
import secrets
import string
import threading
from collections.abc import Mapping
from typing import Any

from localcloud.aws.apigateway.model import Deployment, PathResource, RestApi, Route, Stage
from localcloud.aws.iam.documents import MalformedPolicy, PolicyKind, parse
from localcloud.aws.iam.trust import APIGATEWAY, may_assume
from localcloud.errors import ServiceError
from localcloud.world import World

_LETTERS = string.ascii_lowercase + string.digits


def new_id(length: int = 10) -> str:
    """An id as API Gateway makes them."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def bad_request(message: str) -> ServiceError:
    """API Gateway's BadRequestException."""
    return ServiceError("BadRequestException", message, status=400)


def not_found(message: str) -> ServiceError:
    """API Gateway's NotFoundException."""
    return ServiceError("NotFoundException", message, status=404)


class Apis:
    """All REST APIs of an account; hold `lock` while changing one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.lock = threading.RLock()
        self._apis: dict[str, RestApi] = {}
        self._log_roles: dict[str, str] = {}

    def add(self, api: RestApi) -> None:
        with self.lock:
            self._apis[api.id] = api

    def remove(self, api: RestApi) -> None:
        with self.lock:
            self._apis.pop(api.id, None)

    def of_region(self, region: str) -> list[RestApi]:
        """The Region's APIs, oldest first."""
        with self.lock:
            return [api for api in self._apis.values() if api.region == region]

    def regions(self) -> set[str]:
        """The Regions that have APIs."""
        with self.lock:
            return {api.region for api in self._apis.values()}

    def find(self, region: str, api_id: str) -> RestApi:
        """The API of an id. Raises NotFoundException."""
        api = self._apis.get(api_id)
        if api is None or api.region != region:
            raise not_found(f"Invalid API identifier specified {self._world.account}:{api_id}")
        return api

    def served(self, region: str, api_id: str) -> RestApi | None:
        """The API of an id if there is one."""
        api = self._apis.get(api_id)
        return api if api is not None and api.region == region else None

    def log_role(self, region: str) -> str:
        """The role with which API Gateway writes logs; empty if the account has set none."""
        return self._log_roles.get(region, "")

    def set_log_role(self, region: str, arn: str) -> None:
        """Set it. Raises BadRequestException for a role that is not there or does not trust API Gateway."""
        if arn and not may_assume(self._world, arn, APIGATEWAY):
            raise bad_request(
                "The role ARN does not have required permissions configured. Please grant trust permission for API "
                "Gateway and add the required role policy."
            )
        self._log_roles[region] = arn


def find_resource(api: RestApi, resource_id: str) -> PathResource:
    """A resource of an API. Raises NotFoundException."""
    if resource_id not in api.resources:
        raise not_found("Invalid Resource identifier specified")
    return api.resources[resource_id]


def find_stage(api: RestApi, name: str) -> Stage:
    """A stage of an API. Raises NotFoundException."""
    if name not in api.stages:
        raise not_found("Invalid stage identifier specified")
    return api.stages[name]


def snapshot(api: RestApi, *, deployment_id: str, description: str, created: Any) -> Deployment:
    """The API as it is now, ready to be served. Raises BadRequestException if it cannot be deployed."""
    if not any(resource.methods for resource in api.resources.values()):
        raise bad_request("The REST API doesn't contain any methods")
    for resource in api.resources.values():
        if any(method.integration is None for method in resource.methods.values()):
            raise bad_request("No integration defined for method")
    if api.is_private and not api.policy:
        raise bad_request("Private REST API doesn't have a resource policy attached to it")
    return Deployment(
        id=deployment_id,
        description=description,
        created=created,
        routes=tuple(
            Route(resource_id=one.id, path=one.path, methods=dict(one.methods))
            for one in api.resources.values()
            if one.methods
        ),
        policy=api.policy,
        responses=dict(api.responses),
        binary_types=api.binary_types,
    )


def checked_policy(text: str, arn: str) -> Mapping[str, Any] | None:
    """A resource policy from its text, its short resources (`execute-api:/*`) completed with the API's ARN.

    None for an empty text. Raises BadRequestException.
    """
    if not text:
        return None
    try:
        parse(text, name="the resource policy", kind=PolicyKind.RESOURCE)
    except MalformedPolicy as error:
        raise bad_request(
            "Invalid policy document. Please check the policy syntax and ensure that Principals are valid. "
            f"({error.message})"
        ) from error
    document: dict[str, Any] = json.loads(text)
    statements = document["Statement"]
    document["Statement"] = [
        _completed(one, arn) for one in (statements if isinstance(statements, list) else [statements])
    ]
    return document


def _completed(statement: Mapping[str, Any], arn: str) -> dict[str, Any]:
    made = dict(statement)
    for element in ("Resource", "NotResource"):
        if element in made:
            given = made[element]
            made[element] = _whole(given, arn) if isinstance(given, str) else [_whole(one, arn) for one in given]
    return made


def _whole(resource: str, arn: str) -> str:
    return f"{arn}{resource.removeprefix('execute-api:')}" if resource.startswith("execute-api:/") else resource
