"""Stacks: what fails them, how they roll back, how they change and go."""

import json
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.localcloud.cloudformation.conftest import Made

from localcloud.aws.cloudformation.registry import registry
from localcloud.aws.cloudformation.types import Failed

PARAMETER = {"Type": "AWS::SSM::Parameter"}


def parameter(value: Any, **more: Any) -> dict[str, Any]:
    """The cheapest resource."""
    return {**PARAMETER, "Properties": {"Type": "String", "Value": value}, **more}


def stored(cloud: Any, name: str) -> str | None:
    ssm = cloud.client("ssm")
    try:
        return str(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return None


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"Type": "AWS::EC2::Instance"}, "Unsupported resource type: AWS::EC2::Instance"),
        (
            {"Type": "AWS::SNS::Topic", "Properties": {"FifoTopic": True}},
            "Unsupported property: FifoTopic of AWS::SNS::Topic",
        ),
        (
            {"Type": "AWS::S3::Bucket", "Properties": {"VersioningConfiguration": {"Status": "Enabled", "Mfa": 1}}},
            "Unsupported property: VersioningConfiguration.Mfa of AWS::S3::Bucket",
        ),
        ({**PARAMETER, "Properties": {"Type": "String"}}, "required key [Value] not found"),
        (
            parameter({"Fn::GetAtt": ["Good", "Colour"]}),
            "Unsupported attribute: Colour of AWS::SSM::Parameter in Fn::GetAtt",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_made_fails_the_stack_by_name(
    create: Callable[..., Any], cloud: Any, bad: dict[str, Any], told: str
) -> None:
    """On the resource's own event, before anything else is made."""
    stack = create({"Resources": {"Good": parameter("v"), "Bad": bad}})

    assert stack.status == "ROLLBACK_COMPLETE"
    assert told in stack.reason("Bad")
    assert not any(name == "Good" for name, _, _ in stack.events())


@pytest.mark.parametrize("bug", [KeyError("k"), TypeError("t"), ValueError("v")], ids=lambda bug: type(bug).__name__)
def test_a_bug_of_a_resource_type_is_an_internal_failure(
    create: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, bug: Exception
) -> None:
    """It is not told as if the template were wrong, and nothing is rolled back as if the service had refused."""

    def broken(*_: Any) -> None:
        raise bug

    with monkeypatch.context() as patched:
        patched.setattr(type(registry()["AWS::SSM::Parameter"]), "create", broken)
        stack = create({"Resources": {"One": parameter("v")}})

    assert stack.status == "CREATE_FAILED"
    assert stack.described["StackStatusReason"] == f"internal failure: {bug!r}"
    assert not any(status == "CREATE_FAILED" for name, status, _ in stack.events() if name == "One")
    assert stack.delete() == "DELETE_COMPLETE"


@pytest.mark.parametrize("output", [{"Description": "d"}, "text"])
def test_an_output_needs_a_value(create: Callable[..., Any], output: Any) -> None:
    with pytest.raises(ClientError, match="Output Wrong is malformed"):
        create({"Resources": {"One": parameter("v")}, "Outputs": {"Wrong": output}})


def test_a_property_that_a_condition_leaves_out_does_no_harm(create: Callable[..., Any]) -> None:
    """Neither does a resource whose condition is false."""
    template = {
        "Conditions": {"No": {"Fn::Equals": ["a", "b"]}},
        "Resources": {
            "Topic": {
                "Type": "AWS::SNS::Topic",
                "Properties": {"FifoTopic": {"Fn::If": ["No", True, {"Ref": "AWS::NoValue"}]}},
            },
            "Never": {"Type": "AWS::EC2::Instance", "Condition": "No"},
        },
        "Outputs": {"Never": {"Condition": "No", "Value": {"Ref": "Never"}}},
    }

    stack = create(template)

    assert (stack.status, stack.outputs) == ("CREATE_COMPLETE", {})


def test_unnamed_resources_get_unique_names(create: Callable[..., Any]) -> None:
    """Stack, logical id, random: two stacks live side by side."""
    template = {"Resources": {"Setting": parameter("v")}}

    first, second = create(template), create(template)

    assert first.physical("Setting").startswith(f"{first.name}-Setting-")
    assert first.physical("Setting") != second.physical("Setting")


def test_a_failed_creation_rolls_back_in_order(create: Callable[..., Any], cloud: Any) -> None:
    """What was made is removed, the reason stays in the events."""
    template = {
        "Resources": {
            "First": parameter("v", Properties={"Name": "/first", "Type": "String", "Value": "v"}),
            "Second": parameter("v", DependsOn="First", Properties={"Name": "/first", "Type": "String", "Value": "v"}),
        }
    }

    stack = create(template)

    told = [(name, status) for name, status, _ in stack.events()]
    assert told == [
        (stack.name, "CREATE_IN_PROGRESS"),
        ("First", "CREATE_IN_PROGRESS"),
        ("First", "CREATE_IN_PROGRESS"),
        ("First", "CREATE_COMPLETE"),
        ("Second", "CREATE_IN_PROGRESS"),
        ("Second", "CREATE_FAILED"),
        (stack.name, "ROLLBACK_IN_PROGRESS"),
        ("First", "DELETE_IN_PROGRESS"),
        ("First", "DELETE_COMPLETE"),
        (stack.name, "ROLLBACK_COMPLETE"),
    ]
    assert "ParameterAlreadyExists" in stack.reason("Second")
    assert stored(cloud, "/first") is None


@pytest.mark.parametrize(
    ("choice", "status", "kept"),
    [
        ({"OnFailure": "DO_NOTHING"}, "CREATE_FAILED", "v"),
        ({"DisableRollback": True}, "CREATE_FAILED", "v"),
        ({"OnFailure": "DELETE"}, "DELETE_COMPLETE", None),
        ({"OnFailure": "ROLLBACK"}, "ROLLBACK_COMPLETE", None),
    ],
)
def test_on_failure_is_honoured(
    create: Callable[..., Any], cloud: Any, choice: dict[str, Any], status: str, kept: str | None
) -> None:
    """Nothing, delete or roll back."""
    name = f"/kept-{status}-{len(choice)}-{next(iter(choice))}"
    settled = {"Name": name, "Type": "String", "Value": "v"}
    template = {
        "Resources": {
            "First": {**PARAMETER, "Properties": settled},
            "Second": {**PARAMETER, "Properties": settled, "DependsOn": "First"},
        }
    }

    stack = create(template, **choice)

    assert (stack.status, stored(cloud, name)) == (status, kept)


def test_an_update_changes_in_place_adds_replaces_and_removes(create: Callable[..., Any], cloud: Any) -> None:
    """And leaves alone what stayed the same."""
    stack = create({"Resources": {"Same": parameter("s"), "Changed": parameter("1"), "Gone": parameter("g")}})
    same, changed, gone = (stack.physical(name) for name in ("Same", "Changed", "Gone"))

    status = stack.update({"Resources": {"Same": parameter("s"), "Changed": parameter("2"), "New": parameter("n")}})

    assert status == "UPDATE_COMPLETE"
    assert (stack.physical("Same"), stack.physical("Changed")) == (same, changed)
    assert [stored(cloud, name) for name in (same, changed, gone, stack.physical("New"))] == ["s", "2", None, "n"]
    assert not any(name == "Same" and status.startswith("UPDATE") for name, status, _ in stack.events())


def test_a_replacement_comes_before_the_removal(create: Callable[..., Any], cloud: Any) -> None:
    """Who refers to the resource gets the new one."""

    def template(name: str) -> dict[str, Any]:
        topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}
        return {"Resources": {"Topic": topic, "Setting": parameter({"Ref": "Topic"})}}

    stack = create(template("before"))

    status = stack.update(template("after"))

    assert status == "UPDATE_COMPLETE"
    assert stored(cloud, stack.physical("Setting")) == stack.physical("Topic")
    topics = [one["TopicArn"].rsplit(":", 1)[1] for one in cloud.client("sns").list_topics()["Topics"]]
    assert "after" in topics
    assert "before" not in topics


