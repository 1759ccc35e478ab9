"""Requests, keepers and operators at once, cut off and unlucky anywhere: invariants 1 to 4 hold in every order.

`TestInMemory` runs the service on fakes that the contracts hold to the adapters (cheap, many); `TestOnTheLocalCloud`
runs the whole function at the HTTP seam (dear, few). `HYPOTHESIS_PROFILE=deep` tries many more.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts.fakes import (
    FakeActivations,
    FakeCodes,
    FakeConfigurations,
    FakeFleet,
    FakeJournal,
    FakeKeeper,
    FakeLedger,
    Now,
)
from tests.enrolment.rig import VPCE, Crash, Rig, Wire, configuration, new_rig
from tests.enrolment.stage import Actor, Fate, Stage

from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from localcloud.errors import ConnectionLost
from localcloud.wire import Request, Response
from moorings.enrolment import configuration as documents
from moorings.enrolment.making import Maker
from moorings.enrolment.model import (
    KEEPER_PERIOD,
    LEASE,
    REPEAT_MARGIN,
    Ask,
    Configuration,
    Grant,
    PoolState,
    Prepared,
    Slot,
    Source,
    Vended,
    grant_of_lease,
    key_hash,
)
from moorings.enrolment.ports import CONFIGURATION_AGE
from moorings.enrolment.service import Vending
from moorings.enrolment.upkeep import Upkeep
from moorings.errors import Busy, CloudFault, Conflict, MooringsError

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
CLAIM_WINDOW = timedelta(hours=1)
FUNCTION = timedelta(seconds=25)  # the templates' timeouts
KEEPER = timedelta(seconds=300)
SOURCE = Source(vpce_id=VPCE, ip="10.0.0.5")
KEYS = ["5a0c7e9e-8a44-4d0b-8f4b-0d6f7f1f2c11", "0d6f7f1f-8a44-4d0b-8f4b-5a0c7e9e2c11"]
# A node has this much less of its claim window: the answer's own way, whole seconds, clocks that differ.
SLACK = FUNCTION + timedelta(seconds=5)


def _documents() -> list[dict[str, Any]]:
    """What an operator applies: other settings, another limit, the pool taken away, and as it was."""
    away = configuration()
    away["pool"] = [away["pool"][1]]
    away["rule"][0]["pools"] = ["one"]
    return [configuration(tags={"Env": "new"}), configuration(registration_limit=3), away, configuration()]


DOCUMENTS = _documents()


# -- a script ------------------------------------------------------------------------------------------------------

fates = st.sampled_from([Fate.GO] * 14 + [Fate.LOSE] * 2 + [Fate.THROTTLE, Fate.CRASH_BEFORE, Fate.CRASH_AFTER])
spans = st.sampled_from(
    [
        *[timedelta(seconds=1), timedelta(seconds=6)] * 3,
        timedelta(minutes=7),
        timedelta(minutes=51),
        timedelta(hours=2),
        timedelta(days=10),
        timedelta(days=29) - timedelta(hours=6),
    ]
)
starts = st.sampled_from(
    ["plain"] * 5 + ["key 0"] * 3 + ["key 1"] * 2 + ["single 0"] * 2 + ["keep"] * 2 + ["prepare"] * 3 + ["apply"]
)
start = st.tuples(st.just("start"), starts, st.integers(0, 3))
go = st.tuples(st.just("go"), st.integers(0, 5), fates)
run = st.tuples(st.just("run"), st.integers(0, 5), st.integers(1, 8))
finish = st.tuples(st.just("finish"), st.integers(0, 5), st.none())
step = st.tuples(st.just("step"), spans, st.none())
anything = st.one_of(start, start, start, go, go, go, run, run, finish, step)


def crowd(seed: int) -> list[tuple[Any, ...]]:
    """Many in one short moment, half of whose answers get lost: a script by number, since chance finds more here."""
    rng = random.Random(seed)
    script: list[tuple[Any, ...]] = []
    for _ in range(80):
        what = rng.choice(["start", "go", "go", "go", "run", "finish"])
        if what == "start":
            script.append((what, rng.choice(["plain", "plain", "key 0", "key 1", "prepare"]), 0))
        elif what == "go":
            script.append((what, rng.randrange(6), rng.choice([Fate.GO, Fate.LOSE])))
        elif what == "run":
            script.append((what, rng.randrange(6), rng.randint(1, 8)))
        else:
            script.append((what, rng.randrange(6), None))
    return script


class World(Protocol):
    """What a script is played on."""

    stage: Stage

    def now(self) -> datetime: ...
    def step(self, span: timedelta) -> None: ...
    def vend(self, ask: Ask) -> Vended: ...
    def keep(self) -> None: ...
    def prepare(self) -> None: ...
    def apply(self, number: int) -> None: ...
    def states(self) -> dict[str, PoolState]: ...
    def live(self) -> dict[str, tuple[str, str]]: ...
    def codes(self) -> set[str]: ...
    def limit(self, activation_id: str) -> int: ...
    def granted_to(self, pool: str, hashed: str) -> str: ...
    def deleted(self) -> dict[str, datetime]: ...


@dataclass
class Play:
    """One script on one world, and what came of it."""

    world: World
    answers: list[tuple[str, Vended, datetime]] = field(default_factory=list)
    actors: list[Actor] = field(default_factory=list)

    def perform(self, script: list[tuple[Any, ...]]) -> None:
        """Play the script, let everybody finish, and look at what is left, now and later."""
        try:
            for step in script:
                self._step(*step)
                self.nothing_is_granted_twice()
            for actor in self.world.stage.waiting():
                self.world.stage.finish(actor)
        finally:
            for actor in self.world.stage.waiting():
                self.world.stage.crash(actor)
        self.use_up()
        self.no_actor_met_a_bug()
        self.every_grant_could_be_used()
        self.all_is_known_in_the_end()

    def _step(self, what: str, first: Any, second: Any) -> None:
        stage = self.world.stage
        if what == "start":
            self._start(first, second)
        elif what == "step":
            self.world.step(first)
            stage.cut_off(self.world.now())
        else:
            waiting = stage.waiting()
            if not waiting:
                return
            actor = waiting[first % len(waiting)]
            if what == "go":
                actor.resume(second)
            elif what == "finish":
                stage.finish(actor)
            else:
                for _ in range(second):
                    if not actor.done:
                        actor.resume(Fate.GO)

    def _start(self, kind: str, number: int) -> None:
        name, _, index = kind.partition(" ")
        acts: dict[str, Callable[[], object]] = {
            "plain": lambda: self._vend("", ""),
            "key": lambda: self._vend(KEYS[int(index)], ""),
            "single": lambda: self._vend(KEYS[int(index)], "one"),
            "keep": self.world.keep,
            "prepare": self.world.prepare,
            "apply": lambda: self.world.apply(number),
        }
        lives = KEEPER if name in ("keep", "prepare") else FUNCTION
        self.actors.append(self.world.stage.start(kind, acts[name], now=self.world.now(), lives=lives))

    def _vend(self, key: str, pool: str) -> Vended:
        asked = self.world.now()
        vended = self.world.vend(Ask(source=SOURCE, key=key, pool=pool))
        self.answers.append((key, vended, asked))
        return vended

    # -- invariants ------------------------------------------------------------------------------------------------

    def slots(self) -> Counter[str]:
        """Slots that servers hold, by activation: a repeated answer to a key is the slot that it had."""
        own = Counter((vended.activation_id, key) for key, vended, _ in self.answers if not vended.repeated)
        for key, vended, _ in self.answers:
            own.setdefault((vended.activation_id, key), 1)
        total: Counter[str] = Counter()
        for (activation_id, _), count in own.items():
            total[activation_id] += count
        return total

    def nothing_is_granted_twice(self) -> None:
        """Invariant 1."""
        for activation_id, count in self.slots().items():
            assert count <= self.world.limit(activation_id), f"{activation_id} was granted {count} times"

    def no_actor_met_a_bug(self) -> None:
        """Invariant 2: whatever was cut off, nobody else saw more than Busy, a refusal or a fault of the cloud."""
        for actor in self.actors:
            assert actor.bug is None, actor.name
            assert actor.error is None or isinstance(actor.error, MooringsError), actor.name
            if actor.faults == 0 and isinstance(actor.error, MooringsError):
                assert not isinstance(actor.error, CloudFault), f"{actor.name}: {actor.error}"

    def use_up(self) -> None:
        """Take every slot that the ledger still has, so that a slot too many in its books becomes one in the world."""
        for _ in range(5):
            with suppress(MooringsError):
                self._vend("", "")
            self.nothing_is_granted_twice()

    def every_grant_could_be_used(self) -> None:
        """An activation lives until its last grant's claim window is over; a repeated grant may be 50 minutes old."""
        deleted = self.world.deleted()
        for _, vended, asked in self.answers:
            if vended.pool.name == "default" and vended.activation_id in deleted:
                left = REPEAT_MARGIN if vended.repeated else CLAIM_WINDOW
                assert deleted[vended.activation_id] >= asked + left - SLACK

    def all_is_known_in_the_end(self) -> None:
        """Invariants 3 and 4: a key asking again costs nothing; nothing is left that ledger and keeper do not know."""
        self.world.step(CONFIGURATION_AGE)
        self.world.keep()
        self.a_key_costs_one_slot()
        longest = timedelta(days=1)  # without a pool to ask, the longest claim window that there is
        for span in (LEASE, CLAIM_WINDOW + LEASE + KEEPER_PERIOD, longest + LEASE + KEEPER_PERIOD):
            self.world.step(span)
            self.world.keep()
        known = {activation_id for state in self.world.states().values() for activation_id in state.known()}
        for activation_id, (pool, lease_id) in self.world.live().items():
            hashed = grant_of_lease(lease_id)
            assert activation_id in known or self.world.granted_to(pool, hashed) == activation_id
        assert self.world.codes() == set(self.world.live())
        for state in self.world.states().values():
            assert all(drained.until > self.world.now() for drained in state.draining)
            assert not state.lease_id or (state.lease_until and state.lease_until <= self.world.now())

    def a_key_costs_one_slot(self) -> None:
        """Whatever has happened before: from here on the same key asks three times and takes one slot at most."""
        before, answers = self._issued(), []
        for _ in range(3):
            try:
                answers.append(self.world.vend(Ask(source=SOURCE, key=KEYS[0])))
            except MooringsError:
                return  # the pool was taken away, or its hour is used up
        assert len({vended.activation_id for vended in answers}) == 1
        generation_kept = self._issued()[0] == before[0]
        assert not generation_kept or self._issued()[1] - before[1] <= 1

    def _issued(self) -> tuple[int, int]:
        state = self.world.states().get("default", PoolState())
        return state.generation, state.issued


