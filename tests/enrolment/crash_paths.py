"""Every way through the functions' code that makes cloud calls, and what must hold after a crash on it.

Used at the HTTP seam (test_crash_points.py) and with real kills of deployed functions (bench/crash.py).
"""

import base64
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.enrolment.rig import NODE_ROLE, Crash, Rig, Wire, client_of, configuration, new_rig

from localcloud.aws.ssm.activations import Activations
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.wire import Request, Response
from moorings.enrolment.model import KEEPER_PERIOD, LEASE, STACK_TAG
from moorings.enrolment.ports import Ledger

KEY = "5a0c7e9e-8a44-4d0b-8f4b-0d6f7f1f2c11"
CLAIM_WINDOW = timedelta(hours=1)


@dataclass(frozen=True)
class Path:
    """A way through the code: how to get to its start, and the step that is crashed."""

    name: str
    arrange: Callable[[Rig], None]
    act: Callable[[Rig], None]


def _nothing(rig: Rig) -> None:
    pass


def _used_up(rig: Rig) -> None:
    environment = rig.environment()
    rig.vend(environment)
    rig.vend(environment)


def _with_standby(rig: Rig) -> None:
    rig.vend(rig.environment())
    rig.prepare()


def _ready_to_swap(rig: Rig) -> None:
    _with_standby(rig)
    rig.vend(rig.environment())


def _drained(rig: Rig) -> None:
    _ready_to_swap(rig)
    rig.vend(rig.environment())
    rig.clock.step(CLAIM_WINDOW + LEASE)


def _leaked(rig: Rig) -> None:
    """An activation whose maker died before it was published."""
    crashed(rig, lambda: rig.ask(rig.environment()), at=call_of(rig, "PutParameter"), after=True)
    rig.clock.step(CLAIM_WINDOW + LEASE + timedelta(seconds=1))


def _single_use_done(rig: Rig) -> None:
    answer = rig.keyed(rig.environment(), KEY, pool="one")
    assert answer["status"] == 200
    rig.clock.step(timedelta(hours=2))


def _single_use_leaked(rig: Rig) -> None:
    maker = lambda: rig.keyed(rig.environment(), KEY, pool="one")  # noqa: E731
    crashed(rig, maker, at=call_of(rig, "PutParameter", act=maker), after=True)
    rig.clock.step(timedelta(hours=1) + LEASE * 2)


def _deleted_behind_our_back(rig: Rig) -> None:
    _with_standby(rig)
    for activation_id in rig.live_activations():
        client_of(rig.cloud, "ssm").delete_activation(ActivationId=activation_id)


def _code_lost(rig: Rig) -> None:
    activation_id = rig.vend(rig.environment())
    client_of(rig.cloud, "ssm").delete_parameter(Name=f"{rig.settings.code_prefix}/{activation_id}")


def _expired_grant(rig: Rig) -> None:
    rig.keyed(rig.environment(), KEY)
    rig.clock.step(CLAIM_WINDOW)


def _other_settings(rig: Rig) -> None:
    _with_standby(rig)
    rig.environment().configurations.apply(configuration(tags={"Env": "new"}), replacing=0)


def _pool_removed(rig: Rig) -> None:
    _with_standby(rig)
    document = configuration()
    document["pool"] = [document["pool"][1]]
    document["rule"][0]["pools"] = ["one"]
    rig.environment().configurations.apply(document, replacing=0)


