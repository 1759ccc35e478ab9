"""The configuration document: what it means, and every problem that it can have."""

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.enrolment.strategies import NOW

from moorings.enrolment import configuration
from moorings.enrolment.fields import duration, written
from moorings.enrolment.model import Configuration, Mode
from moorings.errors import Misconfigured

POOL = {"name": "default", "node_role": "nodes"}
SINGLE = {"name": "one", "mode": "single-use", "node_role": "nodes"}
RULE = {
    "name": "dc",
    "proof": "network",
    "vpce": ["vpce-0123456789abcdef0"],
    "cidr": ["10.0.0.0/8"],
    "pools": ["default"],
}
EXAMPLE = """
[[pool]]
name = "default"
node_role = "service-role/nodes"
registration_limit = 500
life = "29d"
margin = "6h"
claim_window = "1h"
grants_per_hour = 2000
default_instance_name = "datacentre"
tags = {Env = "prod", "cost center" = "42"}

[[pool]]
name = "precious"
mode = "single-use"
node_role = "nodes"

[[rule]]
name = "dc"
proof = "network"
vpce = ["vpce-0123456789abcdef0"]
cidr = ["10.0.0.0/8", "2001:db8::/32"]
pools = ["default", "precious"]

[bootstrap]
packages = "https://mirror.example/agent"

[stale_nodes]
after = "45d"
deregister = true
"""


def test_a_rule_that_names_no_endpoint_means_the_stacks_own_whatever_that_is_when_it_is_read() -> None:
    rules = [{key: value for key, value in RULE.items() if key != "vpce"}, RULE | {"name": "named"}]
    document = {"pool": [POOL], "rule": rules}

    first, second, unknown = (
        configuration.parse(document, version=1, own_vpce=own).rules for own in ("vpce-0aaaaaaa", "vpce-0bbbbbbb", "")
    )

    assert [rule.vpces for rule in first] == [{"vpce-0aaaaaaa"}, {"vpce-0123456789abcdef0"}]
    assert [rule.vpces for rule in second] == [{"vpce-0bbbbbbb"}, {"vpce-0123456789abcdef0"}]
    assert [rule.vpces for rule in unknown] == [set(), {"vpce-0123456789abcdef0"}]  # matches nobody


def _parse(document: Any) -> Configuration:
    return configuration.parse(document, version=1)


def _problem_of(document: Any) -> str:
    with pytest.raises(Misconfigured) as caught:
        _parse(document)
    return caught.value.message


def test_a_whole_document_means_what_it_says() -> None:
    found = configuration.parse(configuration.parse_toml(EXAMPLE), version=7)

    assert found.version == 7
    shared, single = found.pools["default"], found.pools["precious"]
    assert (shared.mode, shared.registration_limit, shared.life) == (Mode.SHARED, 500, timedelta(days=29))
    assert shared.tags == (("Env", "prod"), ("cost center", "42"))
    assert (single.mode, single.registration_limit) == (Mode.SINGLE_USE, 1)
    assert single.life == single.claim_window == timedelta(hours=1)
    assert [str(cidr) for cidr in found.rules[0].cidrs] == ["10.0.0.0/8", "2001:db8::/32"]
    assert found.stale_nodes.deregister
    assert found.bootstrap.packages == "https://mirror.example/agent"


def test_the_smallest_document_opens_to_nobody() -> None:
    found = _parse({"pool": [POOL]})

    assert found.rules == ()
    assert not found.stale_nodes.deregister
    pool = found.pools["default"]
    assert pool.margin >= pool.claim_window
    assert pool.life >= 2 * pool.margin


