"""Azure errors in our own words: throttled becomes Busy, not allowed Misconfigured, all else CloudFault.

What happened is decided by the code in the body, never by the SDK's class: every 409 is one class there, and an
operation that failed arrives with the status 200 of the poll (reference/azure-compute, section 5).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.core.pipeline.policies import RetryPolicy

from moorings.errors import Busy, CloudFault, Misconfigured

THROTTLED = frozenset({"TooManyRequests", "SubscriptionRequestsThrottled", "ResourceRequestsThrottled"})
DENIED = frozenset({"AuthorizationFailed", "LinkedAuthorizationFailed", "LinkedAccessCheckFailed"})
# Somebody else writes the same resource: what is there must be looked at again before another try.
CONTENDED = frozenset(
    {"Conflict", "OperationPreempted", "PreconditionFailed", "AttachDiskWhileBeingDetached", "RetryableError"}
)
LONGEST_MESSAGE = 1000  # characters of what Azure says: it goes into records, events and mails
RETRY_AFTER = timedelta(seconds=30)  # where the service does not say: its own interval between polls

_AADSTS = re.compile(r"AADSTS(\d+)")
# Of a linked right the message names two actions: that which is allowed, and the one that is not.
_ACTION = re.compile(r"not have (?:permission|authorization) to perform (?:the )?action(?:\(s\))? '([^']+)'")
_TRACE = re.compile(r"\s*(Trace ID|Correlation ID|Timestamp):.*", re.DOTALL)
_NO_AUTHORITY = "Unable to get authority configuration"  # how msal words a tenant that is not there
_FRESH = "; a new credential or role assignment may take some minutes to be honoured"
# By the number behind AADSTS: what is over by itself. Source: Microsoft Entra, "authentication and authorization error
# codes": LoopDetected, ExternalServerRetryableError, RequestTimeout, RequestBudgetExceeded, MsodsServiceUnavailable,
# TenantThrottling.
_PASSING = frozenset({50196, 90006, 90012, 90024, 90033, 90055})
# By the number behind AADSTS: what an operator can do.
_REMEDIES: Mapping[int, str] = {
    90002: "check the tenant id, and that the cloud is the right one",
    700016: "check the client id and the tenant id",
    7000215: "store the client secret's value (not its id): `moorings azure connect`",
    7000222: "make a new client secret and store it: `moorings azure connect`",
    700027: "register this certificate with the application",
    700211: "give the application a federated credential with this issuer" + _FRESH,
    700212: "give the federated credential this audience" + _FRESH,
    700213: "give the federated credential this subject" + _FRESH,
    70021: "give the application a federated credential for this role" + _FRESH,
}


class AzureFault(CloudFault):
    """A call to Resource Manager failed. `code` is its own word (empty: none), `status` HTTP's (0: no answer).

    The status is 200 if an operation was accepted and failed later.
    """

    def __init__(self, message: str, *, call: str, code: str = "", status: int = 0, request_id: str = "") -> None:
        super().__init__(message, call=call, code=code, request_id=request_id)
        self.status = status

    @property
    def absent(self) -> bool:
        """Whether the resource is not there."""
        return self.status == 404

    @property
    def contended(self) -> bool:
        """Whether somebody else changed the resource, or is about to."""
        return self.status == 412 or self.code in CONTENDED


class AzureUnanswered(AzureFault):
    """No answer came. `sent` False: the request never left, so it had no effect; else nobody knows."""

    def __init__(self, message: str, *, call: str, sent: bool) -> None:
        super().__init__(message, call=call)
        self.sent = sent


class AzureDenied(Misconfigured):
    """The identity lacks a right. `action` names it where Azure does."""

    def __init__(self, message: str, *, action: str) -> None:
        super().__init__(message, remedy="assign the custom role to the application at this scope" + _FRESH)
        self.action = action


@contextmanager
def translated(call: str) -> Iterator[None]:
    """Turn the SDK's errors inside the block into ours; `call` names it by its action, such as
    `Microsoft.Compute/disks/write`."""
    try:
        yield
    except AzureError as error:
        raise from_azure_error(error, call) from error


def from_azure_error(error: AzureError, call: str) -> Busy | CloudFault | Misconfigured:
    """One of the SDK's errors as one of ours."""
    if isinstance(error, HttpResponseError) and error.response is not None:
        return _from_answer(error, call)
    if isinstance(error, ClientAuthenticationError):
        return _from_token_service(error, call)
    kind = type(error).__name__
    if isinstance(error, ServiceRequestError):
        return AzureUnanswered(f"{call} could not be sent: {kind}: {error.message}", call=call, sent=False)
    return AzureUnanswered(f"{call} got no answer: {kind}", call=call, sent=True)


def _from_answer(error: HttpResponseError, call: str) -> Busy | CloudFault | Misconfigured:
    code = one_line(str(getattr(error.error, "code", None) or ""))
    message = one_line(str(getattr(error.error, "message", None) or error.reason or ""))
    status = int(error.status_code or 0)
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    if _AADSTS.search(str(error.message)) and not code:
        return _from_token_service(error, call)
    if status == 429 or code in THROTTLED:
        return Busy(f"{call} is throttled", retry_after=_retry_after(headers))
    if code in DENIED or (status == 403 and not code):
        found = _ACTION.search(message)
        action = found[1] if found else ""
        return AzureDenied(f"{call} is not allowed: {message}", action=action)
    if status == 401:
        return Misconfigured(
            f"{call} refused the access token: {code}", remedy="check the tenant id and the cloud's environment"
        )
    request_id = headers.get("x-ms-correlation-request-id") or headers.get("x-ms-request-id") or ""
    text = f"{call} failed: {code or status}: {message}"
    return AzureFault(text, call=call, code=code, status=status, request_id=request_id)


def _from_token_service(error: AzureError, call: str) -> Busy | CloudFault | Misconfigured:
    said = one_line(_TRACE.sub("", str(error.message)))
    found = _AADSTS.search(said)
    if found is None and _NO_AUTHORITY in said:
        return Misconfigured(f"{call} got no access token: {said}", remedy=_REMEDIES[90002])
    if found is None or int(found[1]) in _PASSING:
        # An outage: the service's refusals all have a number.
        return AzureUnanswered(f"{call} got no access token: {said}", call=call, sent=False)
    remedy = _REMEDIES.get(int(found[1]), "check the application's credentials: `moorings azure check`")
    return Misconfigured(f"{call} got no access token: {said[found.start() :]}", remedy=remedy)


def one_line(text: str) -> str:
    """What Azure says, on one line and not without end; without double quotes, for whoever puts it between such."""
    return " ".join(text.replace('"', "'").split())[:LONGEST_MESSAGE]


def _retry_after(headers: Mapping[str, str]) -> timedelta:
    """As the retry policy reads it: seconds, or a date."""
    value = headers.get("Retry-After")
    try:
        seconds = RetryPolicy[Any, Any]().parse_retry_after(value) if value else 0.0
    except ValueError:
        seconds = 0.0
    return timedelta(seconds=seconds) if seconds > 0 else RETRY_AFTER
