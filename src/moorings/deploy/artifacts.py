"""Where functions' zips lie before CloudFormation takes them: an encrypted, versioned, private bucket.

A key holds the zip's digest, so the same zip is uploaded once and a changed one is a new object. Keys begin with the
stack's name, so that removing one stack takes nothing from another.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from botocore.exceptions import ClientError

from moorings.clouds.aws import Aws, calling
from moorings.clouds.aws_errors import code_of
from moorings.errors import Conflict, Misconfigured

_ABSENT = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NotFound"})
_DELETE_AT_ONCE = 1_000  # objects in one DeleteObjects call. Source: S3


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
        """Have the bucket; True if it was made now.

        Misconfigured if a given one does not exist, Conflict if somebody else's account owns the name.
        """
        if self._exists():
            return False
        if not self._is_own:
            raise Misconfigured(
                f"there is no bucket {self.bucket}", remedy="make it, or leave it out to have one made for you"
            )
        self._create()
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
                self._s3.delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": versions[start : start + _DELETE_AT_ONCE], "Quiet": True},
                    ExpectedBucketOwner=self._aws.account,
                )
        return len(versions)

    def remove_empty_bucket(self) -> bool:
        """Delete the bucket if it is one that `ensure_bucket` makes and nothing is left in it."""
        if not self._is_own or not self._exists() or next(self._versions(""), None):
            return False
        with calling("s3:DeleteBucket"):
            self._s3.delete_bucket(Bucket=self.bucket, ExpectedBucketOwner=self._aws.account)
        return True

    def _exists(self) -> bool:
        with calling("s3:HeadBucket"):
            try:
                # The expected owner guards against a stranger who took the name before us.
                self._s3.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=self._aws.account)
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    return False
                if code_of(error) == "403":
                    raise Conflict(
                        f"bucket {self.bucket} belongs to another account, or you may not use it",
                        remedy="name a bucket of your own",
                    ) from error
                raise
        return True

    def _create(self) -> None:
        where: dict[str, Any] = {}
        if self._aws.region != "us-east-1":  # the one Region that must not be named. Source: CreateBucket
            where = {"CreateBucketConfiguration": {"LocationConstraint": self._aws.region}}
        with calling("s3:CreateBucket"):
            self._s3.create_bucket(Bucket=self.bucket, **where)
        with calling("s3:PutBucketPublicAccessBlock"):
            self._s3.put_public_access_block(
                Bucket=self.bucket,
                PublicAccessBlockConfiguration=dict.fromkeys(
                    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
                ),
            )
        with calling("s3:PutEncryptionConfiguration"):
            self._s3.put_bucket_encryption(
                Bucket=self.bucket,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
            )
        with calling("s3:PutBucketVersioning"):
            self._s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def _holds(self, key: str) -> bool:
        with calling("s3:HeadObject"):
            try:
                self._s3.head_object(Bucket=self.bucket, Key=key, ExpectedBucketOwner=self._aws.account)
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    return False
                raise
        return True

    def _versions(self, prefix: str) -> Iterator[Mapping[str, str]]:
        with calling("s3:ListObjectVersions"):
            for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix):
                for entry in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                    yield {"Key": entry["Key"], "VersionId": entry["VersionId"]}


def key_of(package: Artifact, *, stack: str) -> str:
    """Where a zip of a stack lies in the bucket."""
    return f"{_prefix(stack)}{package.file_name}"


def _prefix(stack: str) -> str:
    return f"{stack}/"
