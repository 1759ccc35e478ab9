"""REST APIs as values: what the control plane keeps and the front serves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """A Lambda proxy integration; `timeout` in milliseconds."""

    uri: str
    timeout: int = 29_000

    @property
    def function(self) -> str:
        """ARN of the function behind it."""
        return self.uri.partition("/functions/")[2].removesuffix("/invocations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method of a resource; one without integration cannot be deployed."""

    http_method: str
    integration: Integration | None = None


@dataclass(slots=True, kw_only=True)
class PathResource:
    """A node of the API's tree of paths."""

    id: str
    parent_id: str
    part: str
    path: str
    methods: dict[str, Method] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayResponse:
    """What the gateway answers in one case; empty members stay as they are by default."""

    type: str
    status: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A deployed resource."""

    resource_id: str
    path: str
    methods: Mapping[str, Method]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What an API was when it was deployed: later changes of the API are not served until the next deployment."""

    id: str
    description: str
    created: datetime
    routes: tuple[Route, ...]
    policy: Mapping[str, Any] | None
    responses: Mapping[str, GatewayResponse]
    binary_types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodSetting:
    """Settings of a stage for the methods that a key (`*/*`, `path/GET`) names."""

    rate: float = 10_000.0  # requests per second
    burst: int = 5_000
    logging: str = "OFF"
    data_trace: bool = False
    metrics: bool = False


@dataclass(slots=True, kw_only=True)
class Stage:
    """A stage: a name under which one deployment is served."""

    name: str
    deployment_id: str
    created: datetime
    updated: datetime
    description: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    tracing: bool = False
    log_destination: str = ""
    log_format: str = ""
    settings: dict[str, MethodSetting] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class RestApi:
    """One API with all that belongs to it."""

    id: str
    region: str
    name: str
    created: datetime
    root_id: str
    description: str = ""
    policy: Mapping[str, Any] | None = None
    types: tuple[str, ...] = ("EDGE",)
    vpc_endpoint_ids: tuple[str, ...] = ()
    endpoint_disabled: bool = False
    binary_types: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    resources: dict[str, PathResource] = field(default_factory=dict)
    responses: dict[str, GatewayResponse] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)
    stages: dict[str, Stage] = field(default_factory=dict)

    @property
    def is_private(self) -> bool:
        return "PRIVATE" in self.types
