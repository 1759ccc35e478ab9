"""Faults: each kind, by operation and count, as a rule of its own and through the endpoint."""

import random
from collections.abc import Iterator

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from localcloud.aws.functions.service import Functions
from localcloud.cloud import LocalCloud
from localcloud.errors import ConnectionLost, ServiceError
from localcloud.faults import Faults
from localcloud.principals import Credentials, Kind, Principal

ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"})
POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssm:*", "Resource": "*"}]}'
TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",'
    ' "Principal": {"Service": "lambda.amazonaws.com"}}]}'
)


class Hands:
    """A clock and a sleep moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def faults(hands: Hands) -> Faults:
    return Faults(rng=random.Random(7), clock=hands.clock, sleep=hands.slept.append)


@pytest.fixture(scope="module")
def running() -> Iterator[LocalCloud]:
    with LocalCloud(in_process=True) as cloud:
        yield cloud


@pytest.fixture
def cloud(running: LocalCloud) -> Iterator[LocalCloud]:
    yield running
    running.faults.clear()


def test_latencies_of_matching_rules_add_up(faults: Faults, hands: Hands) -> None:
    faults.latency("dynamodb", "*", 0.005)
    faults.latency("dynamodb", "GetItem", 0.010)

    faults.before("dynamodb", "GetItem")
    faults.before("dynamodb", "PutItem")
    faults.before("ssm", "GetParameter")

    assert hands.slept == [pytest.approx(0.015), pytest.approx(0.005)]


def test_a_held_call_has_no_effect_before_it_is_let_go(cloud: LocalCloud) -> None:
    ssm, seen = cloud.client("ssm"), []
    cloud.faults.hold("ssm", "PutParameter", until=lambda: seen.append(len(ssm.describe_parameters()["Parameters"])))

    ssm.put_parameter(Name="held", Value="x", Type="String")

    assert seen == [0]
    assert len(ssm.describe_parameters()["Parameters"]) == 1


def test_a_counted_throttle_hits_that_many_calls_and_no_more(faults: Faults) -> None:
    faults.throttle("ssm", "PutParameter", count=2)

    assert [_outcome(faults, "ssm", "PutParameter") for _ in range(4)] == ["ThrottlingException"] * 2 + [""] * 2


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("ssm", "ThrottlingException", 400),
        ("dynamodb", "ThrottlingException", 400),
        ("lambda", "TooManyRequestsException", 429),
        ("s3", "SlowDown", 503),
        ("ec2", "RequestLimitExceeded", 503),
        ("cloudformation", "Throttling", 400),
    ],
)
def test_each_service_throttles_in_its_own_words(faults: Faults, service: str, code: str, status: int) -> None:
    faults.throttle(service, "*")

    with pytest.raises(ServiceError) as refused:
        faults.before(service, "Anything")

    assert (refused.value.code, refused.value.status) == (code, status)


def test_probability_draws_from_the_generator_handed_in() -> None:
    def run() -> list[str]:
        faults = Faults(rng=random.Random(3))
        faults.throttle("ssm", "*", probability=0.3)
        return [_outcome(faults, "ssm", "GetParameter") for _ in range(200)]

    assert run() == run()
    assert 30 < sum(bool(one) for one in run()) < 90


def test_a_quota_refills_with_time(faults: Faults, hands: Hands) -> None:
    faults.quota("ssm", "CreateActivation", per_second=2, burst=2)

    assert [_quota(faults, "CreateActivation") for _ in range(3)] == [True, True, False]
    hands.now += 0.5
    assert [_quota(faults, "CreateActivation") for _ in range(2)] == [True, False]


def test_the_published_quotas_let_get_parameter_and_its_relatives_share_forty_a_second(faults: Faults) -> None:
    faults.published_quotas()

    calls = [_quota(faults, name) for _ in range(25) for name in ("GetParameter", "GetParametersByPath")]

    assert calls.count(True) == 40
    assert [_quota(faults, "PutParameter") for _ in range(4)].count(True) == 3
    assert [_quota(faults, "CreateActivation") for _ in range(4)].count(True) == 2
    assert all(_quota(faults, "DescribeActivations") for _ in range(100))


def test_clear_disarms_everything(faults: Faults) -> None:
    faults.throttle("*", "*")
    faults.lose_answer("*", "*")
    faults.quota("*", "*", per_second=0, burst=0)
    faults.kill_function("vend", at_call=1)

    faults.clear()

    faults.before("ssm", "GetParameter")
    faults.take_quota("ssm", "GetParameter")
    faults.after("ssm", "GetParameter")
    assert faults.death("vend") is None


def test_a_lost_answer_has_taken_effect(cloud: LocalCloud) -> None:
    cloud.faults.lose_answer("ssm", "PutParameter", count=1)
    client = cloud.client("ssm", config=ONCE)

    with pytest.raises(ConnectionClosedError):
        client.put_parameter(Name="/lost/answer", Value="there", Type="String")

    assert client.get_parameter(Name="/lost/answer")["Parameter"]["Value"] == "there"
    assert next(one.status for one in cloud.world.calls.snapshot() if one.error == "ConnectionLost") == 0


@pytest.mark.parametrize("status", [500, 503])
def test_an_injected_error_has_no_effect(cloud: LocalCloud, status: int) -> None:
    cloud.faults.error("ssm", "PutParameter", status=status, count=1)
    client = cloud.client("ssm", config=ONCE)

    with pytest.raises(ClientError) as refused:
        client.put_parameter(Name=f"/failed/{status}", Value="v", Type="String")

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    with pytest.raises(ClientError, match="ParameterNotFound"):
        client.get_parameter(Name=f"/failed/{status}")


def test_a_throttled_call_has_no_effect_and_is_remembered(cloud: LocalCloud) -> None:
    cloud.faults.throttle("ssm", "PutParameter", count=1)
    before = len(cloud.world.calls)

    with pytest.raises(ClientError, match="ThrottlingException"):
        cloud.client("ssm", config=ONCE).put_parameter(Name="/throttled", Value="v", Type="String")

    assert [one.error for one in cloud.world.calls.since(before)] == ["ThrottlingException"]


def test_a_quota_counts_only_calls_that_are_valid(cloud: LocalCloud) -> None:
    cloud.faults.quota("ssm", "PutParameter", per_second=0, burst=1)
    client = cloud.client("ssm", config=ONCE.merge(Config(parameter_validation=False)))

    with pytest.raises(ClientError, match="SerializationException"):
        client.put_parameter(Name="/q", Value=5, Type="String")
    client.put_parameter(Name="/q", Value="v", Type="String")
    with pytest.raises(ClientError, match="ThrottlingException"):
        client.put_parameter(Name="/q", Value="v", Type="String", Overwrite=True)


@pytest.mark.parametrize(("when", "effect"), [("before", False), ("after", True)])
def test_a_function_dies_at_its_nth_call_before_or_after_the_effect(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, when: str, effect: bool
) -> None:
    killed: list[str] = []
    monkeypatch.setattr(cloud.world.part(Functions), "kill", killed.append)
    client = cloud.client("ssm", credentials=_function(cloud, "vend", session="environment-1"), config=ONCE)
    cloud.faults.kill_function("vend", at_call=2, when=when)

    client.put_parameter(Name=f"/kill/{when}/1", Value="v", Type="String")
    with pytest.raises(ConnectionClosedError):
        client.put_parameter(Name=f"/kill/{when}/2", Value="v", Type="String")
    client.put_parameter(Name=f"/kill/{when}/3", Value="v", Type="String")

    there = {one["Name"] for one in cloud.client("ssm").describe_parameters()["Parameters"]}
    assert killed == ["environment-1"]
    assert (f"/kill/{when}/2" in there) is effect
    assert f"/kill/{when}/3" in there


def test_a_kill_is_for_one_function_only(cloud: LocalCloud) -> None:
    cloud.faults.kill_function("vend", at_call=1)
    other = cloud.client("ssm", credentials=_function(cloud, "keeper", session="environment-2"), config=ONCE)

    other.put_parameter(Name="/kill/other", Value="v", Type="String")

    assert cloud.faults.death("vend") is not None


def test_a_kill_needs_a_call_to_fire_at(faults: Faults) -> None:
    with pytest.raises(ValueError, match="at_call"):
        faults.kill_function("vend", at_call=0)


def _function(cloud: LocalCloud, name: str, *, session: str) -> Credentials:
    """Credentials as a function's environment has them."""
    iam = cloud.client("iam")
    if not any(role["RoleName"] == "function" for role in iam.list_roles()["Roles"]):
        iam.create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)
        iam.put_role_policy(RoleName="function", PolicyName="all", PolicyDocument=POLICY)
    arn = f"arn:aws:sts::{cloud.world.account}:assumed-role/function/{name}"
    return cloud.world.credentials.issue(Principal(kind=Kind.ROLE, arn=arn, role_name="function", session=session))


