"""The actions that whoever deploys, looks and removes needs, each for what it is needed.

What CloudFormation does, it does with the caller's own rights: what resources of the templates need is here as well.
"""

from collections.abc import Mapping

SHARED: Mapping[str, tuple[str, ...]] = {
    "plan, make, change and delete stacks": tuple(
        f"cloudformation:{each}"
        for each in (
            "CreateChangeSet",
            "DeleteChangeSet",
            "DeleteStack",
            "DescribeChangeSet",
            "DescribeStackEvents",
            "DescribeStacks",
            "ExecuteChangeSet",
        )
    ),
    "keep the functions' zips": tuple(
        f"s3:{each}"
        for each in (
            "CreateBucket",
            "DeleteBucket",
            "DeleteObjectVersion",
            "GetBucketVersioning",
            "GetObject",
            "ListBucket",
            "ListBucketVersions",
            "PutBucketPolicy",
            "PutBucketPublicAccessBlock",
            "PutBucketTagging",
            "PutBucketVersioning",
            "PutEncryptionConfiguration",
            "PutObject",
        )
    ),
    "make the functions": tuple(
        f"lambda:{each}"
        for each in (
            "AddPermission",
            "CreateFunction",
            "DeleteFunction",
            "GetFunction",
            "GetFunctionConfiguration",
            "RemovePermission",
            "UpdateFunctionCode",
            "UpdateFunctionConfiguration",
        )
    ),
    "make their roles": tuple(
        f"iam:{each}"
        for each in (
            "CreateRole",
            "DeleteRole",
            "DeleteRolePolicy",
            "GetRole",
            "PassRole",
            "PutRolePolicy",
        )
    ),
    "make their tables": tuple(
        f"dynamodb:{each}"
        for each in (
            "CreateTable",
            "DeleteTable",
            "DescribeTable",
            "UpdateContinuousBackups",
            "UpdateTimeToLive",
        )
    ),
    "make logs, schedules, alarms and the dashboard": (
        "cloudwatch:DeleteAlarms",
        "cloudwatch:DeleteDashboards",
        "cloudwatch:PutDashboard",
        "cloudwatch:PutMetricAlarm",
        "events:DeleteRule",
        "events:PutRule",
        "events:PutTargets",
        "events:RemoveTargets",
        "logs:CreateLogGroup",
        "logs:DeleteLogGroup",
        "logs:PutRetentionPolicy",
    ),
}

ENROLMENT: Mapping[str, tuple[str, ...]] = {
    "make the private API": (
        "apigateway:DELETE",
        "apigateway:GET",
        "apigateway:PATCH",
        "apigateway:POST",
        "apigateway:PUT",
        "apigateway:UpdateRestApiPolicy",
    ),
    "give nodes their managed policy": ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
    "make the key of activation codes": (
        "kms:CreateKey",
        "kms:EnableKeyRotation",
        "kms:ScheduleKeyDeletion",
        "kms:TagResource",
    ),
    "see the VPC endpoint": ("ec2:DescribeVpcAttribute", "ec2:DescribeVpcEndpoints"),
    "sweep activations and their codes": (
        "ssm:DeleteActivation",
        "ssm:DeleteParameter",
        "ssm:DescribeActivations",
        "ssm:DescribeParameters",
    ),
}

PATCHING: Mapping[str, tuple[str, ...]] = {
    "make the layer": ("lambda:DeleteLayerVersion", "lambda:GetLayerVersion", "lambda:PublishLayerVersion"),
    "make the runbook": (
        "ssm:CreateDocument",
        "ssm:DeleteDocument",
        "ssm:DescribeDocument",
        "ssm:GetDocument",
        "ssm:UpdateDocument",
        "ssm:UpdateDocumentDefaultVersion",
    ),
    "start and follow runs": (
        "ssm:DescribeAutomationExecutions",
        "ssm:GetAutomationExecution",
        "ssm:StartAutomationExecution",
        "ssm:StopAutomationExecution",
    ),
    "store credentials for Azure": ("ssm:GetParameter", "ssm:PutParameter"),
}

PURPOSES: Mapping[str, str] = {
    action: purpose
    for table in (SHARED, ENROLMENT, PATCHING)
    for purpose, actions in table.items()
    for action in actions
}

PATCHING_ACTIONS = frozenset(action for actions in PATCHING.values() for action in actions)
_OBJECTS = frozenset({"s3:DeleteObjectVersion", "s3:GetObject", "s3:PutObject"})
_LAYERS = frozenset({"lambda:DeleteLayerVersion", "lambda:GetLayerVersion", "lambda:PublishLayerVersion"})


def place(action: str, *, account: str, region: str, partition: str, stack: str) -> str:
    """An ARN on which the action will be needed, for policies that allow it there alone; `*` if it knows no resource.

    Names that CloudFormation makes begin with the stack's; what follows is made up, and so is the rest of other ids.
    """
    service, _, name = action.partition(":")
    here = f"arn:{partition}:{service}:{region}:{account}"
    bucket = f"arn:{partition}:s3:::moorings-artifacts-{account}-{region}"
    if action in _OBJECTS:
        return f"{bucket}/{stack}/zip"
    if action in _LAYERS:
        return f"{here}:layer:{stack}-AzureLayer"
    if service == "ssm" and "Document" in name:
        return f"{here}:document/Azure-PatchVMWithRollback"
    return {
        "s3": bucket,
        "cloudformation": f"{here}:stack/{stack}/00000000-0000-0000-0000-000000000000",
        "lambda": f"{here}:function:{stack}-Function-1",
        "iam": f"arn:{partition}:iam::{account}:role/{stack}-Role-1",
        "dynamodb": f"{here}:table/{stack}-Table-1",
        "events": f"{here}:rule/{stack}-Rule-1",
        "logs": f"{here}:log-group:/aws/lambda/{stack}-Function-1",
        "cloudwatch": f"{here}:alarm:{stack}-Alarm-1",
        "apigateway": f"arn:{partition}:apigateway:{region}::/restapis",
    }.get(service, "*")
