"""What the policy decides, for every state that a ledger may hold."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.enrolment.strategies import NOW, OTHER_SETTINGS, a_pool, grants, moments, pools, prepared, states

from moorings.enrolment import policy
from moorings.enrolment.model import (
    LEASE,
    REPEAT_MARGIN,
    Bootstrap,
    Configuration,
    Described,
    Draining,
    Grant,
    Identity,
    Mode,
    Pool,
    PoolState,
    Rule,
    Source,
    StaleNodes,
)
from moorings.enrolment.policy import Await, Ceiling, Create, Reload, Swap, TryAgain, Why

VPCE = "vpce-0123456789abcdef0"
NETWORK = frozenset({"network"})
HOUR_NOW = policy.hour_of(NOW)
SECOND = timedelta(seconds=1)


# -- proof → identity → rule → pool --------------------------------------------------------------------------------


def _rule(*cidrs: str, **changes: object) -> Rule:
    values: dict[str, object] = {
        "name": "dc",
        "proof": "network",
        "vpces": frozenset({VPCE}),
        "cidrs": tuple(map(ip_network, cidrs or ("10.0.0.0/8",))),
        "pools": ("default",),
        **changes,
    }
    return Rule(**values)  # type: ignore[arg-type]


def _configuration(*rules: Rule, pools: tuple[Pool, ...] = ()) -> Configuration:
    return Configuration(
        version=3,
        pools={pool.name: pool for pool in pools or (a_pool(),)},
        rules=rules,
        bootstrap=Bootstrap(packages="", signing_key=""),
        stale_nodes=StaleNodes(after=timedelta(days=30)),
    )


def _identity(ip: str = "10.0.0.5", vpce: str = VPCE) -> Identity:
    found = policy.identify(Source(vpce_id=vpce, ip=ip), proofs=NETWORK)
    assert found
    return found


@pytest.mark.parametrize("source", [Source(vpce_id="", ip="10.0.0.5"), Source(vpce_id=VPCE, ip="")])
def test_without_endpoint_and_address_there_is_no_identity(source: Source) -> None:
    assert policy.identify(source, proofs=NETWORK) is None


def test_a_stack_that_does_not_accept_the_network_proof_identifies_nobody_by_it() -> None:
    source = Source(vpce_id=VPCE, ip="10.0.0.5")

    assert policy.identify(source, proofs=frozenset()) is None
    assert policy.identify(source, proofs=frozenset({"another"})) is None


def test_without_rules_nobody_is_admitted() -> None:
    assert policy.admit(_configuration(), _identity(), pool="", keyed=True) is None


@pytest.mark.parametrize(
    ("cidr", "ip", "accepted"),
    [
        ("10.1.0.0/16", "10.1.0.0", True),
        ("10.1.0.0/16", "10.1.255.255", True),
        ("10.1.0.0/16", "10.0.255.255", False),
        ("10.1.0.0/16", "10.2.0.0", False),
        ("10.1.2.3/32", "10.1.2.3", True),
        ("10.1.2.3/32", "10.1.2.4", False),
        ("0.0.0.0/0", "203.0.113.9", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "10.1.2.3", False),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("2001:db8::/32", "2001:DB8::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("10.0.0.0/8", "::ffff:10.0.0.5", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("10.0.0.0/8", "10.0.0.5, 203.0.113.9", False),
        ("10.0.0.0/8", " 10.0.0.5", False),
        ("10.0.0.0/8", "10.0.0.5/8", False),
        ("10.0.0.0/8", "010.0.0.5", False),
        ("10.0.0.0/8", "167772165", False),
        ("10.0.0.0/8", "localhost", False),
        ("10.0.0.0/8", "test-invoke-source-ip", False),
    ],
)
def test_an_address_is_accepted_inside_its_range_alone(cidr: str, ip: str, accepted: bool) -> None:
    assert policy.matches(_rule(cidr), _identity(ip)) is accepted


def test_another_endpoint_is_not_accepted() -> None:
    assert not policy.matches(_rule(), _identity(vpce="vpce-0fedcba9876543210"))


def test_another_proof_is_not_accepted() -> None:
    assert not policy.matches(_rule(proof="azure"), _identity())


@given(ip=st.text(max_size=40), vpce=st.text(min_size=1, max_size=30))
def test_whatever_the_gateway_names_a_rule_can_be_asked(ip: str, vpce: str) -> None:
    """No text in the place of an address raises; none of an unlisted endpoint is let in."""
    identity = Identity(proof="network", key="", source=Source(vpce_id=vpce, ip=ip))

    assert policy.matches(_rule("0.0.0.0/0", "::/0"), identity) is False or vpce == VPCE


def test_the_first_rule_that_opens_the_pool_counts() -> None:
    other = a_pool(name="other")
    narrow = _rule("192.168.0.0/16", name="narrow")
    elsewhere = _rule(name="elsewhere", pools=("other",))
    wanted = _rule(name="wanted", pools=("other", "default"))
    configuration = _configuration(narrow, elsewhere, wanted, pools=(a_pool(), other))

    named = policy.admit(configuration, _identity(), pool="default", keyed=True)
    unnamed = policy.admit(configuration, _identity(), pool="", keyed=True)

    assert named
    assert (named.rule.name, named.pool.name) == ("wanted", "default")
    assert unnamed
    assert (unnamed.rule.name, unnamed.pool.name) == ("elsewhere", "other")


def test_an_admission_says_under_which_version_its_pool_stands() -> None:
    admitted = policy.admit(_configuration(_rule()), _identity(), pool="", keyed=False)

    assert admitted
    assert admitted.version == 3


def test_a_pool_that_no_rule_of_the_identity_opens_is_refused_like_an_unknown_one() -> None:
    configuration = _configuration(_rule(), pools=(a_pool(), a_pool(name="other")))

    assert policy.admit(configuration, _identity(), pool="other", keyed=True) is None
    assert policy.admit(configuration, _identity(), pool="unknown", keyed=True) is None


def test_a_single_use_pool_opens_to_a_key_alone() -> None:
    one = a_pool(name="one", mode=Mode.SINGLE_USE)
    configuration = _configuration(_rule(pools=("one", "default")), pools=(one, a_pool()))

    plain = policy.admit(configuration, _identity(), pool="", keyed=False)
    keyed = policy.admit(configuration, _identity(), pool="", keyed=True)

    assert plain
    assert plain.pool.name == "default"
    assert keyed
    assert keyed.pool.name == "one"
    assert policy.admit(configuration, _identity(), pool="one", keyed=False) is None


# -- slots ---------------------------------------------------------------------------------------------------------

FULL = PoolState(current=prepared(), issued=10, generation=1, hour=HOUR_NOW, granted_in_hour=10)
OPEN = replace(FULL, issued=3)
LEASED = replace(FULL, lease_id="somebody", lease_until=NOW + SECOND)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (PoolState(), Why.NONE_YET),
        (replace(OPEN, current=prepared(settings=OTHER_SETTINGS)), Why.SETTINGS),
        (replace(OPEN, current=prepared(expires_at=NOW + timedelta(hours=6))), Why.EXPIRING),
        (replace(OPEN, current=prepared(expires_at=NOW - SECOND)), Why.EXPIRING),
        (FULL, Why.LIMIT),
        (replace(OPEN, granted_in_hour=100), Why.CEILING),
        (replace(OPEN, granted_in_hour=100, hour=HOUR_NOW + 1), Why.CEILING),
        (replace(OPEN, granted_in_hour=100, hour=HOUR_NOW - 1), Why.RACED),
        (OPEN, Why.RACED),
    ],
)
def test_a_refusal_tells_why(state: PoolState, why: Why) -> None:
    assert policy.why_refused(state, a_pool(), NOW) is why


@pytest.mark.parametrize(
    ("state", "move"),
    [
        (PoolState(), Create(Why.NONE_YET)),
        (FULL, Create(Why.LIMIT)),
        (LEASED, Await(NOW + SECOND)),
        (replace(LEASED, lease_until=NOW), Create(Why.LIMIT)),
        (replace(FULL, standby=prepared(name="next")), Swap(prepared(name="next"), Why.LIMIT)),
        (replace(LEASED, standby=prepared(name="next")), Swap(prepared(name="next"), Why.LIMIT)),
        (replace(FULL, standby=prepared(name="next", settings=OTHER_SETTINGS)), Create(Why.LIMIT)),
        (replace(FULL, standby=prepared(name="next", expires_at=NOW + timedelta(hours=6))), Create(Why.LIMIT)),
        (replace(OPEN, granted_in_hour=100), Ceiling(NOW + timedelta(hours=1))),
        (OPEN, TryAgain(new_hour=False)),
        (replace(OPEN, hour=HOUR_NOW - 1), TryAgain(new_hour=True)),
        (replace(OPEN, hour=HOUR_NOW + 1), TryAgain(new_hour=False)),
        (replace(OPEN, current=prepared(settings=OTHER_SETTINGS)), Reload()),
    ],
)
def test_after_a_refusal_there_is_one_move(state: PoolState, move: policy.Move) -> None:
    assert policy.next_move(state, a_pool(), fresh=False, now=NOW) == move


def test_with_the_configuration_just_read_other_settings_are_replaced() -> None:
    """Only who has read the configuration since may rotate a pool for its settings' sake, so nobody rotates it back."""
    state = replace(OPEN, current=prepared(settings=OTHER_SETTINGS))

    assert policy.next_move(state, a_pool(), fresh=True, now=NOW) == Create(Why.SETTINGS)


