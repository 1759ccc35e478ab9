"""A rule may give its servers tags of their own in single-use pools, where each has an activation of its own."""

from datetime import timedelta

import pytest
from tests.enrolment.rig import configuration, new_rig

from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from moorings.enrolment.configuration import parse
from moorings.enrolment.model import STACK_TAG
from moorings.errors import Misconfigured


def _document(pools: list[str], tags: dict[str, str]) -> dict[str, object]:
    document = configuration()
    document["pool"][1]["tags"] = {"Env": "prod", "Owner": "ops"}
    document["rule"][0] |= {"pools": pools, "tags": tags}
    return document


def test_a_rules_tags_overrule_those_of_its_single_use_pool(
    stepped_cloud: LocalCloud, stepped_clock: SteppedClock
) -> None:
    rig = new_rig(stepped_cloud, stepped_clock, _document(["one"], {"Env": "test", "Site": "dc1"}))

    answer = rig.keyed(rig.environment())

    assert answer["Tags"] == {"Env": "test", "Owner": "ops", "Site": "dc1"}
    made = rig.live_activations()[answer["ActivationId"]]
    assert {tag["Key"]: tag["Value"] for tag in made["Tags"]} == {**answer["Tags"], STACK_TAG: rig.settings.stack}


def test_the_same_key_gets_the_same_tags_again(stepped_cloud: LocalCloud, stepped_clock: SteppedClock) -> None:
    rig = new_rig(stepped_cloud, stepped_clock, _document(["one"], {"Site": "dc1"}))
    key = "6f8c0a0e-3d5a-4f3e-9a34-0b1d0cf2a111"

    first = rig.keyed(rig.environment(), key)
    rig.clock.step(timedelta(minutes=1))

    assert rig.keyed(rig.environment(), key) == first


def test_tags_for_a_shared_pool_are_refused_with_where_they_belong() -> None:
    with pytest.raises(Misconfigured, match=r"rule\[0\]\.tags cannot apply to 'default', which is shared"):
        parse(_document(["default", "one"], {"Site": "dc1"}), version=1)


def test_pool_and_rule_together_have_at_most_as_many_tags_as_the_service_takes() -> None:
    with pytest.raises(Misconfigured, match=r"rule\[0\]\.tags and those of 'one' are more than 49 tags"):
        parse(_document(["one"], {f"key{number}": "v" for number in range(48)}), version=1)