def test_a_failed_update_restores_what_was(create: Callable[..., Any], cloud: Any) -> None:
    """Changed, added and removed alike."""
    stack = create({"Resources": {"A": parameter("1"), "B": parameter("b")}, "Outputs": {"O": {"Value": "1"}}})
    a, b = stack.physical("A"), stack.physical("B")
    bad = {**PARAMETER, "Properties": {"Type": "String", "Value": "v", "Name": b}, "DependsOn": ["A", "New"]}

    status = stack.update({"Resources": {"A": parameter("2"), "New": parameter("n"), "Bad": bad}})

    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert (stored(cloud, a), stored(cloud, b), stack.outputs) == ("1", "b", {"O": "1"})
    assert stack.physical("A") == a
    assert [name for name, _, _ in stack.events() if name == "New"][-1:] == ["New"]
    assert ("New", "DELETE_COMPLETE", "") in stack.events()
    assert stack.update({"Resources": {"A": parameter("3"), "B": parameter("b")}}) == "UPDATE_COMPLETE"


def test_an_update_with_an_unsupported_property_changes_nothing(create: Callable[..., Any], cloud: Any) -> None:
    """It is refused before the first resource is touched."""
    stack = create({"Resources": {"A": parameter("1")}})
    fifo = {"Type": "AWS::SNS::Topic", "Properties": {"FifoTopic": True}}

    status = stack.update({"Resources": {"A": parameter("2"), "T": fifo}})

    assert (status, stored(cloud, stack.physical("A"))) == ("UPDATE_ROLLBACK_COMPLETE", "1")
    assert "Unsupported property: FifoTopic" in stack.reason("T")


