"""What an execution under rate control is run on: each target with the parameters it brings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.automation.document import Runbook
from localcloud.automation.errors import InvalidTargets
from localcloud.automation.ports import TargetRequest, TargetSource
from localcloud.automation.values import compact_json

PARAMETER_VALUES = "ParameterValues"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One child to be. `name` is the step's in the parent, and what the child shows as its Target."""

    name: str
    parameters: Mapping[str, Any]


def resolved(rate: TargetRequest, runbook: Runbook, source: TargetSource) -> list[Target]:
    """Every target, in the order asked for, each once; raises InvalidTargets."""
    if rate.targets and rate.target_maps:
        raise InvalidTargets("Targets and TargetMaps cannot both be given.")
    if rate.target_maps:
        for one in rate.target_maps:
            for name in one:
                _require_parameter(runbook, name)
        return [Target(name=_map_name(one), parameters=dict(one)) for one in rate.target_maps]
    if len(rate.targets) != 1:
        raise InvalidTargets("Targets must have exactly one element.")
    _require_parameter(runbook, rate.parameter_name)
    key, values = str(rate.targets[0].get("Key", "")), [str(one) for one in rate.targets[0].get("Values", ())]
    found = values if key == PARAMETER_VALUES else source.resolve(key, values)
    return [Target(name=value, parameters={rate.parameter_name: [value]}) for value in dict.fromkeys(found)]


def _require_parameter(runbook: Runbook, name: str) -> None:
    if name not in runbook.parameters:
        raise InvalidTargets(f"The document has no parameter {name!r} that could be targeted.")


def _map_name(target: Mapping[str, Any]) -> str:
    """The only value of a map, or the whole map as JSON."""
    values = [value for given in target.values() for value in given]
    return str(values[0]) if len(values) == 1 else compact_json(target)
