"""What the handlers of operations share: the state, the clock, the hardware, faults; a call and its reply."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from localcloud.azure.choices import Choices
from localcloud.azure.errors import ArmError, conflict
from localcloud.azure.faults import AzureFaults
from localcloud.azure.hardware import Hardware
from localcloud.azure.ids import location_key
from localcloud.azure.locks import Locks
from localcloud.azure.model import Caller, Document, Resource
from localcloud.azure.operations import Operation
from localcloud.azure.rbac import Rbac
from localcloud.azure.routes import Route
from localcloud.azure.state import State
from localcloud.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that may be carried out. `host` is the base of absolute URLs in its answer."""

    route: Route
    caller: Caller
    now: datetime
    host: str
    version: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Document | None = None
    if_match: str = ""
    if_none_match: str = ""

    @property
    def document(self) -> Document:
        """The request's body, as an own copy; 400 if there is none."""
        if self.body is None:
            raise ArmError(400, "InvalidRequestContent", "The request content was invalid: a JSON object is needed.")
        return copy.deepcopy(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer: at once, or the first one of an operation."""

    status: int
    document: Any = None
    operation: Operation | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Site:
    """One local Azure, as its handlers see it. They hold the state's lock."""

    state: State
    clock: Clock
    hardware: Hardware
    choices: Choices
    faults: AzureFaults
    rbac: Rbac
    locks: Locks
    tenant_id: str

    def ends(self, call: Call, duration: timedelta) -> datetime:
        """When an operation of this real duration ends."""
        return call.now + self.clock.scaled(duration)

    def free_to_write(self, resource: Resource) -> None:
        """409 if another operation writes this resource."""
        if self.state.operations.holder(resource.key) is not None:
            raise conflict(str(resource.id))

    def free_to_delete(self, resource: Resource) -> None:
        """409 if another operation writes or reads this resource."""
        self.free_to_write(resource)
        if self.state.operations.user(resource.key) is not None:
            raise conflict(str(resource.id))


def check_tags(document: Document) -> None:
    """400 for tags that Resource Manager does not take. Source: reference/azure-compute, section 7.1."""
    tags = document.get("tags")
    if tags is None:
        return
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise ArmError(400, "InvalidRequestContent", "The request content was invalid: tags are strings by name.")
    if len(tags) > 50:
        raise ArmError(400, "InvalidTagCount", "A resource has at most 50 tags.")
    for name, value in tags.items():
        if not name or len(name) > 512 or set(name) & set("<>%&\\?/"):
            raise ArmError(400, "InvalidTagName", f"The tag name '{name}' is invalid.")
        if len(value) > 256:
            raise ArmError(400, "InvalidTagValue", f"The value of tag '{name}' is longer than 256 characters.")


def check_location(document: Document, resource: Resource | None) -> None:
    """400 without a location, 409 if it is not that of the resource that is there."""
    given = document.get("location")
    if not isinstance(given, str) or not given:
        raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
    if resource is not None and location_key(given) != location_key(resource.document["location"]):
        raise ArmError(
            409,
            "InvalidResourceLocation",
            f"The resource '{resource.id.name}' already exists in location '{resource.document['location']}'. "
            f"A resource with the same name cannot be created in location '{given}'.",
        )
