"""What nodes print for us, parsed: hints about their VM, and the result of health checks. Nothing here is believed yet.

The scripts that print it stand in the runbook; every line of ours begins with `moorings`. Only a line feed ends a line:
whatever else may pass for one (`str.splitlines`) can be part of what a service answered to a check.
"""

import re
from dataclasses import dataclass, field

from moorings.patching.model import HealthReport

_BOOT = re.compile(r"moorings boot ([0-9A-Za-z:.+-]{1,64})")
_CHECK = re.compile(r"moorings check (\d{1,3}) (-?\d{1,10})")
_ENVIRONMENT = re.compile(r"[A-Za-z]{1,64}")  # of the clouds that there are; people read it
MOST_CHECKS = 50  # a parameter holds at most 50 values


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldVm:
    """What a node says about its VM. `attested` is the signed document, the only part that can be proved."""

    resource_id: str = ""
    environment: str = ""
    attested: str = field(default="", repr=False)


def vm_told(output: str) -> ToldVm:
    """The hints in the output of an Extract step; whatever is missing stays empty."""
    told = {"resource": "", "environment": "", "attested": ""}
    for line in output.split("\n"):
        words = line.strip().split(" ", 2)
        if len(words) == 3 and words[0] == "moorings" and words[1] in told:
            told[words[1]] = words[2].strip()
    environment = told["environment"] if _ENVIRONMENT.fullmatch(told["environment"]) else ""
    return ToldVm(resource_id=told["resource"], environment=environment, attested=told["attested"])


def health_told(output: str) -> HealthReport | None:
    """The result of the health script; None if it did not get as far as its first line."""
    boot = ""
    checks: dict[int, int] = {}
    for line in output.split("\n"):
        text = line.strip()
        if match := _BOOT.fullmatch(text):
            boot = boot or match[1]
        elif (match := _CHECK.fullmatch(text)) and 1 <= int(match[1]) <= MOST_CHECKS:
            checks.setdefault(int(match[1]), int(match[2]))
    if not boot:
        return None
    # A check whose result is missing did not pass.
    return HealthReport(
        boot=boot, checks=tuple(checks.get(number, 255) for number in range(1, max(checks, default=0) + 1))
    )


def is_literal(text: str) -> bool:
    """Whether the automation service passed a reference through, because the step it names did not run."""
    return not text or "{{" in text
