"""The types that a template may use, gathered from the reviewed tables of each service."""

from collections.abc import Iterable
from functools import cache

from localcloud.aws.cloudformation.plan import Registry
from localcloud.aws.cloudformation.resources import (
    apigateway,
    apigateway_stages,
    cloudwatch,
    dynamodb,
    ec2,
    events,
    functions,
    iam,
    kms,
    logs,
    s3,
    sns,
    ssm,
)
from localcloud.aws.cloudformation.types import ResourceType


@cache
def registry() -> Registry:
    """Every supported resource type by its name."""
    tables: Iterable[tuple[ResourceType, ...]] = (
        apigateway.TYPES,
        apigateway_stages.TYPES,
        cloudwatch.TYPES,
        dynamodb.TYPES,
        ec2.TYPES,
        events.TYPES,
        functions.TYPES,
        iam.TYPES,
        kms.TYPES,
        logs.TYPES,
        s3.TYPES,
        sns.TYPES,
        ssm.TYPES,
    )
    return {kind.name: kind for table in tables for kind in table}
