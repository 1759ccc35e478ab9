"""Least privilege, measured: what a role's policies allow against what its function really asked for.

Actions are compared, not resources: that a policy names the right resources shows in the calls that succeed, and in
the tests that call beside them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from localcloud.aws.call import CallRecord
from localcloud.aws.iam import patterns
from localcloud.aws.iam.actions import KNOWN_ACTIONS
from localcloud.aws.iam.documents import Policy, Statement
from localcloud.aws.iam.policy import action_matches
from localcloud.aws.iam.roles import find_role
from localcloud.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactness:
    """How policies and use compare. Exact: nothing in `not_allowed`, `unused` and `wildcards`."""

    used: frozenset[str]
    allowed: frozenset[str]  # wildcards written out over the known actions
    wildcards: frozenset[str]  # Action entries that may stand for more than one action

    @property
    def not_allowed(self) -> frozenset[str]:
        """Used without being allowed; empty under enforcement."""
        return self.used - self.allowed

    @property
    def unused(self) -> frozenset[str]:
        """Allowed and never used."""
        return self.allowed - self.used


def compare(records: Iterable[CallRecord], policies: Iterable[Policy], *, role_name: str) -> Exactness:
    """The use of `role_name` in `records` against `policies` (parsed documents)."""
    used = frozenset(
        action for record in records if record.principal.role_name == role_name for action in record.actions
    )
    statements = [statement for policy in policies for statement in policy.statements]
    universe = KNOWN_ACTIONS | used
    allowed = {action for statement in statements if statement.allow for action in _written_out(statement, universe)}
    refused = {action for one in statements if _always_denies(one) for action in _written_out(one, universe)}
    wildcards = {entry for one in statements if one.allow for entry in _open_entries(one)}
    return Exactness(used=used, allowed=frozenset(allowed - refused), wildcards=frozenset(wildcards))


def of_role(world: World, role_name: str, *, since: int = 0) -> Exactness:
    """The use of a role in this world's calls after the first `since`, against everything attached to it now.

    Raises LookupError if there is no such role.
    """
    role = find_role(world, role_name)
    if role is None:
        raise LookupError(f"no role {role_name} in account {world.account}")
    return compare(world.calls.since(since), role.policies, role_name=role_name)


def _written_out(statement: Statement, universe: frozenset[str]) -> set[str]:
    if statement.not_actions:
        return {one for one in universe if not any(action_matches(entry, one) for entry in statement.not_actions)}
    covered = {one for one in universe if any(action_matches(entry, one) for entry in statement.actions)}
    # An action that no table knows was never asked for: it stays as written and shows up as unused.
    unknown = {
        entry
        for entry in statement.actions
        if not patterns.has_wildcard(entry) and not any(action_matches(entry, one) for one in covered)
    }
    return covered | unknown


def _open_entries(statement: Statement) -> set[str]:
    if statement.not_actions:
        return {f"NotAction {entry}" for entry in statement.not_actions}
    return {entry for entry in statement.actions if patterns.has_wildcard(entry)}


def _always_denies(statement: Statement) -> bool:
    return not statement.allow and not statement.conditions and "*" in statement.resources
