"""What the two property actions share: their inputs, one look at the property, the comparison with what is desired."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.automation import selectors
from localcloud.automation.actions.api import call_api, service_name
from localcloud.automation.actions.inputs import require, text
from localcloud.automation.actions.protocol import StepCall
from localcloud.automation.actions.wording import invalid_input

_OWN_INPUTS = frozenset({"Service", "Api", "PropertySelector", "DesiredValues"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look showed. `value` is text, "" if the property is not there."""

    value: str
    found: bool
    matches: bool
    desired: tuple[str, ...]
    selector: str


def check_property_inputs(inputs: Mapping[str, Any]) -> None:
    """Everything that the actions need is there."""
    require(inputs, "Service", "Api", "PropertySelector", "DesiredValues")
    service_name(text(inputs, "Service"))
    text(inputs, "Api")
    text(inputs, "PropertySelector")
    _desired(inputs)


def look(call: StepCall) -> Look:
    """Call the API once and compare the property; raises ActionFailed as the call fails."""
    inputs = call.inputs
    arguments = {name: value for name, value in inputs.items() if name not in _OWN_INPUTS}
    response = call_api(call, service=text(inputs, "Service"), api=text(inputs, "Api"), arguments=arguments)
    selector, desired = text(inputs, "PropertySelector"), _desired(inputs)
    selected = selectors.select(response, selector)
    if selected is selectors.MISSING:
        return Look(value="", found=False, matches=False, desired=desired, selector=selector)
    value = as_compared(selected)
    return Look(value=value, found=True, matches=value in desired, desired=desired, selector=selector)


def as_compared(value: Any) -> str:
    """The text by which values are compared: booleans are True and False, a list of one is its element."""
    if isinstance(value, list) and len(value) == 1:
        return as_compared(value[0])
    if isinstance(value, str):
        return value
    # bool before anything else: the manual wants DesiredValues of booleans written True and False.
    if isinstance(value, bool | int | float):
        return str(value)
    return json.dumps(value, separators=(",", ":"))


def _desired(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    given = inputs["DesiredValues"]
    if isinstance(given, Mapping):
        raise invalid_input("Input DesiredValues must be a list")
    return tuple(as_compared(each) for each in (given if isinstance(given, list) else [given]))
