"""The deployed API's own answers, whatever stands behind it: always JSON, always when to come back."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from tests.journeys.site import UNLISTED, Answer, Site, another_endpoint, standing


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with standing({"name": "default"}) as site:
        assert site.draw().status == 200
        site.settle()
        yield site


def _is_refusal(answer: Answer, *, error: str) -> bool:
    shape = {"error", "message", "remedy", "request_id"}
    return (
        answer.headers["content-type"] == "application/json"
        and set(answer.body) == shape
        and answer.body["error"] == error
    )


def _comes_back(answer: Answer) -> bool:
    return answer.status == 503 and _is_refusal(answer, error="busy") and 1 <= answer.retry_after <= 30


def test_the_plain_call_answers_as_existing_scripts_read_it(site: Site) -> None:
    answer = site.ask("GET", "")

    assert (answer.status, set(answer.body)) == (200, {"ActivationId", "ActivationCode", "Region"})
    assert answer.headers["cache-control"] == "no-store"


def test_the_same_key_gets_the_same_activation_and_no_new_slot(site: Site) -> None:
    key = str(uuid.uuid4())
    first = site.draw(key=key)
    issued = site.pool().activations[0].issued

    again = site.draw(key=key)

    assert (again.status, again.body) == (200, first.body)
    assert site.pool().activations[0].issued == issued


def test_an_unknown_route_a_strange_method_and_an_unlisted_source_get_one_answer(site: Site) -> None:
    strangers = [
        site.ask("GET", "/nowhere"),
        site.ask("DELETE", "/activations"),
        site.ask("GET", "/nowhere", headers={"Authorization": "Bearer x"}),
        site.draw(pool="no-such-pool"),
        site.draw(source=UNLISTED),
    ]

    assert {answer.status for answer in strangers} == {403}
    assert all(_is_refusal(answer, error="refused") for answer in strangers)
    assert len({(answer.body["message"], answer.body["remedy"]) for answer in strangers}) == 1


def test_from_the_internet_there_is_nothing_to_be_had(site: Site) -> None:
    answer = site.ask("GET", "", vpce="")

    assert answer.status == 403
    assert "ActivationCode" not in answer.text


@pytest.mark.parametrize("body", ["", "{", "[]", '{"key": 7}', '{"key": "x", "proof": {}}'])
def test_what_is_no_request_is_told_so_and_costs_nothing(site: Site, body: str) -> None:
    issued = site.pool().activations[0].issued

    answer = site.ask("POST", "/activations", body)

    assert answer.status == 400
    assert _is_refusal(answer, error="invalid")
    assert site.pool().activations[0].issued == issued


def test_a_function_that_dies_is_told_as_busy_and_the_next_one_answers(site: Site) -> None:
    site.cloud.faults.kill_function(site.api_function, at_call=1)

    assert _comes_back(site.draw())
    assert site.draw().status == 200


@contextmanager
def _configured(site: Site, *, seconds: int) -> Iterator[None]:
    functions = site.cloud.client("lambda")
    functions.update_function_configuration(FunctionName=site.api_function, Timeout=seconds)
    yield
    site.cloud.faults.clear()
    functions.update_function_configuration(FunctionName=site.api_function, Timeout=25)


def test_a_function_that_is_cut_off_at_its_timeout_is_told_as_busy(site: Site) -> None:
    with _configured(site, seconds=1):
        site.cloud.faults.latency("dynamodb", "*", 2.0)

        assert _comes_back(site.draw())

    assert site.draw().status == 200


def test_out_of_environments_the_rest_is_told_when_to_come_back(site: Site) -> None:
    functions = site.cloud.client("lambda")
    functions.put_function_concurrency(FunctionName=site.api_function, ReservedConcurrentExecutions=1)
    site.cloud.faults.latency("dynamodb", "UpdateItem", 1.0)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: site.draw(), range(4)))
    site.cloud.faults.clear()
    functions.put_function_concurrency(FunctionName=site.api_function, ReservedConcurrentExecutions=50)

    served = [answer for answer in answers if answer.status == 200]
    assert served
    assert len(served) < 4
    assert all(_comes_back(answer) for answer in answers if answer.status != 200)


def test_over_the_stages_rate_the_answer_is_429_and_when_to_come_back(site: Site) -> None:
    """The stack's throttling parameters bind through method settings; here they are turned down for one method."""
    stage = {"restApiId": site.deployed.outputs["ApiId"], "stageName": "lambdastage"}
    gateway = site.cloud.client("apigateway")
    before = gateway.get_stage(**stage)["methodSettings"]["*/*"]
    assert (before["throttlingRateLimit"], before["throttlingBurstLimit"]) == (300, 500)
    turned = [("rateLimit", "0.01"), ("burstLimit", "2")]
    gateway.update_stage(
        **stage,
        patchOperations=[
            {"op": "replace", "path": f"/~1activations/POST/throttling/{name}", "value": value}
            for name, value in turned
        ],
    )

    answers = [site.draw() for _ in range(4)]
    gateway.update_stage(**stage, patchOperations=[{"op": "remove", "path": "/~1activations/POST"}])

    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert all(_is_refusal(answer, error="rate_limited") and 1 <= answer.retry_after <= 30 for answer in answers[2:])


def test_the_resource_policy_alone_keeps_other_endpoints_out(site: Site) -> None:
    """Another endpoint of the same VPC, open to everything, reaches the gateway and no further."""
    other, invoked = another_endpoint(site), _invocations(site)

    answer = site.ask("GET", "", vpce=other)

    assert answer.status == 403
    assert _is_refusal(answer, error="refused")
    assert _invocations(site) == invoked


def test_the_endpoints_own_policy_keeps_out_what_it_does_not_allow(site: Site) -> None:
    """Of this account's APIs everything, of anybody else's nothing: with another account in it, ours is out."""
    ec2 = site.cloud.client("ec2")
    endpoint = site.deployed.vpc_endpoint
    ours = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]["PolicyDocument"]
    assert f":{site.cloud.world.account}:" in ours
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PolicyDocument=ours.replace(site.cloud.world.account, "0" * 12))

    invoked = _invocations(site)
    refused = site.ask("GET", "")
    assert _invocations(site) == invoked
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PolicyDocument=ours)

    assert refused.status == 403
    assert _is_refusal(refused, error="refused")
    assert site.ask("GET", "").status == 200


def _invocations(site: Site) -> int:
    return sum(line.startswith("START ") for line in site.cloud.functions.logs(site.api_function))
