"""Changes of the configuration document while servers ask. Nobody is turned away by them."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.journeys.site import Site, document, standing

from moorings.enrolment.oversight import Part
from moorings.enrolment.ports import CONFIGURATION_AGE
from moorings.errors import Misconfigured


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with standing({"name": "default", "registration_limit": 1000}) as site:
        assert site.draw().status == 200
        site.settle()
        yield site


def _apply(site: Site, *pools: dict[str, Any]) -> int:
    """What `moorings enrolment pools apply` does; the version that is in force then."""
    enrolled = site.enrolled
    wanted = document(*({"node_role": site.deployed.node_role, **pool} for pool in pools))
    return enrolled.configurations.apply(wanted, replacing=enrolled.configurations.document()[1]).version


def test_a_change_is_in_force_for_warm_functions_as_soon_as_the_keeper_has_seen_it(site: Site) -> None:
    """Nobody deploys. Where the keeper has not been yet, a warm function looks again after a minute at most."""
    warm = site.cloud.functions.sessions(site.api_function)
    old = site.draw().body
    assert timedelta(minutes=1) >= CONFIGURATION_AGE

    _apply(site, {"name": "default", "tags": {"release": "two"}})
    site.keep()
    new = site.draw().body

    assert (old["Tags"], new["Tags"]) == ({}, {"release": "two"})
    assert new["ActivationId"] != old["ActivationId"]
    assert site.cloud.functions.sessions(site.api_function) == warm
    assert old["ActivationId"] in {each.id for each in site.pool().part(Part.DRAINING)}


def test_a_new_pool_is_open_to_functions_that_start_after_the_change(site: Site) -> None:
    assert site.draw(pool="later").status == 403

    _apply(site, {"name": "default"}, {"name": "later"})
    site.cloud.functions.retire(site.api_function)

    assert site.draw(pool="later").body["Pool"] == "later"


def test_a_bad_document_is_refused_and_changes_nothing(site: Site) -> None:
    before = _stored(site)

    with pytest.raises(Misconfigured, match="claim_window"):
        _apply(site, {"name": "default", "claim_window": "1m"})

    assert _stored(site) == before


def test_a_bad_document_written_behind_everybodys_back_grants_nothing_that_it_says(site: Site) -> None:
    """Functions that run keep what they hold; one that starts has nothing to go by, says so, and grants nothing."""
    good, warm = _stored(site), site.draw()
    bad = json.loads(good["document"]["S"])
    bad["rule"][0]["cidr"] = ["0.0.0.0/0"]
    bad["rule"][0]["everybody"] = True
    _store(site, {**good, "document": {"S": json.dumps(bad)}, "version": {"N": str(int(good["version"]["N"]) + 1)}})
    issued = _issued(site)

    assert site.draw().status == warm.status == 200
    assert site.draw(source="10.99.0.7").status == 403
    site.cloud.functions.retire(site.api_function)
    cold = site.draw()
    _store(site, good)

    assert (cold.status, cold.body["error"]) == (500, "misconfigured")
    assert "ActivationCode" not in cold.text
    assert _issued(site) == issued + 1
    assert site.draw().status == 200


def _issued(site: Site) -> int:
    table = site.deployed.outputs["LedgerTable"]
    item = site.cloud.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "pool#default"}})["Item"]
    return int(item["issued"]["N"])


def _stored(site: Site) -> dict[str, Any]:
    table = site.deployed.outputs["LedgerTable"]
    found: dict[str, Any] = site.cloud.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "configuration"}})
    return dict(found["Item"])


def _store(site: Site, item: dict[str, Any]) -> None:
    site.cloud.client("dynamodb").put_item(TableName=site.deployed.outputs["LedgerTable"], Item=item)
