"""The bucket for zips: private, encrypted, versioned, and gone when nothing is left in it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.deploy.conftest import Account

from moorings.deploy.artifacts import Artifacts
from moorings.deploy.package import DEFAULT_PLATFORM, Package
from moorings.errors import Busy, CloudFault, Conflict, Misconfigured


def _package(content: bytes) -> Package:
    return Package(
        name="enrolment",
        content=content,
        digest=f"{len(content):064x}",
        files=(),
        platform=DEFAULT_PLATFORM,
        unpacked=0,
    )


def test_a_bucket_is_made_once_private_encrypted_and_versioned(fresh_account: Account) -> None:
    artifacts, s3 = Artifacts(fresh_account.aws), fresh_account.aws.client("s3")

    assert (artifacts.ensure_bucket(), artifacts.ensure_bucket()) == (True, False)

    assert fresh_account.aws.account in artifacts.bucket
    blocked = s3.get_public_access_block(Bucket=artifacts.bucket)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    assert s3.get_bucket_versioning(Bucket=artifacts.bucket)["Status"] == "Enabled"
    assert s3.get_bucket_encryption(Bucket=artifacts.bucket)["ServerSideEncryptionConfiguration"]["Rules"]


def test_a_bucket_that_an_interrupted_run_left_open_is_finished(fresh_account: Account) -> None:
    """Whoever is interrupted runs the same command again."""
    artifacts, s3 = Artifacts(fresh_account.aws), fresh_account.aws.client("s3")
    fresh_account.cloud.faults.error("s3", "PutBucketEncryption", count=6)
    with pytest.raises(CloudFault):
        artifacts.ensure_bucket()
    fresh_account.cloud.faults.clear()

    assert (artifacts.ensure_bucket(), artifacts.ensure_bucket()) == (True, False)

    assert s3.get_bucket_versioning(Bucket=artifacts.bucket)["Status"] == "Enabled"
    assert s3.get_bucket_encryption(Bucket=artifacts.bucket)["ServerSideEncryptionConfiguration"]["Rules"]


def test_what_somebody_changed_of_a_finished_bucket_stays(fresh_account: Account) -> None:
    artifacts, s3 = Artifacts(fresh_account.aws), fresh_account.aws.client("s3")
    artifacts.ensure_bucket()
    stricter = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket=artifacts.bucket, ServerSideEncryptionConfiguration={"Rules": [stricter]})

    artifacts.ensure_bucket()

    (rule,) = s3.get_bucket_encryption(Bucket=artifacts.bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_a_given_bucket_of_another_region_is_refused_before_anything_is_made(fresh_account: Account) -> None:
    """CloudFormation would say so in the middle of a deployment."""
    elsewhere = fresh_account.cloud.session().client("s3", region_name="eu-north-1")
    elsewhere.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})

    with pytest.raises(Misconfigured, match="bucket theirs lies in eu-north-1, and the stacks in us-east-1") as refused:
        Artifacts(fresh_account.aws, bucket="theirs").ensure_bucket()

    assert "name a bucket of us-east-1" in refused.value.remedy


def test_the_same_zip_is_stored_once_under_its_digest(fresh_account: Account) -> None:
    artifacts, s3 = Artifacts(fresh_account.aws), fresh_account.aws.client("s3")
    artifacts.ensure_bucket()

    key = artifacts.store(_package(b"one"), stack="a")
    assert artifacts.store(_package(b"one"), stack="a") == key

    assert key == f"a/enrolment-{3:064x}.zip"
    assert len(s3.list_object_versions(Bucket=artifacts.bucket)["Versions"]) == 1


def test_removing_one_stacks_zips_leaves_the_others_and_the_bucket_until_it_is_empty(fresh_account: Account) -> None:
    artifacts = Artifacts(fresh_account.aws)
    artifacts.ensure_bucket()
    for content, stack in ((b"1", "a"), (b"22", "a"), (b"333", "ab")):
        artifacts.store(_package(content), stack=stack)

    assert artifacts.remove(stack="a") == 2
    assert artifacts.remove_empty_bucket() is False
    assert artifacts.remove(stack="ab") == 1
    assert artifacts.remove_empty_bucket() is True
    assert artifacts.remove(stack="ab") == 0


def test_a_given_bucket_must_exist_and_is_never_deleted(fresh_account: Account) -> None:
    with pytest.raises(Misconfigured, match="there is no bucket mine"):
        Artifacts(fresh_account.aws, bucket="mine").ensure_bucket()
    fresh_account.aws.client("s3").create_bucket(Bucket="mine")

    given = Artifacts(fresh_account.aws, bucket="mine")

    assert given.ensure_bucket() is False
    assert given.remove_empty_bucket() is False


@pytest.mark.parametrize(
    ("operation", "error", "told"),
    [
        ("HeadBucket", Conflict, "allow s3:ListBucket on it"),
        ("HeadObject", Misconfigured, "allow s3:GetObject for whoever runs this"),
    ],
)
def test_a_right_that_is_missing_is_named_though_the_answer_has_no_body(
    fresh_account: Account, operation: str, error: type[Conflict | Misconfigured], told: str
) -> None:
    artifacts = Artifacts(fresh_account.aws)
    artifacts.ensure_bucket()
    ask = artifacts.ensure_bucket if operation == "HeadBucket" else lambda: artifacts.store(_package(b"1"), stack="a")
    fresh_account.cloud.faults.error("s3", operation, status=403, code="403")

    with pytest.raises(error) as refused:
        ask()

    assert told in refused.value.remedy


def test_two_that_make_the_bucket_at_once_both_have_it(fresh_account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of us-east-1, S3 tells the second that it has it already."""
    artifacts, s3 = Artifacts(fresh_account.aws), fresh_account.aws.client("s3")
    make = s3.create_bucket

    def second(**given: Any) -> None:
        make(**given)
        raise ClientError({"Error": {"Code": "BucketAlreadyOwnedByYou"}}, "CreateBucket")

    monkeypatch.setattr(s3, "create_bucket", second)

    assert artifacts.ensure_bucket() is True
    assert s3.get_bucket_versioning(Bucket=artifacts.bucket)["Status"] == "Enabled"