def test_an_update_without_a_change_is_refused(create: Callable[..., Any]) -> None:
    """With the service's own sentence; a changed parameter that something uses is a change."""
    template = {
        "Parameters": {"P": {"Type": "String", "Default": "1"}, "Unused": {"Type": "String", "Default": "1"}},
        "Resources": {"A": parameter({"Fn::Sub": "${P}"})},
    }
    stack = create(template)

    with pytest.raises(ClientError, match="No updates are to be performed"):
        stack.update()
    with pytest.raises(ClientError, match="No updates are to be performed"):
        stack.update(Parameters=[{"ParameterKey": "Unused", "ParameterValue": "2"}])
    assert stack.update(Parameters=[{"ParameterKey": "P", "ParameterValue": "2"}]) == "UPDATE_COMPLETE"


def test_retained_resources_stay(create: Callable[..., Any], cloud: Any) -> None:
    """DeletionPolicy Retain, when the resource leaves the template or the stack goes."""
    stack = create({"Resources": {"A": parameter("a", DeletionPolicy="Retain"), "B": parameter("b")}})
    a, b = stack.physical("A"), stack.physical("B")

    status = stack.delete()

    assert (status, stored(cloud, a), stored(cloud, b)) == ("DELETE_COMPLETE", "a", None)
    assert ("A", "DELETE_SKIPPED", "") in stack.events()


def test_a_bucket_with_objects_fails_the_deletion(create: Callable[..., Any], cloud: Any) -> None:
    """Until it is emptied, or retained."""
    stack = create({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}, "Setting": parameter("v")}})
    bucket, s3 = stack.physical("Bucket"), cloud.client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"v")

    failed = stack.delete()
    told = stack.described["StackStatusReason"]
    s3.delete_object(Bucket=bucket, Key="k")

    assert failed == "DELETE_FAILED"
    assert told == "The following resource(s) failed to delete: [Bucket]. "
    assert "BucketNotEmpty" in stack.reason("Bucket")
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_protected_table_fails_the_deletion(create: Callable[..., Any], cloud: Any) -> None:
    """DeletionProtectionEnabled is the service's business, not ours to lift."""
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "DeletionProtectionEnabled": True,
        },
    }
    stack = create({"Resources": {"Table": table}})

    failed = stack.delete()
    retained = stack.delete(RetainResources=["Table"])

    assert (failed, retained) == ("DELETE_FAILED", "DELETE_COMPLETE")


