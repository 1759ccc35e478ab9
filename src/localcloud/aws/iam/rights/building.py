"""Rights of the calls that make, change and remove functions, tables, logs, alarms, rules and topics.

Sources: Service Authorization Reference, "AWS Lambda", "Amazon DynamoDB", "Amazon CloudWatch Logs", "Amazon
CloudWatch", "Amazon EventBridge", "Amazon SNS". Code of a function or a layer is fetched from S3 with the rights of the
caller, layers of a function are asked for one by one, and its role is passed: Lambda Developer Guide, "Identity-based
IAM policies".
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localcloud.aws.call import Call
from localcloud.aws.iam.rights.model import Directory, Entry, Right, arn, partition, request_tags, simple

Named = Callable[[Call], str]


def _tables(call: Call) -> str:
    given = str(call.params.get("TableName") or call.params.get("ResourceArn"))
    return arn(call, "dynamodb", given if given.startswith("arn:") else f"table/{given}")


def _function(call: Call) -> str:
    given = str(call.params.get("FunctionName") or call.params.get("Resource"))
    return given if given.startswith("arn:") else arn(call, "lambda", f"function:{given}")


def _layer(call: Call) -> str:
    version = call.params.get("VersionNumber")
    return arn(call, "lambda", f"layer:{call.params['LayerName']}{f':{version}' if version else ''}")


def _log_group(call: Call) -> str:
    if given := call.params.get("resourceArn"):
        return str(given)
    return arn(call, "logs", f"log-group:{call.params['logGroupName']}:log-stream:")


def _alarm(call: Call) -> str:
    return str(call.params.get("ResourceARN") or arn(call, "cloudwatch", f"alarm:{call.params.get('AlarmName', '*')}"))


def _rule(call: Call) -> str:
    if given := call.params.get("ResourceARN"):
        return str(given)
    name, bus = str(call.params.get("Name") or call.params.get("Rule")), call.params.get("EventBusName", "default")
    bus = str(bus).rpartition("/")[2]
    return arn(call, "events", f"rule/{name}" if bus == "default" else f"rule/{bus}/{name}")


def _topic(call: Call) -> str:
    given = call.params.get("TopicArn") or call.params.get("ResourceArn")
    if subscription := call.params.get("SubscriptionArn"):
        given = str(subscription).rpartition(":")[0]
    return str(given or arn(call, "sns", str(call.params.get("Name"))))


def _code(call: Call, content: Mapping[str, Any]) -> list[Right]:
    if "S3Bucket" not in content:
        return []
    action = "s3:GetObjectVersion" if content.get("S3ObjectVersion") else "s3:GetObject"
    return [
        Right(action=action, resource=f"arn:{partition(call.region)}:s3:::{content['S3Bucket']}/{content['S3Key']}")
    ]


def _function_rights(action: str) -> Entry:
    def rights(call: Call, directory: Directory) -> Sequence[Right]:
        params = call.params
        tags = params.get("Tags") or {}
        own = request_tags([{"Key": key, "Value": value} for key, value in tags.items()])
        needed = [Right(action=action, resource=_function(call), keys=own)]
        if tags:
            needed.append(Right(action="lambda:TagResource", resource=_function(call), keys=own))
        needed += _code(call, params.get("Code") or params)
        needed += [Right(action="lambda:GetLayerVersion", resource=str(layer)) for layer in params.get("Layers") or ()]
        if role := params.get("Role"):
            keys = {"iam:PassedToService": "lambda.amazonaws.com"}
            needed.append(Right(action="iam:PassRole", resource=directory.role_arn(role) or role, keys=keys))
        return needed

    further = ("lambda:TagResource", "s3:GetObject", "s3:GetObjectVersion", "lambda:GetLayerVersion", "iam:PassRole")
    return Entry(actions=(action, *further), rights=rights)


def _publish_layer(call: Call, _: Directory) -> Sequence[Right]:
    return [
        Right(action="lambda:PublishLayerVersion", resource=_layer(call)),
        *_code(call, call.params.get("Content", {})),
    ]


def _tagged(action: str, tag: str, named: Named) -> Entry:
    """A call that makes something, and tags it if it is given tags: as pairs, or by name."""

    def rights(call: Call, _: Directory) -> Sequence[Right]:
        given = call.params.get("Tags") or call.params.get("tags")
        pairs = [{"Key": key, "Value": given[key]} for key in given] if isinstance(given, Mapping) else given
        keys = request_tags(pairs)
        needed = [Right(action=action, resource=named(call), keys=keys)]
        return [*needed, Right(action=tag, resource=named(call), keys=keys)] if keys else needed

    return Entry(actions=(action, tag), rights=rights)


def _alarms(action: str) -> Entry:
    def rights(call: Call, _: Directory) -> Sequence[Right]:
        names = call.params.get("AlarmNames") or ["*"]
        return [Right(action=action, resource=arn(call, "cloudwatch", f"alarm:{name}")) for name in names]

    return Entry(actions=(action,), rights=rights)


def _dashboards(action: str) -> Entry:
    def rights(call: Call, _: Directory) -> Sequence[Right]:
        names = call.params.get("DashboardNames") or [call.params["DashboardName"]]
        head = f"arn:{partition(call.region)}:cloudwatch::{call.account}:dashboard"
        return [Right(action=action, resource=f"{head}/{name}") for name in names]

    return Entry(actions=(action,), rights=rights)


def _each(service: str, entry: Callable[[str], Entry], operations: str) -> dict[tuple[str, str], Entry]:
    """Calls whose action has their own name."""
    return {(service, each): entry(f"{service}:{each}") for each in operations.split()}


def _all(service: str, named: Named, operations: str) -> dict[tuple[str, str], Entry]:
    """Calls that need one right, on the one resource that they name."""
    return _each(service, lambda action: simple(action, named), operations)


def _tagging(service: str, named: Named, operations: str) -> dict[tuple[str, str], Entry]:
    """Calls that make something, and may tag it."""
    return _each(service, lambda action: _tagged(action, f"{service}:TagResource", named), operations)


ENTRIES: Mapping[tuple[str, str], Entry] = {
    **_each("lambda", _function_rights, "CreateFunction UpdateFunctionCode UpdateFunctionConfiguration"),
    **_all(
        "lambda",
        _function,
        "AddPermission DeleteFunction DeleteFunctionConcurrency DeleteFunctionEventInvokeConfig GetFunction"
        " GetFunctionConcurrency GetFunctionConfiguration GetFunctionEventInvokeConfig GetPolicy ListTags"
        " PutFunctionConcurrency PutFunctionEventInvokeConfig RemovePermission TagResource UntagResource"
        " UpdateFunctionEventInvokeConfig",
    ),
    ("lambda", "PublishLayerVersion"): Entry(
        actions=("lambda:PublishLayerVersion", "s3:GetObject", "s3:GetObjectVersion"), rights=_publish_layer
    ),
    **_all("lambda", _layer, "GetLayerVersion DeleteLayerVersion"),
    **_each("lambda", simple, "ListFunctions GetAccountSettings"),
    **_tagging("dynamodb", _tables, "CreateTable"),
    **_all(
        "dynamodb",
        _tables,
        "DeleteTable DescribeContinuousBackups DescribeTimeToLive ListTagsOfResource TagResource UntagResource"
        " UpdateContinuousBackups UpdateTable UpdateTimeToLive",
    ),
    **_each("dynamodb", simple, "ListTables"),
    **_tagging("logs", _log_group, "CreateLogGroup"),
    **_all(
        "logs",
        _log_group,
        "DeleteLogGroup DeleteRetentionPolicy ListTagsForResource PutRetentionPolicy TagResource UntagResource",
    ),
    **_tagging("cloudwatch", _alarm, "PutMetricAlarm"),
    **_all("cloudwatch", _alarm, "ListTagsForResource TagResource UntagResource"),
    **_each("cloudwatch", _alarms, "DeleteAlarms DescribeAlarms"),
    **_each("cloudwatch", _dashboards, "PutDashboard GetDashboard DeleteDashboards"),
    **_tagging("events", _rule, "PutRule"),
    **_all(
        "events",
        _rule,
        "DeleteRule DescribeRule DisableRule EnableRule ListTagsForResource ListTargetsByRule PutTargets RemoveTargets"
        " TagResource UntagResource",
    ),
    **_each("events", simple, "ListRules"),
    **_tagging("sns", _topic, "CreateTopic"),
    **_all(
        "sns",
        _topic,
        "DeleteTopic GetTopicAttributes ListSubscriptionsByTopic ListTagsForResource SetTopicAttributes Subscribe"
        " TagResource Unsubscribe UntagResource",
    ),
    **_each("sns", simple, "ListTopics"),
}
