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
            "GetObject",
            "ListBucket",
            "ListBucketVersions",
            "PutBucketPublicAccessBlock",
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
