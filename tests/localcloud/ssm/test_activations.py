"""CreateActivation, DescribeActivations, DeleteActivation as an SDK sees them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.localcloud.ssm.agent import Agent, fields, refusal

from localcloud.aws.ssm.activations import Activations
from localcloud.clock import SteppedClock
from localcloud.world import World


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Code and message of a refusal."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def create(ssm: Any, **params: Any) -> tuple[str, str]:
    made = ssm.create_activation(**{"IamRole": "node-role"} | params)
    return made["ActivationId"], made["ActivationCode"]


def listed(ssm: Any, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ssm.describe_activations(**params)["ActivationList"]
    return found


def test_a_new_activation_has_the_services_defaults(ssm: Any, clock: SteppedClock) -> None:
    activation_id, code = create(ssm)

    (shown,) = listed(ssm)
    assert len(activation_id) == 36
    assert len(code) == 20
    assert shown["ActivationId"] == activation_id
    assert shown["RegistrationLimit"] == 1
    assert shown["Expired"] is False
    assert abs(shown["ExpirationDate"] - clock.now() - timedelta(hours=24)) < timedelta(seconds=1)
    assert set(shown) == {"ActivationId", "IamRole", "RegistrationLimit", "ExpirationDate", "Expired", "CreatedDate"}


def test_an_activation_shows_everything_but_its_code(ssm: Any) -> None:
    _, code = create(
        ssm,
        Description="pool=web",
        DefaultInstanceName="web",
        RegistrationLimit=1000,
        Tags=[{"Key": "pool", "Value": "web"}],
    )

    (shown,) = listed(ssm)
    assert shown["Description"] == "pool=web"
    assert shown["DefaultInstanceName"] == "web"
    assert shown["RegistrationLimit"] == 1000
    assert shown["Tags"] == [{"Key": "pool", "Value": "web"}]
    assert code not in str(shown)


def test_a_code_is_in_no_repr(ssm: Any, activations: Activations) -> None:
    _, code = create(ssm)

    assert code not in repr(activations.live())


@pytest.mark.parametrize("limit", [0, 1001, -1])
def test_a_limit_outside_one_to_a_thousand_is_refused(limit: int, client: Callable[..., Any]) -> None:
    ssm = client("ssm", validate=False)

    assert refused(ssm.create_activation, IamRole="node-role", RegistrationLimit=limit)[0] == "ValidationException"


def test_a_description_of_257_characters_is_refused(client: Callable[..., Any]) -> None:
    ssm = client("ssm", validate=False)

    create(ssm, Description="d" * 256)
    assert refused(ssm.create_activation, IamRole="node-role", Description="d" * 257)[0] == "ValidationException"


def test_an_expiration_may_be_thirty_days_ahead_and_no_more(ssm: Any, clock: SteppedClock) -> None:
    most = clock.now().replace(microsecond=0) + timedelta(days=30)

    create(ssm, ExpirationDate=most)
    for wrong in (most + timedelta(seconds=2), clock.now() - timedelta(seconds=2)):
        assert refused(ssm.create_activation, IamRole="node-role", ExpirationDate=wrong)[0] == "ValidationException"


@pytest.mark.parametrize(
    "trust",
    [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Deny", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:TagSession"},
        {
            "Effect": "Allow",
            "Principal": {"Service": "ssm.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": "111111111111"}},
        },
        {
            "Effect": "Allow",
            "Principal": {"Service": "ssm.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:ssm:eu-west-1:*:*"}},
        },
    ],
)
def test_a_role_that_does_not_trust_the_service_does_not_exist_for_it(
    trust: dict[str, Any], ssm: Any, role: Callable[..., None]
) -> None:
    role("other", {"Version": "2012-10-17", "Statement": trust})

    code, message = refused(ssm.create_activation, IamRole="other")
    assert code == "ValidationException"
    assert message.startswith("Not existing role: arn:aws:iam::")


def test_an_unknown_role_is_refused_in_the_services_words(ssm: Any, world: World) -> None:
    wanted = ("ValidationException", f"Not existing role: arn:aws:iam::{world.account}:role/nobody")

    assert refused(ssm.create_activation, IamRole="nobody") == wanted


def test_a_role_may_be_named_with_its_path_and_trust_several_services(ssm: Any, role: Callable[..., None]) -> None:
    services = ["ec2.amazonaws.com", "ssm.amazonaws.com"]
    trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": ["sts:AssumeRole"]}
    role("pathed", {"Version": "2012-10-17", "Statement": [trust]}, path="/service-role/")

    create(ssm, IamRole="service-role/pathed")

    assert listed(ssm)[0]["IamRole"] == "service-role/pathed"


def test_a_service_linked_role_is_refused(ssm: Any, role: Callable[..., None]) -> None:
    role("AWSServiceRoleForAmazonSSM", path="/aws-service-role/ssm.amazonaws.com/")

    assert refused(ssm.create_activation, IamRole="AWSServiceRoleForAmazonSSM")[0] == "ValidationException"


def test_metadata_that_is_not_kept_is_refused_by_name(ssm: Any) -> None:
    code, message = refused(
        ssm.create_activation, IamRole="node-role", RegistrationMetadata=[{"Key": "a", "Value": "b"}]
    )

    assert code == "NotImplementedByLocalCloud"
    assert "RegistrationMetadata" in message


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}], "InvalidParameters"),
        ([{"Key": f"k{number}", "Value": ""} for number in range(51)], "InvalidParameters"),
        ([{"Key": "aws:a", "Value": "1"}], "ValidationException"),
    ],
)
def test_tags_that_no_node_could_carry_are_refused(tags: list[dict[str, str]], code: str, ssm: Any) -> None:
    assert refused(ssm.create_activation, IamRole="node-role", Tags=tags)[0] == code


def test_pages_show_every_activation_once_while_others_come_and_go(ssm: Any, clock: SteppedClock) -> None:
    ids = []
    for _ in range(7):
        ids.append(create(ssm)[0])
        clock.step(timedelta(seconds=1))

    first = ssm.describe_activations(MaxResults=3)
    ssm.delete_activation(ActivationId=ids[2])
    create(ssm)
    second = ssm.describe_activations(MaxResults=3, NextToken=first["NextToken"])
    third = ssm.describe_activations(MaxResults=3, NextToken=second["NextToken"])

    shown = [it["ActivationId"] for page in (first, second, third) for it in page["ActivationList"]]
    assert shown[:7] == ids
    assert len(shown) == 8
    assert "NextToken" not in third


def test_a_token_is_good_for_its_own_question_only(ssm: Any) -> None:
    for _ in range(2):
        create(ssm)
    token = ssm.describe_activations(MaxResults=1)["NextToken"]
    other = [{"FilterKey": "IamRole", "FilterValues": ["node-role"]}]

    assert refused(ssm.describe_activations, Filters=other, NextToken=token)[0] == "InvalidNextToken"
    assert refused(ssm.describe_activations, NextToken="forged")[0] == "InvalidNextToken"


@pytest.mark.parametrize("size", [0, 51])
def test_a_page_has_one_to_fifty_activations(size: int, client: Callable[..., Any]) -> None:
    ssm = client("ssm", validate=False)

    assert refused(ssm.describe_activations, MaxResults=size)[0] == "ValidationException"


def test_filters_join_by_and_their_values_by_or(ssm: Any, role: Callable[..., None]) -> None:
    role("other-role")
    one, _ = create(ssm, DefaultInstanceName="web")
    two, _ = create(ssm, DefaultInstanceName="db")
    three, _ = create(ssm, DefaultInstanceName="web", IamRole="other-role")

    def found(**wanted: list[str]) -> set[str]:
        filters = [{"FilterKey": key, "FilterValues": values} for key, values in wanted.items()]
        return {it["ActivationId"] for it in listed(ssm, Filters=filters)}

    assert found(DefaultInstanceName=["web"]) == {one, three}
    assert found(DefaultInstanceName=["web"], IamRole=["node-role"]) == {one}
    assert found(ActivationIds=[two, three, "00000000-0000-0000-0000-000000000000"]) == {two, three}


def test_activations_of_another_region_are_not_seen(ssm: Any, client: Callable[..., Any]) -> None:
    activation_id, _ = create(ssm)
    elsewhere = client("ssm", region="eu-central-1")

    assert listed(elsewhere) == []
    assert refused(elsewhere.delete_activation, ActivationId=activation_id)[0] == "InvalidActivationId"


def test_an_expired_activation_is_listed_as_expired(ssm: Any, clock: SteppedClock) -> None:
    create(ssm)

    clock.step(timedelta(hours=24))

    assert listed(ssm)[0]["Expired"] is True


def test_a_deleted_activation_is_gone_registers_nothing_and_leaves_its_nodes(
    ssm: Any, agent: Callable[..., Agent]
) -> None:
    activation_id, code = create(ssm, RegistrationLimit=5)
    agent(key=1).register(activation_id, code)

    ssm.delete_activation(ActivationId=activation_id)

    assert listed(ssm) == []
    assert refusal(agent(key=2).register(activation_id, code)) == (400, "InvalidActivation")
    assert len(ssm.describe_instance_information()["InstanceInformationList"]) == 1
    assert refused(ssm.delete_activation, ActivationId=activation_id)[0] == "InvalidActivationId"


def test_the_registrations_count_appears_with_the_first_and_lags_by_the_time_set(
    ssm: Any, agent: Callable[..., Agent], activations: Activations, clock: SteppedClock
) -> None:
    activation_id, code = create(ssm, RegistrationLimit=5)
    activations.registrations_lag = timedelta(minutes=2)
    assert "RegistrationsCount" not in listed(ssm)[0]

    assert fields(agent(key=1).register(activation_id, code))
    assert "RegistrationsCount" not in listed(ssm)[0]
    clock.step(timedelta(minutes=2))

    assert listed(ssm)[0]["RegistrationsCount"] == 1
    assert [it.registrations for it in activations.redemptions()] == [1]


def test_an_aged_activation_is_older_and_ends_sooner_and_keeps_its_registrations(
    ssm: Any, agent: Callable[..., Agent], activations: Activations
) -> None:
    activation_id, code = create(ssm, RegistrationLimit=5)
    agent(key=1).register(activation_id, code)
    before = listed(ssm)[0]

    activations.age(timedelta(hours=2))

    after = listed(ssm)[0]
    assert before["CreatedDate"] - after["CreatedDate"] == timedelta(hours=2)
    assert before["ExpirationDate"] - after["ExpirationDate"] == timedelta(hours=2)
    assert after["RegistrationsCount"] == 1


def test_every_activation_is_remembered_with_its_code_even_deleted(ssm: Any, activations: Activations) -> None:
    activation_id, code = create(ssm, RegistrationLimit=5)
    ssm.delete_activation(ActivationId=activation_id)

    assert [(each.id, each.code) for each in activations.ever()] == [(activation_id, code)]
    assert code not in repr(activations.ever())