@given(data=st.data(), fresh=st.booleans(), now=moments)
def test_there_is_a_move_for_every_state(data: st.DataObject, fresh: bool, now: datetime) -> None:
    """And it makes sense: a swap brings in what may be granted, nobody waits for a lease that is over."""
    pool = data.draw(pools())
    state = data.draw(states(pool))

    move = policy.next_move(state, pool, fresh=fresh, now=now)

    match move:
        case Swap(standby=standby):
            assert standby == state.standby
            assert policy.grantable(standby, pool, now)
        case Await(until=until):
            assert now < until
        case Ceiling(until=until):
            assert now < until <= now + timedelta(hours=1)
            assert policy.hour_of(until) == policy.hour_of(now) + 1
        case Create():
            assert not (state.lease_until and state.lease_until > now)
            assert not policy.grantable(state.standby, pool, now)
        case Reload():
            assert not fresh
        case TryAgain(new_hour=new_hour):
            assert new_hour == (state.hour < policy.hour_of(now))


@given(data=st.data(), now=moments)
def test_what_is_grantable_has_time_and_the_same_settings(data: st.DataObject, now: datetime) -> None:
    pool = data.draw(pools())
    current = data.draw(states(pool)).current

    if policy.grantable(current, pool, now):
        assert current
        assert current.expires_at - now > pool.margin >= pool.claim_window
        assert current.settings == pool.settings_hash()


