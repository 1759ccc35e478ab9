"""DeleteObjects answers for each object by itself: one that may not be deleted does not keep the others."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localcloud.cloud import LocalCloud

KEYS = ("mine/1", "mine/2", "theirs/1")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(in_process=True) as running:
        running.client("s3").create_bucket(Bucket="kept")
        yield running


@pytest.fixture
def deleting(cloud: LocalCloud, request: pytest.FixtureRequest) -> Callable[..., dict[str, Any]]:
    """Deletes all objects in the name of a role that may do these actions on these resources."""
    for key in KEYS:
        cloud.client("s3").put_object(Bucket="kept", Key=key, Body=b"x")

    def delete(action: str, resource: str) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Action": action, "Resource": resource}
        iam, name = cloud.client("iam"), request.node.name
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
        s3 = cloud.client("s3", credentials=cloud.assumed(name))
        answer: dict[str, Any] = s3.delete_objects(Bucket="kept", Delete={"Objects": [{"Key": key} for key in KEYS]})
        return answer

    return delete


def _left(cloud: LocalCloud) -> set[str]:
    return {each["Key"] for each in cloud.client("s3").list_objects_v2(Bucket="kept").get("Contents", [])}


def test_what_may_be_deleted_goes_and_the_rest_is_told(cloud: LocalCloud, deleting: Any) -> None:
    answer = deleting("s3:DeleteObject", "arn:aws:s3:::kept/mine/*")

    assert {each["Key"] for each in answer["Deleted"]} == {"mine/1", "mine/2"}
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [("theirs/1", "AccessDenied")]
    assert _left(cloud) == {"theirs/1"}
    call = [each for each in cloud.world.calls.snapshot() if each.operation == "DeleteObjects"][-1]
    assert (call.status, {use.resource for use in call.uses}) == (
        200,
        {"arn:aws:s3:::kept/mine/1", "arn:aws:s3:::kept/mine/2"},
    )


def test_without_any_right_the_call_succeeds_and_nothing_goes(cloud: LocalCloud, deleting: Any) -> None:
    answer = deleting("s3:GetObject", "*")

    assert {each["Code"] for each in answer["Errors"]} == {"AccessDenied"}
    assert _left(cloud) == set(KEYS)


def test_with_all_rights_everything_goes(cloud: LocalCloud, deleting: Any) -> None:
    assert "Errors" not in deleting("s3:DeleteObject", "*")
    assert _left(cloud) == set()
