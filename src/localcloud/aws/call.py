"""One call to the AWS endpoint as a value: what an operation of the local cloud is handed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.principals import Principal
from localcloud.wire import Held, Request, Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A recognised, parsed and authenticated request.

    `service` is botocore's service name (`ssm`, `dynamodb`, `lambda`), or `ec2messages`/`ssmmessages` for the agent's
    channels; `operation` the API's operation name; `params` the input as botocore's model shapes it (blobs as bytes,
    timestamps aware).
    """

    id: str
    service: str
    operation: str
    params: Mapping[str, Any]
    principal: Principal
    account: str
    region: str
    now: datetime
    request: Request


# An operation answers with the output members as botocore's model names them (rendered in the service's protocol),
# or with a finished Response, or with either once it is ready (Held). It refuses by raising ServiceError.
Operation = Callable[[Call], Mapping[str, Any] | Response | Held]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One right that a call needed of its caller's own policies. `policy` and `statement`: what allowed it."""

    action: str
    resource: str
    policy: str = ""  # empty for the operator, whom nothing has to allow anything
    statement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """What the endpoint remembers of each call, for counting and for the IAM exactness check."""

    service: str
    operation: str
    principal: Principal
    status: int  # HTTP status; 0: the connection was dropped
    error: str = ""  # the service's error code
    actions: tuple[str, ...] = ()  # IAM actions that were needed (and allowed, unless error says otherwise)
    uses: tuple[Use, ...] = ()  # the same, with resources and what allowed them
    seconds: float = 0.0
    at: datetime | None = field(default=None)
