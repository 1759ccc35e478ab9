"""What the doctor asks of the surroundings. Whatever cannot be had comes back as `Unseen`, never as an error."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from moorings.doctor.model import (
    Alarm,
    Bucket,
    Caller,
    Endpoint,
    Function,
    LambdaLimits,
    Parameter,
    Runbook,
    StackFacts,
    Subscriptions,
    Unseen,
    Vpc,
)
from moorings.doctor.rights import Answers, Question


class Probes(Protocol):
    """The account and Region, and the network that this computer is in. Nothing here changes anything."""

    def caller(self) -> Caller | Unseen:
        """Who is signed in."""

    def ahead(self) -> timedelta | None:
        """This computer's clock less that of AWS, whose answer is dated even if it is a refusal; None: no date came."""

    def role(self, name: str) -> str | Unseen | None:
        """The ARN of a role, with its path; None if there is none of that name."""

    def simulated(self, arn: str, question: Question) -> Answers | Unseen:
        """Action and resource → whether the identity's policies allow it."""

    def lambda_limits(self) -> LambdaLimits | Unseen:
        """Concurrent executions that the account has."""

    def quota(self, service: str, quota: str) -> float | Unseen:
        """The value of a quota."""

    def service_setting(self, setting: str) -> str | Unseen:
        """A setting of Systems Manager for the account and Region."""

    def managed_nodes(self) -> int | Unseen:
        """How many hybrid nodes are registered."""

    def vpc(self, vpc: str) -> Vpc | Unseen:
        """A VPC's DNS attributes."""

    def endpoint(self, endpoint: str) -> Endpoint | Unseen | None:
        """A VPC endpoint; None if there is none of that id."""

    def addresses(self, host: str) -> tuple[str, ...]:
        """What a host name resolves to where this computer is; nothing if it does not."""

    def connects(self, host: str) -> bool:
        """Whether port 443 of a host answers within a few seconds."""

    def stack(self, name: str) -> StackFacts | Unseen | None:
        """A stack with its resources; None if there is none."""

    def function(self, name: str) -> Function | Unseen | None:
        """A function's configuration; None if it is gone."""

    def runbook(self, name: str) -> Runbook | Unseen | None:
        """The versions of a document; None if it is gone."""

    def schedule_on(self, rule: str) -> bool | Unseen | None:
        """Whether an EventBridge rule is enabled; None if it is gone."""

    def last_logged(self, group: str) -> datetime | Unseen | None:
        """When a function last began to log; None if it never did."""

    def alarms(self, names: Sequence[str]) -> Mapping[str, Alarm] | Unseen:
        """Those of the alarms that are there, by name."""

    def subscriptions(self, topic: str) -> Subscriptions | Unseen:
        """Who is told by a topic."""

    def parameter(self, name: str) -> Parameter | Unseen | None:
        """A stored credential; None if there is none of that name."""

    def issues_identities(self) -> bool | Unseen:
        """Whether the account issues web identities."""

    def asked(self, function: str, event: Mapping[str, Any]) -> Mapping[str, Any] | Unseen:
        """What a function answers to an event that changes nothing."""

    def bucket(self, name: str) -> Bucket | Unseen | None:
        """A bucket's settings; None if there is none of that name."""

    def anchors(self) -> tuple[str, ...] | Unseen | None:
        """What is wrong with the trust anchors on this computer; None if there are none."""

    def now(self) -> datetime:
        """The time."""
