"""What goes wrong with a resource: which errors fail it, the reason that its event gives, the end of the operation."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.aws.cloudformation.model import Stack, StackResource
from localcloud.aws.cloudformation.shapes import Malformed
from localcloud.aws.cloudformation.types import Failed
from localcloud.clock import Clock
from localcloud.errors import LocalCloudError, ServiceError

# What a resource handler may raise; anything else is a bug of the local cloud and ends the operation as one.
REFUSALS = (ClientError, BotoCoreError, Failed, Malformed, LocalCloudError)


class Stop(Exception):
    """A resource failed; the events are written, the operation turns back. The message is the stack's reason."""


@contextmanager
def failing(clock: Clock, stack: Stack, resource: StackResource, verb: str) -> Iterator[None]:
    """Turn what a handler raises inside into a failed resource and `Stop`."""
    try:
        yield
    except REFUSALS as error:
        stack.note(at=clock.now(), status=f"{verb}_FAILED", reason=reason_of(error), resource=resource)
        raise Stop(failure([resource.logical_id], verb)) from error


def failure(names: list[str], verb: str) -> str:
    """The stack's reason when resources failed."""
    return f"The following resource(s) failed to {verb.lower()}: [{', '.join(names)}]."


def reason_of(error: BaseException) -> str:
    """The reason that an event gives for an error."""
    if isinstance(error, ClientError):
        told = error.response.get("Error", {})
        meta = error.response.get("ResponseMetadata", {})
        return (
            f'Resource handler returned message: "{told.get("Message", "")}" '
            f"(HandlerErrorCode: {told.get('Code', '')}, Status Code: {meta.get('HTTPStatusCode', '')})"
        )
    if isinstance(error, ServiceError):
        return error.message or error.code
    if isinstance(error, Failed | Malformed | LocalCloudError):
        return str(error)
    return f"{type(error).__name__}: {error}"
