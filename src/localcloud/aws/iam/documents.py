"""Policy documents: parsed once, checked as IAM checks them when they are stored, and kept as values.

Source: IAM User Guide, "IAM JSON policy element reference" and "Grammar of the IAM JSON policy language".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from localcloud.aws.iam import conditions
from localcloud.aws.iam.conditions import BadCondition, Condition
from localcloud.errors import ServiceError

_CURRENT, _OLD = "2012-10-17", "2008-10-17"  # only the current version knows policy variables
_ELEMENTS = {"Version", "Id", "Statement"}
_STATEMENT_ELEMENTS = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_ARN = re.compile(r"arn:[^:]*:[^:]*:[^:]*:[^:]*:.+", re.DOTALL)
_LOOSE_ARN = re.compile(r"arn:[^:]*[*][^:]*(:.*)?|arn:[^:]*:.*[*].*", re.DOTALL)
# API Gateway completes these with the ARN of the API that the policy belongs to.
_SHORT_INVOKE = "execute-api:/"
_PRINCIPALS = {"AWS", "Service", "Federated", "CanonicalUser"}


class MalformedPolicy(ServiceError):
    """A policy document that AWS would not store; the message says where and why."""

    def __init__(self, message: str) -> None:
        super().__init__("MalformedPolicyDocument", message, status=400)


class PolicyKind(Enum):
    """What a policy is attached to; decides which elements it must and must not have."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    TRUST = "trust policy"
    BOUNDARY = "permissions boundary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principals:
    """Whom a statement of a resource-based policy speaks of."""

    everyone: bool
    aws: frozenset[str]  # ARNs; an account number is written as its root's ARN, whatever the partition
    services: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One checked statement. Of `actions`/`not_actions` (and so on) exactly one is filled."""

    label: str  # its Sid, else its place: "statement 2"
    allow: bool
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    principals: Principals | None
    not_principals: Principals | None
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A checked policy document with the name under which a verdict mentions it."""

    name: str
    kind: PolicyKind
    variables: bool
    statements: tuple[Statement, ...]


def parse(document: str | Mapping[str, Any], *, name: str = "policy", kind: PolicyKind = PolicyKind.IDENTITY) -> Policy:
    """The policy in `document` (JSON text or parsed). Raises MalformedPolicy if AWS would refuse to store it."""
    written = document if isinstance(document, str) else json.dumps(document, default=str)
    return _parse(written, name, kind)