def test_terminated_stacks_are_found_by_id_only(create: Callable[..., Any], deployer: Any) -> None:
    """And their name is free again; termination protection must be lifted first."""
    stack = create({"Resources": {"A": parameter("a")}}, EnableTerminationProtection=True)

    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        stack.delete()
    deployer.client.update_termination_protection(StackName=stack.name, EnableTerminationProtection=False)

    assert stack.delete() == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match=f"Stack with id {stack.name} does not exist"):
        deployer.client.describe_stacks(StackName=stack.name)
    assert create({"Resources": {"A": parameter("a")}}, name=stack.name).status == "CREATE_COMPLETE"


def test_exports_are_unique_and_hold_while_imported(create: Callable[..., Any], deployer: Any) -> None:
    """Fn::ImportValue reads them; the exporting stack cannot go before its importers."""
    exporting = {
        "Resources": {"A": parameter("a")},
        "Outputs": {"O": {"Value": "exported", "Export": {"Name": {"Fn::Sub": "shared-${AWS::AccountId}"}}}},
    }
    source = create(exporting)
    twice = create(exporting)
    user = create(
        {"Resources": {"A": parameter({"Fn::ImportValue": {"Fn::Sub": "shared-${AWS::AccountId}"}})},
         "Outputs": {"Value": {"Value": {"Fn::GetAtt": ["A", "Value"]}}}}
    )  # fmt: skip

    assert twice.status == "ROLLBACK_COMPLETE"
    assert user.outputs == {"Value": "exported"}
    with pytest.raises(ClientError, match=f"in use by {user.name}"):
        source.delete()
    assert user.delete() == "DELETE_COMPLETE"
    assert source.delete() == "DELETE_COMPLETE"


def test_iam_needs_to_be_acknowledged(create: Callable[..., Any]) -> None:
    """CAPABILITY_IAM, and CAPABILITY_NAMED_IAM for given names."""
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
    named = {**role, "Properties": {**role["Properties"], "RoleName": "given"}}  # type: ignore[dict-item]

    with pytest.raises(ClientError, match=r"Requires capabilities : \[CAPABILITY_IAM\]"):
        create({"Resources": {"Role": role}}, Capabilities=[])
    with pytest.raises(ClientError, match=r"Requires capabilities : \[CAPABILITY_NAMED_IAM\]"):
        create({"Resources": {"Role": named}}, Capabilities=["CAPABILITY_IAM"])
    assert create({"Resources": {"Role": role}}, Capabilities=["CAPABILITY_IAM"]).status == "CREATE_COMPLETE"


def test_templates_are_limited_and_may_lie_in_s3(create: Callable[..., Any], cloud: Any, deployer: Any) -> None:
    """51,200 bytes inline, 1 MB from S3."""
    bucket = f"code-{cloud.world.account}"
    body = '{"Resources": {"A": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "v"}}}}'
    long = body + " " * 51_200
    cloud.client("s3").put_object(Bucket=bucket, Key="t.json", Body=long.encode())

    with pytest.raises(ClientError, match="51200"):
        deployer.client.create_stack(StackName="long", TemplateBody=long)
    for url in (f"https://{bucket}.s3.us-east-1.amazonaws.com/t.json", f"https://s3.amazonaws.com/{bucket}/t.json"):
        assert len(deployer.client.validate_template(TemplateURL=url)["Parameters"]) == 0