BAD = [
    ({}, "pool is missing"),
    ({"pool": []}, "pool is missing"),
    ({"pool": {}}, "pool must be a list of tables"),
    ({"pool": "default"}, "pool must be a list of tables"),
    ({"pool": [POOL, 5]}, "pool[1] is int; it must be a table"),
    ({"pool": [{"node_role": "nodes"}]}, "pool[0].name is missing"),
    ({"pool": [{"name": "default"}]}, "pool[0].node_role is missing"),
    ({"pool": [POOL, POOL]}, "names the same pool twice"),
    ({"pool": [POOL], "pools": []}, "pools is not a known field"),
    ({"pool": [POOL], "\ud800": 1}, "'\\ud800' is not a known field"),
    ({"pool": [POOL], "a\x1b[2J": 1}, "'a\\x1b[2J' is not a known field"),
    ({"pool": [POOL], "rule": {}}, "rule must be a list of tables"),
    ({"pool": [POOL], "rule": [[]]}, "rule[0] is list; it must be a table"),
    ({"pool": [POOL], "bootstrap": []}, "bootstrap is list; it must be a table"),
    ({"pool": [POOL], "bootstrap": {"packages": "http://mirror.example"}}, "bootstrap.packages is"),
    ({"pool": [POOL], "bootstrap": {"packages": "https://mirror.example/$(id)"}}, "bootstrap.packages is"),
    ({"pool": [POOL], "bootstrap": {"packages": "https://mirror.example:٣٣"}}, "bootstrap.packages is"),
    ({"pool": [POOL], "bootstrap": {"signing_key": "key"}}, "bootstrap.signing_key is"),
    ({"pool": [POOL], "bootstrap": {"key": "x"}}, "bootstrap.key is not a known field"),
    ({"pool": [POOL], "stale_nodes": {"after": "1h"}}, "stale_nodes.after is '1h'"),
    ({"pool": [POOL], "stale_nodes": {"after": "366d"}}, "stale_nodes.after is '366d'"),
    ({"pool": [POOL], "stale_nodes": {"deregister": "yes"}}, "stale_nodes.deregister is 'yes'"),
    ({"pool": [POOL], "stale_nodes": {"deregister": 1}}, "stale_nodes.deregister is 1"),
]
BAD_POOLS = [
    ({"name": ""}, "name is ''"),
    ({"name": "Default"}, "name is 'Default'"),
    ({"name": "a" * 33}, "name is"),
    ({"name": "-a"}, "name is '-a'"),
    ({"name": "a-"}, "name is 'a-'"),
    ({"name": "a\n"}, "name is 'a\\n'"),
    ({"name": "a#b"}, "name is 'a#b'"),
    ({"name": 5}, "name is 5"),
    ({"name": None}, "name is missing"),
    ({"mode": "share"}, "mode is 'share'"),
    ({"mode": True}, "mode is True"),
    ({"node_role": "a" * 65}, "node_role is"),
    ({"node_role": "no des"}, "node_role is 'no des'"),
    ({"node_role": "Knöten"}, "node_role is 'Knöten'"),
    ({"registration_limit": 0}, "registration_limit is 0"),
    ({"registration_limit": 1001}, "registration_limit is 1001"),
    ({"registration_limit": True}, "registration_limit is True"),
    ({"registration_limit": 5.0}, "registration_limit is 5.0"),
    ({"registration_limit": "5"}, "registration_limit is '5'"),
    ({"registration_limit": float("nan")}, "registration_limit is nan"),
    ({"grants_per_hour": 0}, "grants_per_hour is 0"),
    ({"grants_per_hour": 100_001}, "grants_per_hour is 100001"),
    ({"life": "30d"}, "life is '30d'"),
    ({"life": "29d23h56m"}, "life is '29d23h56m'"),
    ({"life": "59m"}, "life is '59m'"),
    ({"life": ""}, "life is ''"),
    ({"life": "1w"}, "life is '1w'"),
    ({"life": "-1d"}, "life is '-1d'"),
    ({"life": 86_400}, "life is 86400"),
    ({"life": "٣d"}, "life is '٣d'"),
    ({"life": "11h"}, "life is 11h; it must be at least twice margin (6h)"),
    ({"margin": "15m"}, "margin is 15m; it must be at least claim_window (1h)"),
    ({"margin": "14d1m"}, "margin is '14d1m'"),
    ({"margin": "14d", "life": "27d"}, "life is 27d; it must be at least twice margin (14d)"),
    ({"claim_window": "14m"}, "claim_window is '14m'"),
    ({"claim_window": "25h"}, "claim_window is '25h'"),
    ({"claim_window": "7h", "margin": "6h"}, "margin is 6h; it must be at least claim_window (7h)"),
    ({"default_instance_name": "a" * 257}, "default_instance_name is"),
    ({"default_instance_name": "web#1"}, "default_instance_name is 'web#1'"),
    ({"default_instance_name": "a\nb"}, "default_instance_name is 'a\\nb'"),
    ({"default_instance_name": "\ud800"}, "default_instance_name is"),
    ({"tags": []}, "tags is list; it must be a table"),
    ({"tags": "Env=prod"}, "tags is str; it must be a table"),
    ({"tags": {"": "x"}}, "is no tag key"),
    ({"tags": {"a" * 129: "x"}}, "is no tag key"),
    ({"tags": {"aws:x": "x"}}, "is no tag key"),
    ({"tags": {"AWS:x": "x"}}, "is no tag key"),
    ({"tags": {"a#b": "x"}}, "is no tag key"),
    ({"tags": {"a\nb": "x"}}, "is no tag key"),
    ({"tags": {"Env": "a;b"}}, "tags.Env is 'a;b'"),
    ({"tags": {"Env": "a" * 257}}, "tags.Env is"),
    ({"tags": {"Env": 5}}, "tags.Env is 5"),
    ({"tags": {"Env": None}}, "tags.Env is missing"),
    ({"tags": {str(number): "x" for number in range(50)}}, "tags holds 50 tags"),
    ({"tags": {"moorings:stack": "mine"}}, "tags.moorings:stack is no tag key"),
    ({"limit": 5}, "limit is not a known field"),
]
BAD_RULES = [
    ({"name": None}, "name is missing"),
    ({"proof": "azure"}, "proof is 'azure'"),
    ({"proof": None}, "proof is missing"),
    ({"vpce": []}, "vpce must be a list"),
    ({"vpce": "vpce-0123456789abcdef0"}, "vpce must be a list"),
    ({"vpce": ["vpc-0123456789abcdef0"]}, "vpce holds 'vpc-0123456789abcdef0'"),
    ({"vpce": ["vpce-0123456789abcdef0", 5]}, "vpce holds 5"),
    ({"vpce": [[]]}, "vpce holds []"),
    ({"vpce": ["vpce-0123456789abcdef0"] * 2}, "vpce holds the same entry twice"),
    ({"cidr": []}, "cidr must be a list"),
    ({"cidr": ["10.0.0.5"]}, "cidr holds '10.0.0.5'"),
    ({"cidr": ["10.0.0.5/8"]}, "has host bits set"),
    ({"cidr": ["10.0.0.0/33"]}, "cidr holds '10.0.0.0/33'"),
    ({"cidr": ["10.0.0.0/-1"]}, "cidr holds '10.0.0.0/-1'"),
    ({"cidr": ["10.0.0.0/٨"]}, "cidr holds '10.0.0.0/٨'"),
    ({"cidr": ["2001:db8::1/32"]}, "has host bits set"),
    ({"cidr": ["2001:db8::/129"]}, "cidr holds '2001:db8::/129'"),
    ({"pools": []}, "pools must be a list"),
    ({"pools": ["other"]}, "names 'other', which is no pool"),
    ({"headers": ["X-Forwarded-For"]}, "headers is not a known field"),
]
BAD_SINGLE = [
    ({"registration_limit": 2}, "registration_limit is 2"),
    ({"life": "29m"}, "life is '29m'"),
    ({"life": "25h"}, "life is '25h'"),
    ({"margin": "6h"}, "margin is not a known field"),
    ({"claim_window": "1h"}, "claim_window is not a known field"),
]