# -- in memory -----------------------------------------------------------------------------------------------------

_SENT_ONCE = {"give_back", "uncount_grant", "create"}  # a lost answer to these is never repeated


class _Stepwise:
    """A port whose every call is a step of the stage."""

    def __init__(self, port: Any, stage: Stage) -> None:
        self._port = port
        self._stage = stage

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            fate = self._stage.pause()
            if fate is Fate.CRASH_BEFORE:
                raise Crash
            if fate is Fate.THROTTLE:
                raise Busy(f"{name} is throttled", retry_after=timedelta(seconds=1))
            result = method(*args, **kwargs)
            if fate is Fate.CRASH_AFTER:
                raise Crash
            if fate is Fate.LOSE:
                if name in _SENT_ONCE:
                    raise CloudFault("no answer", call=name)
                return self._again(name, method, args, kwargs)
            return result

        return call

    def _again(self, name: str, method: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """As botocore does: send it again, at the mercy of everybody who was faster."""
        fate = self._stage.pause()
        if fate in (Fate.CRASH_BEFORE, Fate.CRASH_AFTER):
            raise Crash
        if fate is not Fate.GO:
            raise CloudFault("no answer", call=name)
        return method(*args, **kwargs)


class InMemory:
    """A world of fakes: each invocation has an environment of its own, or one that was used before."""

    def __init__(self, ledger: FakeLedger | None = None) -> None:
        self.stage = Stage()
        self.clock = Now(datetime(2026, 11, 21, 12, 0, tzinfo=UTC))
        self.ledger = ledger or FakeLedger()
        self.activations = FakeActivations(self.clock)
        self.code_store = FakeCodes(self.clock)
        self.stored: list[Configuration] = [documents.parse(configuration(), version=0)]
        self.journal = FakeJournal()
        self.memory = FakeConfigurations(self.stored, self.clock)  # of an environment that is used again and again
        self.created = 0

    def _parts(self, configurations: FakeConfigurations) -> dict[str, Any]:
        ledger, codes = _Stepwise(self.ledger, self.stage), _Stepwise(self.code_store, self.stage)
        activations = _Stepwise(self.activations, self.stage)
        maker = Maker(ledger=ledger, activations=activations, codes=codes, journal=self.journal, clock=self.clock)
        steps = _Stepwise(configurations, self.stage)
        return {
            "ledger": ledger,
            "codes": codes,
            "maker": maker,
            "journal": self.journal,
            "clock": self.clock,
            "configurations": steps,
        }

    def now(self) -> datetime:
        return self.clock.now()

    def step(self, span: timedelta) -> None:
        self.clock.wait(span)

    def vend(self, ask: Ask) -> Vended:
        self.created += 1
        memory = self.memory if self.created % 2 else FakeConfigurations(self.stored, self.clock)
        vending = Vending(
            **self._parts(memory), keeper=FakeKeeper(), proofs=frozenset({"network"}), rng=random.Random(7)
        )
        return vending.vend(ask, deadline=self.now() + timedelta(seconds=20))

    def _upkeep(self) -> Upkeep:
        parts = self._parts(FakeConfigurations(self.stored, self.clock))
        return Upkeep(**parts, activations=_Stepwise(self.activations, self.stage), fleet=FakeFleet(), stack="stack-1")

    def keep(self) -> None:
        self._upkeep().run()

    def prepare(self) -> None:
        self._upkeep().prepare("default")

    def apply(self, number: int) -> None:
        version = self.stored[-1].version + 1
        self.stage.pause()
        self.stored.append(documents.parse(DOCUMENTS[number], version=version))

    def states(self) -> dict[str, PoolState]:
        return self.ledger.pools

    def live(self) -> dict[str, tuple[str, str]]:
        return {each.id: (each.pool, each.lease_id) for each in self.activations.live.values()}

    def codes(self) -> set[str]:
        return set(self.code_store.codes)

    def limit(self, activation_id: str) -> int:
        return self.activations.limits[activation_id]

    def granted_to(self, pool: str, hashed: str) -> str:
        grant = self.ledger.grant(pool, hashed)
        return grant.activation_id if grant else ""

    def deleted(self) -> dict[str, datetime]:
        return self.activations.deleted


@settings(max_examples=3_000 if DEEP else 250)
@given(script=st.lists(anything, min_size=30, max_size=90))
def test_invariants_hold_in_every_order_in_memory(script: list[tuple[Any, ...]]) -> None:
    """Invariants 1 to 4 on the fakes: thousands of orders."""
    Play(InMemory()).perform(script)


CROWDS = 5_000 if DEEP else 300


def test_invariants_hold_in_every_crowd_whose_answers_get_lost() -> None:
    """Each lost answer is followed by the request's repetition, whoever was faster in between."""
    for seed in range(CROWDS):
        try:
            Play(InMemory()).perform(crowd(seed))
        except AssertionError as error:
            raise AssertionError(f"crowd({seed}): {error}") from error


# -- on the local cloud --------------------------------------------------------------------------------------------


class OnTheLocalCloud:
    """The real adapters at the HTTP seam: every request of theirs is a step of the stage."""

    def __init__(self, rig: Rig) -> None:
        self.stage = Stage()
        self.rig = rig
        self.memory = rig.environment()
        self.limits: dict[str, int] = {}
        self.gone: dict[str, datetime] = {}
        self.asked = 0

    def wire(self, wire: Wire) -> Wire:
        """Between botocore and the cloud."""

        def call(request: Request) -> Response:
            fate = self.stage.pause()
            if fate is Fate.CRASH_BEFORE:
                raise Crash
            if fate is Fate.THROTTLE:
                return Response(status=400, body=b'{"__type": "ThrottlingException", "message": "Rate exceeded"}')
            response = wire(request)
            if request.headers.get("X-Amz-Target").endswith(("CreateActivation", "DeleteActivation")):
                self._note()
            if fate is Fate.CRASH_AFTER:
                raise Crash
            if fate is Fate.LOSE:
                raise ConnectionLost("on purpose")
            return response

        return call

    def _note(self) -> None:
        live = self.rig.live_activations()
        for activation_id in set(self.limits) - set(live):
            self.gone.setdefault(activation_id, self.now())
        self.limits |= {activation_id: each["RegistrationLimit"] for activation_id, each in live.items()}

    def now(self) -> datetime:
        return self.rig.clock.now()

    def step(self, span: timedelta) -> None:
        self.rig.clock.step(span)

    def vend(self, ask: Ask) -> Vended:
        self.asked += 1
        environment = self.memory if self.asked % 2 else self.rig.environment()
        return environment.vending.vend(ask, deadline=self.now() + timedelta(seconds=20))

    def keep(self) -> None:
        self.rig.keep()

    def prepare(self) -> None:
        self.rig.prepare()

    def apply(self, number: int) -> None:
        configurations = self.rig.environment().configurations
        version = configurations.document()[1]
        try:
            configurations.apply(DOCUMENTS[number], replacing=version)
        except Conflict:
            return  # an operator was faster

    def states(self) -> dict[str, PoolState]:
        return {name: self.rig.state(name) for name in ("default", "one")}

    def live(self) -> dict[str, tuple[str, str]]:
        found = {}
        for activation_id, each in self.rig.live_activations().items():
            pool, _, lease_id = each["Description"].partition(" pool=")[2].partition(" lease=")
            found[activation_id] = (pool, lease_id)
        return found

    def codes(self) -> set[str]:
        return self.rig.stored_codes()

    def limit(self, activation_id: str) -> int:
        return self.limits[activation_id]

    def granted_to(self, pool: str, hashed: str) -> str:
        grant = self.rig.environment().upkeep.ledger.grant(pool, hashed)
        return grant.activation_id if grant else ""

    def deleted(self) -> dict[str, datetime]:
        return self.gone


@contextmanager
def _without_backoff() -> Iterator[None]:
    """botocore repeats at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.endpoint.time", type("NoSleep", (), {"sleep": staticmethod(lambda _: None)}))
        yield


@settings(max_examples=500 if DEEP else 20)
@given(script=st.lists(anything, min_size=25, max_size=45))
def test_invariants_hold_in_every_order_on_the_local_cloud(
    stepped_cloud: LocalCloud, stepped_clock: SteppedClock, script: list[tuple[Any, ...]]
) -> None:
    """Invariants 1 to 4 through botocore's own retries, over the emulated services."""
    rig = new_rig(stepped_cloud, stepped_clock)
    world = OnTheLocalCloud(rig)
    with _without_backoff(), rig.wired(world.wire):
        Play(world).perform(script)


class _GivesBackToAnybody(FakeLedger):
    def give_back(self, pool: str, slot: Slot) -> None:
        super().give_back(pool, replace(slot, generation=self.state(pool).generation))


class _DoesNotKnowItsOwnGrants(FakeLedger):
    def put_grant(self, grant: Grant, *, forget_at: datetime) -> Grant | None:
        had = self.grant(grant.pool, grant.key_hash)
        return had or super().put_grant(grant, forget_at=forget_at)


class _DoesNotKnowItsOwnPublication(FakeLedger):
    def publish_current(self, pool: str, made: Prepared, **how: Any) -> bool:
        return made.id not in self.state(pool).known() and super().publish_current(pool, made, **how)


@pytest.mark.parametrize("ledger", [_GivesBackToAnybody, _DoesNotKnowItsOwnGrants, _DoesNotKnowItsOwnPublication])
def test_a_ledger_with_a_flaw_is_found_out(ledger: type[FakeLedger]) -> None:
    """The invariants can fail: each flaw breaks one in some crowd."""

    def play_all() -> None:
        for seed in range(1_000):
            Play(InMemory(ledger())).perform(crowd(seed))

    with pytest.raises(AssertionError):
        play_all()


def test_a_stage_can_fail() -> None:
    """The check itself: an extra answer for a full activation is noticed."""
    world = InMemory()
    play = Play(world)
    vended = world.vend(Ask(source=SOURCE))
    play.answers += [("", vended, world.now())] * 3

    with pytest.raises(AssertionError, match="was granted 3 times"):
        play.nothing_is_granted_twice()


def test_a_key_is_hashed_before_it_is_kept() -> None:
    world = InMemory()

    world.vend(Ask(source=SOURCE, key=KEYS[0]))

    assert set(world.ledger.grants) == {("default", key_hash(KEYS[0]))}
