"""The HTTP face: what is said to whom, and that nothing a caller sends is our fault or gets it anything."""

import base64
import json
import logging
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.enrolment.audit import Audit, listening
from tests.enrolment.rig import Rig, configuration, event, new_rig

from localcloud.clock import SteppedClock
from localcloud.cloud import LocalCloud
from moorings.enrolment.api import LARGEST_BODY
from moorings.enrolment.assembly import Enrolment
from moorings.enrolment.function import respond
from moorings.enrolment.model import key_hash

KEY = "5a0c7e9e-8a44-4d0b-8f4b-0d6f7f1f2c11"
FORGED = {
    "X-Forwarded-For": "10.0.0.5",
    "X-Real-IP": "10.0.0.5",
    "Forwarded": "for=10.0.0.5",
    "Via": "vpce-0123456789abcdef0",
    "x-amzn-vpce-id": "vpce-0123456789abcdef0",
    "x-amzn-vpc-id": "vpc-0123456789abcdef0",
    "X-Amzn-Vpce-Config": "1",
    "Host": "10.0.0.5",
}
ELSEWHERE = {"vpceId": "vpce-0fedcba9876543210"}


@pytest.fixture(scope="module")
def closed_rig(stepped_cloud: LocalCloud, stepped_clock: SteppedClock) -> Rig:
    """A stack in which a pool exists that no rule opens."""
    document = configuration()
    document["pool"].append({"name": "closed", "node_role": "nodes"})
    return new_rig(stepped_cloud, stepped_clock, document)


@pytest.fixture(scope="module")
def environment(closed_rig: Rig) -> Enrolment:
    return closed_rig.environment()


@pytest.fixture
def audit() -> Iterator[Audit]:
    with listening() as heard:
        yield heard


def _respond(environment: Enrolment, request: Any, *, request_id: str = "r-1") -> dict[str, Any]:
    return respond(request, enrolment=environment, time=timedelta(seconds=20), request_id=request_id)


def _post(body: object, **identity: str) -> dict[str, Any]:
    return event("POST", "/activations", body, **identity)


# -- what is granted -----------------------------------------------------------------------------------------------


def test_the_plain_form_is_the_shape_that_scripts_read(rig: Rig) -> None:
    answer = _respond(rig.environment(), event())

    assert answer["statusCode"] == 200
    assert answer["headers"] == {"Content-Type": "application/json", "Cache-Control": "no-store"}
    assert set(json.loads(answer["body"])) == {"ActivationId", "ActivationCode", "Region"}


def test_the_keyed_form_tells_pool_tags_and_expiry(stepped_cloud: LocalCloud, stepped_clock: SteppedClock) -> None:
    rig = new_rig(stepped_cloud, stepped_clock, configuration(tags={"Env": "prod"}))

    answer = json.loads(_respond(rig.environment(), _post({"key": KEY}))["body"])

    assert set(answer) == {"ActivationId", "ActivationCode", "Region", "Pool", "Tags", "ExpiresAt"}
    assert (answer["Pool"], answer["Tags"]) == ("default", {"Env": "prod"})
    described = rig.live_activations()[answer["ActivationId"]]
    assert answer["ExpiresAt"] == described["ExpirationDate"].strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_key_is_the_same_in_capitals(rig: Rig) -> None:
    environment = rig.environment()

    first, again = rig.keyed(environment, KEY), rig.keyed(environment, KEY.upper())

    assert first["ActivationId"] == again["ActivationId"]
    assert rig.state().issued == 1


def test_a_body_in_base64_is_read(rig: Rig) -> None:
    request = _post(base64.b64encode(json.dumps({"key": KEY}).encode()).decode())

    assert _respond(rig.environment(), {**request, "isBase64Encoded": True})["statusCode"] == 200


def test_the_plain_form_reads_no_body(rig: Rig) -> None:
    assert _respond(rig.environment(), event(body="{not json"))["statusCode"] == 200


# -- what is malformed ---------------------------------------------------------------------------------------------

