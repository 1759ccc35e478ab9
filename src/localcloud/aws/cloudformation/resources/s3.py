"""AWS::S3: buckets and their policies."""

import json
from collections.abc import Mapping
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.cloudformation.shapes import BOOLEAN, DOCUMENT, INTEGER, TAGS, TEXT, ListOf, Struct
from localcloud.aws.cloudformation.tags import tag_pairs, tags_of
from localcloud.aws.cloudformation.types import Failed, Place, ResourceType

Properties = Mapping[str, Any]

_ENCRYPTION = Struct(
    {
        "ServerSideEncryptionConfiguration": ListOf(
            Struct(
                {
                    "BucketKeyEnabled": BOOLEAN,
                    "ServerSideEncryptionByDefault": Struct({"SSEAlgorithm": TEXT, "KMSMasterKeyID": TEXT}),
                }
            )
        )
    }
)
_BLOCK = Struct(
    dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), BOOLEAN)
)
_LIFECYCLE = Struct(
    {
        "Rules": ListOf(
            Struct(
                {
                    "Id": TEXT,
                    "Status": TEXT,
                    "Prefix": TEXT,
                    "ExpirationInDays": INTEGER,
                    "NoncurrentVersionExpiration": Struct({"NoncurrentDays": INTEGER}),
                    "AbortIncompleteMultipartUpload": Struct({"DaysAfterInitiation": INTEGER}),
                },
                required=("Status",),
            )
        )
    }
)


class Bucket(ResourceType):
    """A bucket; one that holds objects cannot be deleted."""

    name = "AWS::S3::Bucket"
    properties = Struct(
        {
            "BucketName": TEXT,
            "BucketEncryption": _ENCRYPTION,
            "PublicAccessBlockConfiguration": _BLOCK,
            "VersioningConfiguration": Struct({"Status": TEXT}, required=("Status",)),
            "OwnershipControls": Struct({"Rules": ListOf(Struct({"ObjectOwnership": TEXT}))}),
            "LifecycleConfiguration": _LIFECYCLE,
            "Tags": TAGS,
        }
    )
    replaced_by = frozenset({"BucketName"})
    attributes = frozenset({"Arn", "DomainName", "RegionalDomainName"})

    def create(self, place: Place, properties: Properties) -> Made:
        client = place.client("s3")
        name = properties.get("BucketName") or place.name(limit=63, lower=True)
        region = {} if place.region == "us-east-1" else {"LocationConstraint": place.region}
        client.create_bucket(Bucket=name, **({"CreateBucketConfiguration": region} if region else {}))
        try:
            self._settings(place, name, {}, properties)
        except Exception:
            client.delete_bucket(Bucket=name)
            raise
        attributes = {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{place.region}.amazonaws.com",
        }
        return Made(id=name, attributes=attributes)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        self._settings(place, made.id, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("s3")
        try:
            client.delete_bucket(Bucket=made.id)
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise

    def _settings(self, place: Place, name: str, old: Properties, new: Properties) -> None:
        client = place.client("s3")

        def changed(key: str) -> bool:
            return bool(old.get(key) != new.get(key))

        if changed("BucketEncryption"):
            self._encrypt(client, name, new.get("BucketEncryption"))
        if changed("PublicAccessBlockConfiguration"):
            block = new.get("PublicAccessBlockConfiguration")
            if block is None:
                client.delete_public_access_block(Bucket=name)
            else:
                client.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
        if changed("VersioningConfiguration"):
            versioning = new.get("VersioningConfiguration", {"Status": "Suspended"})
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration=versioning)
        if changed("OwnershipControls") and "OwnershipControls" in new:
            client.put_bucket_ownership_controls(Bucket=name, OwnershipControls=new["OwnershipControls"])
        if changed("LifecycleConfiguration"):
            self._expire(client, name, new.get("LifecycleConfiguration", {}).get("Rules", []))
        wanted = tag_pairs(tags_of(new))
        if wanted:
            client.put_bucket_tagging(Bucket=name, Tagging={"TagSet": wanted})
        elif tag_pairs(tags_of(old)):
            client.delete_bucket_tagging(Bucket=name)

    def _encrypt(self, client: Any, name: str, given: Properties | None) -> None:
        if given is None:
            client.delete_bucket_encryption(Bucket=name)
            return
        rules = []
        for one in given["ServerSideEncryptionConfiguration"]:
            rule = {key: value for key, value in one.items() if key == "BucketKeyEnabled"}
            if "ServerSideEncryptionByDefault" in one:
                rule["ApplyServerSideEncryptionByDefault"] = one["ServerSideEncryptionByDefault"]
            rules.append(rule)
        client.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})

    def _expire(self, client: Any, name: str, given: list[dict[str, Any]]) -> None:
        if not given:
            client.delete_bucket_lifecycle(Bucket=name)
            return
        rules = []
        for index, one in enumerate(given):
            rule: dict[str, Any] = {"ID": one.get("Id", f"rule-{index}"), "Status": one["Status"]}
            rule["Filter"] = {"Prefix": one.get("Prefix", "")}
            if "ExpirationInDays" in one:
                rule["Expiration"] = {"Days": one["ExpirationInDays"]}
            for key in ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
                if key in one:
                    rule[key] = one[key]
            rules.append(rule)
        client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})


class BucketPolicy(ResourceType):
    """The policy of a bucket."""

    name = "AWS::S3::BucketPolicy"
    properties = Struct({"Bucket": TEXT, "PolicyDocument": DOCUMENT}, required=("Bucket", "PolicyDocument"))
    replaced_by = frozenset({"Bucket"})

    def create(self, place: Place, properties: Properties) -> Made:
        bucket, document = properties["Bucket"], properties["PolicyDocument"]
        if not isinstance(document, Mapping):
            raise Failed("#/PolicyDocument: expected type: JSONObject")
        place.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
        return Made(id=bucket)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        return self.create(place, new)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        client = place.client("s3")
        try:
            client.delete_bucket_policy(Bucket=made.id)
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in {"NoSuchBucket", "NoSuchBucketPolicy"}:
                raise


TYPES: tuple[ResourceType, ...] = (Bucket(), BucketPolicy())
