"""The AWS endpoint: every protocol of botocore's models, over HTTP, with an unmodified SDK."""

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from localcloud.cloud import LocalCloud

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "ssm.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
)


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud() as running:
        yield running


def test_json_services_keep_what_they_are_told(cloud: LocalCloud) -> None:
    """DynamoDB, Parameter Store, CloudWatch Logs, EventBridge and KMS speak JSON with a target header."""
    table = cloud.client("dynamodb")
    table.create_table(
        TableName="ledger",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    table.put_item(TableName="ledger", Item={"pk": {"S": "pool#web"}, "blob": {"B": b"\x00\xff"}})
    cloud.client("ssm").put_parameter(Name="/codes/one", Value="secret", Type="String")
    cloud.client("logs").create_log_group(logGroupName="/aws/lambda/one")
    cloud.client("events").put_rule(Name="often", ScheduleExpression="rate(5 minutes)")
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]

    assert table.get_item(TableName="ledger", Key={"pk": {"S": "pool#web"}})["Item"]["blob"]["B"] == b"\x00\xff"
    assert cloud.client("ssm").get_parameter(Name="/codes/one")["Parameter"]["Value"] == "secret"
    assert [group["logGroupName"] for group in cloud.client("logs").describe_log_groups()["logGroups"]] == [
        "/aws/lambda/one"
    ]
    assert cloud.client("events").describe_rule(Name="often")["ScheduleExpression"] == "rate(5 minutes)"
    assert key.split(":")[3:5] == ["us-east-1", cloud.world.account]


def test_query_services_know_the_account(cloud: LocalCloud) -> None:
    """IAM, STS and CloudFormation speak the query protocol."""
    role = cloud.client("iam").create_role(RoleName="node", AssumeRolePolicyDocument=TRUST)
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"O": {"Value": "v"}}})

    assert role["Role"]["Arn"] == f"arn:aws:iam::{cloud.world.account}:role/node"
    assert cloud.client("sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{cloud.world.account}:root"
    assert cloud.client("cloudformation").validate_template(TemplateBody=template)["Parameters"] == []


def test_rest_services_are_found_by_path(cloud: LocalCloud) -> None:
    """API Gateway and Lambda (REST, JSON) and S3 (REST, XML) name the operation by method and path."""
    store = cloud.client("s3")
    store.create_bucket(Bucket=f"b-{cloud.world.account}")
    store.put_object(Bucket=f"b-{cloud.world.account}", Key="a b/ü+%.txt", Body=b"hello")
    api = cloud.client("apigateway").create_rest_api(name="enrolment")

    assert store.get_object(Bucket=f"b-{cloud.world.account}", Key="a b/ü+%.txt")["Body"].read() == b"hello"
    assert store.head_object(Bucket=f"b-{cloud.world.account}", Key="a b/ü+%.txt")["ContentLength"] == 5
    assert cloud.client("apigateway").get_rest_api(restApiId=api["id"])["name"] == "enrolment"
    assert cloud.client("lambda").list_functions()["Functions"] == []


def test_ec2_and_cloudwatch_answer(cloud: LocalCloud) -> None:
    """EC2 has a protocol of its own, CloudWatch has moved from query to JSON."""
    cloud.client("cloudwatch").put_metric_data(
        Namespace="Moorings", MetricData=[{"MetricName": "granted", "Value": 1.0}]
    )
    names = {one["MetricName"] for one in cloud.client("cloudwatch").list_metrics(Namespace="Moorings")["Metrics"]}

    assert names == {"granted"}
    assert cloud.client("ec2").describe_vpcs()["Vpcs"][0]["OwnerId"] == cloud.world.account


def test_a_region_is_where_its_credential_scope_says(cloud: LocalCloud) -> None:
    """What is made in one Region is not seen in another."""
    cloud.client("ssm").put_parameter(Name="/only/here", Value="x", Type="String")

    with pytest.raises(ClientError, match="ParameterNotFound"):
        cloud.client("ssm", region_name="eu-central-1").get_parameter(Name="/only/here")


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("ssm", "start_session", {"Target": "mi-0123456789abcdef0"}),  # moto has the service, not the operation
        ("iam", "simulate_custom_policy", {"PolicyInputList": ["{}"], "ActionNames": ["ssm:GetParameter"]}),
        ("lambda", "list_capacity_providers", {}),
        ("s3", "get_bucket_replication", {"Bucket": "bucket"}),
        ("ec2", "describe_aggregate_id_format", {}),
        ("appflow", "list_flows", {}),  # moto has no such service
    ],
)
def test_an_operation_that_nobody_implements_is_refused_by_name(
    cloud: LocalCloud, service: str, operation: str, params: dict[str, object]
) -> None:
    """In every protocol; never an empty success."""
    client = cloud.client(service)

    with pytest.raises(ClientError) as refused:
        getattr(client, operation)(**params)

    name = client.meta.method_to_api_mapping[operation]
    assert refused.value.response["Error"]["Code"] == "NotImplementedByLocalCloud"
    assert f"{service}:{name}" in refused.value.response["Error"]["Message"]
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