def _outcome(faults: Faults, service: str, operation: str) -> str:
    try:
        faults.before(service, operation)
    except ServiceError as error:
        return error.code
    return ""


def _quota(faults: Faults, operation: str) -> bool:
    try:
        faults.take_quota("ssm", operation)
    except ServiceError:
        return False
    return True


def test_losing_an_answer_raises_for_the_transport_to_cut(faults: Faults) -> None:
    faults.lose_answer("ssm", "PutParameter", count=1)

    with pytest.raises(ConnectionLost):
        faults.after("ssm", "PutParameter")
    faults.after("ssm", "PutParameter")


def test_an_answer_that_refuses_can_get_lost_too(cloud: LocalCloud) -> None:
    """The caller cannot tell a lost refusal from a lost success."""
    cloud.faults.lose_answer("ssm", "GetParameter", count=1)

    with pytest.raises(ConnectionClosedError):
        cloud.client("ssm", config=ONCE).get_parameter(Name="/not/there")


def test_a_function_dies_after_a_call_that_was_refused(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[str] = []
    monkeypatch.setattr(cloud.world.part(Functions), "kill", killed.append)
    client = cloud.client("ssm", credentials=_function(cloud, "drain", session="environment-3"), config=ONCE)
    cloud.faults.kill_function("drain", at_call=1, when="after")

    with pytest.raises(ConnectionClosedError):
        client.delete_parameter(Name="/not/there")

    assert killed == ["environment-3"]
