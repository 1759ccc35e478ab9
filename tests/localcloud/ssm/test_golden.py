"""Recorded requests of the real agent, replayed against the endpoint: the same statuses, answers of the same form."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.localcloud.ssm.recordings import Exchange, everything, exchanges, facts, needs_recordings

from localcloud.aws import sigv4
from localcloud.aws.ssm.activations import Activation, Activations
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.clock import SteppedClock
from localcloud.errors import ServiceError
from localcloud.principals import Credentials
from localcloud.wire import Response
from localcloud.world import World

pytestmark = needs_recordings

REGISTER = "RegisterManagedInstance"
TOKEN_CALL = "RequestManagedInstanceRoleToken"
# Not replayed: they name messages that this world has never sent.
ABOUT_COMMANDS = {"SendReply", "AcknowledgeMessage"}


@dataclass
class Stage:
    """A world that knows what a recording's service knew."""

    world: World
    clock: SteppedClock
    scenario: str

    def __post_init__(self) -> None:
        self.nodes = self.world.part(ManagedNodes)
        self.activations = self.world.part(Activations)

    def know_nodes(self, *, fingerprint: str = "") -> None:
        for node_id, node in facts(self.scenario)["nodes"].items():
            key = node["public_keys"][0]
            self.nodes.seed(node_id=node_id, fingerprint=fingerprint or node["fingerprint"], public_key=key)

    def know_tokens(self) -> None:
        for access_key, token in facts(self.scenario)["role_tokens"].items():
            node = self.nodes.get(token["node"])
            self.world.credentials.add(
                Credentials(
                    access_key=access_key,
                    secret_key=token["SecretAccessKey"],
                    session_token=token["SessionToken"],
                    expires_at=datetime.fromtimestamp(token["TokenExpirationDate"], UTC),
                    principal=self.nodes.principal_of(node),
                )
            )

    def know_activation(self, exchange: Exchange, **changed: Any) -> None:
        now = self.clock.now()
        known = {
            "id": exchange.body["ActivationId"],
            "code": exchange.body["ActivationCode"],
            "region": "us-east-1",
            "iam_role": "node-role",
            "registration_limit": 10,
            "created_at": now,
            "expires_at": now + timedelta(days=1),
        }
        self.activations.seed(Activation(**known | changed))

    def replay(self, exchange: Exchange) -> Response:
        if exchange.stamped is not None:
            self.clock.step(exchange.stamped - self.clock.now())
        return self.world.endpoint.dispatch(exchange.request)


@pytest.fixture
def stage(world: World, clock: SteppedClock) -> Callable[[str], Stage]:
    return lambda scenario: Stage(world=world, clock=clock, scenario=scenario)


