"""A bucket's policy is judged with its conditions."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.cloud import LocalCloud

THINGS = ["arn:aws:s3:::kept", "arn:aws:s3:::kept/*"]
DENIED = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": THINGS}


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with LocalCloud(in_process=True) as cloud:
        client = cloud.client("s3")
        client.create_bucket(Bucket="kept")
        yield client


@pytest.mark.parametrize(
    ("condition", "refused"),
    [
        ({"Bool": {"aws:SecureTransport": "false"}}, False),  # what stands behind the endpoint is reached by TLS
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({}, True),
    ],
)
def test_a_condition_that_does_not_hold_denies_nothing(s3: Any, condition: dict[str, Any], refused: bool) -> None:
    statement = {**DENIED, **({"Condition": condition} if condition else {})}
    s3.put_bucket_policy(Bucket="kept", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    if refused:
        with pytest.raises(ClientError, match=r"403|Forbidden|Denied"):
            s3.put_object(Bucket="kept", Key="k", Body=b"x")
    else:
        s3.put_object(Bucket="kept", Key="k", Body=b"x")
    s3.delete_bucket_policy(Bucket="kept")
