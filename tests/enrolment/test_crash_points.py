"""The function and the keeper die before and after every cloud call of every path; what is left needs nobody.

Exhaustive because each path's calls are counted first. A port method that no path reaches fails `test_every_call…`.
"""

import inspect
from collections.abc import Iterator

import pytest
from tests.enrolment.crash_paths import (
    PATHS,
    Calls,
    Path,
    all_is_known_after_one_keeper_run,
    crashed,
    nothing_granted_twice,
    works_within_the_lease,
)
from tests.enrolment.rig import new_rig

from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from moorings.enrolment import ports
from moorings.nodes.ports import Fleet


@pytest.fixture
def stepped_clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def stepped_cloud(stepped_clock: SteppedClock) -> Iterator[LocalCloud]:
    """One for each path: what a hundred crashes leave behind would slow down every look at what is there."""
    with LocalCloud(clock=stepped_clock) as cloud:
        yield cloud


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_a_crash_at_any_call_needs_nobody(path: Path, stepped_cloud: LocalCloud, stepped_clock: SteppedClock) -> None:
    """Whatever is cut off where: the next request works within the lease, and one keeper run later all is known."""
    rig = new_rig(stepped_cloud, stepped_clock)
    path.arrange(rig)
    calls = Calls()
    with rig.wired(calls):
        path.act(rig)
    assert calls.count > 0

    # Nothing outside the process changes between two calls: after one call is before the next.
    for at, after in [(1, False), *((call, True) for call in range(1, calls.count + 1))]:
        rig = new_rig(stepped_cloud, stepped_clock)
        path.arrange(rig)
        crashed(rig, lambda rig=rig: path.act(rig), at=at, after=after)  # type: ignore[misc]
        works_within_the_lease(rig)
        nothing_granted_twice(rig)
        all_is_known_after_one_keeper_run(rig)
        rig.forget_activations()  # those of the stack that nothing happened to stay, as a neighbour's


def test_every_call_of_every_port_lies_on_a_path(
    stepped_cloud: LocalCloud, stepped_clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new port method must come with a path that crashes it: the paths reach all there are."""
    reached: set[tuple[str, str]] = set()
    wanted = {
        (port.__name__, name)
        for port in (ports.Ledger, ports.ActivationService, ports.Codes, ports.Configurations, ports.Keeper, Fleet)
        for name, _ in inspect.getmembers(port, inspect.isfunction)
        if not name.startswith("_") and name != "node"  # only people look a single node up
    }
    from moorings.enrolment import aws, dynamodb
    from moorings.nodes import aws as nodes_aws

    adapters = {
        "Ledger": dynamodb.DynamoLedger,
        "ActivationService": aws.SsmActivations,
        "Codes": aws.SecureCodes,
        "Configurations": aws.StoredConfigurations,
        "Keeper": aws.LambdaKeeper,
        "Fleet": nodes_aws.SsmFleet,
    }
    for port, name in wanted:
        original = getattr(adapters[port], name)

        def noted(*args: object, _call=original, _at=(port, name), **kwargs: object) -> object:  # type: ignore[no-untyped-def]
            reached.add(_at)
            return _call(*args, **kwargs)

        monkeypatch.setattr(adapters[port], name, noted)

    for path in PATHS:
        rig = new_rig(stepped_cloud, stepped_clock)
        path.arrange(rig)
        path.act(rig)

    assert wanted - reached == set()