def form(value: Any) -> Any:
    """Presence and type of every field."""
    if isinstance(value, dict):
        return {name: form(member) for name, member in value.items()}
    if isinstance(value, list):
        return [form(member) for member in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def assert_answered_alike(exchange: Exchange, response: Response) -> None:
    """The same status and an answer of the same form; on the channel, what the agent looks for in it."""
    if exchange.channel == "ssmmessages-http":
        assert response.status == exchange.status
        looked_for = b"<AccessDeniedException>" if exchange.status == 403 else b"</TokenValue>"
        assert looked_for in response.body
        return
    answer = json.loads(response.body)
    assert response.status == (exchange.status or 200), answer
    if exchange.answer is not None:
        assert form(answer) == form(exchange.answer)
        assert answer.get("__type") == exchange.answer.get("__type")


def replay_all(stage: Stage, chosen: tuple[Exchange, ...] | list[Exchange]) -> None:
    """Replay HTTP calls in order, but for upgrades to WebSocket."""
    refused = any(exchange.channel == "ssmmessages-http" and exchange.status == 403 for exchange in chosen)
    stage.nodes.control_channel = not refused
    for exchange in chosen:
        if exchange.request.method == "POST":
            assert_answered_alike(exchange, stage.replay(exchange))


@pytest.mark.parametrize("scenario", ["register-ok", "register-again"])
def test_a_recorded_registration_makes_a_node(scenario: str, stage: Callable[[str], Stage]) -> None:
    on = stage(scenario)
    (exchange,) = exchanges(scenario)
    on.know_activation(exchange)

    response = on.replay(exchange)

    assert_answered_alike(exchange, response)
    node = on.nodes.get(json.loads(response.body)["InstanceId"])
    assert node.fingerprint == exchange.body["Fingerprint"]
    assert node.public_key == exchange.body["PublicKey"]


def test_a_recorded_registration_from_a_known_fingerprint_makes_a_second_node(stage: Callable[[str], Stage]) -> None:
    on = stage("register-ok")
    first, second = exchanges("register-ok")[0], exchanges("register-again")[0]
    assert first.body["Fingerprint"] == second.body["Fingerprint"]
    on.know_activation(first)
    on.know_activation(second)

    ids = {json.loads(on.replay(exchange).body)["InstanceId"] for exchange in (first, second)}

    assert ids == {node.id for node in on.nodes.all()}
    assert len(ids) == 2


def test_recorded_registrations_are_refused_with_the_recorded_codes(stage: Callable[[str], Stage]) -> None:
    on = stage("register-refused")
    wrong_code, unknown, expired, exhausted, other = exchanges("register-refused")
    on.know_activation(wrong_code, code="another code of 20 c")
    on.know_activation(expired, expires_at=on.clock.now())
    on.know_activation(exhausted, registration_limit=0)

    replay_all(on, [wrong_code, unknown, expired, exhausted])
    on.world.faults.error("ssm", REGISTER, status=400, code="InternalServerError", count=1)
    replay_all(on, [other])

    assert on.nodes.refusals == {"InvalidActivation": 2, "ActivationExpired": 1, "RegistrationLimitExceeded": 1}
    assert on.nodes.all() == []


def test_a_registration_tried_again_after_failures_counts_once(stage: Callable[[str], Stage]) -> None:
    on = stage("retries")
    calls = exchanges("retries")
    tries = [exchange for exchange in calls if exchange.target == REGISTER]
    for exchange in tries:
        on.know_activation(exchange)
    on.world.faults.error("ssm", REGISTER, count=4)
    replay_all(on, tries[:4])
    on.world.faults.throttle("ssm", REGISTER, count=4)
    replay_all(on, tries[4:8])
    replay_all(on, tries[8:])

    assert sum(it.registrations for it in on.activations.redemptions()) == 1
    again = json.loads(on.replay(tries[-1]).body)["InstanceId"]
    assert [again] == [node.id for node in on.nodes.all()]
    assert sum(it.registrations for it in on.activations.redemptions()) == 1


def test_recorded_token_calls_succeed_after_failures(stage: Callable[[str], Stage]) -> None:
    on = stage("retries")
    on.know_nodes()
    on.know_tokens()
    rest = [exchange for exchange in exchanges("retries") if exchange.target != REGISTER]
    on.world.faults.error("ssm", TOKEN_CALL, count=4)

    replay_all(on, rest)


@pytest.mark.parametrize(
    "scenario",
    ["first-start", "first-start-public-names", "first-start-mds", "mds-idle-poll", "token-refresh"],
)
def test_a_recorded_start_is_answered_as_recorded(scenario: str, stage: Callable[[str], Stage]) -> None:
    on = stage(scenario)
    calls = exchanges(scenario)
    for exchange in calls:
        if exchange.target == REGISTER:
            on.know_activation(exchange)
            replay_all(on, [exchange])
    on.know_nodes()
    on.know_tokens()

    replay_all(on, [exchange for exchange in calls if exchange.target not in {REGISTER, *ABOUT_COMMANDS}])

    (node_id,) = facts(scenario)["nodes"]
    reported = on.nodes.get(node_id).heartbeat
    full = [it.body for it in calls if it.target == "UpdateInstanceInformation" and "PlatformName" in it.body]
    assert reported.platform_name == full[-1]["PlatformName"] == "Debian GNU/Linux"
    assert reported.ip_address == "10.77.0.5"


def test_the_recorded_key_rotation_switches_the_key_and_clears_the_flag(stage: Callable[[str], Stage]) -> None:
    on = stage("key-rotation")
    on.know_nodes()
    on.know_tokens()
    (node_id,) = facts("key-rotation")["nodes"]
    on.nodes.ask_for_new_key(node_id)
    _, token, change, *later = exchanges("key-rotation")

    first = on.replay(token)
    assert json.loads(first.body)["UpdateKeyPair"] is True
    replay_all(on, [change, *later])

    node = on.nodes.get(node_id)
    assert node.public_key == facts("key-rotation")["nodes"][node_id]["public_keys"][1]
    assert not node.wants_new_key
    refused = on.replay(token)
    assert (refused.status, json.loads(refused.body)["__type"]) == (400, "InvalidSignatureException")


def test_a_heartbeat_can_be_refused_as_recorded(stage: Callable[[str], Stage]) -> None:
    on = stage("denied-at-start")
    on.know_nodes()
    on.know_tokens()
    _, *rest = exchanges("denied-at-start")
    on.world.faults.error("ssm", "UpdateInstanceInformation", status=400, code="AccessDeniedException")

    replay_all(on, rest)


def test_a_wrong_fingerprint_is_refused_as_recorded(stage: Callable[[str], Stage]) -> None:
    on = stage("wrong-fingerprint")
    on.know_nodes(fingerprint="another machine's")
    _, token = exchanges("wrong-fingerprint")

    assert_answered_alike(token, on.replay(token))


def test_a_deregistered_node_is_refused_as_recorded(stage: Callable[[str], Stage]) -> None:
    on = stage("deregistered-while-running")
    on.know_nodes()
    on.know_tokens()
    poll, *rest = exchanges("deregistered-while-running")
    assert_answered_alike(poll, on.replay(poll))
    (node_id,) = facts("deregistered-while-running")["nodes"]

    on.nodes.deregister(node_id, region="us-east-1")

    replay_all(on, rest)


def test_every_recorded_signature_with_a_role_token_verifies_and_a_changed_byte_does_not(
    stage: Callable[[str], Stage],
) -> None:
    checked = 0
    for exchange in everything():
        if not exchange.credential.startswith("ASIA"):
            continue
        on = stage(exchange.scenario)
        on.know_nodes()
        on.know_tokens()
        assert exchange.stamped is not None
        on.clock.step(exchange.stamped - on.clock.now())
        principal = authenticated(on, exchange)
        assert principal == facts(exchange.scenario)["role_tokens"][exchange.credential]["node"]
        changed = exchange.request.headers.get("Authorization")
        spoilt = changed[:-1] + ("0" if changed[-1] != "0" else "1")
        assert authenticated(on, exchange, authorization=spoilt) == "InvalidSignatureException"
        checked += 1
    assert checked == 108


def authenticated(on: Stage, exchange: Exchange, *, authorization: str = "") -> str:
    """The node that a request proves to be, or the code with which it is refused."""
    request = exchange.request
    if authorization:
        headers = [(n, authorization if n == "Authorization" else v) for n, v in request.headers.items]
        request = type(request)(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=type(request.headers).of(headers),
            body=request.body,
        )
    service = {"ssmmessages-http": "ssmmessages"}.get(exchange.channel, exchange.channel)
    try:
        principal = sigv4.authenticate(
            request, service=service, protocol="json", credentials=on.world.credentials, clock=on.clock
        )
    except ServiceError as error:
        return error.code
    return principal.session