@given(data=st.data())
def test_a_pause_is_short_and_spread(data: st.DataObject) -> None:
    attempt = data.draw(st.integers(0, 10_000))
    rng = random.Random(data.draw(st.integers(0, 2**32)))

    pause = policy.pause(attempt, rng=rng)

    assert timedelta(milliseconds=18) <= pause <= policy.WAIT_LONGEST


def test_pauses_grow_to_their_bound() -> None:
    longest = [max(policy.pause(attempt, rng=random.Random(seed)) for seed in range(50)) for attempt in range(7)]

    assert longest == sorted(longest)
    assert longest[0] <= policy.WAIT_FIRST
    assert longest[-1] > policy.WAIT_LONGEST * 0.9


def test_a_changed_setting_changes_the_hash() -> None:
    """Whatever makes an activation differ; what only says when to grant it does not."""
    base = a_pool()
    made_differently = [
        {"registration_limit": 11},
        {"node_role": "others"},
        {"default_instance_name": "x"},
        {"tags": (("a", "b"),)},
        {"life": timedelta(days=28)},
        {"mode": Mode.SINGLE_USE},
    ]
    granted_differently = [
        {"margin": timedelta(hours=7)},
        {"claim_window": timedelta(minutes=30)},
        {"grants_per_hour": 1},
    ]

    hashes = {base.settings_hash(), *(a_pool(**changes).settings_hash() for changes in made_differently)}

    assert len(hashes) == len(made_differently) + 1
    assert {a_pool(**changes).settings_hash() for changes in granted_differently} == {base.settings_hash()}


# -- grants --------------------------------------------------------------------------------------------------------


def _grant(age: timedelta, *, left: timedelta = timedelta(days=20)) -> Grant:
    return Grant(
        pool="default", key_hash="h", activation_id="a", granted_at=NOW - age, expires_at=NOW + left, attempt="1"
    )


@pytest.mark.parametrize(
    ("age", "left", "repeatable"),
    [
        (timedelta(0), timedelta(days=1), True),
        (timedelta(minutes=50) - SECOND, timedelta(days=1), True),
        (timedelta(minutes=50), timedelta(days=1), False),
        (timedelta(0), timedelta(minutes=10), False),
        (timedelta(0), timedelta(minutes=10) + SECOND, True),
    ],
)
def test_a_grant_is_repeated_while_a_node_can_still_use_it(age: timedelta, left: timedelta, repeatable: bool) -> None:
    assert policy.repeatable(_grant(age, left=left), a_pool(), NOW) is repeatable


@pytest.mark.parametrize(("left", "repeatable"), [(timedelta(minutes=11), True), (timedelta(minutes=10), False)])
def test_a_single_use_grant_is_repeated_for_its_activations_life(left: timedelta, repeatable: bool) -> None:
    pool = a_pool(mode=Mode.SINGLE_USE, claim_window=timedelta(hours=1))

    assert policy.repeatable(_grant(timedelta(minutes=49), left=left), pool, NOW) is repeatable


@given(grant=grants(), data=st.data())
def test_a_repeated_grants_activation_outlives_the_repeat_margin(grant: Grant, data: st.DataObject) -> None:
    """Whoever gets a grant again has the margin to register: neither draining nor expiry ends it before."""
    pool = data.draw(pools())

    if policy.repeatable(grant, pool, NOW):
        assert grant.expires_at > NOW + REPEAT_MARGIN
        assert grant.granted_at + pool.claim_window > NOW + REPEAT_MARGIN


