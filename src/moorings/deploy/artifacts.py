"""Where functions' zips lie before CloudFormation takes them: an encrypted, versioned, private bucket.

A key holds the zip's digest, so the same zip is uploaded once and a changed one is a new object. Keys begin with the
stack's name, so that removing one stack takes nothing from another.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from botocore.exceptions import ClientError

from moorings.clouds.aws import Aws, calling, denied
from moorings.clouds.aws_errors import DENIED, code_of
from moorings.errors import Busy, CloudFault, Conflict, Misconfigured

TAGS: Mapping[str, str] = {"application": "moorings"}  # of all that is made
_ABSENT = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NotFound"})
_FORBIDDEN = "403"  # an answer without a body says no more
_DELETE_AT_ONCE = 1_000  # objects in one DeleteObjects call. Source: S3
_BLOCKED = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_ENCRYPTED = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


class Artifact(Protocol):
    """What can be stored; its file name says what is in it."""

    @property
    def file_name(self) -> str: ...
    @property
    def content(self) -> bytes: ...


class Artifacts:
    """The zips of stacks in one bucket: a given one, or one for the account and Region that is made when needed."""

    def __init__(self, aws: Aws, *, bucket: str = "") -> None:
        self._aws = aws
        self._s3 = aws.client("s3")
        own = f"moorings-artifacts-{aws.account}-{aws.region}"
        self.bucket = bucket or own
        self._is_own = self.bucket == own

    def ensure_bucket(self) -> bool:
        """Have the bucket; True if it was made now, or finished that an interrupted run had begun.

        Misconfigured if a given one does not exist or lies in another Region, Conflict if somebody else's account owns
        the name.
        """
        there = self._exists()
        if there and (not self._is_own or self._is_finished()):
            return False
        if not there and not self._is_own:
            raise Misconfigured(
                f"there is no bucket {self.bucket}", remedy="make it, or name another as artifact bucket"
            )
        if not there:
            self._create()
        self._finish()
        return True

    def store(self, package: Artifact, *, stack: str) -> str:
        """Upload a zip, or whatever else a stack takes from the bucket, unless it is there already; its key."""
        key = key_of(package, stack=stack)
        if not self._holds(key):
            with calling("s3:PutObject"):
                self._s3.put_object(
                    Bucket=self.bucket, Key=key, Body=package.content, ExpectedBucketOwner=self._aws.account
                )
        return key

    def remove(self, *, stack: str) -> int:
        """Delete every version of every zip of a stack; how many that were. None if the bucket does not exist."""
        if not self._exists():
            return 0
        versions = list(self._versions(_prefix(stack)))
        for start in range(0, len(versions), _DELETE_AT_ONCE):
            with calling("s3:DeleteObjects"):
                answer = self._s3.delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": versions[start : start + _DELETE_AT_ONCE], "Quiet": True},
                    ExpectedBucketOwner=self._aws.account,
                )
            _require_deleted(answer.get("Errors", []))
        return len(versions)

    def remove_empty_bucket(self) -> bool:
        """Delete the bucket if it is one that `ensure_bucket` makes and nothing is left in it."""
        if not self._is_own or not self._exists() or next(self._versions(""), None):
            return False
        with calling("s3:DeleteBucket"):
            try:
                self._s3.delete_bucket(Bucket=self.bucket, ExpectedBucketOwner=self._aws.account)
            except ClientError as error:
                # Somebody else was faster: has deleted it, or is deploying.
                if code_of(error) not in {*_ABSENT, "BucketNotEmpty"}:
                    raise
                return False
        return True

    def _exists(self) -> bool:
        with calling("s3:HeadBucket"):
            try:
                # The expected owner guards against a stranger who took the name before us.
                found = self._s3.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=self._aws.account)
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    return False
                if code_of(error) == _FORBIDDEN:
                    raise Conflict(
                        f"bucket {self.bucket} belongs to another account, or you may not look at it",
                        remedy="name a bucket of your own as artifact bucket, or allow s3:ListBucket on it",
                    ) from error
                raise
        # S3 answers from anywhere, CloudFormation takes zips from its own Region alone.
        region = found.get("BucketRegion") or self._aws.region
        if region != self._aws.region:
            raise Misconfigured(
                f"bucket {self.bucket} lies in {region}, and the stacks in {self._aws.region}",
                remedy=f"name a bucket of {self._aws.region} as artifact bucket",
            )
        return True

    def _create(self) -> None:
        where: dict[str, Any] = {}
        if self._aws.region != "us-east-1":  # the one Region that must not be named. Source: CreateBucket
            where = {"CreateBucketConfiguration": {"LocationConstraint": self._aws.region}}
        with calling("s3:CreateBucket"):
            try:
                self._s3.create_bucket(Bucket=self.bucket, **where)
            except ClientError as error:
                # S3 is still at an earlier deletion, or at a colleague's creation.
                if code_of(error) == "OperationAborted":
                    raise Busy(
                        f"bucket {self.bucket} is being made or deleted",
                        retry_after=timedelta(minutes=1),
                        remedy="run the command again in a few minutes",
                    ) from error
                if code_of(error) != "BucketAlreadyOwnedByYou":
                    raise

    def _is_finished(self) -> bool:
        with calling("s3:GetBucketVersioning"):
            found = self._s3.get_bucket_versioning(Bucket=self.bucket, ExpectedBucketOwner=self._aws.account)
        return str(found.get("Status", "")) == "Enabled"

    def _finish(self) -> None:
        """Close, encrypt, label, and last version it, which is what tells a finished bucket from a begun one."""
        mine = {"Bucket": self.bucket, "ExpectedBucketOwner": self._aws.account}
        with calling("s3:PutBucketPublicAccessBlock"):
            self._s3.put_public_access_block(**mine, PublicAccessBlockConfiguration=dict.fromkeys(_BLOCKED, True))
        with calling("s3:PutEncryptionConfiguration"):
            self._s3.put_bucket_encryption(**mine, ServerSideEncryptionConfiguration={"Rules": [_ENCRYPTED]})
        with calling("s3:PutBucketPolicy"):
            policy = _over_tls_alone(f"arn:{self._aws.partition}:s3:::{self.bucket}")
            self._s3.put_bucket_policy(**mine, Policy=json.dumps(policy))
        with calling("s3:PutBucketTagging"):
            tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
            self._s3.put_bucket_tagging(**mine, Tagging={"TagSet": tags})
        with calling("s3:PutBucketVersioning"):
            self._s3.put_bucket_versioning(**mine, VersioningConfiguration={"Status": "Enabled"})

    def _holds(self, key: str) -> bool:
        with calling("s3:HeadObject"):
            try:
                self._s3.head_object(Bucket=self.bucket, Key=key, ExpectedBucketOwner=self._aws.account)
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    return False
                if code_of(error) == _FORBIDDEN:
                    raise denied("s3:HeadObject", error, action="s3:GetObject") from error
                raise
        return True

    def _versions(self, prefix: str) -> Iterator[Mapping[str, str]]:
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix)
        with calling("s3:ListObjectVersions"):
            try:
                for page in pages:
                    for entry in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                        yield {"Key": entry["Key"], "VersionId": entry["VersionId"]}
            except ClientError as error:
                if code_of(error) not in _ABSENT:  # deleted since we looked
                    raise


def key_of(package: Artifact, *, stack: str) -> str:
    """Where a zip of a stack lies in the bucket."""
    return f"{_prefix(stack)}{package.file_name}"


def _require_deleted(errors: Sequence[Mapping[str, str]]) -> None:
    """The call as a whole succeeds when none of its objects could be deleted."""
    if not errors:
        return
    first = ClientError({"Error": dict(errors[0])}, "DeleteObjects")
    key, message = errors[0].get("Key", ""), errors[0].get("Message", "")
    if code_of(first) in DENIED:
        raise denied(f"s3:DeleteObjects of {key}", first, action="s3:DeleteObjectVersion")
    raise CloudFault(
        f"{len(errors)} stored objects could not be deleted, such as {key}: {message}",
        call="s3:DeleteObjects",
        code=code_of(first),
        remedy="look at the bucket (an object lock?), then remove again",
    )


def _over_tls_alone(bucket: str) -> Mapping[str, Any]:
    statement = {
        "Sid": "NothingUnencrypted",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket, f"{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _prefix(stack: str) -> str:
    return f"{stack}/"
