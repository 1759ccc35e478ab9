"""What can go wrong in the local cloud, by who has to act.

LocalCloudError
├── ServiceError     the emulated service refuses: code, message and status as the real one words them
├── Unsupported      the local cloud has no such operation, resource type or property: names it, never pretends
├── ConnectionLost   the answer is dropped on purpose (fault injection): the caller sees a broken connection
└── CannotRun        this host lacks something (root, iproute2, ...): names it and the remedy
"""

from collections.abc import Mapping
from typing import Any


class LocalCloudError(Exception):
    """Root of the local cloud's own errors."""


class ServiceError(LocalCloudError):
    """A refusal in the service's own words; the endpoint renders it in the protocol of the called service."""

    def __init__(
        self, code: str, message: str = "", *, status: int = 400, fields: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = dict(fields or {})


class Unsupported(LocalCloudError):
    """The local cloud does not do this; the message names what was asked for."""


class ConnectionLost(LocalCloudError):
    """The effect may have happened, the answer does not arrive."""


class CannotRun(LocalCloudError):
    """The host cannot do this: `fact` names what is missing, `remedy`, where there is one, how to get it."""

    def __init__(self, fact: str, *, remedy: str = "") -> None:
        super().__init__(f"{fact}; {remedy}" if remedy else fact)
        self.fact = fact
        self.remedy = remedy