MALFORMED = [
    (None, "not JSON"),
    ("", "not JSON"),
    ("{", "not JSON"),
    ("\x00", "not JSON"),
    ("\ufeff{}", "not JSON"),
    ("\ud800", "not JSON"),
    ('{"key": NaN}', "not JSON"),
    ('{"key": -Infinity}', "not JSON"),
    (f'{{"key": "{KEY}", "key": "{KEY}"}}', "not JSON"),
    (f'{{"key": "{KEY}", "node": {{"name": "a", "name": "b"}}}}', "not JSON"),
    ("[" * LARGEST_BODY, "not JSON"),
    ('{"key":' * 585, "not JSON"),
    ('{"key": 1' + "0" * 4_000 + "}", "key must be a UUID"),
    ("[]", "not a JSON object"),
    ("null", "not a JSON object"),
    ('"x"', "not a JSON object"),
    ("5", "not a JSON object"),
    ({}, "key must be a UUID"),
    ({"key": None}, "key must be a UUID"),
    ({"key": 5}, "key must be a UUID"),
    ({"key": [KEY]}, "key must be a UUID"),
    ({"key": ""}, "key must be a UUID"),
    ({"key": KEY + "\n"}, "key must be a UUID"),
    ({"key": KEY.replace("-", "")}, "key must be a UUID"),
    ({"key": f"{{{KEY}}}"}, "key must be a UUID"),
    ({"key": KEY.replace("5", "\u0665")}, "key must be a UUID"),
    ({"key": KEY, "pool": None}, "pool must be"),
    ({"key": KEY, "pool": 5}, "pool must be"),
    ({"key": KEY, "pool": "Default"}, "pool must be"),
    ({"key": KEY, "pool": "default#x"}, "pool must be"),
    ({"key": KEY, "pool": "default\n"}, "pool must be"),
    ({"key": KEY, "pool": "a" * 33}, "pool must be"),
    ({"key": KEY, "node": None}, "node must be an object"),
    ({"key": KEY, "node": "web"}, "node must be an object"),
    ({"key": KEY, "node": []}, "node must be an object"),
    ({"key": KEY, "node": {"name": 5}}, "node.name must be"),
    ({"key": KEY, "node": {"name": None}}, "node.name must be"),
    ({"key": KEY, "node": {"name": "a" * 256}}, "node.name must be"),
    ({"key": KEY, "node": {"name": "a\nb"}}, "node.name must be"),
    ({"key": KEY, "node": {"name": "a\x9b2Jb"}}, "node.name must be"),
    ({"key": KEY, "node": {"name": "a\u202eb"}}, "node.name must be"),
    ({"key": KEY, "node": {"name": "\ud800"}}, "node.name must be"),
    ({"key": KEY, "node": {"machine_id": "a" * 129}}, "node.machine_id must be"),
    ({"key": KEY, "node": {"ip": "10.0.0.5"}}, 'unknown field node."ip"'),
    ({"key": KEY, "proof": {}}, 'unknown field "proof"'),
    ({"key": KEY, "source": "10.0.0.5"}, 'unknown field "source"'),
    ({"key": KEY, "\ud800": 1}, 'unknown field "\\ud800"'),
    ({"key": KEY, "x" * 1_000: 1}, 'unknown field "' + "x" * 40 + '"'),
    ("x" * (LARGEST_BODY + 1), "exceeds"),
    ("\u20ac" * (LARGEST_BODY // 3 + 1), "exceeds"),
]


@pytest.mark.parametrize(("body", "message"), MALFORMED)
def test_a_malformed_body_is_400_by_name(environment: Enrolment, body: object, message: str) -> None:
    answer = _respond(environment, _post(body))

    said = json.loads(answer["body"])
    assert answer["statusCode"] == 400
    assert set(said) == {"error", "message", "remedy", "request_id"}
    assert said["error"] == "invalid"
    assert message in said["message"]
    assert answer["headers"]["Cache-Control"] == "no-store"


@pytest.mark.parametrize("body", ["***", "e30", "ä", base64.b64encode(b"\xff\xfe").decode(), 5, [], {"a": 1}, True])
def test_a_body_that_is_no_base64_text_is_400(environment: Enrolment, body: object) -> None:
    assert _respond(environment, {**_post("{}"), "body": body, "isBase64Encoded": True})["statusCode"] == 400


@pytest.mark.parametrize("body", [5, [], {"a": 1}, True])
def test_a_body_that_is_no_text_is_400(environment: Enrolment, body: object) -> None:
    assert _respond(environment, {**_post("{}"), "body": body})["statusCode"] == 400


def test_a_malformed_body_is_told_so_with_or_without_a_proof(environment: Enrolment) -> None:
    """So that the answer says nothing about the proof."""
    assert _respond(environment, _post("{"))["body"] == _respond(environment, _post("{", **ELSEWHERE))["body"]


# -- what is refused -----------------------------------------------------------------------------------------------

REFUSED = [
    _post({"key": KEY, "pool": "unknown"}),
    _post({"key": KEY, "pool": "closed"}),
    _post({"key": KEY}, **ELSEWHERE),
    _post({"key": KEY, "pool": "closed"}, **ELSEWHERE),
    _post({"key": KEY}, sourceIp="192.168.0.1"),
    _post({"key": KEY}, sourceIp=""),
    _post({"key": KEY}, vpceId=""),
    event(**ELSEWHERE),
    event(sourceIp="2001:db8::1"),
    event(sourceIp="not an address"),
    event("GET", "/bootstrap/linux", **ELSEWHERE),
    event("GET", "/bootstrap/windows", **ELSEWHERE),
    {**event(**ELSEWHERE), "headers": FORGED},
    {**event(vpceId=""), "headers": FORGED, "multiValueHeaders": {name: [text] for name, text in FORGED.items()}},
    {**event(), "requestContext": {}, "headers": FORGED},
    {**event(), "requestContext": None},
    {**event(), "requestContext": {"identity": None}},
    {**event(), "requestContext": {"identity": {"vpceId": ["vpce-0123456789abcdef0"], "sourceIp": "10.0.0.5"}}},
    {**event(), "requestContext": {"vpceId": "vpce-0123456789abcdef0", "sourceIp": "10.0.0.5"}},
    {**event(**ELSEWHERE), "identity": {"vpceId": "vpce-0123456789abcdef0", "sourceIp": "10.0.0.5"}},
    {**event(**ELSEWHERE), "queryStringParameters": {"vpceId": "vpce-0123456789abcdef0", "sourceIp": "10.0.0.5"}},
    event("POST", "/"),
    event("DELETE", "/"),
    event("get", "/"),
    event("GET", "/activations"),
    event("GET", "/bootstrap/macos"),
    event("GET", "/bootstrap/linux/"),
    event("GET", "/../"),
    event("", ""),
    {**event("POST", "/"), "path": "/", "resource": "/activation"},
    {},
]


@pytest.mark.parametrize("request_event", REFUSED)
def test_every_refusal_is_the_same_403(environment: Enrolment, closed_rig: Rig, request_event: dict[str, Any]) -> None:
    """Unknown, forbidden, unproven: byte for byte the same but for the request id, so nobody can tell why."""
    answer = _respond(environment, request_event)

    assert answer["statusCode"] == 403
    assert json.loads(answer["body"]) == {
        "error": "refused",
        "message": "this request is not permitted",
        "remedy": "ask the operator of this endpoint",
        "request_id": "r-1",
    }
    assert "Retry-After" not in answer["headers"]
    assert closed_rig.live_activations() == {}


def test_a_refusal_answers_alike_in_every_byte(environment: Enrolment) -> None:
    unknown, forbidden, unproven = (_respond(environment, REFUSED[number]) for number in range(3))

    assert unknown == forbidden == unproven


def test_forged_headers_do_not_help_and_do_not_harm(rig: Rig) -> None:
    away = {**event(sourceIp="192.168.0.1"), "headers": FORGED}
    here = {**event(), "headers": {"X-Forwarded-For": "192.168.0.1", "x-amzn-vpce-id": "vpce-0fedcba9876543210"}}

    assert _respond(rig.environment(), away)["statusCode"] == 403
    assert _respond(rig.environment(), here)["statusCode"] == 200


def test_a_single_use_pool_is_not_served_to_the_plain_form(
    stepped_cloud: LocalCloud, stepped_clock: SteppedClock
) -> None:
    document = configuration()
    document["rule"][0]["pools"] = ["one"]
    rig = new_rig(stepped_cloud, stepped_clock, document)

    assert _respond(rig.environment(), event())["statusCode"] == 403
    assert _respond(rig.environment(), _post({"key": KEY}))["statusCode"] == 200


def test_a_stack_without_the_network_proof_grants_nothing_whatever_its_stored_rules_say(
    stepped_cloud: LocalCloud, stepped_clock: SteppedClock, audit: Audit
) -> None:
    """Neither an activation nor a script: the rules of the document open every pool to this endpoint."""
    rig = new_rig(stepped_cloud, stepped_clock)
    environment = replace(rig, settings=replace(rig.settings, proofs=frozenset())).environment()
    environment.configurations.apply(configuration(), replacing=0)

    refused = [_respond(environment, each) for each in (event(), _post({"key": KEY}), event("GET", "/bootstrap/linux"))]

    assert {answer["statusCode"] for answer in refused} == {403}
    assert {record["reason"] for record in audit.of("refused")} == {"no accepted proof"}
    assert not rig.live_activations()


def test_a_refusal_is_recorded_with_its_reason(environment: Enrolment, audit: Audit) -> None:
    _respond(environment, _post({"key": KEY, "pool": "closed", "node": {"name": "web"}}))
    _respond(environment, event(vpceId=""))

    first, second = audit.of("refused")
    assert first["reason"] == "no rule opens this pool to this source"
    assert first["pool"] == "closed"
    assert first["source_ip"] == "10.0.0.5"
    assert first["unverified"] == {"name": "web", "machine_id": ""}
    assert second["reason"] == "no accepted proof"


# -- limits and faults ---------------------------------------------------------------------------------------------


def test_an_hour_used_up_is_429_until_the_next(stepped_cloud: LocalCloud, stepped_clock: SteppedClock) -> None:
    rig = new_rig(stepped_cloud, stepped_clock, configuration(grants_per_hour=1))
    environment = rig.environment()
    rig.vend(environment)

    answer = _respond(environment, event())

    left = 3_600 - stepped_clock.now().timestamp() % 3_600
    assert answer["statusCode"] == 429
    assert json.loads(answer["body"])["error"] == "rate_limited"
    assert left - 1 <= int(answer["headers"]["Retry-After"]) <= left + 121  # spread, so that not all come back at once
    stepped_clock.step(timedelta(seconds=int(answer["headers"]["Retry-After"])))
    assert _respond(environment, event())["statusCode"] == 200


def test_what_a_cloud_fails_at_is_503_and_says_when_to_ask_again(rig: Rig) -> None:
    rig.cloud.faults.error("dynamodb", "*", status=500)
    try:
        answer = _respond(rig.environment(), event())
    finally:
        rig.cloud.faults.clear()

    assert answer["statusCode"] == 503
    assert int(answer["headers"]["Retry-After"]) >= 1
    assert json.loads(answer["body"])["error"] == "cloud_fault"


def test_a_bug_says_nothing_about_itself(rig: Rig, audit: Audit) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    environment = rig.environment()
    object.__setattr__(environment.vending, "ledger", type("Broken", (), {"take_slot": broken})())

    answer = _respond(environment, event())

    assert answer["statusCode"] == 500
    assert "secret detail" not in answer["body"]
    assert json.loads(answer["body"])["error"] == "internal"
    assert "secret detail" in audit.text  # the operator sees it


# -- anything at all -----------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
bodies = json_values | st.builds(
    json.dumps,
    st.fixed_dictionaries(
        {},
        optional={
            "key": json_values | st.uuids().map(str),
            "pool": json_values | st.sampled_from(["default", "one", "closed"]),
            "node": json_values,
            "proof": json_values,
        },
    ),
)
places = st.one_of(json_values, st.fixed_dictionaries({}, optional={"vpceId": json_values, "sourceIp": json_values}))
events = st.fixed_dictionaries(
    {},
    optional={
        "httpMethod": st.sampled_from(["GET", "POST", "PUT"]) | json_values,
        "resource": st.sampled_from(["/", "/activations", "/bootstrap/linux", "/bootstrap/windows"]) | json_values,
        "headers": st.just(FORGED) | json_values,
        "body": bodies,
        "isBase64Encoded": st.booleans() | json_values,
        "requestContext": json_values | st.fixed_dictionaries({"identity": places}),
        "queryStringParameters": json_values,
    },
)


@settings(max_examples=300)
@given(request_event=events | json_values)
def test_whatever_arrives_without_a_proof_is_4xx_and_gets_nothing(
    environment: Enrolment, closed_rig: Rig, request_event: Any
) -> None:
    """Never an exception, never our fault, no activation, no change of the ledger."""
    answer = _respond(environment, request_event)

    assert answer["statusCode"] in (400, 403)
    assert set(json.loads(answer["body"])) == {"error", "message", "remedy", "request_id"}
    assert closed_rig.live_activations() == {}


@settings(max_examples=60)
@given(request_event=events)
def test_whatever_arrives_through_the_right_door_is_not_our_fault(
    stepped_cloud: LocalCloud, stepped_clock: SteppedClock, request_event: Any
) -> None:
    rig = _open_rig(stepped_cloud, stepped_clock)
    proven = {**request_event, "requestContext": event()["requestContext"]}

    answer = _respond(rig.environment(), proven)

    assert answer["statusCode"] in (200, 400, 403, 429)
    assert isinstance(answer["body"], str)
    if answer["statusCode"] == 200 and not answer["headers"]["Content-Type"].startswith("text/plain"):
        assert json.loads(answer["body"])["ActivationId"] in rig.live_activations()


_open: list[Rig] = []


def _open_rig(cloud: LocalCloud, clock: SteppedClock) -> Rig:
    if not _open:
        _open.append(new_rig(cloud, clock, configuration(registration_limit=1000)))
    return _open[0]


# -- secrets -------------------------------------------------------------------------------------------------------


def test_no_code_and_no_key_in_any_log_line(rig: Rig, audit: Audit, capsys: pytest.CaptureFixture[str]) -> None:
    """Over grants, repeats, rotations, refusals, faults and keeper runs: only ids are ever written."""
    logging.getLogger("enrolment").setLevel(logging.DEBUG)
    environment, codes = rig.environment(), set()
    for _ in range(3):
        codes.add(rig.ask(environment)["ActivationCode"])
        codes.add(rig.keyed(environment, KEY)["ActivationCode"])
        codes.add(rig.keyed(environment, KEY, pool="one")["ActivationCode"])
    rig.cloud.faults.error("ssm", "PutParameter", status=500)
    rig.cloud.faults.error("ssm", "DeleteActivation", status=500)
    failed = rig.keyed(environment, str(uuid.uuid4()), pool="one")
    rig.cloud.faults.clear()
    rig.keep(environment)
    environment.journal.flush()

    written = audit.text + capsys.readouterr().out
    assert failed["status"] == 503
    assert audit.of("granted")
    assert codes
    for secret in (*codes, KEY, KEY.upper()):
        assert secret not in written
        assert secret not in json.dumps(failed)


def test_no_code_and_no_key_in_any_repr(rig: Rig) -> None:
    environment = rig.environment()
    answer = rig.keyed(environment, KEY)
    grant = environment.upkeep.ledger.grant("default", key_hash(KEY))

    shown = repr(
        (environment, environment.vending, environment.upkeep, environment.configurations, grant, vars(environment))
    )

    assert answer["ActivationCode"] not in shown
    assert KEY not in shown
