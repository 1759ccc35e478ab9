"""What a stage adds: deployments, throttles, timeouts, gateway responses, logs, metrics."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from localcloud.errors import ServiceError


def test_only_what_is_deployed_is_served(api: Any) -> None:
    """A method added later waits for the next deployment."""
    api.add_method("/later", "GET")

    before = api.call("GET", "/live/later").status
    api.redeploy()

    assert (before, api.call("GET", "/live/later").status) == (403, 200)


def test_each_method_has_a_bucket_of_its_burst(make_api: Callable[..., Any], clock: Any) -> None:
    """The burst passes at once, then the rate fills it again; another method has its own bucket."""
    api = make_api(routes=("GET /a", "GET /b"))
    api.set_stage(patches={"/*/*/throttling/rateLimit": 2, "/*/*/throttling/burstLimit": 3})

    burst = [api.call("GET", "/live/a") for _ in range(4)]
    other = api.call("GET", "/live/b")
    clock.step(timedelta(seconds=1))
    later = [api.call("GET", "/live/a").status for _ in range(3)]

    assert [one.status for one in burst] == [200, 200, 200, 429]
    assert json.loads(burst[3].body) == {"message": "Too Many Requests"}
    assert (other.status, later) == (200, [200, 200, 429])


def test_a_method_may_have_its_own_throttle(make_api: Callable[..., Any]) -> None:
    """Its settings win over those for all methods."""
    api = make_api(routes=("GET /a/b", "GET /c"))
    api.set_stage(patches={"/~1a~1b/GET/throttling/burstLimit": 0, "/~1a~1b/GET/throttling/rateLimit": 0})

    assert [api.call("GET", path).status for path in ("/live/a/b", "/live/c")] == [429, 200]


def test_the_gateway_does_not_wait_longer_than_its_timeout(make_api: Callable[..., Any], function: Any) -> None:
    """The caller gets 504 while the function goes on."""
    api = make_api(routes=("POST /",))
    api.add_method("/slow", "GET", timeout=50)
    api.redeploy()
    over = threading.Event()
    function.reply = lambda _: {"statusCode": 200, "body": str(over.wait(60))}

    response = api.call("GET", "/live/slow")
    over.set()

    assert (response.status, json.loads(response.body)) == (504, {"message": "Endpoint request timed out"})


def put_response(api: Any, kind: str, **settings: Any) -> None:
    api.client.put_gateway_response(restApiId=api.id, responseType=kind, **settings)
    api.redeploy()


def test_gateway_responses_speak_for_the_api(api: Any, function: Any) -> None:
    """Status, headers and template of the API's own; variables are filled in."""
    template = (
        '{"error":"busy","message":$context.error.messageString,"request_id":"$context.requestId",'
        '"kind":"${context.error.responseType}","plain":"$context.error.message"}'
    )
    put_response(
        api,
        "DEFAULT_5XX",
        statusCode="503",
        responseParameters={"gatewayresponse.header.Retry-After": "'2'"},
        responseTemplates={"application/json": template},
    )
    function.refusal = ServiceError("TooManyRequestsException", "Rate Exceeded.", status=429)

    response = api.call()

    assert response.status == 503
    assert response.headers.get("Retry-After") == "2"
    assert json.loads(response.body) == {
        "error": "busy",
        "message": "Internal server error",
        "request_id": response.headers.get("x-amzn-RequestId"),
        "kind": "API_CONFIGURATION_ERROR",
        "plain": "Internal server error",
    }


@pytest.mark.parametrize(
    ("own", "path", "status"),
    [
        ({"DEFAULT_4XX": "418"}, "/live/nothing", 418),
        ({"DEFAULT_5XX": "503"}, "/live/nothing", 403),
        ({"DEFAULT_4XX": "418", "MISSING_AUTHENTICATION_TOKEN": "404"}, "/live/nothing", 404),
    ],
)
def test_a_type_wins_over_its_class(api: Any, own: dict[str, str], path: str, status: int) -> None:
    """DEFAULT_4XX and DEFAULT_5XX hold for the types of their class that set nothing."""
    for kind, code in own.items():
        put_response(api, kind, statusCode=code)

    assert api.call("GET", path).status == status


def test_an_authorization_that_nobody_asked_for_is_looked_at_where_no_method_is(api: Any) -> None:
    """Where there is a method without authorization the function may read the header as it likes."""
    put_response(api, "INVALID_SIGNATURE", statusCode="418")
    header = {"Authorization": "Bearer x"}

    assert api.call("GET", "/live/nothing", headers=header).status == 418
    assert api.call(headers=header).status == 200


