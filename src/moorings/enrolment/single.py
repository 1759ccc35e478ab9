"""Vending from a single-use pool: one activation per key, made on demand. Its rate is that of CreateActivation."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from moorings.clock import Clock
from moorings.enrolment import policy
from moorings.enrolment.making import Maker
from moorings.enrolment.model import LEASE, Claim, Grant, Pool, Vended, key_hash, new_single_use_lease
from moorings.enrolment.ports import Codes, Ledger
from moorings.errors import Busy, Misconfigured, MooringsError, RateLimited

RETRY_SOON = timedelta(seconds=2)


def repeat(pool: Pool, grant: Grant | None, *, codes: Codes, now: datetime) -> Vended | None:
    """The answer that a grant gave, in a pool of either mode; None if it is too late for it, or its code is gone."""
    if grant is None or not policy.repeatable(grant, pool, now):
        return None
    try:
        code = codes.get(grant.activation_id)
    except Misconfigured:
        code = None  # stored under a key that the stack has replaced; if it is worse than that, a new slot will show it
    if code is None:
        return None
    return Vended(activation_id=grant.activation_id, code=code, pool=pool, expires_at=grant.expires_at, repeated=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleUse:
    """Claims a key, creates its activation, and turns the claim into the grant that holds it."""

    ledger: Ledger
    codes: Codes
    maker: Maker
    clock: Clock
    rng: random.Random

    def vend(self, pool: Pool, key: str, *, deadline: datetime) -> Vended:
        """The key's own activation. Raises RateLimited, Busy or CloudFault; then the key may simply ask again."""
        counted_at: datetime | None = None
        attempt = 0
        while self.clock.now() < deadline - policy.LONGEST_MOVE:
            now = self.clock.now()
            grant = self.ledger.grant(pool.name, key_hash(key))
            vended = repeat(pool, grant, codes=self.codes, now=now)
            if vended:
                return vended
            if counted_at is None:
                self._count(pool, now)
                counted_at = now
            vended = self._make(pool, key, grant, now, counted_at)
            if vended:
                return vended
            self.clock.wait(policy.pause(attempt, rng=self.rng))
            attempt += 1
        if counted_at is not None:
            self._uncount(pool, counted_at)
        raise Busy("no activation could be had in time", retry_after=RETRY_SOON)

    def _count(self, pool: Pool, now: datetime) -> None:
        until = self.ledger.count_grant(pool, now=now)
        if until is not None:
            raise RateLimited(
                "the pool has granted its hour's share", retry_after=until - now, remedy="try again next hour"
            )

    def _uncount(self, pool: Pool, counted_at: datetime) -> None:
        """Servers ask again while the service throttles or fails; that must not use the pool's hour up."""
        try:
            self.ledger.uncount_grant(pool, now=counted_at)
        except MooringsError as error:
            self.maker.journal.record("count_kept", pool=pool.name, error=str(error))

    def _make(self, pool: Pool, key: str, old: Grant | None, now: datetime, counted_at: datetime) -> Vended | None:
        """Claim and make; None: somebody else is at it for the same key, or the service throttles."""
        hashed = key_hash(key)
        lease_id = new_single_use_lease(hashed)
        claim = Claim(pool=pool.name, key_hash=hashed, lease_id=lease_id, lease_until=now + LEASE)
        forget_at = now + pool.life + policy.HOUR
        if not self.ledger.claim(claim, replacing=old, now=now, forget_at=forget_at):
            return None
        try:
            made = self.maker.create_with_code(pool, lease_id)
        except MooringsError as error:
            self.ledger.release_claim(claim)
            if isinstance(error, Busy):
                return None
            self._uncount(pool, counted_at)
            raise
        grant = Grant(
            pool=pool.name,
            key_hash=claim.key_hash,
            activation_id=made.id,
            granted_at=now,
            expires_at=made.expires_at,
            attempt=lease_id,
        )
        if not self.ledger.fulfil(claim, grant, forget_at=forget_at):
            self.maker.discard(made.id)
            return None
        return Vended(activation_id=made.id, code=made.code, pool=pool, expires_at=made.expires_at, repeated=False)
