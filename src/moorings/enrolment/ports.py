"""What enrolment needs from the outside, in its own words. Every call may fail with CloudFault, or Busy when throttled.

One suite of contracts (tests/contracts) runs on the fakes and on the real adapters alike.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from moorings.enrolment.model import (
    Claim,
    Configuration,
    Described,
    Grant,
    NewActivation,
    Pool,
    PoolState,
    Prepared,
    Slot,
)


class Ledger(Protocol):
    """The table: one item per pool, one per grant. Every write is one conditional write; True means it holds now.

    A write whose answer was lost and whose repetition is refused by an item that shows our own write counts as done.
    """

    def take_slot(self, pool: Pool, *, now: datetime, new_hour: bool) -> Slot | PoolState:
        """One slot of the pool's current activation, or the item as it was when it refused.

        Granted only while the activation was made under the pool's settings, has a free slot and more than `margin`
        to live, and the hour's ceiling is not reached. `new_hour` starts the counter of an hour not counted yet.
        """

    def give_back(self, pool: str, slot: Slot) -> None:
        """Return an unused slot if its activation is still the current one. Sent once, never repeated: a repetition
        of a write that had worked would free somebody else's slot."""

    def swap(self, pool: str, state: PoolState, *, drain_until: datetime, version: int) -> bool:
        """Make the standby of `state` current and drain the old current, unless the pool has changed since.

        False as well when somebody else has made the same swap: True is for the one that made it.
        """

    def take_lease(self, pool: str, state: PoolState, *, lease_id: str, now: datetime, until: datetime) -> bool:
        """Become the only one who may publish for the pool, if it is still as in `state` and no lease runs."""

    def release_lease(self, pool: str, lease_id: str) -> None:
        """End a lease that is still ours, so that nobody waits for it; also the fence against a late publisher."""

    def publish_current(self, pool: str, made: Prepared, *, lease_id: str, drain_until: datetime, version: int) -> bool:
        """Make `made` current and drain what was, if the lease is still ours; ends the lease."""

    def publish_standby(self, pool: str, made: Prepared, *, lease_id: str) -> bool:
        """Lay `made` ready as the standby, if the lease is still ours and there is none; ends the lease."""

    def retire(self, pool: str, activation_id: str, *, drain_until: datetime) -> bool:
        """Take the current activation out of use without a successor, if it still is `activation_id`."""

    def drain_standby(self, pool: str, activation_id: str, *, until: datetime) -> bool:
        """Take the standby out of use, if it still is `activation_id`."""

    def forget_drained(self, pool: str, activation_id: str) -> None:
        """Remove the entry of a drained activation that has been deleted."""

    def state(self, pool: str) -> PoolState:
        """The pool's item as it is now (consistent read)."""

    def grant(self, pool: str, key_hash: str) -> Grant | None:
        """The grant of a key as it is now, if it has one."""

    def put_grant(self, grant: Grant, *, forget_at: datetime) -> Grant | None:
        """Record a grant if the key has none: None when it is ours now, else the grant that was there."""

    def replace_grant(self, grant: Grant, *, old: Grant, forget_at: datetime) -> bool:
        """Put `grant` in the place of `old`, unless that has changed."""

    def count_grant(self, pool: Pool, *, now: datetime) -> datetime | None:
        """Count one single-use grant against the pool's hour: None if it may go on, else when the next hour begins."""

    def uncount_grant(self, pool: Pool, *, now: datetime) -> None:
        """Take back a count of this hour whose grant was not made. Sent once, never repeated, as `give_back`."""

    def claim(self, claim: Claim, *, replacing: Grant | None, now: datetime, forget_at: datetime) -> bool:
        """Become the one who makes a key's single-use activation: nobody else holds a running claim on it."""

    def release_claim(self, claim: Claim) -> None:
        """End a claim that is still ours; also the fence against whoever is late to fulfil it."""

    def fulfil(self, claim: Claim, grant: Grant, *, forget_at: datetime) -> bool:
        """Turn a claim that is still ours into its grant."""


class GrantBook(Protocol):
    """The ledger's grants, for an operator to look at."""

    def grants(self) -> Iterable[Grant]:
        """Every grant that the ledger still holds, in no order."""


class ActivationService(Protocol):
    """Hybrid activations of the Systems Manager service."""

    def create(self, pool: Pool, *, lease_id: str, expires_at: datetime) -> NewActivation:
        """A new activation that bears stack, pool and lease in its Description. Sent once: there is no client token, so
        an answer that is lost leaves an activation that only the keeper can find."""

    def delete(self, activation_id: str) -> None:
        """Delete an activation; one that is gone already is fine. Registered nodes stay."""

    def described(self) -> Iterable[Described]:
        """Every activation of this stack that the service knows."""

    def exists(self, activation_id: str) -> bool:
        """Whether the service knows this activation now."""


class Codes(Protocol):
    """The activation codes, one secret each under the activation's id."""

    def get(self, activation_id: str) -> str | None:
        """The code; None if there is none, or it lies under a key that is out of use."""

    def put(self, activation_id: str, code: str) -> None:
        """Store a code. Never overwrites: one that is there already is the same one."""

    def delete(self, activation_id: str) -> None:
        """Delete a code; one that is gone already is fine."""

    def stored(self) -> Iterable[tuple[str, datetime]]:
        """Every stored code's activation id, and when it was stored."""


class Configurations(Protocol):
    """Where the configuration in force comes from."""

    def current(self) -> Configuration:
        """The configuration in force, at most a minute old. Misconfigured if the stored one does not hold."""

    def reload(self) -> Configuration:
        """The same, read anew."""


class Keeper(Protocol):
    """The way to wake the keeper."""

    def wake(self, pool: str) -> None:
        """Ask it to look after `pool` now; returns at once. A failure is its schedule's business, not the caller's."""


class Journal(Protocol):
    """Audit records and metrics. Never fails, never holds a code or a key."""

    def record(self, event: str, **facts: object) -> None:
        """Write one audit record."""

    def count(self, metric: str, value: float = 1) -> None:
        """Add to a metric that counts."""

    def measure(self, metric: str, value: float) -> None:
        """Report the present value of a metric."""


CONFIGURATION_AGE = timedelta(seconds=60)  # a change is in force everywhere after at most this
