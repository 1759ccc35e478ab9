"""Executions and restores that are going on: what must not lose its function and its keeper."""

from moorings.clouds.aws import Aws, calling
from moorings.errors import CloudFault
from moorings.patching.model import Phase

# States in which an execution still has steps to do.
_GOING_ON = ["Pending", "InProgress", "Waiting", "Cancelling"]
# How the table of a patching stack has its records.
_RUNS = "run#"
_RESTORING = f'"phase":"{Phase.RESTORING.value}"'


def executions_of(runbook: str, *, aws: Aws) -> list[str]:
    """The ids of a runbook's executions that have not ended, children of rate-controlled ones included."""
    ssm = aws.client("ssm")
    filters = [
        {"Key": "DocumentNamePrefix", "Values": [runbook]},
        {"Key": "ExecutionStatus", "Values": _GOING_ON},
    ]
    found = []
    with calling("ssm:DescribeAutomationExecutions"):
        for page in ssm.get_paginator("describe_automation_executions").paginate(Filters=filters):
            found += [
                each["AutomationExecutionId"]
                for each in page["AutomationExecutionMetadataList"]
                if each["DocumentName"] == runbook
            ]
    return found


def restores_of(table: str, *, aws: Aws) -> list[str]:
    """The executions whose VM is being put back, as their records in a patching stack's table tell.

    The keeper carries on with these though their execution may have ended long ago. A table that is gone, with a stack
    that is half deleted, has none.
    """
    try:
        return _restores_in(table, aws)
    except CloudFault as fault:
        if fault.code != "ResourceNotFoundException":
            raise
        return []


def _restores_in(table: str, aws: Aws) -> list[str]:
    found = []
    with calling("dynamodb:Scan"):
        for page in (
            aws.client("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=table,
                FilterExpression="begins_with(#pk, :runs) AND contains(#body, :restoring)",
                ProjectionExpression="#pk",
                ExpressionAttributeNames={"#pk": "pk", "#body": "body"},
                ExpressionAttributeValues={":runs": {"S": _RUNS}, ":restoring": {"S": _RESTORING}},
            )
        ):
            found += [item["pk"]["S"].removeprefix(_RUNS) for item in page["Items"]]
    return found