def test_a_malformed_answer_falls_under_default_5xx(api: Any, function: Any) -> None:
    """Also the 502 of a broken function can be turned into something a client may repeat."""
    put_response(api, "DEFAULT_5XX", statusCode="503", responseParameters={"gatewayresponse.header.Retry-After": "'1'"})
    function.reply = lambda _: "nonsense"

    response = api.call()

    assert (response.status, response.headers.get("Retry-After")) == (503, "1")


def let_the_gateway_log(cloud: Any) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    iam = cloud.client("iam")
    try:
        role = iam.create_role(RoleName="gateway-logs", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    except iam.exceptions.EntityAlreadyExistsException:
        role = iam.get_role(RoleName="gateway-logs")["Role"]["Arn"]
    cloud.client("apigateway").update_account(
        patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": role}]
    )


def messages(cloud: Any, group: str) -> list[str]:
    found = cloud.client("logs").filter_log_events(logGroupName=group)["events"]
    return [one["message"] for one in found]


def test_logging_needs_the_accounts_role(api: Any, cloud: Any) -> None:
    """As in the service: first the account's setting, and the role must trust API Gateway."""
    client = api.client
    client.update_account(patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": ""}])

    with pytest.raises(client.exceptions.BadRequestException, match="must be set in account settings"):
        api.set_stage(patches={"/*/*/logging/loglevel": "ERROR"})
    with pytest.raises(client.exceptions.BadRequestException, match="required permissions"):
        client.update_account(
            patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": "arn:aws:iam::1:role/none"}]
        )


def test_the_access_log_has_the_stages_format(api: Any, cloud: Any) -> None:
    """One line a request in the group; unknown variables are dashes."""
    let_the_gateway_log(cloud)
    group = f"access-{api.id}"
    cloud.client("logs").create_log_group(logGroupName=group)
    asked = "$context.requestId $context.httpMethod $context.resourcePath"
    line = f"{asked} $context.status $context.identity.sourceIp $context.integration.requestId $context.x"
    arn = f"arn:aws:logs:us-east-1:{cloud.world.account}:log-group:{group}"
    api.set_stage(patches={"/accessLogSettings/destinationArn": arn, "/accessLogSettings/format": line})

    response = api.call()

    request_id = response.headers.get("x-amzn-RequestId")
    assert messages(cloud, group) == [f"{request_id} GET / 200 10.0.0.10 function-1 -"]


def test_the_execution_log_says_why(api: Any, cloud: Any, function: Any) -> None:
    """At level ERROR only failures are told, in the group that the service makes."""
    let_the_gateway_log(cloud)
    api.set_stage(patches={"/*/*/logging/loglevel": "ERROR"})
    group = f"API-Gateway-Execution-Logs_{api.id}/live"

    api.call()
    function.reply = lambda _: "nonsense"
    api.call()

    told = messages(cloud, group)
    assert any("Malformed Lambda proxy response" in one for one in told)
    assert sum("Method completed with status: 502" in one for one in told) == 1
    assert not any("status: 200" in one for one in told)


def test_requests_are_counted(make_api: Callable[..., Any], cloud: Any, function: Any, clock: Any) -> None:
    """CloudWatch has the API's metrics by API and by stage."""
    api = make_api()
    name = f"counted-{api.id}"
    api.client.update_rest_api(restApiId=api.id, patchOperations=[{"op": "replace", "path": "/name", "value": name}])
    api.call()
    function.reply = lambda _: "nonsense"
    api.call()

    def total(metric: str) -> float:
        points = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/ApiGateway",
            MetricName=metric,
            Dimensions=[{"Name": "ApiName", "Value": name}, {"Name": "Stage", "Value": "live"}],
            StartTime=clock.now() - timedelta(minutes=5),
            EndTime=clock.now() + timedelta(minutes=5),
            Period=600,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    assert (total("Count"), total("5XXError"), total("4XXError")) == (2.0, 1.0, 0.0)


def test_a_deployment_in_use_cannot_be_deleted(api: Any) -> None:
    """The stage must move on first."""
    used = api.client.get_stage(restApiId=api.id, stageName="live")["deploymentId"]

    with pytest.raises(api.client.exceptions.BadRequestException, match="Active stages"):
        api.client.delete_deployment(restApiId=api.id, deploymentId=used)
    api.redeploy()
    api.client.delete_deployment(restApiId=api.id, deploymentId=used)


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("create_authorizer", {"name": "a", "type": "TOKEN"}),
        ("create_model", {"name": "a", "contentType": "application/json"}),
        ("get_export", {"stageName": "live", "exportType": "oas30"}),
    ],
)
def test_what_is_not_made_is_refused_by_name(api: Any, call: str, arguments: dict[str, str]) -> None:
    """No empty success for what the front would not serve."""
    with pytest.raises(api.client.exceptions.ClientError, match="does not implement apigateway:"):
        getattr(api.client, call)(restApiId=api.id, **arguments)