@lru_cache(maxsize=512)
def _parse(document: str, name: str, kind: PolicyKind) -> Policy:
    try:
        content = json.loads(document)
    except ValueError as error:
        raise MalformedPolicy(f"{name}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise MalformedPolicy(f"{name}: a policy is a JSON object")
    _known(content, _ELEMENTS, name)
    version = str(content.get("Version", _OLD))
    if version not in (_CURRENT, _OLD):
        raise MalformedPolicy(f"{name}: Version must be {_CURRENT} or {_OLD}, not {version!r}")
    listed = content.get("Statement")
    listed = [listed] if isinstance(listed, dict) else listed
    if not isinstance(listed, list) or not listed:
        raise MalformedPolicy(f"{name}: Statement must be a statement or a list of them")
    statements = tuple(_statement(one, name, place, kind) for place, one in enumerate(listed, start=1))
    _distinct([one["Sid"] for one in listed if one.get("Sid")], name)
    return Policy(name=name, kind=kind, variables=version == _CURRENT, statements=statements)


def _statement(content: Any, name: str, place: int, kind: PolicyKind) -> Statement:
    where = f"{name}, statement {place}"
    if not isinstance(content, dict):
        raise MalformedPolicy(f"{where}: a statement is a JSON object")
    _known(content, _STATEMENT_ELEMENTS, where)
    if content.get("Effect") not in ("Allow", "Deny"):
        raise MalformedPolicy(f"{where}: Effect must be Allow or Deny, not {content.get('Effect')!r}")
    _one_of(content, "Action", where, required=True)
    _one_of(content, "Resource", where, required=kind is not PolicyKind.TRUST, allowed=kind is not PolicyKind.TRUST)
    attached = kind in (PolicyKind.RESOURCE, PolicyKind.TRUST)
    _one_of(content, "Principal", where, required=attached, allowed=attached)
    try:
        tests = conditions.parse(content.get("Condition", {}))
    except BadCondition as error:
        raise MalformedPolicy(f"{where}: {error}") from error
    return Statement(
        label=str(content.get("Sid") or f"statement {place}"),
        allow=content["Effect"] == "Allow",
        actions=_actions(content, "Action", where),
        not_actions=_actions(content, "NotAction", where),
        resources=_resources(content, "Resource", where, kind),
        not_resources=_resources(content, "NotResource", where, kind),
        principals=_principals(content, "Principal", where),
        not_principals=_principals(content, "NotPrincipal", where),
        conditions=tests,
    )


def _known(content: Mapping[str, Any], allowed: set[str], where: str) -> None:
    for element in content:
        if element not in allowed:
            raise MalformedPolicy(f"{where}: unknown element {element!r}")


def _distinct(labels: list[Any], name: str) -> None:
    for label in labels:
        if labels.count(label) > 1:
            raise MalformedPolicy(f"{name}: two statements have the Sid {label!r}")


def _one_of(content: Mapping[str, Any], element: str, where: str, *, required: bool, allowed: bool = True) -> None:
    there = [spelling for spelling in (element, f"Not{element}") if spelling in content]
    if there and not allowed:
        raise MalformedPolicy(f"{where}: {there[0]} has no place in this kind of policy")
    if len(there) > 1:
        raise MalformedPolicy(f"{where}: {element} and Not{element} exclude each other")
    if required and not there:
        raise MalformedPolicy(f"{where}: {element} or Not{element} is missing")


def _texts(content: Mapping[str, Any], element: str, where: str) -> tuple[str, ...]:
    if element not in content:
        return ()
    value = content[element]
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(one, str) and one for one in listed):
        raise MalformedPolicy(f"{where}: {element} must be text or a list of texts, not {value!r}")
    return tuple(listed)


def _actions(content: Mapping[str, Any], element: str, where: str) -> tuple[str, ...]:
    actions = _texts(content, element, where)
    for action in actions:
        if not _ACTION.fullmatch(action):
            raise MalformedPolicy(f"{where}: {element} {action!r} is not of the form service:Action")
    return actions


def _resources(content: Mapping[str, Any], element: str, where: str, kind: PolicyKind) -> tuple[str, ...]:
    resources = _texts(content, element, where)
    completed = []
    for resource in resources:
        if kind is PolicyKind.RESOURCE and resource.startswith(_SHORT_INVOKE):
            completed.append("arn:*:execute-api:*:*:*/" + resource.removeprefix(_SHORT_INVOKE))
        elif resource == "*" or _ARN.fullmatch(resource) or _LOOSE_ARN.fullmatch(resource):
            completed.append(resource)
        else:
            raise MalformedPolicy(f"{where}: {element} {resource!r} is neither an ARN nor *")
    return tuple(completed)


def _principals(content: Mapping[str, Any], element: str, where: str) -> Principals | None:
    if element not in content:
        return None
    value = content[element]
    if value == "*":
        return Principals(everyone=True, aws=frozenset(), services=frozenset())
    if not isinstance(value, dict) or not value:
        raise MalformedPolicy(f"{where}: {element} must be * or an object such as {{'AWS': …}}")
    _known(value, _PRINCIPALS, f"{where}, {element}")
    aws = _texts(value, "AWS", where)
    for one in aws:
        if one != "*" and not re.fullmatch(r"\d{12}|arn:[^:]+:(iam|sts)::\d{12}:[^*?]+", one):
            raise MalformedPolicy(f"{where}: invalid principal {one!r}")
    return Principals(
        everyone="*" in aws,
        aws=frozenset(f"arn:aws:iam::{one}:root" if one.isdigit() else one for one in aws),
        services=frozenset(_texts(value, "Service", where)),
    )
