"""Many servers at once, few slots, and a cloud that fails: everybody registers in the end, nothing is granted twice."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.journeys.site import BOOT_SECONDS, Site, standing

from localcloud.machines.machine import Machine
from moorings.enrolment.model import LEASE
from moorings.enrolment.oversight import Part
from moorings.enrolment.policy import hour_of

pytestmark = [pytest.mark.machines, pytest.mark.usefixtures("able_host")]

POOLS = (
    {"name": "rotating", "registration_limit": 3},
    {"name": "rough", "registration_limit": 2},
    {"name": "capped", "grants_per_hour": 2},
    {"name": "capped-again", "grants_per_hour": 2},
    {"name": "single", "mode": "single-use", "life": "30m"},
)
SCALE = 0.05  # an asynchronous event that failed is tried again after a minute: here after 3 s
CLAIM_WINDOW = timedelta(hours=1)  # the default


@pytest.fixture(scope="module")
def site(able_host: None) -> Iterator[Site]:
    assert able_host is None
    with standing(*POOLS, servers=True, scale=SCALE) as site:
        yield site


@pytest.fixture(autouse=True)
def _calm_afterwards(site: Site) -> Iterator[None]:
    yield
    site.cloud.faults.clear()
    site.settle()


def _storm(site: Site, count: int, *, pool: str, **environment: str) -> list[Machine]:
    """Servers of one pool, booted at once; returns when all their first boots are over."""
    said = {"MOORINGS_POOL": pool, **environment}
    made = [site.make(patient=True, environment=said, snap_agent=True) for _ in range(count)]
    for machine in made:
        machine.boot()
    return [machine.wait_booted(BOOT_SECONDS) for machine in made]


def _all_registered(machines: list[Machine]) -> bool:
    return all(machine.exit_code == 0 for machine in machines) and len({each.node_id for each in machines}) == len(
        machines
    )


def _granted(site: Site, pool: str) -> Counter[str]:
    """How often each activation of a pool was handed out, repeats left out."""
    facts = [fact for fact in site.audit("granted") if fact["pool"] == pool and not fact["repeated"]]
    return Counter(fact["activation_id"] for fact in facts)


def test_ten_servers_at_once_share_activations_of_three_slots(site: Site) -> None:
    machines = _storm(site, 10, pool="rotating")

    assert _all_registered(machines), [machine.console for machine in machines if machine.exit_code]
    granted = _granted(site, "rotating")
    assert sum(granted.values()) == 10
    assert max(granted.values()) == 3
    assert site.truth().over_issued == 0
    assert len(site.pool("rotating").part(Part.DRAINING)) == 3
    # Each registered with the first code that it got: the service refused nobody.
    assert not [machine.name for machine in machines if "registration failed" in machine.console]


def test_over_the_ceiling_of_the_hour_a_server_is_told_to_wait_and_ends_with_exit_code_4(site: Site) -> None:
    pool, machines = _within_one_hour(site)

    assert sorted(machine.exit_code or 0 for machine in machines) == [0, 0, 4]
    late = next(machine for machine in machines if machine.exit_code == 4)
    last = late.console.splitlines()[-2]
    assert "no activation within 20 s, last: HTTP 429; run this again later, the same grant is kept" in last
    told = site.draw(pool=pool)
    assert (told.status, told.body["error"]) == (429, "rate_limited")
    assert 1 <= told.retry_after <= 3600
    assert (late.disk / "var/lib/moorings/enrolment.key").exists()


def _within_one_hour(site: Site) -> tuple[str, list[Machine]]:
    """Three servers and two grants an hour; once more with a fresh pool if the clock's hour turned meanwhile."""
    for pool in ("capped", "capped-again"):
        hour = hour_of(datetime.now(UTC))
        machines = _storm(site, 3, pool=pool, MOORINGS_DEADLINE="20")
        if hour_of(datetime.now(UTC) + timedelta(seconds=10)) == hour:
            break
    return pool, machines


def test_a_single_use_activation_serves_one_server_and_is_gone_after_it(site: Site) -> None:
    machines = _storm(site, 2, pool="single")
    assert _all_registered(machines), [machine.console for machine in machines]
    granted = _granted(site, "single")
    assert sorted(granted.values()) == [1, 1]

    site.keep()

    assert not set(granted) & {each["ActivationId"] for each in _described(site)}
    assert all(site.online(machine) for machine in machines)


def _described(site: Site) -> list[dict[str, str]]:
    found: list[dict[str, str]] = site.cloud.client("ssm").describe_activations()["ActivationList"]
    return found


def test_servers_register_through_errors_throttles_and_lost_answers(site: Site) -> None:
    """Every call that vending makes fails or loses its answer now and then; so does the registration."""
    faults = site.cloud.faults
    for service, operation in (
        ("dynamodb", "UpdateItem"),
        ("dynamodb", "PutItem"),
        ("ssm", "CreateActivation"),
        ("ssm", "PutParameter"),
        ("ssm", "GetParameter"),
        ("ssm", "RegisterManagedInstance"),
    ):
        faults.error(service, operation, probability=0.15)
        faults.throttle(service, operation, probability=0.15)
        faults.lose_answer(service, operation, probability=0.15)

    position = len(site.cloud.world.calls)
    machines = _storm(site, 6, pool="rough")
    faults.clear()

    lost = [record for record in site.cloud.world.calls.since(position) if record.status in {0, 500} or record.error]
    assert len(lost) >= 5, "the faults were felt"
    assert _all_registered(machines), [machine.console for machine in machines if machine.exit_code]
    assert site.truth().over_issued == 0
    _nothing_is_left_unknown(site)


def test_servers_register_though_functions_die_before_and_after_their_calls(site: Site) -> None:
    """Killed at the first call, at a write whose answer nobody hears, and while an activation is being made."""
    for at_call, when in ((1, "before"), (4, "after"), (9, "before"), (14, "after"), (20, "after")):
        site.cloud.faults.kill_function(site.api_function, at_call=at_call, when=when)

    machines = _storm(site, 6, pool="rough")
    site.cloud.faults.clear()

    assert sum("Runtime.ExitError" in line for line in site.cloud.functions.logs(site.api_function)) >= 3
    assert _all_registered(machines), [machine.console for machine in machines if machine.exit_code]
    assert site.truth().over_issued == 0
    _nothing_is_left_unknown(site)


def _nothing_is_left_unknown(site: Site) -> None:
    """What a failure left behind is gone after one run of the keeper, once nobody can still be at it."""
    site.settle()
    site.age(CLAIM_WINDOW + LEASE + timedelta(seconds=1))

    site.keep()

    assert site.unknown() == []
    codes = {each["Name"].rsplit("/", 1)[1] for each in site.cloud.client("ssm").describe_parameters()["Parameters"]}
    assert {each["ActivationId"] for each in _described(site)} == codes
