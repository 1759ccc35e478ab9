"""Every check by name: what it looks at, which calls it makes, and whether the local cloud can answer them."""

from collections.abc import Mapping
from dataclasses import dataclass

from moorings.doctor.model import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check. `local`: the local cloud answers its calls; else it is tested against documented answers alone."""

    group: Group
    looks_at: str
    calls: tuple[str, ...] = ()
    local: bool = True


_LAMBDA = ("lambda:GetFunctionConfiguration",)
CHECKS: Mapping[str, Check] = {
    "caller": Check(
        group=Group.IDENTITY, looks_at="who is signed in, to which account", calls=("sts:GetCallerIdentity",)
    ),
    "rights": Check(
        group=Group.RIGHTS,
        looks_at="every action that deploying, looking and removing need, by name",
        calls=("iam:SimulatePrincipalPolicy", "iam:GetRole"),
    ),
    "clock-skew": Check(
        group=Group.CLOCK,
        looks_at="this computer's clock and that of AWS (`Date` of an answer)",
        calls=("sts:GetCallerIdentity",),
        local=False,
    ),
    "hybrid-tier": Check(
        group=Group.QUOTAS,
        looks_at="managed nodes now and planned, against the 1,000 that the standard tier may end at",
        calls=("ssm:GetServiceSetting", "ssm:DescribeInstanceInformation"),
    ),
    "automation-concurrency": Check(
        group=Group.QUOTAS,
        looks_at="runs at a time, and how long a fleet of the planned size takes",
        calls=("servicequotas:GetServiceQuota", "ssm:GetServiceSetting"),
        local=False,
    ),
    "lambda-concurrency": Check(
        group=Group.QUOTAS,
        looks_at="environments that are free in the account, and what the stacks reserve",
        calls=("lambda:GetAccountSettings",),
        local=False,
    ),
    "api-throttle": Check(
        group=Group.QUOTAS,
        looks_at="the API's throttle and the hour's grants, against the planned size",
        calls=("cloudformation:DescribeStacks",),
    ),
    "parameter-throughput": Check(
        group=Group.QUOTAS,
        looks_at="throughput of Parameter Store, against the planned runs at a time",
        calls=("ssm:GetServiceSetting",),
        local=False,
    ),
    "vpc-dns": Check(
        group=Group.NETWORK,
        looks_at="enableDnsSupport and enableDnsHostnames of the VPC",
        calls=("ec2:DescribeVpcAttribute",),
    ),
    "vpc-endpoint": Check(
        group=Group.NETWORK,
        looks_at="the endpoint: available, for execute-api, with the DNS names that the API's URL needs",
        calls=("ec2:DescribeVpcEndpoints",),
    ),
    "api-dns": Check(group=Group.NETWORK, looks_at="the API's host name, resolved where you are, and its port 443"),
    "stack-status": Check(
        group=Group.STACKS,
        looks_at="each stack's status, and resources that failed",
        calls=("cloudformation:DescribeStacks", "cloudformation:ListStackResources"),
    ),
    "runbook-version": Check(
        group=Group.STACKS,
        looks_at="whether the newest version of the runbook is the one that is started",
        calls=("ssm:DescribeDocument",),
    ),
    "function-drift": Check(
        group=Group.FUNCTIONS,
        looks_at="runtime, handler, timeout, memory and environment, against the deployed template",
        calls=("cloudformation:GetTemplate", *_LAMBDA),
    ),
    "function-state": Check(
        group=Group.FUNCTIONS, looks_at="whether functions are active and their last update succeeded", calls=_LAMBDA
    ),
    "keeper-schedule": Check(
        group=Group.FUNCTIONS, looks_at="whether the keepers' schedules are on", calls=("events:DescribeRule",)
    ),
    "keeper-runs": Check(
        group=Group.FUNCTIONS,
        looks_at="when the keepers last logged",
        calls=("logs:DescribeLogStreams", "logs:FilterLogEvents"),
    ),
    "alarms-there": Check(
        group=Group.ALARMS,
        looks_at="alarms that a stack made and that are gone, or have their actions turned off",
        calls=("cloudwatch:DescribeAlarms",),
    ),
    "alarms-quiet": Check(
        group=Group.ALARMS, looks_at="alarms that are in ALARM now", calls=("cloudwatch:DescribeAlarms",)
    ),
    "alarms-heard": Check(
        group=Group.ALARMS,
        looks_at="whether alarms and outcomes have a topic, and the topic a confirmed subscription",
        calls=("sns:ListSubscriptionsByTopic",),
    ),
    "anchors": Check(group=Group.CREDENTIALS, looks_at="the lives of the trust anchors on this computer"),
    "azure-parameters": Check(
        group=Group.CREDENTIALS,
        looks_at="whether patching's credentials are stored, and when a certificate among them expires",
        calls=("ssm:GetParameter",),
    ),
    "azure-federation": Check(
        group=Group.CREDENTIALS,
        looks_at="whether the account issues the web identities that a federated stack needs",
        calls=("iam:GetOutboundWebIdentityFederationInfo",),
    ),
    "azure-sign-in": Check(
        group=Group.CREDENTIALS,
        looks_at="whether the function gets a token of Entra; that its runtime's boto3 has sts:GetWebIdentityToken",
        calls=("lambda:InvokeFunction",),
    ),
    "artifact-bucket": Check(
        group=Group.ARTIFACTS,
        looks_at="encryption, versions and public access of the bucket with the zips",
        calls=("s3:GetEncryptionConfiguration", "s3:GetBucketVersioning", "s3:GetBucketPublicAccessBlock"),
    ),
}