@pytest.mark.parametrize(("document", "problem"), BAD)
def test_a_bad_document_is_refused_by_name(document: dict[str, Any], problem: str) -> None:
    assert problem in _problem_of(document)


@pytest.mark.parametrize(("changes", "problem"), BAD_POOLS)
def test_a_bad_pool_is_refused_by_name(changes: dict[str, Any], problem: str) -> None:
    found = _problem_of({"pool": [{**POOL, **changes}]})

    assert "pool[0]." in found
    assert problem in found


@pytest.mark.parametrize(("changes", "problem"), BAD_SINGLE)
def test_a_bad_single_use_pool_is_refused_by_name(changes: dict[str, Any], problem: str) -> None:
    assert f"pool[0].{problem}" in _problem_of({"pool": [{**SINGLE, **changes}]})


@pytest.mark.parametrize(("changes", "problem"), BAD_RULES)
def test_a_bad_rule_is_refused_by_name(changes: dict[str, Any], problem: str) -> None:
    found = _problem_of({"pool": [POOL], "rule": [{**RULE, **changes}]})

    assert f"rule[0].{problem}" in found or f"rule[0].pools {problem}" in found or problem in found


def test_all_problems_are_named_at_once() -> None:
    found = _problem_of({"pool": [{**POOL, "life": 5, "mode": "x"}], "rule": [{**RULE, "cidr": []}], "extra": 1})

    assert found.startswith("the configuration has 4 problems: ")
    for problem in ("pool[0].life", "pool[0].mode", "rule[0].cidr", "extra"):
        assert problem in found


