"""A failed stack is explained by its first cause."""

from datetime import UTC, datetime

import pytest

from moorings.deploy.explain import fault_of, remedy_for
from moorings.deploy.stacks import StackEvent


def _event(resource: str, status: str, reason: str = "", type_: str = "AWS::Lambda::Function") -> StackEvent:
    return StackEvent(
        id=f"{resource}-{status}", at=datetime(2026, 1, 1, tzinfo=UTC), stack="one",
        resource=resource, type=type_, status=status, reason=reason,
    )  # fmt: skip


def test_the_first_cause_is_named_not_what_was_cancelled_for_it() -> None:
    fault = fault_of(
        "one",
        "ROLLBACK_COMPLETE",
        [
            _event("Table", "CREATE_FAILED", "Resource creation cancelled"),
            _event(
                "ApiFunction", "CREATE_FAILED", "decreases account's UnreservedConcurrentExecution below its minimum"
            ),
            _event("Other", "CREATE_FAILED", "something later"),
            _event("one", "ROLLBACK_IN_PROGRESS", "failed to create", "AWS::CloudFormation::Stack"),
        ],
    )

    assert "ApiFunction (AWS::Lambda::Function) failed: decreases account's" in fault.message
    assert "ApiConcurrency=none" in fault.remedy


def test_without_a_failed_resource_the_status_is_told() -> None:
    fault = fault_of("one", "UPDATE_ROLLBACK_COMPLETE", [])

    assert fault.message == "stack one ended as UPDATE_ROLLBACK_COMPLETE"
    assert "describe-stack-events --stack-name one" in fault.remedy


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("CloudWatch Logs role ARN must be set in account settings to enable logging", "CreateApiGatewayLoggingRole"),
        ("private-dns-enabled cannot be set because there is already a conflicting DNS domain", "PrivateDns=no"),
        ("Enabling private DNS requires both enableDnsSupport and enableDnsHostnames", "enableDnsHostnames"),
        ("User: x is not authorized to perform: kms:CreateKey", "deploying identity"),
        ("Resource cannot be deleted as it is currently protected against deletion", "DeletionProtection=no"),
        ("Error occurred while GetObject. S3 Error Code: NoSuchKey", "ArtifactKey"),
        ("rate limit exceeded", ""),
    ],
)
def test_known_reasons_have_a_remedy(reason: str, remedy: str) -> None:
    assert remedy in remedy_for(reason)