def test_parameters_and_events_keep_secrets(create: Callable[..., Any], deployer: Any) -> None:
    """A NoEcho value is shown nowhere."""
    template = {
        "Parameters": {"P": {"Type": "String", "NoEcho": True}},
        "Resources": {"A": parameter({"Ref": "P"})},
    }

    stack = create(template, Parameters=[{"ParameterKey": "P", "ParameterValue": "hunter2"}])

    described = deployer.client.describe_stacks(StackName=stack.id)
    events = deployer.client.describe_stack_events(StackName=stack.id)
    assert stack.described["Parameters"] == [{"ParameterKey": "P", "ParameterValue": "****"}]
    assert "hunter2" not in repr(described) + repr(events)


def test_stacks_of_two_regions_do_not_meet(create: Callable[..., Any], cloud: Any, deployer: Any) -> None:
    """The same name, each with its own resources."""
    template = '{"Resources": {"A": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"R": {"Value": {"Ref": "A"}}}}'
    abroad = cloud.client("cloudformation", region_name="eu-west-1")
    here = create(template, name="twice")

    abroad.create_stack(StackName="twice", TemplateBody=template)
    deployer.settle()

    there = abroad.describe_stacks(StackName="twice")["Stacks"][0]
    assert ":us-east-1:" in here.outputs["R"]
    assert ":eu-west-1:" in there["Outputs"][0]["OutputValue"]


@pytest.mark.parametrize("operation", ["detect_stack_drift", "cancel_update_stack", "get_stack_policy"])
def test_what_is_not_made_is_refused_by_name(create: Callable[..., Any], deployer: Any, operation: str) -> None:
    """Never an empty success."""
    with pytest.raises(ClientError, match="does not implement cloudformation:"):
        getattr(deployer.client, operation)(StackName="any")


def test_circles_and_left_out_references_are_refused(create: Callable[..., Any]) -> None:
    """Before the stack exists."""
    circle = {"A": parameter({"Ref": "B"}), "B": parameter({"Ref": "A"})}
    absent = {"A": parameter({"Ref": "B"}), "B": parameter("v", Condition="No")}

    with pytest.raises(ClientError, match="Circular dependency"):
        create({"Resources": circle})
    with pytest.raises(ClientError, match=r"Unresolved resource dependencies \[B\]"):
        create({"Conditions": {"No": {"Fn::Equals": ["a", "b"]}}, "Resources": absent})


def test_an_expiry_attribute_is_not_swapped_in_one_step(create: Callable[..., Any]) -> None:
    """DynamoDB wants it disabled first."""

    def template(attribute: str) -> dict[str, Any]:
        table = {
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": True},
        }
        return {"Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": table}}}

    stack = create(template("expires"))

    assert stack.update(template("ends")) == "UPDATE_ROLLBACK_COMPLETE"
    assert "must be disabled" in stack.reason("Table")


def test_a_running_operation_is_left_to_end(create: Callable[..., Any], cloud: Any, deployer: Any) -> None:
    """CreateStack answers at once; until it is over an update is refused."""
    cloud.faults.latency("ssm", "PutParameter", 0.3)
    client = deployer.client
    body = '{"Resources": {"A": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "v"}}}}'

    client.create_stack(StackName="slow", TemplateBody=body)
    status = client.describe_stacks(StackName="slow")["Stacks"][0]["StackStatus"]
    with pytest.raises(ClientError, match="is in CREATE_IN_PROGRESS state and can not be updated"):
        client.update_stack(StackName="slow", TemplateBody=body)
    cloud.faults.clear()
    deployer.settle()

    assert status == "CREATE_IN_PROGRESS"
    assert client.describe_stacks(StackName="slow")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"


def test_a_fault_of_a_service_fails_the_resource(create: Callable[..., Any], cloud: Any) -> None:
    """CloudFormation calls the services like everybody else; a persistent error rolls the stack back."""
    cloud.faults.error("sns", "CreateTopic", status=400, count=9)

    stack = create({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}, "A": parameter("v")}})
    cloud.faults.clear()

    assert stack.status == "ROLLBACK_COMPLETE"
    assert stack.reason("Topic").startswith("Resource handler returned message:")