@given(grant=grants(), data=st.data(), mode=st.sampled_from(list(Mode)))
def test_a_grant_is_kept_longer_than_it_can_be_repeated(grant: Grant, data: st.DataObject, mode: Mode) -> None:
    pool = replace(data.draw(pools()), mode=mode)

    assert not policy.repeatable(grant, pool, policy.forget_grant_at(grant, pool))


# -- the keeper's decisions ----------------------------------------------------------------------------------------


@given(data=st.data(), now=moments)
def test_upkeep_leaves_a_pool_ready(data: st.DataObject, now: datetime) -> None:
    """Each state has one way to a good current and a good standby; what is good is left alone."""
    pool = data.draw(pools())
    state = data.draw(states(pool))

    needs = policy.upkeep_of(state, pool, now=now)

    current_good = policy.grantable(state.current, pool, now) and state.current and state.issued < state.current.limit
    standby_good = policy.grantable(state.standby, pool, now)
    assert not needs.retire_current
    assert needs.drain_standby == (state.standby is not None and not standby_good)
    assert needs.swap == (standby_good and not current_good)
    assert needs.create_current == (not standby_good and not current_good)
    assert needs.create_standby == (needs.swap or not standby_good)
    assert set(needs.delete) == {drained for drained in state.draining if drained.until <= now}


@given(data=st.data(), now=moments, single_use=st.booleans())
def test_upkeep_puts_out_of_use_what_is_no_shared_pool_any_more(
    data: st.DataObject, now: datetime, single_use: bool
) -> None:
    pool = data.draw(pools())
    state = data.draw(states(pool))

    needs = policy.upkeep_of(state, replace(pool, mode=Mode.SINGLE_USE) if single_use else None, now=now)

    assert needs.retire_current == (state.current is not None)
    assert needs.drain_standby == (state.standby is not None)
    assert (needs.swap, needs.create_current, needs.create_standby) == (False, False, False)


def _described(name: str = "a", *, age: timedelta = timedelta(0), registrations: int = 0) -> Described:
    return Described(
        id=name,
        pool="default",
        lease_id="lease",
        registrations=registrations,
        limit=10,
        created_at=NOW - age,
        expires_at=NOW + timedelta(days=1),
        expired=False,
    )


@pytest.mark.parametrize(
    ("age", "known", "leak"),
    [
        (timedelta(hours=1) + LEASE, set(), False),
        (timedelta(hours=1) + LEASE + SECOND, set(), True),
        (timedelta(hours=1) + LEASE + SECOND, {"a"}, False),
        (timedelta(0), set(), False),
    ],
)
def test_unknown_and_older_than_claim_window_and_lease_is_a_leak(age: timedelta, known: set[str], leak: bool) -> None:
    each = _described(age=age)

    assert policy.leaked([each], known, claim_window=timedelta(hours=1), now=NOW) == ([each] if leak else [])


def test_more_registrations_than_slots_are_a_surplus_wherever_the_activation_is() -> None:
    state = PoolState(
        current=prepared(name="current"),
        issued=3,
        standby=prepared(name="standby"),
        draining=(Draining(id="old", until=NOW, issued=2),),
    )
    described = [
        _described("current", registrations=4),
        _described("standby", registrations=1),
        _described("old", registrations=5),
        _described("unknown", registrations=9),
    ]

    surplus = policy.surplus_of(state, described)

    assert [(each.activation_id, each.registrations, each.issued) for each in surplus] == [
        ("current", 4, 3),
        ("standby", 1, 0),
        ("old", 5, 2),
    ]


def test_as_many_registrations_as_slots_are_no_surplus() -> None:
    state = PoolState(current=prepared(name="current"), issued=3)

    assert policy.surplus_of(state, [_described("current", registrations=3)]) == []


def test_stock_counts_what_may_still_be_granted() -> None:
    pool = a_pool()
    standby = prepared(name="standby", expires_at=NOW + timedelta(days=2))
    state = PoolState(current=prepared(expires_at=NOW + timedelta(days=1)), issued=4, standby=standby)

    assert policy.stock_of(state, pool, now=NOW) == policy.Stock(slots_left=16, hours_to_expiry=48)
    assert policy.stock_of(PoolState(), pool, now=NOW) == policy.Stock(slots_left=0, hours_to_expiry=0)


@given(data=st.data(), now=moments)
def test_stock_is_never_negative(data: st.DataObject, now: datetime) -> None:
    pool = data.draw(pools())

    stock = policy.stock_of(data.draw(states(pool)), pool, now=now)

    assert stock.slots_left >= 0
    assert stock.hours_to_expiry >= 0
    assert stock.slots_left == 0 or stock.hours_to_expiry > 0
