"""Vending: the order of steps from a request to an activation. Decides nothing itself (policy does), calls only ports.

admit → take a slot ─────────────────────────────────▶ record the key's grant → read the code → answer
          │ refused                                       │ the key had one: answer that, give the slot back
          └▶ the key's grant? → answer it
             else swap / create / wait, and again until the deadline
"""

import random
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NoReturn

from moorings.clock import Clock
from moorings.enrolment import policy
from moorings.enrolment.making import Maker
from moorings.enrolment.model import (
    Ask,
    Configuration,
    Grant,
    Mode,
    Pool,
    PoolState,
    Slot,
    Vended,
    key_hash,
)
from moorings.enrolment.policy import Admitted, Ceiling, Create, Full, Reload, Swap, TryAgain
from moorings.enrolment.ports import Codes, Configurations, Journal, Keeper, Ledger
from moorings.enrolment.single import RETRY_SOON, SingleUse, repeat
from moorings.errors import Busy, MooringsError, RateLimited, Refused

DEADLINE = timedelta(seconds=20)
CEILING_SPREAD = timedelta(minutes=2)
NOT_PERMITTED = "this request is not permitted"
ASK_OPERATOR = "ask the operator of this endpoint"
CODE_LOOKS = 4  # within two seconds, before a code counts as gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Vending:
    """Answers requests for activations. One instance serves one request at a time."""

    configurations: Configurations
    ledger: Ledger
    codes: Codes
    maker: Maker
    keeper: Keeper
    journal: Journal
    clock: Clock
    proofs: frozenset[str]  # that the stack accepts
    rng: random.Random = field(default_factory=random.Random)

    def vend(self, ask: Ask, *, deadline: datetime) -> Vended:
        """An activation with a free slot that belongs to this request alone.

        Raises Refused (no rule lets it in), RateLimited (the pool's hour is used up), Busy (none to be had before
        `deadline`) or CloudFault. A failure costs at most one slot; nothing is ever granted twice.
        """
        admitted = self._admit(ask, keyed=bool(ask.key))
        if admitted.pool.mode is Mode.SINGLE_USE:
            single = SingleUse(ledger=self.ledger, codes=self.codes, maker=self.maker, clock=self.clock, rng=self.rng)
            vended = single.vend(admitted.pool, ask.key, deadline=deadline)
        else:
            vended = self._vend_shared(admitted, ask, deadline)
        self._record(ask, admitted, vended)
        return vended

    def bootstrap(self, ask: Ask) -> Configuration:
        """The configuration that a bootstrap script is filled in from, for whoever may draw an activation at all.

        Raises Refused like `vend`. The script itself will ask with a key, so a single-use pool opens it too.
        """
        self._admit(ask, keyed=True)
        return self.configurations.current()

    def _admit(self, ask: Ask, *, keyed: bool) -> Admitted:
        configuration = self.configurations.current()
        identity = policy.identify(ask.source, proofs=self.proofs)
        admitted = policy.admit(configuration, identity, pool=ask.pool, keyed=keyed) if identity else None
        if admitted is None:
            self._refuse(ask, "no accepted proof" if identity is None else "no rule opens this pool to this source")
        return admitted

    def _refuse(self, ask: Ask, reason: str) -> NoReturn:
        self.journal.count("Refused")
        self.journal.record(
            "refused", reason=reason, pool=ask.pool, vpce=ask.source.vpce_id, source_ip=ask.source.ip, **_hints(ask)
        )
        raise Refused(NOT_PERMITTED, remedy=ASK_OPERATOR)

    # -- shared pools ----------------------------------------------------------------------------------------------

    def _vend_shared(self, admitted: Admitted, ask: Ask, deadline: datetime) -> Vended:
        pool, version = admitted.pool, admitted.version
        read_for: int | None = None  # the generation that the configuration was read anew for
        looked_for_grant, attempt, new_hour = False, 0, False
        while self.clock.now() < deadline - policy.LONGEST_MOVE:
            now = self.clock.now()
            taken = self.ledger.take_slot(pool, now=now, new_hour=new_hour)
            if isinstance(taken, Slot):
                vended = self._grant(pool, ask, taken, now)
                if vended:
                    return vended
                continue  # the activation lost its code and was retired; the next round makes another
            if ask.key and not looked_for_grant:
                looked_for_grant = True
                grant = self.ledger.grant(pool.name, key_hash(ask.key))
                repeated = repeat(pool, grant, codes=self.codes, now=now)
                if repeated:
                    return repeated
            move = policy.next_move(taken, pool, fresh=read_for == taken.generation, now=now)
            new_hour = isinstance(move, TryAgain) and move.new_hour
            if isinstance(move, Reload):
                pool, version = self._reloaded(ask)
                read_for = taken.generation
            elif not self._advance(pool, taken, move, version):
                self._wait(pool, attempt)
                attempt += 1
        self.journal.record("gave_up_waiting", pool=pool.name, rounds=attempt)
        raise Busy("no activation could be had in time", retry_after=RETRY_SOON)

    def _advance(self, pool: Pool, state: PoolState, move: policy.Move, version: int) -> bool:
        """Carry out `move`; False: there is nothing to do but wait."""
        if isinstance(move, Ceiling):
            self.journal.count("CeilingReached")
            self.journal.record("ceiling", pool=pool.name, grants_per_hour=pool.grants_per_hour)
            # Whoever was refused in this hour must not come back in one second of the next.
            wait = move.until - self.clock.now() + CEILING_SPREAD * self.rng.random()
            raise RateLimited("the pool has granted its hour's share", retry_after=wait, remedy="try again next hour")
        if isinstance(move, Full):
            self.journal.record("too_many_draining", pool=pool.name, registration_limit=pool.registration_limit)
            wait = max(RETRY_SOON, move.until - self.clock.now())
            raise Busy("too many activations of the pool are draining", retry_after=wait)
        if isinstance(move, Swap):
            drain_until = self.clock.now() + pool.claim_window
            if self.ledger.swap(pool.name, state, drain_until=drain_until, version=version):
                self.journal.count("Rotations")
                self.journal.record("rotated", pool=pool.name, activation_id=move.standby.id, why=move.why.value)
                self.keeper.wake(pool.name)
            return True
        if isinstance(move, Create):
            return self._create(pool, state, version)
        return isinstance(move, TryAgain)

    def _create(self, pool: Pool, state: PoolState, version: int) -> bool:
        try:
            made = self.maker.make_current(pool, state, version=version)
        except Busy:
            return False  # throttled by the service: the lease is free again, somebody will get through
        if made:
            self.journal.count("Rotations")
            self.keeper.wake(pool.name)
        return made

    def _wait(self, pool: Pool, attempt: int) -> None:
        self.journal.count("Waits")
        self.clock.wait(policy.pause(attempt, rng=self.rng))

    def _reloaded(self, ask: Ask) -> tuple[Pool, int]:
        self.configurations.reload()
        admitted = self._admit(ask, keyed=bool(ask.key))
        if admitted.pool.mode is not Mode.SHARED:
            raise Busy("the pool was configured anew meanwhile", retry_after=RETRY_SOON)
        return admitted.pool, admitted.version

    def _grant(self, pool: Pool, ask: Ask, slot: Slot, now: datetime) -> Vended | None:
        """Record the key's grant of a slot just taken, and answer; None if the slot's code is gone."""
        if ask.key:
            had = self._grant_had_before(pool, ask.key, slot, now)
            if had:
                self._give_back(pool, slot)
                return had
        code = self._code(slot.activation_id)
        if code is None:
            # Deleted behind our back: without its code the activation is worthless, so put it out of use.
            drain_until = now + pool.claim_window
            self.ledger.retire(pool.name, slot.activation_id, drain_until=drain_until)
            self.journal.record("code_missing", pool=pool.name, activation_id=slot.activation_id)
            return None
        return Vended(
            activation_id=slot.activation_id, code=code, pool=pool, expires_at=slot.expires_at, repeated=False
        )

    def _code(self, activation_id: str) -> str | None:
        """The code of an activation that the ledger holds; None if it stays away.

        Parameter Store is eventually consistent: what was stored before the activation was published may be found only
        a moment later, and retiring a fresh activation for that would waste all its slots.
        """
        for attempt in range(1, CODE_LOOKS):
            code = self.codes.get(activation_id)
            if code is not None:
                return code
            self.clock.wait(policy.pause(attempt + 1, rng=self.rng))
        return self.codes.get(activation_id)

    def _give_back(self, pool: Pool, slot: Slot) -> None:
        """Return a slot that the key did not need. Failing costs the slot, never the answer that is there already."""
        try:
            self.ledger.give_back(pool.name, slot)
        except MooringsError as error:
            self.journal.record("slot_lost", pool=pool.name, activation_id=slot.activation_id, error=str(error))

    def _grant_had_before(self, pool: Pool, key: str, slot: Slot, now: datetime) -> Vended | None:
        """The answer that the key had before, if it still stands; else None, and the key's grant is the new slot's."""
        grant = Grant(
            pool=pool.name,
            key_hash=key_hash(key),
            activation_id=slot.activation_id,
            granted_at=now,
            expires_at=slot.expires_at,
            attempt=str(uuid.uuid4()),
        )
        forget_at = policy.forget_grant_at(grant, pool)
        old = self.ledger.put_grant(grant, forget_at=forget_at)
        while old is not None:
            had = repeat(pool, old, codes=self.codes, now=now)
            if had or self.ledger.replace_grant(grant, old=old, forget_at=forget_at):
                return had
            old = self.ledger.put_grant(grant, forget_at=forget_at)
        return None

    def _record(self, ask: Ask, admitted: Admitted, vended: Vended) -> None:
        self.journal.count("Repeated" if vended.repeated else "Granted")
        self.journal.record(
            "granted",
            rule=admitted.rule.name,
            proof=admitted.rule.proof,
            pool=vended.pool.name,
            activation_id=vended.activation_id,
            repeated=vended.repeated,
            vpce=ask.source.vpce_id,
            source_ip=ask.source.ip,
            **_hints(ask),
        )


def _hints(ask: Ask) -> dict[str, object]:
    """What the server says of itself: kept apart, since nobody has checked it."""
    return {"keyed": bool(ask.key), "unverified": {"name": ask.node.name, "machine_id": ask.node.machine_id}}
