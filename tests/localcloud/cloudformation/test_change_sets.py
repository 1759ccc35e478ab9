"""Change sets: what they would change, and that executing them does it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def parameter(value: Any, **more: Any) -> dict[str, Any]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value}, **more}


def propose(deployer: Any, stack: str, template: str, kind: str = "UPDATE") -> dict[str, Any]:
    made = deployer.client.create_change_set(
        StackName=stack, ChangeSetName="next", TemplateBody=template, ChangeSetType=kind
    )
    described: dict[str, Any] = deployer.client.describe_change_set(ChangeSetName=made["Id"])
    return described


def template(**resources: Any) -> str:
    return json.dumps({"Resources": resources})


def test_a_change_set_tells_what_it_would_do(create: Callable[..., Any], deployer: Any) -> None:
    """Add, modify with or without replacement, remove; whatever depends on a replaced resource too."""
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "a"}}
    stack = create(
        template(
            Topic=topic,
            Uses=parameter({"Ref": "Topic"}),
            Changed=parameter("1"),
            Same=parameter("s"),
            Gone=parameter("g"),
        )
    )
    renamed = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "b"}}

    proposed = propose(
        deployer,
        stack.name,
        template(
            Topic=renamed,
            Uses=parameter({"Ref": "Topic"}),
            Changed=parameter("2"),
            Same=parameter("s"),
            New=parameter("n"),
        ),
    )

    changes = {
        change["LogicalResourceId"]: (change["Action"], change.get("Replacement"))
        for change in (entry["ResourceChange"] for entry in proposed["Changes"])
    }
    assert (proposed["Status"], proposed["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert changes == {
        "Topic": ("Modify", "True"),
        "Uses": ("Modify", "False"),
        "Changed": ("Modify", "False"),
        "New": ("Add", None),
        "Gone": ("Remove", None),
    }


def test_executing_it_updates_the_stack(create: Callable[..., Any], deployer: Any) -> None:
    """Once."""
    stack = create(template(A=parameter("1")))
    proposed = propose(deployer, stack.name, template(A=parameter("2")))

    deployer.client.execute_change_set(ChangeSetName=proposed["ChangeSetId"])
    deployer.settle()

    assert stack.status == "UPDATE_COMPLETE"
    with pytest.raises(ClientError, match="ChangeSet"):
        deployer.client.execute_change_set(ChangeSetName=proposed["ChangeSetId"])


def test_one_without_changes_fails(create: Callable[..., Any], deployer: Any) -> None:
    """With the sentence that deployment tools look for."""
    stack = create(template(A=parameter("1")))

    proposed = propose(deployer, stack.name, template(A=parameter("1")))

    assert proposed["Status"] == "FAILED"
    assert proposed["StatusReason"].startswith("The submitted information didn't contain changes.")
    with pytest.raises(ClientError, match="cannot be executed in its current status"):
        deployer.client.execute_change_set(ChangeSetName=proposed["ChangeSetId"])
    deployer.client.delete_change_set(ChangeSetName=proposed["ChangeSetId"])
    assert deployer.client.list_change_sets(StackName=stack.name)["Summaries"] == []


def test_one_of_type_create_makes_the_stack(deployer: Any) -> None:
    """Which waits in REVIEW_IN_PROGRESS, with nothing made."""
    proposed = propose(deployer, "reviewed", template(A=parameter("1")), kind="CREATE")
    waiting = deployer.client.describe_stacks(StackName="reviewed")["Stacks"][0]

    deployer.client.execute_change_set(ChangeSetName=proposed["ChangeSetId"])
    deployer.settle()

    assert waiting["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert [entry["ResourceChange"]["Action"] for entry in proposed["Changes"]] == ["Add"]
    assert deployer.client.describe_stacks(StackName="reviewed")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"


def test_a_failing_one_rolls_back(create: Callable[..., Any], deployer: Any) -> None:
    """As an update does."""
    stack = create(template(A=parameter("1")))
    proposed = propose(deployer, stack.name, template(A=parameter("2"), B={"Type": "AWS::EC2::Instance"}))

    deployer.client.execute_change_set(ChangeSetName=proposed["ChangeSetId"])
    deployer.settle()

    assert stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert "Unsupported resource type: AWS::EC2::Instance" in stack.reason("B")


def test_one_that_is_not_there_any_more_is_deleted_all_the_same(create: Callable[..., Any], deployer: Any) -> None:
    """The service answers so as long as the stack exists; deployment tools rest on it."""
    stack = create(template(A=parameter("1")))

    deployer.client.delete_change_set(StackName=stack.name, ChangeSetName="never-made")

    with pytest.raises(ClientError, match="does not exist"):
        deployer.client.delete_change_set(StackName="no-such-stack", ChangeSetName="never-made")


def test_a_deleted_stack_has_none(deployer: Any) -> None:
    """Or somebody could still make its resources."""
    proposed = propose(deployer, "dropped", template(A=parameter("1")), kind="CREATE")

    deployer.client.delete_stack(StackName="dropped")
    deployer.settle()

    with pytest.raises(ClientError, match="does not exist"):
        deployer.client.execute_change_set(StackName=proposed["StackId"], ChangeSetName=proposed["ChangeSetId"])


def test_one_of_type_create_is_refused_for_a_stack_that_stands(create: Callable[..., Any], deployer: Any) -> None:
    stack = create(template(A=parameter("1")))

    with pytest.raises(ClientError, match=r"ValidationError.*already exists and cannot be created with the changeSet"):
        propose(deployer, stack.name, template(A=parameter("2")), kind="CREATE")
