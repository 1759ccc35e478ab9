"""An update is no moment: for a while the last release's code runs with this one's stack, and the other way round.

CloudFormation changes roles first, then functions; Lambda takes code and configuration in two calls; a run goes on with
the runbook that it began with. So whatever the last release's functions and runbook live by stays for one release more.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.deploy.released import RECORD, described

from moorings.deploy import templates
from moorings.patching.service import Patching
from moorings.settings import enrolment_settings, patching_settings

LAST: Mapping[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
NOW = described()
STACKS = (templates.STACK, templates.ENDPOINT, templates.PATCHING)
SETTINGS: Mapping[str, Callable[[Mapping[str, str]], object]] = {
    templates.STACK: enrolment_settings,
    templates.PATCHING: patching_settings,
}
FUNCTIONS = [(name, function) for name in SETTINGS for function in LAST[name]["variables"]]


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_new_code_starts_with_the_settings_of_the_last_release(name: str, function: str) -> None:
    told = dict.fromkeys(LAST[name]["variables"][function], "x") | {"AWS_REGION": "r", "AWS_LAMBDA_FUNCTION_NAME": "f"}
    told |= {"MOORINGS_FEDERATION": ""} if "MOORINGS_FEDERATION" in told else {}

    assert SETTINGS[name](told)


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_old_code_finds_its_settings_in_the_new_stack(name: str, function: str) -> None:
    assert set(LAST[name]["variables"][function]) <= set(NOW[name]["variables"][function])


@pytest.mark.parametrize("name", STACKS)
def test_old_code_keeps_its_rights(name: str) -> None:
    """Roles are changed before the functions that have them."""
    for resource, actions in LAST[name]["rights"].items():
        assert set(actions) <= set(NOW[name]["rights"][resource]), resource


@pytest.mark.parametrize("name", STACKS)
def test_nothing_that_holds_data_or_is_known_by_its_name_is_replaced(name: str) -> None:
    """Tables and keys hold data; APIs and endpoints are in servers' scripts; functions in runs that go on; roles are
    named in Azure's federated credentials and by nodes."""
    for resource, fixed in LAST[name]["kept"].items():
        assert NOW[name]["kept"][resource] == fixed, resource


@pytest.mark.parametrize("name", STACKS)
def test_nobody_has_to_say_more_than_before(name: str) -> None:
    """A parameter that is new has a default, and none is taken away from whoever gives it."""
    known = LAST[name]["parameters"]

    assert set(known) <= set(NOW[name]["parameters"])
    assert all(has_default for key, has_default in NOW[name]["parameters"].items() if key not in known)
    assert set(LAST[name]["outputs"]) <= set(NOW[name]["outputs"])


@pytest.mark.parametrize("call", LAST["runbook"])
def test_a_run_that_goes_on_is_answered_what_its_runbook_reads(call: str) -> None:
    assert call in Patching(None).calls  # type: ignore[arg-type]  # nothing is called
    assert set(LAST["runbook"][call]) <= set(NOW["runbook"][call])
