"""Azure's role-based access control: role definitions with wildcards, assigned to principals at scopes."""

import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from localcloud.azure.errors import ArmError
from localcloud.azure.ids import within
from localcloud.azure.model import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One set of allowed actions and what is taken out of it; wildcards stand for anything, slashes too."""

    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()

    def allows(self, action: str) -> bool:
        """Whether it allows `action`, compared without case."""
        wanted = action.lower()
        return _any(wanted, self.actions) and not _any(wanted, self.not_actions)

    def view(self) -> dict[str, Any]:
        """As `…/permissions` lists it."""
        return {
            "actions": list(self.actions),
            "notActions": list(self.not_actions),
            "dataActions": [],
            "notDataActions": [],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A role that a principal has at a scope and below."""

    id: str
    principal: str
    role: str
    scope: str
    permissions: tuple[Permission, ...]


class Rbac:
    """Who may do what. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._assignments: list[Assignment] = []
        self._exercised: set[tuple[str, str]] = set()

    def assign(self, *, principal: str, role: Mapping[str, Any], scope: str) -> Assignment:
        """Give `principal` (an object id) a role at `scope` and below.

        `role` is a definition as the `az` command line takes it (Name, Actions, NotActions, AssignableScopes) or as
        Resource Manager shows it (properties.permissions). ValueError if `scope` is not among its assignable scopes.
        """
        definition = {name.lower(): value for name, value in role.items()}
        definition |= {name.lower(): value for name, value in (definition.get("properties") or {}).items()}
        scopes = definition.get("assignablescopes") or ["/"]
        if not any(within(scope, each) for each in scopes):
            raise ValueError(f"{scope} lies in none of the role's assignable scopes: {', '.join(scopes)}")
        made = Assignment(
            id=str(uuid.uuid4()),
            principal=principal.lower(),
            role=str(definition.get("name") or definition.get("rolename") or ""),
            scope=scope,
            permissions=tuple(_permissions(definition)),
        )
        with self._lock:
            self._assignments.append(made)
        return made

    def revoke(self, assignment: Assignment) -> None:
        """Take a role away. Safe to repeat."""
        with self._lock:
            self._assignments = [each for each in self._assignments if each.id != assignment.id]

    def exercised(self, principal: str) -> frozenset[str]:
        """The rights that calls of `principal` needed and that it had, linked ones among them."""
        with self._lock:
            return frozenset(action for who, action in self._exercised if who == principal.lower())

    def permissions(self, caller: Caller, scope: str) -> list[Permission]:
        """What the caller has at `scope`, its own and inherited."""
        if caller.operator:
            return [Permission(actions=("*",))]
        return [each for found in self._of(caller) if within(scope, found.scope) for each in found.permissions]

    def allows(self, caller: Caller, action: str, scope: str, *, anywhere: bool = False) -> bool:
        """Whether the caller may do `action` at `scope`; `anywhere`: or somewhere below it."""
        if caller.operator:
            return True
        return any(
            permission.allows(action)
            for found in self._of(caller)
            if within(scope, found.scope) or (anywhere and within(found.scope, scope))
            for permission in found.permissions
        )

    def check(self, caller: Caller, action: str, scope: str, *, anywhere: bool = False) -> None:
        """403 AuthorizationFailed unless it is allowed; the same words whether or not the scope exists."""
        if not self.allows(caller, action, scope, anywhere=anywhere):
            raise ArmError(
                403,
                "AuthorizationFailed",
                f"The client '{caller.application_id}' with object id '{caller.object_id}' does not have authorization "
                f"to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently "
                "granted, please refresh your credentials.",
            )
        self._note(caller, action)

    def check_linked(self, caller: Caller, action: str, scope: str, needed: Iterable[tuple[str, str]]) -> None:
        """403 LinkedAuthorizationFailed, naming each lacking (action, scope) that `action` needs elsewhere."""
        rights = list(needed)
        lacking = [(right, where) for right, where in rights if not self.allows(caller, right, where)]
        if lacking:
            raise ArmError(
                403,
                "LinkedAuthorizationFailed",
                f"The client '{caller.application_id}' with object id '{caller.object_id}' has permission to perform "
                f"action '{action}' on scope '{scope}'; however, it does not have permission to perform action(s) "
                f"'{','.join(right for right, _ in lacking)}' on the linked scope(s) "
                f"'{','.join(where for _, where in lacking)}' (respectively) or the linked scope(s) are invalid.",
            )
        self._note(caller, *(right for right, _ in rights))

    def _note(self, caller: Caller, *actions: str) -> None:
        with self._lock:
            self._exercised.update((caller.object_id.lower(), action) for action in actions)

    def _of(self, caller: Caller) -> list[Assignment]:
        with self._lock:
            return [each for each in self._assignments if each.principal == caller.object_id.lower()]


def _any(action: str, patterns: Iterable[str]) -> bool:
    # Square brackets mean nothing to RBAC.
    return any(fnmatchcase(action, pattern.lower().replace("[", "[[]")) for pattern in patterns)


def _permissions(definition: Mapping[str, Any]) -> Iterable[Permission]:
    for each in definition.get("permissions") or [definition]:
        members = {name.lower(): value for name, value in each.items()}
        yield Permission(
            actions=tuple(members.get("actions") or ()), not_actions=tuple(members.get("notactions") or ())
        )
