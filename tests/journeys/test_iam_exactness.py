"""Least privilege (invariant 9): what the deployed functions ask for on every path is what their policies allow.

The functions run from the built zip with their own roles; whatever a role lacks fails as in AWS.
"""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bench.stand.nodes import public_keys
from tests.journeys.site import Site, document, second, standing

from localcloud.aws.iam.exactness import Exactness, of_role
from localcloud.aws.ssm.nodes import ManagedNodes
from moorings.deploy.documents import with_node_role
from moorings.enrolment.model import KEEPER_PERIOD, LEASE, STACK_TAG

# Allowed, but on no path that can be driven: action → why the policy has it all the same. Nothing is, at present.
EXCEPTIONS: dict[str, dict[str, str]] = {"api": {}, "keeper": {}}

POOLS = (
    {"name": "default", "registration_limit": 2, "tags": {"Environment": "test"}},
    {"name": "one", "mode": "single-use", "tags": {"Environment": "test"}},
)
CLAIM_WINDOW = timedelta(hours=1)  # the default
SILENT = timedelta(days=40)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A stack on which every path of both functions has been driven."""
    with standing(*POOLS, parameters={"AllowDeregistration": "yes"}) as site:
        _vend(site)
        _fail_to_store_a_code(site)
        _keep(site)
        yield site


def _vend(site: Site) -> None:
    """First vend, steady, keyed and repeated, single-use and repeated, swap, rotation without standby, script."""
    key = str(uuid.uuid4())
    assert site.ask("GET", "").status == 200
    site.settle()
    for _ in range(3):
        assert site.draw(key=key).status == 200
        assert site.draw(key=key, pool="one").status == 200
        assert site.ask("GET", "").status == 200
    site.settle()
    assert site.ask("GET", "/bootstrap/linux").status in {200, 503}  # no signing key is configured here


def _fail_to_store_a_code(site: Site) -> None:
    """What was made in vain is deleted again by whoever made it."""
    site.cloud.faults.error("ssm", "PutParameter", count=3)
    assert site.draw(pool="one").status == 503
    site.cloud.faults.clear()


def _keep(site: Site) -> None:
    """A first run, then drained, leaked and single-use activations to delete, an orphaned code, a silent node."""
    site.keep()
    _leak(site)
    _orphan(site)
    _silent_node(site)
    site.age(CLAIM_WINDOW + LEASE + KEEPER_PERIOD)
    changed = document({**POOLS[0], "registration_limit": 3}, POOLS[1])
    _apply(site, {**changed, "stale_nodes": {"after": "30d", "deregister": True}})
    site.keep()
    site.age(CLAIM_WINDOW + LEASE + KEEPER_PERIOD)
    site.keep()


def _apply(site: Site, wanted: dict[str, Any]) -> None:
    """Put a document in force with which the functions, started before, have to catch up."""
    filled = with_node_role(wanted, site.deployed.node_role)
    configurations = site.enrolled.configurations
    configurations.apply(filled, replacing=configurations.document()[1])


def _leak(site: Site) -> None:
    """An activation of this stack whose maker died before anybody knew it."""
    mark = site.deployed.outputs["StackMark"]
    site.cloud.client("ssm").create_activation(
        IamRole=site.deployed.node_role, Description=f"moorings stack={mark} pool=default lease={uuid.uuid4()}"
    )


def _orphan(site: Site) -> None:
    """A code whose activation is gone, stored long ago."""
    name = f"{site.deployed.outputs['CodePrefix']}/{uuid.uuid4()}"
    site.cloud.client("ssm").put_parameter(Name=name, Value="code", Type="SecureString")
    world = site.cloud.world
    with world.moto_lock:
        for version in world.backend("ssm")._parameters[name]:
            version.last_modified_date -= timedelta(days=2)


def _silent_node(site: Site) -> None:
    nodes = site.cloud.world.part(ManagedNodes)
    node = nodes.seed(
        node_id="mi-0123456789abcdef0",
        fingerprint=str(uuid.uuid4()),
        public_key=public_keys(1)[0],
        iam_role=site.deployed.node_role,
    )
    then = datetime.now(UTC) - SILENT
    mine = ((STACK_TAG, site.deployed.outputs["StackMark"]),)
    nodes._put(replace(node, registered_at=then, last_ping=then, tags=mine))


def _compared(site: Site, logical_id: str) -> Exactness:
    resources = site.cloud.client("cloudformation").describe_stack_resources(StackName=site.deployed.stack)
    roles = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources["StackResources"]}
    return of_role(site.cloud.world, roles[logical_id])


@pytest.mark.parametrize(("function", "role"), [("api", "ApiFunctionRole"), ("keeper", "KeeperRole")])
def test_a_function_uses_all_that_it_may_do_and_may_do_all_that_it_uses(site: Site, function: str, role: str) -> None:
    compared = _compared(site, role)

    assert compared.not_allowed == frozenset()
    assert compared.wildcards == frozenset()
    assert compared.unused == set(EXCEPTIONS[function])


def test_nothing_was_denied_to_a_function_on_any_path(site: Site) -> None:
    denied = [each for each in site.cloud.world.calls.snapshot() if "AccessDenied" in each.error]

    assert denied == []


def test_every_path_did_its_work(site: Site) -> None:
    """Otherwise equal sets would say little: what was to be deleted is gone, what was silent is no node any more."""
    assert site.unknown() == []
    for event in ("rotated", "leak_reaped", "orphaned_code_deleted", "stale_node_deregistered", "activation_deleted"):
        assert site.audit(event), event


def test_without_the_parameter_the_keeper_has_no_right_to_deregister(site: Site) -> None:
    other = second(site, "careful")

    lacking = _compared(site, "KeeperRole").allowed - _compared(other, "KeeperRole").allowed

    assert lacking == {"ssm:DeregisterManagedInstance"}
    assert _compared(site, "ApiFunctionRole").allowed == _compared(other, "ApiFunctionRole").allowed
