"""One account, two Regions, the same stack in both: each vends its own, keeps its own, and goes alone."""

import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.journeys.site import STACK, Site, account, deploy, document, local_packages, network, remove

from localcloud.cloud import LocalCloud
from localcloud.machines.machine import Machine
from moorings.deploy.enrolment import EnrolmentPlan, NewEndpoint

HOME, AWAY = "us-east-1", "eu-central-1"
POOL = {"name": "default", "registration_limit": 10}


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(region=HOME) as cloud:
        yield cloud


def _stand(cloud: LocalCloud, region: str) -> Site:
    aws = account(cloud, region=region)
    vpc, subnets = network(aws)
    plan = EnrolmentPlan(
        stack=STACK,
        endpoint=NewEndpoint(vpc_id=vpc, subnet_ids=subnets, allowed_cidr="10.0.0.0/8"),
        allow_network_proof=True,
        configuration={**document(POOL), **local_packages(cloud)},
    )
    return Site(cloud=cloud, aws=aws, plan=plan, deployed=deploy(plan, cloud=cloud, aws=aws), vpc=vpc)


@pytest.fixture(scope="module")
def sites(cloud: LocalCloud, able_host: None) -> tuple[Site, Site]:
    return _stand(cloud, HOME), _stand(cloud, AWAY)


def _activations(site: Site) -> set[str]:
    return {one["ActivationId"] for one in site.aws.client("ssm").describe_activations()["ActivationList"]}


def test_each_region_vends_its_own_activations(sites: tuple[Site, Site]) -> None:
    home, away = sites
    drawn = [site.draw() for site in sites]
    for site in sites:
        site.keep()
        site.settle()

    assert [answer.status for answer in drawn] == [200, 200]
    assert [answer.body["Region"] for answer in drawn] == [HOME, AWAY]
    assert drawn[0].body["ActivationId"] in _activations(home) - _activations(away)
    assert drawn[1].body["ActivationId"] in _activations(away) - _activations(home)
    for site in sites:
        assert site.unknown() == []


def test_an_endpoint_of_one_region_does_not_lead_to_the_others_api(sites: tuple[Site, Site]) -> None:
    home, away = sites

    with pytest.raises(ssl.SSLCertVerificationError):  # each Region's endpoints show a certificate for its own names
        away.ask("GET", "", vpce=home.deployed.vpc_endpoint)
    assert away.ask("GET", "", vpce="").status == 403


def test_servers_become_managed_nodes_of_the_region_that_they_ask(sites: tuple[Site, Site]) -> None:
    machines = [site.make() for site in sites]
    threads = [threading.Thread(target=one.boot) for one in machines]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    nodes = [_booted(site, machine) for site, machine in zip(sites, machines, strict=True)]

    seen = [
        {one["InstanceId"] for one in site.aws.client("ssm").describe_instance_information()["InstanceInformationList"]}
        for site in sites
    ]
    assert seen == [{nodes[0]["InstanceId"]}, {nodes[1]["InstanceId"]}]


def _booted(site: Site, machine: Machine) -> Any:
    machine.wait_booted(90.0)
    return site.online(machine)


def test_removal_in_one_region_leaves_the_other(sites: tuple[Site, Site]) -> None:
    home, away = sites

    assert remove(STACK, aws=away.aws).stacks == (STACK, f"{STACK}-endpoint")

    assert _activations(away) == set()
    assert away.aws.client("lambda").list_functions()["Functions"] == []
    assert home.draw().status == 200
    assert remove(STACK, aws=home.aws).stacks == (STACK, f"{STACK}-endpoint")
    assert _activations(home) == set()
    assert home.aws.client("lambda").list_functions()["Functions"] == []
