"""Who reaches a private API: endpoint, resource policy, endpoint policy, security group, names."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from localcloud.aws.apigateway.front import PrivateApis
from localcloud.errors import ConnectionLost, ServiceError

THROUGH_ENDPOINT = {"StringEquals": {"aws:SourceVpce": "{vpce}"}}

# (statements, source address, let in)
POLICIES: list[tuple[str, list[tuple[str, dict[str, Any]]], str, bool]] = [
    ("allow all", [("Allow", {})], "10.0.0.10", True),
    ("allow the endpoint", [("Allow", THROUGH_ENDPOINT)], "10.0.0.10", True),
    ("allow another endpoint", [("Allow", {"StringEquals": {"aws:SourceVpce": "vpce-0"}})], "10.0.0.10", False),
    (
        "deny what is not the endpoint",
        [("Allow", {}), ("Deny", {"StringNotEquals": {"aws:SourceVpce": "{vpce}"}})],
        "10.0.0.10",
        True,
    ),
    (
        "deny what is not another endpoint",
        [("Allow", {}), ("Deny", {"StringNotEquals": {"aws:SourceVpce": "vpce-0"}})],
        "10.0.0.10",
        False,
    ),
    ("allow the VPC", [("Allow", {"StringEquals": {"aws:SourceVpc": "{vpc}"}})], "10.0.0.10", True),
    ("allow a block inside", [("Allow", {"IpAddress": {"aws:VpcSourceIp": "10.1.0.0/16"}})], "10.1.2.3", True),
    ("allow a block outside", [("Allow", {"IpAddress": {"aws:VpcSourceIp": "10.1.0.0/16"}})], "10.2.2.3", False),
    # Behind an endpoint aws:SourceIp is absent.
    ("allow by aws:SourceIp", [("Allow", {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}})], "10.0.0.10", False),
    (
        "deny by aws:SourceIp does not match",
        [("Allow", {}), ("Deny", {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}})],
        "10.0.0.10",
        True,
    ),
    (
        "deny unless aws:SourceIp",
        [("Allow", {}), ("Deny", {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}})],
        "10.0.0.10",
        False,
    ),
]


@pytest.mark.parametrize(
    ("statements", "source_ip", "let_in"), [case[1:] for case in POLICIES], ids=[case[0] for case in POLICIES]
)
def test_the_resource_policy_decides(
    make_api: Callable[..., Any], network: Any, statements: list[tuple[str, Any]], source_ip: str, let_in: bool
) -> None:
    """Only what the deployed policy lets through reaches the function."""
    text = json.dumps(
        [
            {
                "Effect": effect,
                "Principal": "*",
                "Action": "execute-api:Invoke",
                "Resource": "execute-api:/*",
                **({"Condition": condition} if condition else {}),
            }
            for effect, condition in statements
        ]
    )
    api = make_api(*json.loads(text.replace("{vpce}", network.vpce_id).replace("{vpc}", network.vpc_id)))

    response = api.call(source_ip=source_ip)

    assert response.status == (200 if let_in else 403)


def test_a_refusal_is_worded_as_by_api_gateway(make_api: Callable[..., Any], cloud: Any) -> None:
    """The caller is anonymous, the account number masked."""
    denied = {"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
    api = make_api({**denied, "Effect": "Allow"}, denied)

    response = api.call("GET", "/live/")

    account = "*" * 8 + cloud.world.account[-4:]
    assert json.loads(response.body) == {
        "Message": "User: anonymous is not authorized to perform: execute-api:Invoke on resource: "
        f"arn:aws:execute-api:us-east-1:{account}:{api.id}/live/GET/ with an explicit deny"
    }
    assert response.headers.get("x-amzn-ErrorType") == "AccessDeniedException"


def test_a_policy_may_speak_of_one_method(make_api: Callable[..., Any]) -> None:
    """The resource is api/stage/METHOD/path."""
    api = make_api(
        {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/live/GET/a"},
        routes=("GET /a", "POST /a", "GET /b"),
    )

    assert [api.call(*call).status for call in (("GET", "/live/a"), ("POST", "/live/a"), ("GET", "/live/b"))] == [
        200,
        403,
        403,
    ]


def test_a_policy_counts_once_it_is_deployed(make_api: Callable[..., Any]) -> None:
    """An updated resource policy changes nothing until the next deployment."""
    api = make_api()
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
        ],
    }
    patches = [{"op": "replace", "path": "/policy", "value": json.dumps(policy)}]
    api.client.update_rest_api(restApiId=api.id, patchOperations=patches)

    before = api.call().status
    api.redeploy()

    assert (before, api.call().status) == (200, 403)


def test_the_endpoint_policy_decides_too(api: Any, cloud: Any, network: Any) -> None:
    """A VPC endpoint's own policy can shut an API out that lets everybody in."""
    ec2 = cloud.client("ec2")
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "*"}
    shut = {"Statement": [{**everybody, "Resource": "arn:aws:execute-api:*:*:nothing/*"}]}
    opened = {"Statement": [{**everybody, "Resource": "*"}]}

    ec2.modify_vpc_endpoint(VpcEndpointId=network.vpce_id, PolicyDocument=json.dumps(shut))
    refused = api.call().status
    ec2.modify_vpc_endpoint(VpcEndpointId=network.vpce_id, PolicyDocument=json.dumps(opened))

    assert (refused, api.call().status) == (403, 200)


