"""What the stack's parameters say of who may ask stands above the stored rules: its endpoint, and the network proof."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.journeys.site import Site, another_endpoint, deploy, eventually, second, standing

from moorings.deploy.enrolment import ExistingEndpoint


@pytest.fixture  # one for each: the second test moves its stack to another endpoint
def site() -> Iterator[Site]:
    with standing({"name": "default", "registration_limit": 10}) as site:
        yield site


def test_a_stack_without_the_network_proof_grants_nothing_though_its_stored_rules_would(site: Site) -> None:
    closed = second(site, "closed", allow_network_proof=False)
    assert closed.enrolled.configurations.current().rules

    answers = [closed.draw(), closed.ask("GET", ""), closed.ask("GET", "/bootstrap/linux")]

    assert [answer.status for answer in answers] == [403, 403, 403]
    assert {fact["reason"] for fact in closed.audit("refused")} == {"no accepted proof"}
    assert site.draw().status == 200


def test_the_stored_rules_follow_the_stack_to_another_endpoint(site: Site) -> None:
    """Nobody gives the document again. A request may still meet an environment of the old settings for a moment."""
    assert "vpce" not in json.loads(site.enrolled.configurations.document()[0])["rule"][0]
    other = another_endpoint(site)

    moved = deploy(
        replace(site.plan, endpoint=ExistingEndpoint(id=other), configuration=None), cloud=site.cloud, aws=site.aws
    )

    assert (moved.vpc_endpoint, moved.configuration_version) == (other, site.deployed.configuration_version)
    eventually(lambda: site.ask("GET", "", vpce=other).status == 200)
    assert site.ask("GET", "", vpce=site.deployed.vpc_endpoint).status == 403
