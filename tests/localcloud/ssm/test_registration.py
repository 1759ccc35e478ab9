"""Registration, role tokens and keys, spoken as an agent speaks them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.localcloud.ssm.agent import Agent, fields, private_key, public_text, refusal

from localcloud.aws.ssm import choices
from localcloud.aws.ssm.activations import Activation, Activations
from localcloud.aws.ssm.nodes import ManagedNodes
from localcloud.aws.ssm.settings import ServiceSettings
from localcloud.clock import SteppedClock
from localcloud.errors import ConnectionLost, ServiceError
from localcloud.world import World

Agents = Callable[..., Agent]


@pytest.fixture
def activation(activations: Activations) -> Activation:
    return activations.create(
        region="us-east-1",
        iam_role="node-role",
        registration_limit=5,
        default_instance_name="web",
        tags=(("pool", "web"),),
    )


@pytest.fixture
def registered(agent: Agents, activation: Activation) -> Agent:
    made = agent(key=1)
    assert made.register(activation.id, activation.code).status == 200
    return made


def cheap_key(number: int) -> str:
    """A well-formed public key that nobody can sign with; made in microseconds."""
    return public_text(_Public(rsa.RSAPublicNumbers(65537, (1 << 2047) + 2 * number + 1).public_key()))


class _Public:
    def __init__(self, key: rsa.RSAPublicKey) -> None:
        self._key = key

    def public_key(self) -> rsa.RSAPublicKey:
        return self._key


def test_a_registered_node_has_the_activations_name_role_and_tags(
    registered: Agent, activation: Activation, nodes: ManagedNodes, ssm: Any
) -> None:
    node = nodes.get(registered.node_id)

    assert registered.node_id.startswith("mi-0")
    assert len(registered.node_id) == 20
    assert (node.name, node.iam_role, node.activation_id) == ("web", "node-role", activation.id)
    tags = ssm.list_tags_for_resource(ResourceType="ManagedInstance", ResourceId=node.id)["TagList"]
    assert tags == [{"Key": "pool", "Value": "web"}]


def test_a_lost_answer_repeated_with_the_same_key_is_the_same_node_and_counts_once(
    agent: Agents, activation: Activation, activations: Activations, world: World
) -> None:
    one = agent(key=1)
    world.faults.lose_answer("ssm", "RegisterManagedInstance", count=1)
    with pytest.raises(ConnectionLost):
        one.register(activation.id, activation.code)

    first, second = (fields(one.register(activation.id, activation.code)) for _ in range(2))

    assert first == second
    assert [it.registrations for it in activations.redemptions()] == [1]


def test_a_repeated_registration_is_answered_even_if_the_activation_is_over_meanwhile(
    registered: Agent, activation: Activation, activations: Activations, clock: SteppedClock
) -> None:
    known = registered.node_id
    activations.delete(activation.id, region="us-east-1")
    clock.step(timedelta(days=2))

    assert fields(registered.register(activation.id, activation.code)) == {"InstanceId": known}


def test_a_known_fingerprint_with_a_new_key_is_a_new_node(
    registered: Agent, agent: Agents, activation: Activation, nodes: ManagedNodes
) -> None:
    again = agent(key=2, fingerprint=registered.fingerprint)

    again.register(activation.id, activation.code)

    assert again.node_id != registered.node_id
    assert {node.id for node in nodes.all()} == {registered.node_id, again.node_id}


def test_a_known_key_with_the_wrong_code_or_another_activation_is_refused(
    registered: Agent, activation: Activation, activations: Activations
) -> None:
    other = activations.create(region="us-east-1", iam_role="node-role")

    assert refusal(registered.register(activation.id, "x" * 20)) == (400, "InvalidActivation")
    assert refusal(registered.register(other.id, other.code)) == (400, "InstanceAlreadyRegistered")
    assert [it.registrations for it in activations.redemptions()] == [1, 0]


def test_a_deregistered_nodes_key_registers_anew(
    registered: Agent, activation: Activation, activations: Activations, nodes: ManagedNodes
) -> None:
    before = registered.node_id
    nodes.deregister(before, region="us-east-1")

    registered.register(activation.id, activation.code)

    assert registered.node_id != before
    assert [it.registrations for it in activations.redemptions()] == [2]


def test_refused_registrations_have_their_codes_count_nothing_and_are_tallied(
    agent: Agents, activation: Activation, activations: Activations, nodes: ManagedNodes, clock: SteppedClock
) -> None:
    single = activations.create(region="us-east-1", iam_role="node-role")
    agent(key=1).register(single.id, single.code)
    small = public_text(rsa.generate_private_key(public_exponent=65537, key_size=1024))

    assert refusal(agent(key=2).register(single.id, single.code)) == (400, "RegistrationLimitExceeded")
    assert refusal(agent(key=2).register(activation.id, "x" * 20)) == (400, "InvalidActivation")
    assert refusal(agent(key=2).register(activation.id, activation.code, PublicKey="A" * 392)) == (
        400,
        "InvalidPublicKey",
    )
    assert refusal(agent(key=2).register(activation.id, activation.code, PublicKey=small)) == (
        400,
        "ValidationException",
    )
    clock.step(timedelta(hours=24))
    assert refusal(agent(key=2).register(activation.id, activation.code)) == (400, "ActivationExpired")
    assert [it.registrations for it in activations.redemptions()] == [0, 1]
    assert nodes.refusals == {
        "RegistrationLimitExceeded": 1,
        "InvalidActivation": 1,
        "InvalidPublicKey": 1,
        "ActivationExpired": 1,
    }


@pytest.mark.parametrize("changed", [{"ActivationCode": "short"}, {"ActivationId": "x"}, {"PublicKeyType": "Ed25519"}])
def test_a_malformed_registration_is_refused(changed: dict[str, str], agent: Agents, activation: Activation) -> None:
    known = {"ActivationCode": activation.code, "ActivationId": activation.id}

    assert refusal(agent().register(activation.id, activation.code, **known | changed)) == (400, "ValidationException")


def test_a_regional_host_knows_only_its_regions_activations(agent: Agents, activation: Activation) -> None:
    there = agent(key=1, host="ssm.eu-central-1.amazonaws.com")
    here = agent(key=2, host="ssm.us-east-1.amazonaws.com")

    assert refusal(there.register(activation.id, activation.code)) == (400, "InvalidActivation")
    assert here.register(activation.id, activation.code).status == 200


def test_a_thousand_simultaneous_registrations_fill_an_activation_exactly(
    activations: Activations, nodes: ManagedNodes
) -> None:
    activation = activations.create(region="us-east-1", iam_role="node-role", registration_limit=990)
    keys = [cheap_key(number) for number in range(1000)]

    def register(key: str) -> bool:
        try:
            nodes.register(activation_id=activation.id, code=activation.code, fingerprint=key[-9:], public_key=key)
        except ServiceError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        done = sum(pool.map(register, keys))

    assert done == len(nodes.all()) == 990
    assert nodes.refusals == {"RegistrationLimitExceeded": 10}
    assert [it.registrations for it in activations.redemptions()] == [990]


def test_the_standard_tier_takes_a_thousand_nodes_and_the_advanced_one_more(
    activations: Activations, nodes: ManagedNodes, world: World
) -> None:
    one, two = (activations.create(region="us-east-1", iam_role="node-role", registration_limit=1000) for _ in range(2))
    for number in range(choices.STANDARD_TIER_NODES):
        nodes.register(activation_id=one.id, code=one.code, fingerprint=str(number), public_key=cheap_key(number))

    further = {"activation_id": two.id, "code": two.code, "fingerprint": "f", "public_key": cheap_key(5000)}
    with pytest.raises(ServiceError, match="RegistrationLimitExceeded"):
        nodes.register(**further)

    assert nodes.refusals == {choices.TIER_LIMIT: 1}
    assert [it.registrations for it in activations.redemptions()] == [1000, 0]
    world.part(ServiceSettings).set_tier("us-east-1", "advanced")
    assert nodes.register(**further).activation_id == two.id


def test_a_role_token_has_all_five_fields_and_lasts_an_hour(registered: Agent, clock: SteppedClock) -> None:
    token = fields(registered.fetch_token())

    assert set(token) == {"AccessKeyId", "SecretAccessKey", "SessionToken", "TokenExpirationDate", "UpdateKeyPair"}
    assert token["UpdateKeyPair"] is False
    ends = datetime.fromtimestamp(token["TokenExpirationDate"], UTC)
    assert abs(ends - clock.now() - timedelta(hours=1)) <= timedelta(seconds=1)


def test_older_tokens_stay_good_until_they_expire(registered: Agent, nodes: ManagedNodes, clock: SteppedClock) -> None:
    nodes.token_lifetime = timedelta(seconds=40)
    registered.fetch_token()
    older = registered.token
    clock.step(timedelta(seconds=20))
    registered.fetch_token()
    newer = registered.token

    registered.token = older
    assert registered.heartbeat().status == 200
    clock.step(timedelta(seconds=20))
    assert refusal(registered.heartbeat()) == (400, "ExpiredTokenException")
    registered.token = newer
    assert registered.heartbeat().status == 200


def test_a_token_is_refused_to_the_wrong_machine_key_or_clock(
    registered: Agent, agent: Agents, clock: SteppedClock
) -> None:
    forger = agent(key=2, fingerprint=registered.fingerprint, node_id=registered.node_id)
    stranger = agent(key=1, node_id="mi-00000000000000000")
    skewed = SteppedClock(clock.now() - timedelta(minutes=6))
    late = agent(key=1, fingerprint=registered.fingerprint, node_id=registered.node_id)
    late.clock = skewed

    assert refusal(registered.fetch_token(Fingerprint="other")) == (400, "MachineFingerprintDoesNotMatch")
    assert refusal(forger.fetch_token()) == (400, "InvalidSignatureException")
    assert refusal(stranger.fetch_token()) == (400, "InvalidInstanceId")
    assert refusal(late.fetch_token()) == (400, "InvalidSignatureException")


def test_a_token_call_scoped_to_another_region_or_unsigned_is_refused(registered: Agent) -> None:
    unsigned = registered.send("AmazonSSM.RequestManagedInstanceRoleToken", {"Fingerprint": registered.fingerprint})
    registered.region = "eu-central-1"

    assert refusal(unsigned) == (400, "MissingAuthenticationTokenException")
    assert refusal(registered.fetch_token()) == (400, "InvalidSignatureException")


def test_a_deregistered_node_gets_no_token_and_may_not_speak(registered: Agent, ssm: Any) -> None:
    registered.fetch_token()

    ssm.deregister_managed_instance(InstanceId=registered.node_id)

    assert refusal(registered.fetch_token()) == (400, "InvalidInstanceId")
    assert refusal(registered.heartbeat()) == (400, "AccessDeniedException")
    assert refusal(registered.poll()) == (400, "AccessDeniedException")


def test_a_new_key_is_asked_for_until_it_is_there_and_then_the_old_one_is_void(
    registered: Agent, nodes: ManagedNodes
) -> None:
    nodes.ask_for_new_key(registered.node_id)
    assert fields(registered.fetch_token())["UpdateKeyPair"] is True
    assert fields(registered.fetch_token())["UpdateKeyPair"] is True

    assert fields(registered.change_key(3)) == {}

    assert refusal(registered.fetch_token()) == (400, "InvalidSignatureException")
    registered.key = 3
    assert fields(registered.fetch_token())["UpdateKeyPair"] is False


def test_of_two_key_changes_signed_with_the_same_key_one_wins(registered: Agent, nodes: ManagedNodes) -> None:
    old = nodes.get(registered.node_id).public_key
    nodes.change_key(registered.node_id, public_text(private_key(3)), signed_with=old)

    with pytest.raises(ServiceError, match="InvalidSignatureException"):
        nodes.change_key(registered.node_id, public_text(private_key(2)), signed_with=old)

    assert nodes.get(registered.node_id).public_key == public_text(private_key(3))
