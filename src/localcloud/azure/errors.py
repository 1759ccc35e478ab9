"""Resource Manager's refusals: status, code and the body that says them.

Source: reference/azure-compute, section 5. Where the service's code is not known, the one taken here is in `choices`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.errors import ServiceError
from localcloud.wire import Headers, Response

JSON = "application/json; charset=utf-8"


class ArmError(ServiceError):
    """A refusal by Resource Manager or a provider. `bare`: without the `error` wrapper, as compute throttles."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str = "",
        details: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        bare: bool = False,
    ) -> None:
        super().__init__(code, message, status=status)
        self.target = target
        self.details = tuple(details)
        self.headers = dict(headers or {})
        self.bare = bare

    @property
    def content(self) -> dict[str, Any]:
        """The error object."""
        told: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target:
            told["target"] = self.target
        if self.details:
            told["details"] = [dict(each) for each in self.details]
        return told

    def response(self) -> Response:
        """The answer that says it."""
        body = self.content if self.bare else {"error": self.content}
        headers = [("Content-Type", JSON), *self.headers.items()]
        if self.status == 401:
            headers.append(("WWW-Authenticate", 'Bearer authorization_uri="https://localhost/", error="invalid_token"'))
        return Response(status=self.status, headers=Headers.of(headers), body=json.dumps(body).encode())


def not_found(kind: str, name: str, group: str) -> ArmError:
    """404 for a resource that a caller with rights asks for."""
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource 'Microsoft.Compute/{kind}/{name}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def group_not_found(group: str) -> ArmError:
    """404 for a resource group."""
    return ArmError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def subscription_not_found(subscription: str) -> ArmError:
    """404 for a subscription."""
    return ArmError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")


def invalid(message: str, target: str = "") -> ArmError:
    """400 for a parameter that cannot be as given."""
    return ArmError(400, "InvalidParameter", message, target=target)


def missing(name: str) -> ArmError:
    """400 for a parameter that must be there."""
    return invalid(f"Required parameter '{name}' is missing (null).", name)


def not_changeable(name: str) -> ArmError:
    """409 for a property that stays as it was created."""
    return ArmError(409, "PropertyChangeNotAllowed", f"Changing property '{name}' is not allowed.", target=name)


def not_allowed(message: str, target: str = "") -> ArmError:
    """409 for something that this resource, in this state, does not do."""
    return ArmError(409, "OperationNotAllowed", message, target=target)


def conflict(resource_id: str) -> ArmError:
    """409 for the second writer."""
    return ArmError(
        409,
        "Conflict",
        f"The request failed due to conflict with a concurrent request. Another operation on '{resource_id}' is in "
        "progress; wait until it has ended, then look at the resource again.",
    )


def unsupported(what: str) -> ArmError:
    """501 in the local cloud's own words: it has no such operation."""
    return ArmError(501, "NotSupportedByLocalCloud", f"The local cloud does not do this: {what}.")