METRIC_FILTER = {
    "logGroupName": "g",
    "filterName": "f",
    "filterPattern": "ERROR",
    "metricTransformations": [{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}],
}


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("ssm", "describe_document_permission", {"Name": "Mine", "PermissionType": "Share"}),
        ("dynamodb", "transact_write_items", {"TransactItems": [{"Put": {"TableName": "ledger", "Item": {}}}]}),
        ("cloudformation", "detect_stack_drift", {"StackName": "s"}),
        ("sts", "get_session_token", {}),
        ("ec2", "run_instances", {"MinCount": 1, "MaxCount": 1, "ImageId": "ami-12c6146b"}),
        ("lambda", "create_event_source_mapping", {"FunctionName": "f", "EventSourceArn": "arn:aws:sqs:::q"}),
        ("lambda", "create_function_url_config", {"FunctionName": "f", "AuthType": "NONE"}),
        ("logs", "put_metric_filter", METRIC_FILTER),
        ("s3", "put_bucket_notification_configuration", {"Bucket": "b", "NotificationConfiguration": {}}),
        ("sns", "subscribe", {"TopicArn": "arn:aws:sns:us-east-1:1:t", "Protocol": "lambda", "Endpoint": "f"}),
        ("sns", "subscribe", {"TopicArn": "arn:aws:sns:us-east-1:1:t", "Protocol": "https", "Endpoint": "https://x"}),
        ("batch", "list_jobs", {"jobQueue": "q"}),
    ],
)
def test_what_moto_would_only_pretend_is_refused_by_name(
    cloud: LocalCloud, service: str, operation: str, params: dict[str, object]
) -> None:
    """The refusal says why."""
    with pytest.raises(ClientError, match="NotImplementedByLocalCloud"):
        getattr(cloud.client(service), operation)(**params)


def test_an_operation_that_the_service_does_not_have_is_refused_by_name(cloud: LocalCloud) -> None:
    """A target that no model knows."""
    status, _, body = _post(cloud, {"X-Amz-Target": "AmazonSSM.MakeCoffee"}, b"{}")

    assert status == 501
    assert json.loads(body)["message"] == "the local cloud does not implement ssm:MakeCoffee"


def test_what_is_no_aws_request_at_all_is_refused(cloud: LocalCloud) -> None:
    """Method and path are named."""
    status, _, body = _post(cloud, {}, b"", path="/no/such/thing")

    assert status == 501
    assert b"POST /no/such/thing" in body


def test_a_chunked_body_without_length_is_taken(cloud: LocalCloud) -> None:
    """The agent's calls with the node's key arrive so (ssm-agent-protocol, section 0)."""
    connection = http.client.HTTPConnection(urlsplit(cloud.endpoint_url).netloc)
    body = json.dumps({"ActivationId": "0" * 36, "ActivationCode": "x" * 20, "Fingerprint": "f", "PublicKey": "short"})
    connection.request(
        "POST",
        "/",
        iter([body[:10].encode(), body[10:].encode()]),
        {"X-Amz-Target": "AmazonSSM.RegisterManagedInstance", "Content-Type": "application/x-amz-json-1.1"},
        encode_chunked=True,
    )
    answer = connection.getresponse()
    said = json.loads(answer.read())
    connection.close()

    assert answer.status == 400
    assert "publicKey" in said["message"]  # the body was read whole and held to the shape


def test_every_call_is_remembered_with_its_caller_and_outcome(cloud: LocalCloud) -> None:
    """By service and operation, and by principal."""
    before = len(cloud.world.calls)
    cloud.client("ssm").put_parameter(Name="/counted", Value="x", Type="String")
    with pytest.raises(ClientError):
        cloud.client("ssm").get_parameter(Name="/not/there")

    first, second = cloud.world.calls.since(before)
    assert (first.operation, first.status, first.error) == ("PutParameter", 200, "")
    assert (second.operation, second.status, second.error) == ("GetParameter", 400, "ParameterNotFound")
    assert cloud.world.calls.count(since=before) == {("ssm", "PutParameter"): 1, ("ssm", "GetParameter"): 1}
    assert cloud.world.calls.by_principal(since=before)[(cloud.world.root.principal.arn, "ssm", "PutParameter")] == 1


def _post(
    cloud: LocalCloud, headers: dict[str, str], body: bytes, *, path: str = "/"
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(cloud.endpoint_url).netloc)
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found
