"""The keeper's work, in order: the next activation ready, the drained deleted, the leaked reaped, the counts compared.

Each pool and each chore fails by itself: what one could not do is done five minutes later, and the run says so at its
end.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from moorings.clock import Clock
from moorings.enrolment import policy
from moorings.enrolment.making import Maker
from moorings.enrolment.model import (
    LEASE,
    STACK_TAG,
    Claim,
    Configuration,
    Described,
    Mode,
    Pool,
    PoolState,
    grant_of_lease,
)
from moorings.enrolment.policy import HOUR
from moorings.enrolment.ports import ActivationService, Codes, Configurations, Journal, Ledger
from moorings.errors import Busy, MooringsError
from moorings.nodes.model import stale
from moorings.nodes.ports import Fleet

# Without a pool to ask, an activation drains as long as the longest claim window that a pool may have.
LONGEST_CLAIM_WINDOW = timedelta(days=1)
MOST_DEREGISTERED = 50  # nodes in one run, so that a mistake can be seen before it is complete


@dataclass(slots=True)
class _Run:
    """What one run has found out so far."""

    now: datetime
    configuration: Configuration
    described: list[Described] = field(default_factory=list)
    states: dict[str, PoolState] = field(default_factory=dict)
    failures: list[MooringsError] = field(default_factory=list)

    def claim_window(self, pool: str) -> timedelta:
        found = self.configuration.pools.get(pool)
        return found.claim_window if found else LONGEST_CLAIM_WINDOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """Looks after all pools; safe to run at any time, twice at once, and to be cut off anywhere."""

    configurations: Configurations
    ledger: Ledger
    activations: ActivationService
    codes: Codes
    maker: Maker
    fleet: Fleet
    stack: str  # the mark that this stack's nodes bear
    journal: Journal
    clock: Clock

    def prepare(self, pool_name: str) -> None:
        """Have the next activation of one pool ready. An unknown pool is nobody's business any more."""
        run = _Run(now=self.clock.now(), configuration=self.configurations.reload())
        state, pool = self._state(run, pool_name), run.configuration.pools.get(pool_name)
        # A good standby is all that is asked for: who finds the current one used up swaps it in. Doing so here, with a
        # wake that comes late, would make one activation more than the servers of a boot storm need.
        if pool is not None and not policy.grantable(state.standby, pool, run.now):
            self._rotate(run, pool, state)

    def _prepare(self, run: _Run, pool_name: str) -> None:
        state = self._state(run, pool_name)
        pool = run.configuration.pools.get(pool_name)
        if pool is not None:
            self._rotate(run, pool, state)

    def run(self) -> None:
        """Everything, for every pool; raises the first failure after the rest has been done."""
        run = _Run(now=self.clock.now(), configuration=self.configurations.reload())
        # First what the service has, then what the ledger knows: an activation published in between is then known.
        if self._guarded(run, lambda: run.described.extend(self.activations.described())):
            self._look_after_all(run)
        else:
            # Nobody can tell what is left over then; servers wait for the next activation all the same.
            for name, pool in run.configuration.pools.items():
                if pool.mode is Mode.SHARED:
                    self._guarded(run, lambda name=name: self._prepare(run, name))  # type: ignore[misc]
        self._guarded(run, lambda: self._stale_nodes(run))
        self._report(run)
        if run.failures:
            raise run.failures[0]

    def _look_after_all(self, run: _Run) -> None:
        shared = [each for each in run.described if not grant_of_lease(each.lease_id)]
        names = {*run.configuration.pools, *(each.pool for each in run.described)}
        for name in sorted(names):
            self._guarded(run, lambda name=name: self._look_after(run, name, shared))  # type: ignore[misc]
        for each in run.described:
            if grant_of_lease(each.lease_id):
                self._guarded(run, lambda each=each: self._single_use(run, each))  # type: ignore[misc]
        self._guarded(run, lambda: self._orphaned_codes(run))

    def _guarded(self, run: _Run, chore: Callable[[], None]) -> bool:
        try:
            chore()
        except MooringsError as error:
            run.failures.append(error)
            self.journal.record("chore_failed", error=str(error))
            return False
        return True

    def _state(self, run: _Run, name: str) -> PoolState:
        """The pool's item. An operator may have been faster than this run: then it goes on with what is in force."""
        state = self.ledger.state(name)
        if state.version > run.configuration.version:
            run.configuration = self.configurations.reload()
        return state

    # -- one shared pool -------------------------------------------------------------------------------------------

    def _look_after(self, run: _Run, name: str, shared: Iterable[Described]) -> None:
        state = self._state(run, name)
        pool = run.configuration.pools.get(name)
        mine = [each for each in shared if each.pool == name]
        self._reap(run, name, state, mine)
        self._compare(state, mine)
        state = self._missing(run, name, state, mine)
        self._put_away(run, name, pool, state)
        if pool is not None and pool.mode is Mode.SHARED:
            self._rotate(run, pool, state)
        run.states[name] = self.ledger.state(name)

    def _rotate(self, run: _Run, pool: Pool, state: PoolState) -> None:
        """Current and standby as they should be. Throttling by the service is no failure: the next run goes on."""
        needs = policy.upkeep_of(state, pool, now=run.now)
        drain_until = self.clock.now() + pool.claim_window  # not the run's begin: slots were granted since
        version = run.configuration.version
        try:
            if needs.drain_standby and state.standby:
                self.ledger.drain_standby(pool.name, state.standby.id, until=drain_until)
                state = self.ledger.state(pool.name)
            if needs.swap and self.ledger.swap(pool.name, state, drain_until=drain_until, version=version):
                self.journal.count("Rotations")
                state = self.ledger.state(pool.name)
            if needs.create_current and self.maker.make_current(pool, state, version=version):
                self.journal.count("Rotations")
                state = self.ledger.state(pool.name)
            if needs.create_standby and state.standby is None:
                self.maker.make_standby(pool, state)
        except Busy as error:
            self.journal.record("throttled", pool=pool.name, error=str(error))

    def _put_away(self, run: _Run, name: str, pool: Pool | None, state: PoolState) -> None:
        """Retire what can no longer be granted, delete what has drained: activation, then code, then the entry."""
        needs = policy.upkeep_of(state, pool, now=run.now)
        drain_until = self.clock.now() + run.claim_window(name)
        if needs.retire_current and state.current:
            self.ledger.retire(name, state.current.id, drain_until=drain_until)
        if needs.drain_standby and state.standby and (pool is None or pool.mode is Mode.SINGLE_USE):
            self.ledger.drain_standby(name, state.standby.id, until=drain_until)
        for drained in needs.delete:
            self._delete(drained.id)
            self.ledger.forget_drained(name, drained.id)
            self.journal.record("activation_deleted", pool=name, activation_id=drained.id, issued=drained.issued)

    def _reap(self, run: _Run, name: str, state: PoolState, mine: Iterable[Described]) -> None:
        for leak in policy.leaked(mine, state.known(), claim_window=run.claim_window(name), now=run.now):
            # The fence: whoever made it and is still at it can no longer publish it.
            self.ledger.release_lease(name, leak.lease_id)
            if leak.id in self.ledger.state(name).known():
                continue
            self._delete(leak.id)
            self.journal.count("LeaksReaped")
            self.journal.record("leak_reaped", pool=name, activation_id=leak.id, lease_id=leak.lease_id)

    def _compare(self, state: PoolState, mine: Iterable[Described]) -> None:
        for surplus in policy.surplus_of(state, mine):
            self.journal.count("SurplusRegistrations", surplus.registrations - surplus.issued)
            self.journal.record(
                "surplus_registrations",
                activation_id=surplus.activation_id,
                registrations=surplus.registrations,
                issued=surplus.issued,
            )

    def _missing(self, run: _Run, name: str, state: PoolState, mine: Iterable[Described]) -> PoolState:
        """Put out of use what somebody deleted behind our back: its slots would be granted in vain."""
        present = {each.id for each in mine}
        drain_until = self.clock.now() + run.claim_window(name)
        current, standby = state.current, state.standby
        gone = False
        if current and current.id not in present and not self.activations.exists(current.id):
            gone = self.ledger.retire(name, current.id, drain_until=drain_until)
            self.codes.delete(current.id)  # so that a key that was granted it gets another one
        if standby and standby.id not in present and not self.activations.exists(standby.id):
            gone = self.ledger.drain_standby(name, standby.id, until=drain_until) or gone
        if not gone:
            return state
        self.journal.count("ActivationsMissing")
        self.journal.record("activation_missing", pool=name)
        return self.ledger.state(name)

    # -- everything else -------------------------------------------------------------------------------------------

    def _single_use(self, run: _Run, each: Described) -> None:
        """A single-use activation goes when it is used or over, or when no grant names it and none can any more."""
        hashed = grant_of_lease(each.lease_id)
        grant = self.ledger.grant(each.pool, hashed)
        granted = grant is not None and grant.activation_id == each.id
        done = each.registrations >= each.limit or each.expired or each.expires_at <= run.now
        leak = not granted and each.created_at + run.claim_window(each.pool) + LEASE < run.now
        if not (done or leak):
            return
        if not granted:
            claim = Claim(pool=each.pool, key_hash=hashed, lease_id=each.lease_id, lease_until=run.now)
            self.ledger.release_claim(claim)
            again = self.ledger.grant(each.pool, hashed)
            if again is not None and again.activation_id == each.id:
                return
        if leak:
            self.journal.count("LeaksReaped")
        self._delete(each.id)
        self.journal.record("activation_deleted", pool=each.pool, activation_id=each.id, leak=leak)

    def _orphaned_codes(self, run: _Run) -> None:
        """Codes whose activation is gone, and that nobody can still be about to publish."""
        known = {each.id for each in run.described}.union(*(state.known() for state in run.states.values()))
        oldest_claim = max((pool.claim_window for pool in run.configuration.pools.values()), default=HOUR)
        for activation_id, stored_at in self.codes.stored():
            if activation_id not in known and stored_at + oldest_claim + LEASE < run.now:
                self.codes.delete(activation_id)
                self.journal.record("orphaned_code_deleted", activation_id=activation_id)

    def _stale_nodes(self, run: _Run) -> None:
        """Nodes of this stack's activations alone: with a shared node role, others may have registered theirs."""
        wanted = run.configuration.stale_nodes
        silent = self.fleet.nodes(offline_only=True, tag=(STACK_TAG, self.stack))
        nodes = stale(silent, after=wanted.after, now=run.now)
        self.journal.measure("StaleNodes", len(nodes))
        if not wanted.deregister:
            return
        for node in nodes[:MOST_DEREGISTERED]:
            self.fleet.deregister(node.id)
            self.journal.count("NodesDeregistered")
            self.journal.record("stale_node_deregistered", node=node.id, last_ping=str(node.last_ping))

    def _delete(self, activation_id: str) -> None:
        self.activations.delete(activation_id)
        self.codes.delete(activation_id)

    def _report(self, run: _Run) -> None:
        """The tightest pool's slots and hours: what an alarm needs to know."""
        slots: list[int] = []
        hours: list[float] = []
        for name, pool in run.configuration.pools.items():
            if pool.mode is not Mode.SHARED or name not in run.states:
                continue
            stock = policy.stock_of(run.states[name], pool, now=run.now)
            slots.append(stock.slots_left)
            hours.append(stock.hours_to_expiry)
        if slots:
            self.journal.measure("SlotsLeft", min(slots))
            self.journal.measure("HoursToExpiry", min(hours))
