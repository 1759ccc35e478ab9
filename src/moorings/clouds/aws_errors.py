"""AWS errors in our own words: throttled becomes Busy, not allowed Misconfigured, all else CloudFault."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from moorings.errors import Busy, CloudFault, Misconfigured

# Every spelling of "slow down" that the services we call use. Source: botocore's retry handlers.
THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "RequestThrottled",
        "TooManyRequestsException",
        "TooManyUpdates",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "SlowDown",
        "EC2ThrottledException",
    }
)
# The last is SNS's word.
DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "AuthorizationError"})
RETRY_AFTER = timedelta(seconds=2)


def code_of(error: ClientError) -> str:
    """The service's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(call: str) -> Iterator[None]:
    """Turn botocore's errors inside the block into ours; `call` names the API call, such as `ssm:CreateActivation`."""
    try:
        yield
    except ClientError as error:
        raise from_client_error(error, call) from error
    except BotoCoreError as error:
        # No answer: nobody knows whether the call had its effect.
        raise CloudFault(f"{call} got no answer: {type(error).__name__}", call=call) from error


def from_client_error(error: ClientError, call: str) -> Busy | CloudFault | Misconfigured:
    """One service error as one of ours."""
    code = code_of(error)
    message = str(error.response.get("Error", {}).get("Message", "")) or code
    request_id = str(error.response.get("ResponseMetadata", {}).get("RequestId", ""))
    if code in THROTTLED:
        return Busy(f"{call} is throttled", retry_after=RETRY_AFTER)
    if code in DENIED:
        remedy = f"allow {call} to that identity; a function of ours gets it when its stack is deployed again"
        return Misconfigured(f"{call} is not allowed: {message}", remedy=remedy)
    return CloudFault(f"{call} failed: {code}: {message}", call=call, code=code, request_id=request_id)