@pytest.mark.parametrize("text", ["x", "[[pool]", "a = 1\na = 2", "a = " + "[" * 3_000, "a = 9" + "9" * 5_000])
def test_what_is_not_toml_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="not TOML"):
        configuration.parse_toml(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", '"x"', "[" * 100_000, '{"a": 9' + "9" * 5_000 + "}"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"not (a )?JSON"):
        configuration.parse_json(text)


def test_a_document_with_a_number_beyond_all_printing_is_refused() -> None:
    document = configuration.parse_toml("pool = 0x" + "f" * 10_000)

    with pytest.raises(Misconfigured):
        _parse(document)


@pytest.mark.parametrize("depth", [100, 500, 900, 950, 970, 980, 990])
def test_a_deep_document_is_refused(depth: int) -> None:
    text = '{"pool": ' + "[" * depth + "]" * depth + "}"

    with pytest.raises(Misconfigured):
        _parse(configuration.parse_json(text))


def test_a_huge_document_is_refused() -> None:
    with pytest.raises(Misconfigured, match="exceeds 100000 characters"):
        _parse({"pool": [{**POOL, "name": f"pool-{number}"} for number in range(3_000)]})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)
FIELDS = {
    "pool": [*POOL, "mode", "life", "margin", "claim_window", "registration_limit", "grants_per_hour", "tags"],
    "rule": [*RULE],
    "bootstrap": ["packages", "signing_key"],
    "stale_nodes": ["after", "deregister"],
}


def _tables(name: str) -> st.SearchStrategy[Any]:
    plausible = json_values | st.sampled_from(["10h", "1d", "shared", "single-use", "default", 5, ["10.0.0.0/8"]])
    table = st.dictionaries(st.sampled_from(FIELDS[name]), plausible, max_size=6)
    return table if name in ("bootstrap", "stale_nodes") else st.lists(table | json_values, max_size=3)


@given(document=json_values | st.fixed_dictionaries({}, optional={name: _tables(name) for name in FIELDS}))
def test_any_json_value_is_a_configuration_or_misconfigured(document: Any) -> None:
    """Nothing else is ever raised, and the message can be written to a terminal or a log."""
    message = ""
    try:
        _parse(document)
    except Misconfigured as error:
        message = error.message
    assert message.encode() or _parse(document)


@given(text=st.text(max_size=200))
def test_any_text_is_a_document_or_misconfigured(text: str) -> None:
    for parse in (configuration.parse_toml, configuration.parse_json):
        with suppress(Misconfigured):
            assert isinstance(parse(text), dict)


spans = st.integers(15, 24 * 60)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents that hold."""
    names = draw(st.lists(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), min_size=1, max_size=3, unique=True))
    pools = []
    for name in names:
        claim_window = draw(spans)
        margin = claim_window + draw(spans)
        pools.append(
            {
                "name": name,
                "node_role": draw(st.from_regex(r"[A-Za-z0-9+=,.@/_-]{1,64}", fullmatch=True)),
                "registration_limit": draw(st.integers(1, 1_000)),
                "life": written(timedelta(minutes=2 * margin + draw(spans))),
                "margin": written(timedelta(minutes=margin)),
                "claim_window": written(timedelta(minutes=claim_window)),
                "grants_per_hour": draw(st.integers(1, 100_000)),
                "tags": draw(st.dictionaries(st.sampled_from(["Env", "cost center", "größe"]), st.just("x=1"))),
            }
        )
    network = draw(st.ip_addresses(v=4).map(lambda ip: f"{ip}/32") | st.ip_addresses(v=6).map(lambda ip: f"{ip}/128"))
    rule = {**RULE, "cidr": [network], "pools": draw(st.permutations(names))}
    return {"pool": pools, "rule": [rule]}


@given(document=documents())
def test_a_document_means_the_same_after_its_way_through_the_ledger(document: dict[str, Any]) -> None:
    stored = json.dumps(document, separators=(",", ":"), sort_keys=True)

    assert _parse(configuration.parse_json(stored)) == _parse(document)


@given(document=documents())
def test_every_accepted_pool_leaves_a_node_time_to_register(document: dict[str, Any]) -> None:
    for pool in _parse(document).pools.values():
        assert pool.margin >= pool.claim_window
        assert pool.life >= 2 * pool.margin
        assert NOW + pool.life <= NOW + configuration.LONGEST_LIFE


@given(minutes=st.integers(1, 999 * 24 * 60))
def test_a_duration_reads_as_it_is_written(minutes: int) -> None:
    span = timedelta(minutes=minutes)

    assert duration(written(span)) == span


@pytest.mark.parametrize("text", ["", "5", "d", "1h1d", "1 h", "1H", "1.5h", "1s", " 1h", "1h\n", "1000d"])
def test_other_texts_are_no_durations(text: str) -> None:
    assert duration(text) is None
