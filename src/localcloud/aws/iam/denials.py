"""How services word a denial. Source: IAM User Guide, "Troubleshoot access denied error messages"."""

from collections.abc import Mapping

from localcloud.aws.call import Call
from localcloud.aws.iam.documents import PolicyKind
from localcloud.aws.iam.rights.model import Right
from localcloud.errors import ServiceError

# Code and HTTP status; every other service speaks JSON and answers as the default does.
_JSON = ("AccessDeniedException", 400)
_CODES: Mapping[str, tuple[str, int]] = {
    "apigateway": ("AccessDeniedException", 403),
    "cloudformation": ("AccessDenied", 403),
    "cloudwatch": ("AccessDenied", 403),
    "ec2": ("UnauthorizedOperation", 403),
    "iam": ("AccessDenied", 403),
    "lambda": ("AccessDeniedException", 403),
    "s3": ("AccessDenied", 403),
    "ssmmessages": ("AccessDeniedException", 403),
    "sns": ("AuthorizationError", 403),
    "sts": ("AccessDenied", 403),
}
# "a resource-based policy" and so on.
_ARTICLE = {PolicyKind.IDENTITY: "an", PolicyKind.RESOURCE: "a", PolicyKind.TRUST: "a", PolicyKind.BOUNDARY: "a"}
_CIPHERTEXT = "the resource associated with this ciphertext"


def denied(call: Call, right: Right, *, by: PolicyKind, explicit: bool) -> ServiceError:
    """The refusal of `call` for want of `right`, because of the kind of policy that denies or does not allow it."""
    kind = PolicyKind.RESOURCE if by is PolicyKind.TRUST else by
    why = (
        f"with an explicit deny in {_ARTICLE[kind]} {kind.value}"
        if explicit
        else f"because no {kind.value} allows the {right.action} action"
    )
    where = _CIPHERTEXT if right.action == "kms:Decrypt" else f"resource: {right.resource}"
    message = f"User: {call.principal.arn} is not authorized to perform: {right.action} on {where} {why}"
    if right.via:
        message += f" (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException; Request ID: {call.id})"
    code, status = _CODES.get(call.service, _JSON)
    return ServiceError(code, message, status=status)


def unlisted(call: Call) -> ServiceError:
    """The refusal of an operation whose rights nobody has written down: a gap of the local cloud, not of the policy."""
    code, status = _CODES.get(call.service, _JSON)
    message = (
        f"User: {call.principal.arn} called {call.service}:{call.operation}, whose IAM rights the local cloud does not "
        "know; add them to localcloud.aws.iam.rights"
    )
    return ServiceError(code, message, status=status)


def no_such_key(call: Call, right: Right) -> ServiceError:
    """The refusal of a KMS key that does not exist, in the words of the service that was called."""
    message = f"Key '{right.resource}' does not exist"
    if right.via:
        return ServiceError(
            "InvalidKeyId",
            f"{message} (Service: AWSKMS; Status Code: 400; Error Code: NotFoundException; Request ID: {call.id})",
        )
    return ServiceError("NotFoundException", message)
