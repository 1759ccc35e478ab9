"""Automation executions of a runbook that are going on: what must not lose its function."""

from moorings.clouds.aws import Aws, calling

# States in which an execution still has steps to do.
_GOING_ON = ["Pending", "InProgress", "Waiting", "Cancelling"]


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