def test_private_names_in_a_network_without_dns_fail_the_stack(create: Callable[..., Any]) -> None:
    """The reason says what the network lacks."""
    endpoint = {
        "VpcEndpointType": "Interface",
        "ServiceName": {"Fn::Sub": "com.amazonaws.${AWS::Region}.execute-api"},
        "VpcId": {"Ref": "Vpc"},
        "PrivateDnsEnabled": True,
    }
    network = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}

    stack = create(
        {"Resources": {"Vpc": network, "Endpoint": {"Type": "AWS::EC2::VPCEndpoint", "Properties": endpoint}}}
    )

    assert stack.status == "ROLLBACK_COMPLETE"
    assert "requires both enableDnsSupport and enableDnsHostnames VPC attributes" in stack.reason("Endpoint")


def test_a_stack_is_deleted_while_it_is_made(deployer: Any, cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being made is made to its end and goes again; the rest is not begun."""
    reached, go_on = Event(), Event()
    kind = type(registry()["AWS::SSM::Parameter"])
    create_one = kind.create

    def held(self: Any, *given: Any) -> Any:
        reached.set()
        assert go_on.wait(10)
        return create_one(self, *given)

    named = {"Properties": {"Name": "/made-and-gone", "Type": "String", "Value": "v"}}
    template = {"Resources": {"A": parameter("v", **named), "B": parameter("v", DependsOn="A")}}
    client = deployer.client
    with monkeypatch.context() as patched:
        patched.setattr(kind, "create", held)
        stack = client.create_stack(StackName="regretted", TemplateBody=json.dumps(template))["StackId"]
        assert reached.wait(10)
        client.delete_stack(StackName="regretted")
        under_way = client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        go_on.set()
        deployer.settle()

    made = Made(deployer, "regretted", stack)
    assert (under_way, made.status) == ("DELETE_IN_PROGRESS", "DELETE_COMPLETE")
    assert [status for name, status, _ in made.events() if name == "regretted"] == [
        "CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "DELETE_COMPLETE",
    ]  # fmt: skip
    assert not any(name == "B" for name, _, _ in made.events())
    assert stored(cloud, "/made-and-gone") is None


def test_a_creation_that_fails_while_the_stack_is_deleted_rolls_nothing_back(
    deployer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = Event(), Event()

    def refused(*_: Any) -> None:
        reached.set()
        assert go_on.wait(10)
        raise Failed("no such thing")

    client = deployer.client
    with monkeypatch.context() as patched:
        patched.setattr(type(registry()["AWS::SSM::Parameter"]), "create", refused)
        template = json.dumps({"Resources": {"A": parameter("v")}})
        stack = client.create_stack(StackName="hopeless", TemplateBody=template)["StackId"]
        assert reached.wait(10)
        client.delete_stack(StackName=stack)
        go_on.set()
        deployer.settle()

    made = Made(deployer, "hopeless", stack)
    assert made.status == "DELETE_COMPLETE"
    assert not any(status.startswith("ROLLBACK") for _, status, _ in made.events())


def test_an_update_under_way_is_not_cut_short_by_a_deletion(
    create: Callable[..., Any], deployer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = Event(), Event()
    stack = create({"Resources": {"A": parameter("v")}})

    def held(_: Any, __: Any, made: Any, *___: Any) -> Any:
        reached.set()
        assert go_on.wait(10)
        return made

    with monkeypatch.context() as patched:
        patched.setattr(type(registry()["AWS::SSM::Parameter"]), "update", held)
        body = json.dumps({"Resources": {"A": parameter("w")}})
        deployer.client.update_stack(StackName=stack.name, TemplateBody=body)
        assert reached.wait(10)
        with pytest.raises(ClientError, match="cannot be deleted while in status UPDATE_IN_PROGRESS"):
            deployer.client.delete_stack(StackName=stack.name)
        go_on.set()
        deployer.settle()

    assert stack.status == "UPDATE_COMPLETE"
