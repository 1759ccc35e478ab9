"""The probes for an AWS account, and for this computer's place in the network. Reads only; see `probes.Probes`."""

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509

from moorings.clock import Clock
from moorings.clouds.aws import Aws, calling
from moorings.clouds.aws_errors import code_of
from moorings.deploy import anchor_store
from moorings.doctor.aws_stacks import stack_facts
from moorings.doctor.model import (
    Alarm,
    Bucket,
    Caller,
    Endpoint,
    Function,
    LambdaLimits,
    Parameter,
    Runbook,
    StackFacts,
    Subscriptions,
    Unseen,
    Vpc,
)
from moorings.doctor.rights import Answers, Question
from moorings.errors import MooringsError
from moorings.nodes.aws import SsmFleet

T = TypeVar("T")
_GONE = frozenset(
    {
        "ResourceNotFoundException",
        "ParameterNotFound",
        "NoSuchBucket",
        "404",
        "InvalidDocument",
        "InvalidVpcEndpointId.NotFound",
        "NoSuchEntity",
    }
)
_NONE_SET = frozenset({"ServerSideEncryptionConfigurationNotFoundError", "NoSuchPublicAccessBlockConfiguration"})
_AT_ONCE = 100  # alarm names, and actions to simulate, in one call
_SECONDS = 3.0
_LATELY = timedelta(hours=1)