def test_a_source_outside_the_security_group_gets_no_answer(api: Any, function: Any) -> None:
    """The connection is cut, and the function never hears of it."""
    with pytest.raises(ConnectionLost):
        api.call(source_ip="192.168.0.1")

    assert function.events == []


def test_a_private_api_is_closed_to_the_internet(api: Any, cloud: Any, function: Any) -> None:
    """What does not come through an endpoint is forbidden, whatever it says in its headers."""
    request = api.request("GET", "/live/", headers={"x-amzn-vpce-id": api.network.vpce_id})

    response = cloud.world.part(PrivateApis).answer_public(request)

    assert (response.status, response.body) == (403, b'{"message":"Forbidden"}')
    assert function.events == []


def test_a_private_api_needs_a_resource_policy(make_api: Callable[..., Any], cloud: Any) -> None:
    """Without one it cannot be deployed."""
    with pytest.raises(cloud.client("apigateway").exceptions.BadRequestException, match="resource policy"):
        make_api(policy="")


def test_other_names_and_paths_are_forbidden(api: Any, network: Any) -> None:
    """Unknown APIs and stages are 403 Forbidden, unknown routes 403 Missing Authentication Token."""
    unknown_api = {"Host": "aaaaaaaaaa.execute-api.us-east-1.amazonaws.com"}
    answers = [
        api.call("GET", "/live/", headers=unknown_api),
        api.call("GET", "/live/", headers={"Host": "example.org"}),
        api.call("GET", "/other/"),
        api.call("GET", "/live/nothing"),
        api.call("POST", "/live/"),
    ]

    told = [(one.status, json.loads(one.body)["message"]) for one in answers]

    assert told == [(403, "Forbidden")] * 3 + [(403, "Missing Authentication Token")] * 2


def test_the_name_with_both_ids_needs_an_association(make_api: Callable[..., Any], network: Any) -> None:
    """`{api}-{vpce}` works for endpoints in the API's configuration only."""
    alone = make_api()
    joined = make_api(endpointConfiguration={"types": ["PRIVATE"], "vpcEndpointIds": [network.vpce_id]})

    def by_alias(api: Any) -> int:
        host = f"{api.id}-{network.vpce_id}.execute-api.us-east-1.amazonaws.com"
        status: int = api.call(headers={"Host": host}).status
        return status

    assert (by_alias(alone), by_alias(joined)) == (403, 200)


def test_a_missing_permission_of_the_function_is_a_server_error(api: Any, function: Any, cloud: Any) -> None:
    """Without AWS::Lambda::Permission for this API, stage, method and path the gateway may not invoke."""
    function.allowed = False

    response = api.call()

    assert (response.status, response.body) == (500, b'{"message":"Internal server error"}')
    assert function.sources == [f"arn:aws:execute-api:us-east-1:{cloud.world.account}:{api.id}/live/GET/"]
    assert function.events == []


def test_an_endpoint_that_is_not_there_has_no_address(cloud: Any) -> None:
    """Asking for its listener names it."""
    with pytest.raises(ServiceError, match="vpce-0123"):
        cloud.world.part(PrivateApis).address("vpce-0123")