def test_a_bucket_that_s3_is_still_deleting_is_waited_for_by_the_operator(fresh_account: Account) -> None:
    """As after `destroy`, when the next `deploy` comes at once."""
    fresh_account.cloud.faults.error("s3", "CreateBucket", status=409, code="OperationAborted")

    with pytest.raises(Busy, match="is being made or deleted") as busy:
        Artifacts(fresh_account.aws).ensure_bucket()

    assert "again in a few minutes" in busy.value.remedy


@pytest.mark.parametrize(
    ("code", "error", "told"),
    [
        ("AccessDenied", Misconfigured, "allow s3:DeleteObjectVersion"),
        ("ObjectLocked", CloudFault, "look at the bucket"),
    ],
)
def test_objects_that_could_not_be_deleted_are_not_counted_as_deleted(
    fresh_account: Account,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    error: type[Misconfigured | CloudFault],
    told: str,
) -> None:
    """S3 answers 200, with the errors inside."""
    artifacts, s3 = Artifacts(fresh_account.aws), fresh_account.aws.client("s3")
    artifacts.ensure_bucket()
    key = artifacts.store(_package(b"1"), stack="a")
    answer = {"Errors": [{"Key": key, "Code": code, "Message": "no"}]}
    monkeypatch.setattr(s3, "delete_objects", lambda **_: answer)

    with pytest.raises(error, match=key) as failed:
        artifacts.remove(stack="a")

    assert told in failed.value.remedy


@pytest.mark.parametrize("then", ["deleted it", "deployed"])
def test_a_colleague_may_be_at_the_same_bucket(
    fresh_account: Account, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    artifacts, s3 = Artifacts(fresh_account.aws), fresh_account.aws.client("s3")
    artifacts.ensure_bucket()
    delete = s3.delete_bucket

    def faster(**given: Any) -> None:
        if then == "deployed":
            artifacts.store(_package(b"1"), stack="b")
        else:
            delete(**given)
        delete(**given)

    monkeypatch.setattr(s3, "delete_bucket", faster)

    assert artifacts.remove_empty_bucket() is False


def test_a_bucket_that_vanishes_while_it_is_looked_at_holds_nothing(
    fresh_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = Artifacts(fresh_account.aws)
    monkeypatch.setattr(artifacts, "_exists", lambda: True)

    assert artifacts.remove(stack="a") == 0
