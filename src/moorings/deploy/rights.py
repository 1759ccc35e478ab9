"""What people have to be allowed, from `deployer-policy.json` and `operator-policy.json`: where alone it is written.

A file has a statement for each purpose, with the names of stacks and so on left open. What is attached in IAM are
four documents made of it, each small enough for a managed policy: what both halves share, one for each half, and what
`moorings doctor` asks beside. Whoever runs patches needs a fifth, and none of these.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

LARGEST = 6_144  # characters of a managed policy, white space not counted. Source: IAM quotas
# What is left of a stack's name in the names that CloudFormation makes of it, whatever the resource: they are cut to 64
# characters for roles and functions, of which 12 are random and up to 25 the logical id.
_KEPT = 24

Conditions = Mapping[str, Mapping[str, Sequence[str]]]


class Part(Enum):
    """One document."""

    SHARED = "shared"
    ENROLMENT = "enrolment"
    PATCHING = "patching"
    DOCTOR = "doctor"
    OPERATOR = "operator"


DEPLOYING = (Part.SHARED, Part.ENROLMENT, Part.PATCHING, Part.DOCTOR)
_FILES = ("deployer-policy.json", "operator-policy.json")
# Part → how the Sids of its statements begin.
_SIDS: Mapping[Part, str] = {
    Part.ENROLMENT: "Enrolment",
    Part.PATCHING: "Patching",
    Part.DOCTOR: "Doctor",
    Part.OPERATOR: "Operator",
}
# Half → what stands in an ARN with its names, or with what it alone has.
_NAMES: Mapping[Part, tuple[str, ...]] = {
    Part.ENROLMENT: ("@ENROLMENT",),
    Part.PATCHING: ("@PATCHING", "@CREDENTIALS"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the open names stand for. Account and Region may stay open."""

    partition: str = "aws"
    account: str = "*"
    region: str = "*"
    enrolment: str = "moorings-enrolment"
    patching: str = "moorings-patching"
    bucket: str = ""  # empty: the one that is made for the account and Region
    runbook: str = "Azure-PatchVMWithRollback"
    credentials: str = "/moorings/azure"  # path in Parameter Store

    def filled(self, pattern: str) -> str:
        """An ARN of the file, with the names in it."""
        values = {
            "PARTITION": self.partition,
            "ACCOUNT": self.account,
            "REGION": self.region,
            "ENROLMENT": self.enrolment,
            "ENROLMENT-MADE": _made_of(self.enrolment),
            "PATCHING": self.patching,
            "PATCHING-MADE": _made_of(self.patching),
            "BUCKET": self.bucket or f"moorings-artifacts-{self.account}-{self.region}",
            "RUNBOOK": self.runbook,
            "CREDENTIALS": self.credentials,
        }
        for name, value in values.items():
            pattern = pattern.replace(f"@{name}@", value)
        return pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of the file; everything in it is allowed."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Conditions

    @property
    def part(self) -> Part:
        """The document that it belongs to."""
        return next((part for part, begins in _SIDS.items() if self.sid.startswith(begins)), Part.SHARED)


def statements(place: Place, *, parts: Iterable[Part] = DEPLOYING) -> tuple[Statement, ...]:
    """The statements that these parts need. Without a half, nothing that bears its names is left."""
    wanted = {*parts, Part.SHARED}
    absent = [mark for part, marks in _NAMES.items() if part not in wanted for mark in marks]
    found = []
    for each in _statements():
        if each.part not in wanted:
            continue
        resources = tuple(one for one in each.resources if not any(mark in one for mark in absent))
        if not resources:
            continue
        conditions = {
            operator: {key: tuple(map(place.filled, values)) for key, values in tests.items()}
            for operator, tests in each.conditions.items()
        }
        found.append(replace(each, resources=tuple(map(place.filled, resources)), conditions=conditions))
    return tuple(found)


def document(part: Part, place: Place, *, parts: Iterable[Part] = tuple(Part)) -> dict[str, Any]:
    """The policy document of one part, as it is attached in IAM; `parts`: all that are going to be deployed.

    Statements on the same conditions are one there. That widens nothing: no two of them have actions that the resources
    of the other know.
    """
    merged: dict[tuple[str, bool], list[Statement]] = {}
    for each in statements(place, parts=parts):
        if each.part is part:
            # What knows no resource stays by itself, or it would open all the others.
            merged.setdefault((json.dumps(each.conditions), each.resources == ("*",)), []).append(each)
    return {"Version": "2012-10-17", "Statement": [_merged(group, part) for group in merged.values()]}


def text_of(policy: Mapping[str, Any]) -> str:
    """A policy document as text."""
    return json.dumps(policy, indent=2) + "\n"


def size_of(policy: Mapping[str, Any]) -> int:
    """Its characters, as IAM counts them."""
    return len("".join(json.dumps(policy, separators=(",", ":")).split()))


def _merged(group: list[Statement], part: Part) -> dict[str, Any]:
    first = group[0]
    how = "ThroughCloudFormation" if first.conditions else "Directly"
    where = "Anywhere" if first.resources == ("*",) else ""
    merged: dict[str, Any] = {
        "Sid": first.sid if len(group) == 1 else f"{part.value.capitalize()}{how}{where}",
        "Effect": "Allow",
        "Action": sorted({action for each in group for action in each.actions}),
        "Resource": list(dict.fromkeys(resource for each in group for resource in each.resources)),
    }
    if first.conditions:
        merged["Condition"] = {
            operator: {key: list(values) for key, values in tests.items()}
            for operator, tests in first.conditions.items()
        }
    return merged


@cache
def _statements() -> tuple[Statement, ...]:
    files = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in _FILES]
    return tuple(_statement(each) for text in files for each in json.loads(text)["Statement"])


def _statement(content: Mapping[str, Any]) -> Statement:
    return Statement(
        sid=content["Sid"],
        actions=tuple(content["Action"]),
        resources=tuple(content["Resource"]),
        conditions={
            operator: {key: (values,) if isinstance(values, str) else tuple(values) for key, values in tests.items()}
            for operator, tests in content.get("Condition", {}).items()
        },
    )


def _made_of(stack: str) -> str:
    """What the names begin with that CloudFormation makes of a stack's."""
    return f"{stack}-*" if len(stack) <= _KEPT else f"{stack[:_KEPT]}*"
