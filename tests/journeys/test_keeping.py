"""The keeper on its schedule: the next activation is ready, what is spent or leaked goes, alarms can see."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.journeys.site import Site, eventually, standing

from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.machines.agent.signing import NodeKey
from moorings.enrolment.model import LEASE
from moorings.enrolment.oversight import Part

SCALE = 0.01  # the schedule's 5 minutes are 3 s
CLAIM_WINDOW = timedelta(minutes=15)  # the shortest that a configuration allows
POOLS = (
    {"name": "default", "claim_window": "15m", "registration_limit": 50},
    {"name": "storm", "claim_window": "15m", "registration_limit": 1},
)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with standing(*POOLS, scale=SCALE) as site:
        yield site


def _activation_ids(site: Site) -> set[str]:
    return {each["ActivationId"] for each in site.cloud.client("ssm").describe_activations()["ActivationList"]}


def _code_ids(site: Site) -> set[str]:
    return {each["Name"].rsplit("/", 1)[1] for each in site.cloud.client("ssm").describe_parameters()["Parameters"]}


def _register(site: Site, activation_id: str) -> str:
    """A node of that activation, as an agent makes one."""
    code = next(each.code for each in site.issued() if each.id == activation_id)
    books = site.cloud.world.part(ManagedNodes)
    key = NodeKey.generate().public()
    return books.register(activation_id=activation_id, code=code, fingerprint=str(uuid.uuid4()), public_key=key).id


def test_the_schedule_alone_has_an_activation_and_its_standby_ready_before_anybody_asks(site: Site) -> None:
    ready = eventually(lambda: site.pool().part(Part.CURRENT) and site.pool().part(Part.STANDBY))

    assert ready
    assert [firing.invoked for firing in site.cloud.schedules.firings if firing.invoked]
    assert site.draw().body["ActivationId"] == site.pool().part(Part.CURRENT)[0].id


def test_a_rotated_activation_drains_for_its_claim_window_and_is_then_deleted_while_its_nodes_stay(site: Site) -> None:
    old = site.draw().body["ActivationId"]
    site.enrolled.oversight.rotate("default")
    site.settle()
    node = _register(site, old)  # granted before, registers late: the claim window is for that
    site.keep()
    assert old in {each.id for each in site.pool().part(Part.DRAINING)}
    assert old in _activation_ids(site)

    site.age(CLAIM_WINDOW + timedelta(seconds=1))
    site.keep()

    assert old not in _activation_ids(site) | _code_ids(site)
    assert old not in {each.id for each in site.pool().activations}
    assert site.cloud.world.part(ManagedNodes).find(node)
    assert site.draw().body["ActivationId"] != old


def test_a_leaked_activation_is_reaped_once_nobody_can_still_be_at_it_and_a_strangers_is_not(site: Site) -> None:
    ssm, role = site.cloud.client("ssm"), site.deployed.node_role
    mark = site.deployed.outputs["StackMark"]

    def made(description: str) -> str:
        return str(ssm.create_activation(IamRole=role, Description=description)["ActivationId"])

    leak = made(f"moorings stack={mark} pool=default lease={uuid.uuid4()}")
    strangers = {made(f"moorings stack={mark}x pool=default lease={uuid.uuid4()}"), made("by hand")}
    site.keep()
    assert site.unknown() == [leak]

    site.age(CLAIM_WINDOW + LEASE + timedelta(seconds=1))
    site.keep()

    assert site.unknown() == []
    assert leak not in _activation_ids(site)
    assert strangers <= _activation_ids(site)
    assert leak in {fact["activation_id"] for fact in site.audit("leak_reaped")}


def test_every_alarm_and_every_curve_of_the_dashboard_is_on_a_metric_that_is_really_emitted(site: Site) -> None:
    """After a run in which each thing happened that an alarm is there for; names and dimensions must match exactly."""
    _let_all_of_it_happen(site)
    watch = site.cloud.client("cloudwatch")
    emitted = {
        (each["Namespace"], each["MetricName"], _dimensions(each["Dimensions"]))
        for page in watch.get_paginator("list_metrics").paginate()
        for each in page["Metrics"]
    }

    alarms = watch.describe_alarms()["MetricAlarms"]
    on = {
        alarm["AlarmName"]: (alarm["Namespace"], alarm["MetricName"], _dimensions(alarm["Dimensions"]))
        for alarm in alarms
    }
    assert len(on) == 12
    assert not {name: metric for name, metric in on.items() if metric not in emitted}
    shown = _shown(watch.get_dashboard(DashboardName=site.deployed.outputs["DashboardName"])["DashboardBody"])
    assert len(shown) > 12
    assert not shown - emitted


def _let_all_of_it_happen(site: Site) -> None:
    cloud, mark = site.cloud, site.deployed.outputs["StackMark"]
    site.keep()  # a standby lies ready, whether or not another test has asked for anything before
    assert site.draw(pool="no-such-pool").status == 403
    _somebody_waits(site)
    cloud.client("ssm").create_activation(
        IamRole=site.deployed.node_role, Description=f"moorings stack={mark} pool=default lease={uuid.uuid4()}"
    )
    site.settle()
    standby = site.pool().part(Part.STANDBY)[0].id
    _register(site, standby)  # nobody was granted it
    site.age(CLAIM_WINDOW + LEASE + timedelta(seconds=1))
    site.keep()
    for function in (site.api_function, site.keeper_function):
        cloud.client("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
        with pytest.raises(ClientError, match="TooManyRequests"):
            cloud.client("lambda").invoke(FunctionName=function, Payload=b"{}")
    assert site.draw().status == 503
    for function in (site.api_function, site.keeper_function):
        cloud.client("lambda").delete_function_concurrency(FunctionName=function)


def _somebody_waits(site: Site) -> None:
    """Nothing is ready (one slot each), and the service lets nobody make anything until somebody has seen that."""
    site.cloud.faults.quota("ssm", "CreateActivation", per_second=0.001, burst=0)
    position = len(site.cloud.world.calls)
    with ThreadPoolExecutor(3) as pool:
        answers = pool.map(lambda _: site.draw(pool="storm"), range(3))
        eventually(lambda: _turned_away(site, since=position))
        site.cloud.faults.clear()
        assert {answer.status for answer in answers} == {200}


def _turned_away(site: Site, *, since: int) -> bool:
    """Whether the API's function has been told that it is creating too much."""
    return any(
        record.operation == "CreateActivation" and record.error and record.principal.arn.endswith(site.api_function)
        for record in site.cloud.world.calls.since(since)
    )


def _dimensions(given: Any) -> frozenset[tuple[str, str]]:
    return frozenset((each["Name"], each["Value"]) for each in given)


def _shown(dashboard: str) -> set[tuple[str, str, frozenset[tuple[str, str]]]]:
    """The curves of a dashboard: each is [namespace, name, dimension, value, …, options]; a dot is as above."""
    found = set()
    for widget in json.loads(dashboard)["widgets"]:
        above: list[str] = []
        for curve in widget["properties"]["metrics"]:
            written = [part for part in curve if isinstance(part, str)]
            above = [above[place] if part == "." else part for place, part in enumerate(written)]
            namespace, name, *pairs = above
            found.add((namespace, name, frozenset(zip(pairs[::2], pairs[1::2], strict=True))))
    return found