def new_public_key() -> str:
    """A node's public key, as it registers it; making one takes time."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@cache
def _public_key() -> str:
    return new_public_key()


def _stale_nodes(rig: Rig) -> None:
    _with_standby(rig)
    document = {**configuration(), "stale_nodes": {"after": "1d", "deregister": True}}
    rig.environment().configurations.apply(document, replacing=0)
    node_id = f"mi-{uuid.uuid4().hex[:17]}"
    nodes = rig.cloud.world.part(ManagedNodes)
    nodes.seed(node_id=node_id, fingerprint=str(uuid.uuid4()), public_key=_public_key(), iam_role=NODE_ROLE)
    nodes.change_tags(node_id, lambda _: ((STACK_TAG, rig.settings.stack),))
    rig.clock.step(timedelta(days=1, hours=1))


def _refused_by_the_service(rig: Rig) -> None:
    rig.cloud.faults.error("ssm", "CreateActivation")
    try:
        rig.keyed(rig.environment(), KEY, pool="one")
    finally:
        rig.cloud.faults.clear()


PATHS = [
    Path("first vend", _nothing, lambda rig: rig.ask(rig.environment())),
    Path("steady", _with_standby, lambda rig: rig.ask(rig.environment())),
    Path("keyed", _with_standby, lambda rig: rig.keyed(rig.environment(), KEY)),
    Path("first vend, keyed", _nothing, lambda rig: rig.keyed(rig.environment(), KEY)),
    Path("keyed again", lambda rig: rig.keyed(rig.environment(), KEY), lambda rig: rig.keyed(rig.environment(), KEY)),
    Path("keyed again, used up", lambda rig: (rig.keyed(rig.environment(), KEY), rig.vend(rig.environment())),
         lambda rig: rig.keyed(rig.environment(), KEY)),
    Path("keyed again, window over", _expired_grant, lambda rig: rig.keyed(rig.environment(), KEY)),
    Path("swap", _ready_to_swap, lambda rig: rig.ask(rig.environment())),
    Path("rotation without standby", _used_up, lambda rig: rig.ask(rig.environment())),
    Path("rotation to other settings", _other_settings, lambda rig: rig.ask(rig.environment())),
    Path("code lost", _code_lost, lambda rig: rig.ask(rig.environment())),
    Path("single-use", _nothing, lambda rig: rig.keyed(rig.environment(), KEY, pool="one")),
    Path("single-use again", _single_use_done, lambda rig: rig.keyed(rig.environment(), KEY, pool="one")),
    Path("single-use, the service fails", _nothing, _refused_by_the_service),
    Path("bootstrap script", _nothing, lambda rig: rig.script(rig.environment())),
    Path("keeper, first run", _nothing, lambda rig: rig.keep()),
    Path("keeper, woken", _used_up, lambda rig: rig.prepare()),
    Path("keeper, swap", _ready_to_swap, lambda rig: rig.keep()),
    Path("keeper, drain", _drained, lambda rig: rig.keep()),
    Path("keeper, reap", _leaked, lambda rig: rig.keep()),
    Path("keeper, other settings", _other_settings, lambda rig: rig.keep()),
    Path("keeper, pool removed", _pool_removed, lambda rig: rig.keep()),
    Path("keeper, activations deleted behind our back", _deleted_behind_our_back, lambda rig: rig.keep()),
    Path("keeper, stale nodes", _stale_nodes, lambda rig: rig.keep()),
    Path("keeper, single-use over", _single_use_done, lambda rig: rig.keep()),
    Path("keeper, single-use leaked", _single_use_leaked, lambda rig: rig.keep()),
]  # fmt: skip


class Calls:
    """Counts calls, and kills the caller before or after one of them."""

    def __init__(self, *, at: int = 0, after: bool = False) -> None:
        self.count = 0
        self.operations: list[str] = []
        self._at = at
        self._after = after

    def __call__(self, wire: Wire) -> Wire:
        def call(request: Request) -> Response:
            self.count += 1
            self.operations.append(request.headers.get("X-Amz-Target").rpartition(".")[2] or "Invoke")
            if self.count == self._at and not self._after:
                raise Crash
            response = wire(request)
            if self.count == self._at:
                raise Crash
            return response

        return call


def crashed(rig: Rig, act: Callable[[], object], *, at: int, after: bool) -> None:
    """Run `act` in this process and have it die at its call number `at`."""
    with rig.wired(Calls(at=at, after=after)):
        try:
            act()
        except Crash:
            return
    raise AssertionError(f"it made fewer than {at} calls")


def call_of(rig: Rig, operation: str, *, act: Callable[[], object] | None = None) -> int:
    """Which call of a first vend is `operation`: looked up on a stack of its own."""
    other = new_rig(rig.cloud, rig.clock)
    calls = Calls()
    with other.wired(calls):
        if act is None:
            other.ask(other.environment())
        else:
            other.keyed(other.environment(), pool="one")
    return calls.operations.index(operation) + 1


def works_within_the_lease(rig: Rig, *, slack: timedelta = timedelta(seconds=1)) -> None:
    """The next request gets its activation once the dead function's lease is over; `slack` is for the work itself."""
    shared = "default" in rig.environment().configurations.current().pools
    before = rig.clock.now()
    answer = rig.keyed(rig.environment(), pool="" if shared else "one")
    assert answer["status"] == 200, answer
    assert rig.clock.now() - before <= LEASE + slack
    again = rig.keyed(rig.environment(), KEY, pool="" if shared else "one")
    assert again["status"] == 200, again
    for each in (answer, again):
        rig.granted[each["ActivationId"]] += 1


def nothing_granted_twice(rig: Rig) -> None:
    """No activation was handed out more often than its limit."""
    made = rig.cloud.world.part(Activations).redemptions()  # the deleted ones too
    limits = {each.activation_id: each.registration_limit for each in made}
    for activation_id, count in rig.granted.items():
        assert count <= limits[activation_id]


def all_is_known_after_one_keeper_run(rig: Rig) -> None:
    """What ledger and keeper do not know is gone, and what can be granted has its code."""
    rig.clock.step(CLAIM_WINDOW + LEASE + KEEPER_PERIOD)
    rig.keep()
    ledger = rig.environment().upkeep.ledger
    live, codes, state = rig.live_activations(), rig.stored_codes(), ledger.state("default")
    known = state.known() | {one for one, described in live.items() if _grant_of(ledger, described) == one}
    assert set(live) <= known
    assert codes <= known
    for prepared in (state.current, state.standby):
        if prepared:
            assert prepared.id in codes


def _grant_of(ledger: Ledger, described: dict[str, str]) -> str:
    pool, _, lease = described["Description"].partition(" pool=")[2].partition(" lease=")
    grant = ledger.grant(pool, lease.partition(".")[0])
    return grant.activation_id if grant else ""
