"""Why a stack failed, in one sentence with a remedy.

What counts is the first resource that failed, not the cancellations that followed. A stack that stopped half-way back
needs two things: the cause mended, and the command that lets it go on.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from moorings.errors import CloudFault


class Event(Protocol):
    """What is read of an event of a stack."""

    @property
    def resource(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def physical(self) -> str: ...


_CANCELLED = re.compile(r"cancelled|The following resource\(s\) failed", re.IGNORECASE)
# Reasons as the services word them → what to do, with what the pattern caught. The first that matches counts.
_REMEDIES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), remedy)
    for pattern, remedy in (
        (
            r"CloudWatch Logs role ARN must be set",
            "API Gateway has no logging role in this account and Region: set CreateApiGatewayLoggingRole=yes, or leave"
            " CloudwatchLogRoleArn empty",
        ),
        (
            r"UnreservedConcurrentExecution",
            "the account has too few concurrent functions to reserve some: set ApiConcurrency=none (patching:"
            " FunctionConcurrency=none), or ask for a higher Lambda quota",
        ),
        (
            r"conflicting DNS domain|private-dns-enabled cannot be set",
            "the VPC has an execute-api endpoint already: use that one by its id, or set PrivateDns=no",
        ),
        (
            r"enableDnsSupport|enableDnsHostnames",
            "turn on enableDnsSupport and enableDnsHostnames of the VPC, or set PrivateDns=no",
        ),
        (
            r"deletion protection|currently protected|DeletionProtectionEnabled",
            # A stack that could not delete it takes no update, so it is not by DeletionProtection=no.
            "the table is protected: `aws dynamodb update-table --no-deletion-protection-enabled --table-name"
            " {physical}`",
        ),
        (
            r"bucket is in this region: ([a-z0-9-]+)|PermanentRedirect",
            "the bucket lies in another Region than the stack: name one of this Region, or none to have one made",
        ),
        (
            r"NoSuchKey|NoSuchBucket|S3 key does not exist",
            "what the stack takes from the bucket is not where ArtifactBucket and its keys say: upload it, in the same"
            " Region",
        ),
        (
            r"explicit deny|no (?:permissions boundary|(?:service|resource) control policy|session policy) allows",
            "a policy above the deploying identity forbids it (service control policy, permissions boundary): ask who"
            " runs the organization",
        ),
        (
            r"not authorized to perform: ([\w-]+:\w+)",
            "allow {0} for whoever deploys; `moorings doctor` names every right that is missing",
        ),
        (
            r"not authorized|AccessDenied|UnauthorizedOperation",
            "give the deploying identity the right that the reason names; `moorings doctor` names all that are missing",
        ),
        (r"security token .* expired|ExpiredToken", "sign in again, then run the command again"),
        (
            r"\bThrottling(?:Exception)?\b|throttled|Rate exceeded|TooManyRequests",
            "the account calls that service too often at the moment: run the command again in a few minutes",
        ),
        (
            r"limit ?exceeded|quota|maximum number|has been reached",
            "ask for a higher quota of that service (Service Quotas), or remove what is not needed",
        ),
        (
            r"KMSInvalidState|is pending deletion|key .* is disabled",
            "the KMS key is disabled or about to be deleted: enable it, or name another by KmsKeyId",
        ),
        (
            r"already exists",
            "something of that name is there already, perhaps from an earlier stack: delete it, or deploy under"
            " another name",
        ),
        (r"dependent object|in use|DependencyViolation", "remove what still uses it, then run the command again"),
    )
)
_LOOK = "look at the stack's events: `aws cloudformation describe-stack-events --stack-name {name}`"
# Status in which a stack stays until somebody acts → what lets it go on, once the cause is mended.
_GO_ON = {
    "UPDATE_ROLLBACK_FAILED": "then run `aws cloudformation continue-update-rollback --stack-name {name}`, and once it"
    " has ended the command again",
    "DELETE_FAILED": "then run the command again, or leave the resource behind: `aws cloudformation delete-stack"
    " --stack-name {name} --retain-resources {resource}`",
}
# The same → what the stack's own event says when it sets out for it.
_TURNS = {"UPDATE_ROLLBACK_FAILED": "UPDATE_ROLLBACK_IN_PROGRESS", "DELETE_FAILED": "DELETE_IN_PROGRESS"}


def fault_of(name: str, status: str, events: Sequence[Event]) -> CloudFault:
    """What to tell about a stack that settled in `status`; `events` are in the order in which they happened."""
    first = _cause(_since_turn(events, status)) or _cause(events)
    if first is None:
        return CloudFault(
            f"stack {name} ended as {status}", call="cloudformation:DescribeStacks", remedy=_LOOK.format(name=name)
        )
    remedy = remedy_for(first.reason, physical=first.physical) or _LOOK.format(name=name)
    if go_on := _GO_ON.get(status):
        remedy = f"{remedy}; {go_on.format(name=name, resource=first.resource)}"
    return CloudFault(
        f"stack {name} ended as {status}: {first.resource} ({first.type}) failed: {first.reason or 'no reason given'}",
        call="cloudformation:DescribeStackEvents",
        code=first.status,
        remedy=remedy,
    )


def remedy_for(reason: str, *, physical: str = "") -> str:
    """What to do about a reason that CloudFormation gives; empty if it is none of those we know.

    `physical` is the name of what failed, as its service knows it.
    """
    for pattern, remedy in _REMEDIES:
        if found := pattern.search(reason):
            return remedy.format(*found.groups(), physical=physical or "NAME")
    return ""


def _cause(events: Sequence[Event]) -> Event | None:
    failed = [event for event in events if event.status.endswith("_FAILED")]
    causes = [event for event in failed if not _CANCELLED.search(event.reason) and not _is_stack(event)]
    return next(iter(causes or failed), None)


def _since_turn(events: Sequence[Event], status: str) -> Sequence[Event]:
    """The events since the stack turned to where it is stuck: what failed before is not what keeps it there."""
    if status not in _TURNS:
        return events
    turned = [number for number, event in enumerate(events) if _is_stack(event) and event.status == _TURNS[status]]
    return events[turned[-1] :] if turned else ()


def _is_stack(event: Event) -> bool:
    return event.type == "AWS::CloudFormation::Stack"
