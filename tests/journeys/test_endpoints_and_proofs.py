"""What the stack's parameters say of who may ask stands above the stored rules: its endpoint, and the network proof."""

from collections.abc import Iterator

import pytest
from tests.journeys.site import Site, second, standing


@pytest.fixture(scope="module")
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
