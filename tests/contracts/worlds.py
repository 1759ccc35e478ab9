"""Two worlds that the contracts are run on: the fakes in memory, and the adapters over the local cloud."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.contracts.fakes import FakeActivations, FakeCodes, FakeLedger, Now
from tests.enrolment.rig import NODE_ROLE, Rig
from tests.enrolment.strategies import NOW, a_pool

from moorings.enrolment.model import Pool
from moorings.enrolment.ports import ActivationService, Codes, Ledger


@dataclass(frozen=True)
class World:
    """The ports of one stack, and its clock."""

    ledger: Ledger
    activations: ActivationService
    codes: Codes
    now: Callable[[], datetime]
    step: Callable[[timedelta], None]

    def pool(self, **changes: object) -> Pool:
        """A pool whose node role exists."""
        return a_pool(node_role=NODE_ROLE, **changes)


def in_memory() -> World:
    """The fakes."""
    clock = Now(NOW)
    return World(
        ledger=FakeLedger(),
        activations=FakeActivations(clock),
        codes=FakeCodes(clock),
        now=clock.now,
        step=clock.wait,
    )


def on_the_local_cloud(rig: Rig) -> World:
    """The adapters on AWS, over the emulated services."""
    upkeep = rig.environment().upkeep
    return World(
        ledger=upkeep.ledger,
        activations=upkeep.activations,
        codes=upkeep.codes,
        now=rig.clock.now,
        step=rig.clock.step,
    )
