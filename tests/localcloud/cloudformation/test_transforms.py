"""AWS::Include: what lies in S3 becomes part of the template, before anything is planned."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.localcloud.cloudformation.conftest import Deployer, Made

BOTH = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
STEPS = [{"name": "Wait", "action": "aws:sleep", "inputs": {"Duration": "PT1S"}}]


@pytest.fixture
def bucket(cloud: Any) -> str:
    return f"code-{cloud.world.account}"


@pytest.fixture
def put(cloud: Any, bucket: str) -> Callable[..., None]:
    def put(key: str, content: Any) -> None:
        body = content if isinstance(content, str) else json.dumps(content)
        cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=body.encode())

    return put


def _runbook(wait: str = "PT1S", **more: Any) -> dict[str, Any]:
    """A snippet: a runbook whose default is a resource of the template."""
    return {
        "schemaVersion": "0.3",
        "parameters": {"Table": {"type": "String", "default": {"Fn::Sub": "${Table}"}}},
        "mainSteps": [{"name": "Wait", "action": "aws:sleep", "inputs": {"Duration": wait}}],
        **more,
    }


def _template(location: Any, transform: str = "AWS::Include") -> dict[str, Any]:
    include = {"Fn::Transform": {"Name": transform, "Parameters": {"Location": location}}}
    key = {"AttributeName": "pk"}
    return {
        "Parameters": {"Bucket": {"Type": "String"}, "Key": {"Type": "String"}},
        "Resources": {
            "Runbook": {
                "Type": "AWS::SSM::Document",
                "Properties": {
                    "DocumentType": "Automation",
                    "UpdateMethod": "NewVersion",
                    "Content": {"description": "beside it", **include},
                },
            },
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [{**key, "AttributeType": "S"}],
                    "KeySchema": [{**key, "KeyType": "HASH"}],
                },
            },
        },
    }


BY_PARAMETERS = {"Fn::Sub": "s3://${Bucket}/${Key}"}


def _given(bucket: str, key: str) -> list[dict[str, str]]:
    return [
        {"ParameterKey": "Bucket", "ParameterValue": bucket},
        {"ParameterKey": "Key", "ParameterValue": key},
    ]


def _content(cloud: Any, made: Made) -> dict[str, Any]:
    name = made.physical("Runbook")
    found: dict[str, Any] = json.loads(cloud.client("ssm").get_document(Name=name)["Content"])
    return found


@pytest.fixture
def made(create: Callable[..., Made], put: Callable[..., None], bucket: str) -> Iterator[Made]:
    put("first.json", _runbook())
    stack = create(_template(BY_PARAMETERS), Parameters=_given(bucket, "first.json"), Capabilities=BOTH)
    yield stack
    stack.delete()


def test_what_is_included_stands_beside_the_rest_and_its_functions_are_resolved(cloud: Any, made: Made) -> None:
    content = _content(cloud, made)

    assert made.status == "CREATE_COMPLETE"
    assert content == {
        "description": "beside it",
        "schemaVersion": "0.3",
        "parameters": {"Table": {"type": "String", "default": made.physical("Table")}},
        "mainSteps": STEPS,
    }


def test_the_template_is_shown_as_it_was_given(cloud: Any, made: Made) -> None:
    shown = cloud.client("cloudformation").get_template(StackName=made.name)["TemplateBody"]

    assert "Fn::Transform" in json.dumps(shown)


def test_another_location_is_a_new_version_that_counts(
    cloud: Any, made: Made, put: Callable[..., None], bucket: str
) -> None:
    put("second.json", _runbook(wait="PT2S"))

    assert made.update(Parameters=_given(bucket, "second.json"), Capabilities=BOTH) == "UPDATE_COMPLETE"

    described = cloud.client("ssm").describe_document(Name=made.physical("Runbook"))["Document"]
    assert (described["DefaultVersion"], described["LatestVersion"]) == ("2", "2")
    assert _content(cloud, made)["mainSteps"][0]["inputs"] == {"Duration": "PT2S"}


def test_a_snippet_may_be_yaml(create: Callable[..., Made], put: Callable[..., None], bucket: str, cloud: Any) -> None:
    put("plain.yaml", "schemaVersion: '0.3'\nmainSteps: [{name: W, action: 'aws:sleep', inputs: {Duration: PT1S}}]\n")

    stack = create(_template(f"s3://{bucket}/plain.yaml"), Parameters=_given("x", "x"), Capabilities=BOTH)

    assert _content(cloud, stack)["schemaVersion"] == "0.3"
    assert stack.delete() == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("- a list", "should be valid Yaml/JSON"),
        ("{", "should be valid Yaml/JSON"),
        ("a: !Sub short", "should be valid Yaml/JSON"),
        ('{"a": {"Fn::Transform": {"Name": "AWS::Include"}}}', "itself includes"),
    ],
)
def test_what_is_no_part_of_a_template_is_refused(
    deployer: Deployer, put: Callable[..., None], bucket: str, body: str, reason: str
) -> None:
    put("bad", body)

    with pytest.raises(ClientError, match=f"Transform AWS::Include failed with: .*{reason}"):
        deployer.create(_template(f"s3://{bucket}/bad"), Parameters=_given("x", "x"), Capabilities=BOTH)


@pytest.mark.parametrize("location", ["https://example.org/a", "s3://only-a-bucket", {"Ref": "Key"}])
def test_a_location_that_is_none_is_refused(deployer: Deployer, location: Any) -> None:
    with pytest.raises(ClientError, match="must be a valid S3 URI"):
        deployer.create(_template(location), Parameters=_given("x", "x"), Capabilities=BOTH)


def test_an_object_that_is_not_there_is_told(deployer: Deployer, bucket: str) -> None:
    with pytest.raises(ClientError, match="Transform AWS::Include failed with: S3 error: The specified key"):
        deployer.create(_template(f"s3://{bucket}/none"), Parameters=_given("x", "x"), Capabilities=BOTH)


def test_a_reference_of_the_snippet_must_exist(deployer: Deployer, put: Callable[..., None], bucket: str) -> None:
    put("lost.json", _runbook(outputs=[{"Ref": "Nobody"}]))

    with pytest.raises(ClientError, match=r"Unresolved resource dependencies \[Nobody\]"):
        deployer.create(_template(f"s3://{bucket}/lost.json"), Parameters=_given("x", "x"), Capabilities=BOTH)


def test_another_macro_is_refused_by_its_name(deployer: Deployer) -> None:
    with pytest.raises(ClientError, match="No transform named Mine found"):
        deployer.create(_template("s3://a/b", transform="Mine"), Parameters=_given("x", "x"), Capabilities=BOTH)


def test_without_a_change_set_expanding_must_be_allowed(deployer: Deployer, bucket: str) -> None:
    with pytest.raises(ClientError, match=r"Requires capabilities : \[CAPABILITY_AUTO_EXPAND\]"):
        deployer.create(_template(BY_PARAMETERS), Parameters=_given(bucket, "first.json"))


def test_a_change_set_needs_no_leave_to_expand(cloud: Any, put: Callable[..., None], bucket: str) -> None:
    put("first.json", _runbook())
    client = cloud.client("cloudformation")

    made = client.create_change_set(
        StackName="reviewed",
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=json.dumps(_template(BY_PARAMETERS)),
        Parameters=_given(bucket, "first.json"),
    )

    shown = client.describe_change_set(ChangeSetName=made["Id"])
    assert [each["ResourceChange"]["LogicalResourceId"] for each in shown["Changes"]] == ["Table", "Runbook"]


def test_a_summary_says_what_the_template_asks_for(cloud: Any) -> None:
    told = cloud.client("cloudformation").get_template_summary(TemplateBody=json.dumps(_template(BY_PARAMETERS)))

    assert told["DeclaredTransforms"] == ["AWS::Include"]
    assert "CAPABILITY_AUTO_EXPAND" in told["Capabilities"]


def test_a_document_changes_in_place_only_if_that_is_asked_for(
    create: Callable[..., Made], put: Callable[..., None], bucket: str
) -> None:
    put("first.json", _runbook())
    put("second.json", _runbook(wait="PT2S"))
    template = _template(BY_PARAMETERS)
    del template["Resources"]["Runbook"]["Properties"]["UpdateMethod"]
    stack = create(template, Parameters=_given(bucket, "first.json"), Capabilities=BOTH)

    stack.update(Parameters=_given(bucket, "second.json"), Capabilities=BOTH)

    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert "set UpdateMethod to NewVersion" in stack.reason("Runbook")
    assert stack.delete() == "DELETE_COMPLETE"
