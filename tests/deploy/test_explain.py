"""A failed stack is explained by its first cause."""

from dataclasses import replace
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


def test_a_stack_that_stopped_on_its_way_back_is_told_by_what_keeps_it_there_and_how_it_goes_on() -> None:
    fault = fault_of(
        "one",
        "UPDATE_ROLLBACK_FAILED",
        [
            _event("Stage", "UPDATE_FAILED", "CloudWatch Logs role ARN must be set in account settings"),
            _event("one", "UPDATE_ROLLBACK_IN_PROGRESS", "failed to update: [Stage]", "AWS::CloudFormation::Stack"),
            _event(
                "Function", "UPDATE_FAILED", "User: x is not authorized to perform: lambda:UpdateFunctionCode on: y"
            ),
            _event("one", "UPDATE_ROLLBACK_FAILED", "The following resource(s) failed", "AWS::CloudFormation::Stack"),
        ],
    )

    assert "Function (AWS::Lambda::Function) failed" in fault.message
    assert fault.remedy.startswith("allow lambda:UpdateFunctionCode for whoever deploys")
    assert "`aws cloudformation continue-update-rollback --stack-name one`" in fault.remedy


def test_a_deletion_is_told_by_what_keeps_it_from_its_end_not_by_what_failed_last_month() -> None:
    stack = "AWS::CloudFormation::Stack"
    events = [
        _event("Old", "UPDATE_FAILED", "something of last month"),
        _event("one", "DELETE_IN_PROGRESS", "User Initiated", stack),
        replace(_event("Ledger", "DELETE_FAILED", "it is currently protected"), physical="one-Ledger-1"),
    ]

    fault = fault_of("one", "DELETE_FAILED", events)

    assert "Ledger (AWS::Lambda::Function) failed" in fault.message
    assert "--table-name one-Ledger-1`" in fault.remedy


def test_a_stack_that_could_not_be_deleted_whole_says_how_to_go_on() -> None:
    fault = fault_of("one", "DELETE_FAILED", [_event("Group", "DELETE_FAILED", "resource sg-1 has a dependent object")])

    assert fault.remedy.startswith("remove what still uses it")
    assert "delete-stack --stack-name one --retain-resources Group" in fault.remedy


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("CloudWatch Logs role ARN must be set in account settings to enable logging", "CreateApiGatewayLoggingRole"),
        ("private-dns-enabled cannot be set because there is already a conflicting DNS domain", "PrivateDns=no"),
        ("Enabling private DNS requires both enableDnsSupport and enableDnsHostnames", "enableDnsHostnames"),
        (
            "User: x is not authorized to perform: kms:CreateKey on resource: *",
            "allow kms:CreateKey for whoever deploys",
        ),
        (
            "User: x is not authorized to perform: kms:CreateKey with an explicit deny in a service control policy",
            "ask",
        ),
        ("API: ec2:CreateVpcEndpoint You are not authorized (UnauthorizedOperation)", "`moorings doctor`"),
        (
            "Error occurred while GetObject. S3 Error Code: PermanentRedirect. S3 Error Message: The bucket is in this"
            " region: us-west-2. Please use this region to retry the request",
            "another Region than the stack",
        ),
        ("Cannot exceed quota for RolesPerAccount: 1000", "higher quota"),
        ("The maximum number of VPC endpoints has been reached.", "higher quota"),
        ("Azure-PatchVMWithRollback already exists in stack arn:aws:cloudformation:…", "under another name"),
        ("arn:aws:kms:…:key/1 is pending deletion (KMSInvalidStateException)", "KmsKeyId"),
        ("Rate exceeded (Service: Lambda, Status Code: 429)", "in a few minutes"),
        ("has a dependent object (Service: Ec2)", "remove what still uses it"),
        ("The security token included in the request is expired", "sign in again"),
        (
            "Resource cannot be deleted as it is currently protected against deletion",
            "`aws dynamodb update-table --no-deletion-protection-enabled --table-name NAME`",
        ),
        (
            "x is not authorized to perform: iam:CreateRole because no permissions boundary allows the iam:CreateRole"
            " action",
            "ask who runs the organization",
        ),
        ("Error occurred while GetObject. S3 Error Code: NoSuchKey", "ArtifactBucket"),
        ("Parameter 'ThrottlingRateLimit' must be a number", ""),
        ("Internal Failure", ""),
    ],
)
def test_known_reasons_have_a_remedy(reason: str, remedy: str) -> None:
    assert remedy in remedy_for(reason)
    assert remedy or not remedy_for(reason)
