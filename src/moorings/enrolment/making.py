"""Making an activation: lease, create, store the code, publish; whoever loses the race deletes what it made.

Used by the vending function when nothing else is left, and by the keeper to have the next one ready.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from moorings.clock import Clock
from moorings.enrolment.model import LEASE, NewActivation, Pool, PoolState, Prepared
from moorings.enrolment.ports import ActivationService, Codes, Journal, Ledger
from moorings.errors import MooringsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Creates activations under the pool's lease."""

    ledger: Ledger
    activations: ActivationService
    codes: Codes
    journal: Journal
    clock: Clock

    def make_current(self, pool: Pool, state: PoolState, *, version: int) -> bool:
        """Create the pool's next current activation. False: somebody else has the lease, or took it over meanwhile."""

        def publish(made: Prepared, lease_id: str) -> bool:
            drain_until = self.clock.now() + pool.claim_window
            return self.ledger.publish_current(
                pool.name, made, lease_id=lease_id, drain_until=drain_until, version=version
            )

        return self._make(pool, state, publish)

    def make_standby(self, pool: Pool, state: PoolState) -> bool:
        """Create the pool's standby. False: somebody else has the lease, or took it over meanwhile."""
        return self._make(
            pool, state, lambda made, lease_id: self.ledger.publish_standby(pool.name, made, lease_id=lease_id)
        )

    def _make(self, pool: Pool, state: PoolState, publish: Callable[[Prepared, str], bool]) -> bool:
        lease_id = str(uuid.uuid4())
        now = self.clock.now()
        if not self.ledger.take_lease(pool.name, state, lease_id=lease_id, now=now, until=now + LEASE):
            return False
        try:
            made = self.create_with_code(pool, lease_id)
        except MooringsError:
            self._let_go(pool, lease_id)
            raise
        prepared = Prepared(
            id=made.id, limit=pool.registration_limit, expires_at=made.expires_at, settings=pool.settings_hash()
        )
        if publish(prepared, lease_id):
            self.journal.count("ActivationsCreated")
            self.journal.record("activation_created", pool=pool.name, activation_id=made.id, lease_id=lease_id)
            return True
        self.discard(made.id)
        return False

    def create_with_code(self, pool: Pool, lease_id: str) -> NewActivation:
        """A new activation whose code is stored; if storing fails, the activation is deleted again."""
        made = self.activations.create(pool, lease_id=lease_id, expires_at=self.clock.now() + pool.life)
        try:
            self.codes.put(made.id, made.code)
        except MooringsError:
            self.discard(made.id)
            raise
        return made

    def discard(self, activation_id: str) -> None:
        """Delete what was made in vain. What fails here is left to the keeper, which finds it by its Description."""
        try:
            self.activations.delete(activation_id)
            self.codes.delete(activation_id)
        except MooringsError as error:
            self.journal.record("discard_failed", activation_id=activation_id, error=str(error))

    def _let_go(self, pool: Pool, lease_id: str) -> None:
        try:
            self.ledger.release_lease(pool.name, lease_id)
        except MooringsError as error:
            self.journal.record("release_failed", pool=pool.name, lease_id=lease_id, error=str(error))