class AwsProbes:
    """The `Probes` port."""

    def __init__(self, aws: Aws, *, clock: Clock, anchors: Path | None) -> None:
        self._aws = aws
        self._clock = clock
        self._anchors = anchors

    def now(self) -> datetime:
        return self._clock.now()

    def caller(self) -> Caller | Unseen:
        def ask() -> Caller:
            told = self._aws.client("sts").get_caller_identity()
            return Caller(arn=str(told["Arn"]), account=str(told["Account"]))

        return _seen("sts:GetCallerIdentity", ask)

    def ahead(self) -> timedelta | None:
        try:
            told = self._aws.client("sts").get_caller_identity()
        except ClientError as error:  # such as one because of the clock
            told = error.response
        except (BotoCoreError, MooringsError):
            return None
        date = told["ResponseMetadata"].get("HTTPHeaders", {}).get("date", "")
        return self._clock.now() - parsedate_to_datetime(date) if date else None

    def role(self, name: str) -> str | Unseen | None:
        def ask() -> str:
            return str(self._aws.client("iam").get_role(RoleName=name)["Role"]["Arn"])

        return _if_there("iam:GetRole", ask)

    def simulated(self, arn: str, question: Question) -> Answers | Unseen:
        def ask() -> Answers:
            found: dict[tuple[str, str], bool] = {}
            for start in range(0, len(question.actions), _AT_ONCE):
                pages = self._aws.client("iam").get_paginator("simulate_principal_policy")
                for page in pages.paginate(
                    PolicySourceArn=arn,
                    ActionNames=list(question.actions[start : start + _AT_ONCE]),
                    ResourceArns=list(question.resources),
                    ContextEntries=[_context_entry(key, values) for key, values in question.context],
                ):
                    for each in page["EvaluationResults"]:
                        asked = (str(each["EvalActionName"]), str(each["EvalResourceName"]))
                        found[asked] = each["EvalDecision"] == "allowed"
            return found

        return _seen("iam:SimulatePrincipalPolicy", ask)

    def lambda_limits(self) -> LambdaLimits | Unseen:
        def ask() -> LambdaLimits:
            limit = self._aws.client("lambda").get_account_settings()["AccountLimit"]
            return LambdaLimits(total=limit["ConcurrentExecutions"], unreserved=limit["UnreservedConcurrentExecutions"])

        return _seen("lambda:GetAccountSettings", ask)

    def quota(self, service: str, quota: str) -> float | Unseen:
        def ask() -> float:
            found = self._aws.client("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=quota)
            return float(found["Quota"]["Value"])

        return _seen("servicequotas:GetServiceQuota", ask)

    def service_setting(self, setting: str) -> str | Unseen:
        def ask() -> str:
            found = self._aws.client("ssm").get_service_setting(SettingId=setting)
            return str(found["ServiceSetting"]["SettingValue"])

        return _seen("ssm:GetServiceSetting", ask)

    def managed_nodes(self) -> int | Unseen:
        def ask() -> int:
            return sum(1 for _ in SsmFleet(client=self._aws.client("ssm")).nodes())

        return _seen("ssm:DescribeInstanceInformation", ask)

    def vpc(self, vpc: str) -> Vpc | Unseen:
        def ask() -> Vpc:
            ec2 = self._aws.client("ec2")
            support = ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsSupport")["EnableDnsSupport"]
            names = ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")["EnableDnsHostnames"]
            return Vpc(id=vpc, dns_support=support["Value"], dns_hostnames=names["Value"])

        return _seen("ec2:DescribeVpcAttribute", ask)

    def endpoint(self, endpoint: str) -> Endpoint | Unseen | None:
        def ask() -> Endpoint | None:
            found = self._aws.client("ec2").describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
            return _endpoint(found[0]) if found else None

        return _if_there("ec2:DescribeVpcEndpoints", ask)

    def addresses(self, host: str) -> tuple[str, ...]:
        try:
            found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
        except OSError:
            return ()
        return tuple(dict.fromkeys(str(each[4][0]) for each in found))

    def connects(self, host: str) -> bool:
        try:
            socket.create_connection((host, 443), timeout=_SECONDS).close()
        except OSError:
            return False
        return True

    def stack(self, name: str) -> StackFacts | Unseen | None:
        return _seen("cloudformation:DescribeStacks", lambda: stack_facts(self._aws, name, clock=self._clock))

    def function(self, name: str) -> Function | Unseen | None:
        def ask() -> Function:
            return _function(self._aws.client("lambda").get_function_configuration(FunctionName=name))

        return _if_there("lambda:GetFunctionConfiguration", ask)

    def runbook(self, name: str) -> Runbook | Unseen | None:
        def ask() -> Runbook:
            found = self._aws.client("ssm").describe_document(Name=name)["Document"]
            return Runbook(default=found["DefaultVersion"], newest=found["LatestVersion"])

        return _if_there("ssm:DescribeDocument", ask)

    def schedule_on(self, rule: str) -> bool | Unseen | None:
        def ask() -> bool:
            return bool(self._aws.client("events").describe_rule(Name=rule)["State"] != "DISABLED")

        return _if_there("events:DescribeRule", ask)

    def last_logged(self, group: str) -> datetime | Unseen | None:
        def ask() -> datetime | None:
            found = self._aws.client("logs").describe_log_streams(
                logGroupName=group, orderBy="LastEventTime", descending=True, limit=5
            )["logStreams"]
            # What a stream tells of its last event may be an hour old or more; the events themselves are not.
            stamps = self._logged_lately(group)
            stamps += [each.get("lastEventTimestamp") or each.get("lastIngestionTime") or 0 for each in found]
            latest = max(filter(None, stamps), default=None)
            return None if latest is None else datetime.fromtimestamp(latest / 1000, self._clock.now().tzinfo)

        return _if_there("logs:DescribeLogStreams", ask)

    def _logged_lately(self, group: str) -> list[int]:
        since = int((self._clock.now() - _LATELY).timestamp() * 1000)
        with calling("logs:FilterLogEvents"):
            pages = self._aws.client("logs").get_paginator("filter_log_events")
            return [
                int(each["timestamp"])
                for page in pages.paginate(logGroupName=group, startTime=since)
                for each in page["events"]
            ]

    def alarms(self, names: Sequence[str]) -> Mapping[str, Alarm] | Unseen:
        def ask() -> Mapping[str, Alarm]:
            found: dict[str, Alarm] = {}
            for start in range(0, len(names), _AT_ONCE):
                told = self._aws.client("cloudwatch").describe_alarms(
                    AlarmNames=list(names[start : start + _AT_ONCE]), MaxRecords=_AT_ONCE
                )
                found |= {each["AlarmName"]: _alarm(each) for each in told["MetricAlarms"]}
            return found

        return _seen("cloudwatch:DescribeAlarms", ask)

    def subscriptions(self, topic: str) -> Subscriptions | Unseen:
        def ask() -> Subscriptions:
            pages = self._aws.client("sns").get_paginator("list_subscriptions_by_topic")
            arns = [
                each["SubscriptionArn"] for page in pages.paginate(TopicArn=topic) for each in page["Subscriptions"]
            ]
            confirmed = sum(each.startswith("arn:") for each in arns)
            return Subscriptions(confirmed=confirmed, pending=len(arns) - confirmed)

        return _seen("sns:ListSubscriptionsByTopic", ask)

    def parameter(self, name: str) -> Parameter | Unseen | None:
        def ask() -> Parameter:
            value = self._aws.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
            return Parameter(name=name, expires_at=_expiry(str(value)))

        return _if_there("ssm:GetParameter", ask)

    def issues_identities(self) -> bool | Unseen:
        def ask() -> bool:
            try:
                found = self._aws.client("iam").get_outbound_web_identity_federation_info()
            except ClientError as error:
                if code_of(error).startswith("FeatureDisabled"):
                    return False
                raise
            return bool(found.get("JwtVendingEnabled", True))

        return _seen("iam:GetOutboundWebIdentityFederationInfo", ask)

    def asked(self, function: str, event: Mapping[str, Any]) -> Mapping[str, Any] | Unseen:
        def ask() -> Mapping[str, Any] | Unseen:
            answered = self._aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
            answer = json.loads(answered["Payload"].read() or b"null")
            if isinstance(answer, dict) and not answered.get("FunctionError"):
                return answer
            return Unseen(str(answer.get("errorMessage", "it failed")) if isinstance(answer, dict) else "no answer")

        return _seen("lambda:InvokeFunction", ask)

    def bucket(self, name: str) -> Bucket | Unseen | None:
        def ask() -> Bucket:
            s3, owner = self._aws.client("s3"), {"Bucket": name, "ExpectedBucketOwner": self._aws.account}
            versioned = s3.get_bucket_versioning(**owner).get("Status") == "Enabled"
            with calling("s3:GetEncryptionConfiguration"):
                encrypted = _or_none(lambda: s3.get_bucket_encryption(**owner)) is not None
            with calling("s3:GetBucketPublicAccessBlock"):
                block = _or_none(lambda: s3.get_public_access_block(**owner)) or {}
            settings = block.get("PublicAccessBlockConfiguration", {})
            private = bool(settings) and all(settings.values())
            return Bucket(name=name, encrypted=encrypted, versioned=versioned, private=private)

        return _if_there("s3:GetBucketVersioning", ask)

    def anchors(self) -> tuple[str, ...] | Unseen | None:
        if self._anchors is None:
            return None
        try:
            held = anchor_store.look(self._anchors, now=self.now())
        except MooringsError as error:
            return Unseen(error.message)
        return tuple(anchor_store.warnings(held)) if held else None


def _context_entry(key: str, values: Sequence[str]) -> dict[str, Any]:
    kind = "stringList" if key == "aws:CalledVia" else "string"
    return {"ContextKeyName": key, "ContextKeyValues": list(values), "ContextKeyType": kind}


def _seen(call: str, ask: Callable[[], T]) -> T | Unseen:
    try:
        with calling(call):
            return ask()
    except MooringsError as error:
        # Who is not allowed what on which resource: the first is on the screen, the second the call's own name.
        return Unseen(error.message.partition(": User: ")[0])


def _if_there(call: str, ask: Callable[[], T | None]) -> T | Unseen | None:
    """As `_seen`; None if the thing itself is not there."""

    def wrapped() -> T | None:
        try:
            return ask()
        except ClientError as error:
            if code_of(error) in _GONE:
                return None
            raise

    return _seen(call, wrapped)


def _or_none(ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return ask()
    except ClientError as error:
        if code_of(error) in _NONE_SET:
            return None
        raise


def _endpoint(told: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        id=str(told["VpcEndpointId"]),
        service=str(told["ServiceName"]),
        state=str(told.get("State", "available")),
        private_dns=bool(told.get("PrivateDnsEnabled")),
        vpc=str(told["VpcId"]),
    )


def _function(told: Mapping[str, Any]) -> Function:
    names = ("Runtime", "Handler", "Timeout", "MemorySize")
    return Function(
        name=str(told["FunctionName"]),
        settings={name: str(told[name]) for name in names if name in told},
        variables=frozenset(told.get("Environment", {}).get("Variables", {})),
        state=str(told.get("State", "")),
        last_update=str(told.get("LastUpdateStatus", "")),
        reason=str(told.get("StateReason") or told.get("LastUpdateStatusReason") or ""),
    )


def _alarm(told: Mapping[str, Any]) -> Alarm:
    return Alarm(
        name=str(told["AlarmName"]),
        state=str(told.get("StateValue", "")),
        reason=str(told.get("StateReason", "")),
        actions_enabled=bool(told.get("ActionsEnabled", True)),
    )


def _expiry(value: str) -> datetime | None:
    """When the first certificate in `value` ends; None if it holds none. The value goes no further."""
    if "-----BEGIN CERTIFICATE" not in value:
        return None
    try:
        return x509.load_pem_x509_certificates(value.encode())[0].not_valid_after_utc
    except ValueError:
        return None
