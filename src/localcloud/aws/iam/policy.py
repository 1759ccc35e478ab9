"""The verdict on one request under some policies: pure, the same for identity-based and resource-based ones.

Source: IAM User Guide, "Policy evaluation logic": an explicit deny wins, then any allow, else it is denied by default.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from localcloud.aws.iam import patterns
from localcloud.aws.iam.documents import Policy, PolicyKind, Principals, Statement, parse
from localcloud.aws.iam.patterns import Keys, Shape

Values = str | Sequence[str]

FULL_ACCESS: Mapping[str, Any] = {
    "Version": "2008-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
}
"""The policy of a VPC endpoint that was given none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What a request's sender answers to when a policy names principals. Nothing at all: an anonymous caller."""

    aws: tuple[str, ...] = ()  # ARNs: session, role, account root
    service: str = ""  # "lambda.amazonaws.com"


ANONYMOUS = Caller()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One request as policies see it. Keys are looked up whatever their case; a key that is not here is absent."""

    action: str
    resource: str
    caller: Caller = ANONYMOUS
    keys: Mapping[str, Values] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Allowed or not, and which statement of which policy decided; neither if nothing spoke of the request."""

    allowed: bool
    explicit_deny: bool = False
    policy: str = ""
    statement: str = ""

    @property
    def reason(self) -> str:
        """One line for people."""
        if not self.policy:
            return "no statement allows it"
        return f"{'allowed' if self.allowed else 'denied'} by {self.statement} of {self.policy}"


def evaluate(policies: Iterable[Policy], context: Context) -> Decision:
    """The verdict of `policies` together."""
    keys: Keys = {key.lower(): _listed(values) for key, values in context.keys.items()}
    allowed: Decision | None = None
    for policy in policies:
        for statement in policy.statements:
            if (statement.allow and allowed) or not _applies(statement, policy, context, keys):
                continue
            decision = Decision(
                allowed=statement.allow,
                explicit_deny=not statement.allow,
                policy=policy.name,
                statement=statement.label,
            )
            if not statement.allow:
                return decision
            allowed = decision
    return allowed or Decision(allowed=False)


def evaluate_resource_policy(document: str | Mapping[str, Any] | None, context: Context) -> Decision:
    """The verdict of a resource-based policy alone, as for a private API: no policy, no access."""
    if not document:
        return Decision(allowed=False)
    return evaluate([parse(document, name="the resource policy", kind=PolicyKind.RESOURCE)], context)


def evaluate_endpoint_policy(document: str | Mapping[str, Any] | None, context: Context) -> Decision:
    """The verdict of a VPC endpoint's own policy; an endpoint without one lets everything through."""
    chosen = document or FULL_ACCESS
    return evaluate([parse(chosen, name="the VPC endpoint policy", kind=PolicyKind.RESOURCE)], context)


def action_matches(pattern: str, action: str) -> bool:
    """Whether an Action entry covers `action`; case does not matter."""
    return patterns.matches(pattern, action, shape=Shape.TEXT, variables=None, ignore_case=True)


def _listed(values: Values) -> Sequence[str]:
    return (values,) if isinstance(values, str) else values


def _applies(statement: Statement, policy: Policy, context: Context, keys: Keys) -> bool:
    return (
        _action_fits(statement, context)
        and _principal_fits(statement, context.caller)
        and _resource_fits(statement, context, keys if policy.variables else None)
        and all(condition.holds(keys, variables=policy.variables) for condition in statement.conditions)
    )


def _action_fits(statement: Statement, context: Context) -> bool:
    if statement.actions:
        return any(action_matches(pattern, context.action) for pattern in statement.actions)
    return not any(action_matches(pattern, context.action) for pattern in statement.not_actions)


def _resource_fits(statement: Statement, context: Context, variables: Keys | None) -> bool:
    def fits(pattern: str) -> bool:
        return patterns.matches(pattern, context.resource, shape=Shape.RESOURCE, variables=variables)

    if statement.resources:
        return any(fits(pattern) for pattern in statement.resources)
    return not any(fits(pattern) for pattern in statement.not_resources)


def _principal_fits(statement: Statement, caller: Caller) -> bool:
    if statement.principals is not None:
        return _named(statement.principals, caller)
    return statement.not_principals is None or not _named(statement.not_principals, caller)


def _named(principals: Principals, caller: Caller) -> bool:
    return principals.everyone or caller.service in principals.services or not principals.aws.isdisjoint(caller.aws)
