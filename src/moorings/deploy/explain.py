"""Why a stack failed, in one sentence with a remedy.

What counts is the first resource that failed, not the cancellations that followed from it.
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


_CANCELLED = re.compile(r"cancelled|The following resource\(s\) failed", re.IGNORECASE)
# Reasons as the services word them → what to do. The first that matches counts.
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
            "the account has too few concurrent functions to reserve some: set ApiConcurrency=none, or ask for a higher"
            " Lambda quota",
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
            r"deletion protection|currently protected",
            "the ledger is protected: deploy with DeletionProtection=no, then remove again",
        ),
        (r"not authorized|AccessDenied|explicit deny", "give the deploying identity the action that the reason names"),
        (
            r"NoSuchKey|NoSuchBucket|S3 key does not exist",
            "the functions' zip is not where ArtifactBucket and ArtifactKey say: upload it, in the same Region",
        ),
        (
            r"limit ?exceeded|quota|maximum number",
            "ask for a higher quota of that service, or remove what is not needed",
        ),
        (r"security token .* expired|ExpiredToken", "sign in again, then run the command again"),
        (r"already exists", "delete or rename the resource that is in the way"),
        (r"dependent object|in use|DependencyViolation", "remove what still uses it, then run the command again"),
    )
)
_LOOK = "look at the stack's events: `aws cloudformation describe-stack-events --stack-name {name}`"


def fault_of(name: str, status: str, events: Sequence[Event]) -> CloudFault:
    """What to tell about a stack that settled in `status`; `events` are in the order in which they happened."""
    failed = [event for event in events if event.status.endswith("_FAILED")]
    causes = [event for event in failed if not _CANCELLED.search(event.reason) and not _is_stack(event)]
    first = next(iter(causes or failed), None)
    if first is None:
        return CloudFault(
            f"stack {name} ended as {status}", call="cloudformation:DescribeStacks", remedy=_LOOK.format(name=name)
        )
    return CloudFault(
        f"stack {name} ended as {status}: {first.resource} ({first.type}) failed: {first.reason or 'no reason given'}",
        call="cloudformation:DescribeStackEvents",
        code=first.status,
        remedy=remedy_for(first.reason) or _LOOK.format(name=name),
    )


def remedy_for(reason: str) -> str:
    """What to do about a reason that CloudFormation gives; empty if it is none of those we know."""
    return next((remedy for pattern, remedy in _REMEDIES if pattern.search(reason)), "")


def _is_stack(event: Event) -> bool:
    return event.type == "AWS::CloudFormation::Stack"
