"""Which updates a patch baseline approves. Source: Systems Manager User Guide, "About patch baselines"."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from localcloud.machines.updates import Update


class Unusable(ValueError):
    """The text is no baseline, or no list of patches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One baseline; without rules and without approved ids it approves everything that it does not reject."""

    id: str = ""
    rules: tuple[Mapping[str, tuple[str, ...]], ...] = ()  # each: filter key -> accepted values
    approved: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    limited: bool = False  # rules or approved ids were given, so what none names is not approved

    def approves(self, update: Update) -> bool:
        """Whether this update is to be installed."""
        if self.rejects(update):
            return False
        if not self.limited or _named(update, self.approved):
            return True
        return any(_passes(update, rule) for rule in self.rules)

    def rejects(self, update: Update) -> bool:
        """Whether this update must not be installed."""
        return _named(update, self.rejected)


def read(raw: Any) -> Baseline:
    """A baseline as GetPatchBaseline or BaselineOverride give it; Unusable with the reason."""
    if isinstance(raw, list):
        if len(raw) != 1:
            raise Unusable(f"{len(raw)} baselines in one override; this server takes exactly one")
        raw = raw[0]
    if not isinstance(raw, dict):
        raise Unusable("a baseline is an object")
    rules = (raw.get("ApprovalRules") or {}).get("PatchRules") or []
    approved = tuple(str(name) for name in raw.get("ApprovedPatches") or ())
    return Baseline(
        id=str(raw.get("BaselineId", "")),
        rules=tuple(_rule(rule) for rule in rules),
        approved=approved,
        rejected=tuple(str(name) for name in raw.get("RejectedPatches") or ()),
        limited=bool(rules or approved),
    )


def _rule(raw: dict[str, Any]) -> Mapping[str, tuple[str, ...]]:
    filters = (raw.get("PatchFilterGroup") or {}).get("PatchFilters") or []
    return {str(each["Key"]): tuple(str(value) for value in each.get("Values") or ()) for each in filters}


def _named(update: Update, names: tuple[str, ...]) -> bool:
    return any(fnmatchcase(update.id, name) for name in names)


def _passes(update: Update, rule: Mapping[str, tuple[str, ...]]) -> bool:
    own = {"CLASSIFICATION": update.classification, "SEVERITY": update.severity, "MSRC_SEVERITY": update.severity}
    # Keys that say nothing of such an update (PRODUCT, SECTION, …) let it pass.
    return all("*" in values or own.get(key) in values for key, values in rule.items() if key in own)
