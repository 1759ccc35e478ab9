"""Rights of the other services that functions call: Lambda, logs, metrics, events, topics, tokens, objects, keys.

Sources: Service Authorization Reference, "AWS Lambda", "Amazon CloudWatch Logs", "Amazon CloudWatch", "Amazon
EventBridge", "Amazon SNS", "AWS Security Token Service", "Amazon S3", "AWS Key Management Service".
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localcloud.aws.call import Call
from localcloud.aws.iam.policy import Values
from localcloud.aws.iam.rights.model import Directory, Entry, Right, arn, free, partition, request_tags, simple
from localcloud.aws.iam.rights.ssm import encryption_keys

DEFAULT_TOKEN_SECONDS = 300  # STS API Reference, GetWebIdentityToken


def _function(call: Call) -> str:
    """By name, `account:function:name`, or ARN; a qualifier is part of the resource that is asked for."""
    given = str(call.params["FunctionName"])
    qualifier = call.params.get("Qualifier", "")
    if not given.startswith("arn:"):
        given = given.rsplit("function:", maxsplit=1)[-1]
        given = arn(call, "lambda", f"function:{given}")
    # $LATEST given as a qualifier is the unpublished function: asked for with the qualifier, as any other version.
    return f"{given}:{qualifier}" if qualifier else given


def _log(call: Call) -> str:
    """A stream in a group. Denials name a group as `log-group:NAME:log-stream:`, so a policy must end in `:*`."""
    group = call.params.get("logGroupName") or call.params.get("logGroupNamePrefix") or ""
    stream = call.params.get("logStreamName", "")
    return arn(call, "logs", f"log-group:{group}:log-stream:{stream}")


def _put_events(call: Call, _: Directory) -> Sequence[Right]:
    needed = []
    for entry in call.params["Entries"]:
        bus = str(entry.get("EventBusName", "default"))
        given = {"events:source": "Source", "events:detail-type": "DetailType"}
        keys: dict[str, Values] = {key: str(entry[member]) for key, member in given.items() if member in entry}
        resource = bus if bus.startswith("arn:") else arn(call, "events", f"event-bus/{bus}")
        needed.append(Right(action="events:PutEvents", resource=resource, keys=keys))
    return needed


def _put_metrics(call: Call, _: Directory) -> Sequence[Right]:
    return [Right(action="cloudwatch:PutMetricData", keys={"cloudwatch:namespace": str(call.params["Namespace"])})]


def _topic(call: Call) -> str:
    return str(call.params.get("TopicArn") or call.params.get("TargetArn") or "*")


def _object(call: Call) -> str:
    return f"arn:{partition(call.region)}:s3:::{call.params['Bucket']}/{call.params['Key']}"


def _get_object(call: Call, _: Directory) -> Sequence[Right]:
    action = "s3:GetObjectVersion" if call.params.get("VersionId") else "s3:GetObject"
    return [Right(action=action, resource=_object(call))]


def _list_bucket(call: Call, _: Directory) -> Sequence[Right]:
    keys: dict[str, Values] = {"s3:prefix": str(call.params.get("Prefix", ""))}
    bucket = f"arn:{partition(call.region)}:s3:::{call.params['Bucket']}"
    return [Right(action="s3:ListBucket", resource=bucket, keys=keys)]


def _assume(call: Call, _: Directory) -> Sequence[Right]:
    keys: dict[str, Values] = {"sts:RoleSessionName": str(call.params["RoleSessionName"])}
    if "ExternalId" in call.params:
        keys["sts:ExternalId"] = str(call.params["ExternalId"])
    return [Right(action="sts:AssumeRole", resource=str(call.params["RoleArn"]), keys=keys)]


def _web_identity(call: Call, _: Directory) -> Sequence[Right]:
    # The lifetime that a call leaves to STS is asked for like a given one.
    keys: dict[str, Values] = {
        "sts:IdentityTokenAudience": tuple(str(one) for one in call.params["Audience"]),
        "sts:SigningAlgorithm": str(call.params["SigningAlgorithm"]),
        "sts:DurationSeconds": str(call.params.get("DurationSeconds", DEFAULT_TOKEN_SECONDS)),
    }
    tags = request_tags(call.params.get("Tags"))
    needed = [Right(action="sts:GetWebIdentityToken", keys=keys | tags)]
    if tags:
        needed.append(Right(action="sts:TagGetWebIdentityToken", keys=tags))
    return needed


def _with_key(action: str) -> Entry:
    def rights(call: Call, directory: Directory) -> Sequence[Right]:
        # Decrypt may leave the key to the ciphertext; its policy cannot be asked then, so it is refused.
        key_id = str(call.params.get("KeyId", ""))
        context: Mapping[str, Any] = call.params.get("EncryptionContext", {})
        resource = directory.key_arn(key_id) or arn(call, "kms", f"key/{key_id}")
        return [Right(action=action, resource=resource, keys=encryption_keys(context))]

    return Entry(actions=(action,), rights=rights)


def _entry(rights: Callable[[Call, Directory], Sequence[Right]], *actions: str) -> Entry:
    return Entry(actions=actions, rights=rights)


_LOG_CALLS = {
    "CreateLogStream": "logs:CreateLogStream",
    "PutLogEvents": "logs:PutLogEvents",
    "DescribeLogGroups": "logs:DescribeLogGroups",
    "DescribeLogStreams": "logs:DescribeLogStreams",
    "GetLogEvents": "logs:GetLogEvents",
    "FilterLogEvents": "logs:FilterLogEvents",
}
_FEDERATION_CALLS = (
    "EnableOutboundWebIdentityFederation",
    "DisableOutboundWebIdentityFederation",
    "GetOutboundWebIdentityFederationInfo",
)

ENTRIES: Mapping[tuple[str, str], Entry] = {
    ("lambda", "Invoke"): simple("lambda:InvokeFunction", _function),
    **{("logs", operation): simple(action, _log) for operation, action in _LOG_CALLS.items()},
    ("cloudwatch", "PutMetricData"): _entry(_put_metrics, "cloudwatch:PutMetricData"),
    ("events", "PutEvents"): _entry(_put_events, "events:PutEvents"),
    ("sns", "Publish"): simple("sns:Publish", _topic),
    # "No permissions are required to perform this operation" (STS API Reference, GetCallerIdentity).
    ("sts", "GetCallerIdentity"): free(),
    ("sts", "AssumeRole"): _entry(_assume, "sts:AssumeRole"),
    # IAM User Guide, "Controlling access with IAM policies" of outbound identity federation.
    ("sts", "GetWebIdentityToken"): _entry(_web_identity, "sts:GetWebIdentityToken", "sts:TagGetWebIdentityToken"),
    **{("iam", operation): simple(f"iam:{operation}") for operation in _FEDERATION_CALLS},
    ("iam", "SimulatePrincipalPolicy"): simple(
        "iam:SimulatePrincipalPolicy", lambda call: str(call.params["PolicySourceArn"])
    ),
    ("s3", "GetObject"): _entry(_get_object, "s3:GetObject", "s3:GetObjectVersion"),
    ("s3", "HeadObject"): _entry(_get_object, "s3:GetObject", "s3:GetObjectVersion"),
    ("s3", "PutObject"): simple("s3:PutObject", _object),
    ("s3", "ListObjectsV2"): _entry(_list_bucket, "s3:ListBucket"),
    ("kms", "Encrypt"): _with_key("kms:Encrypt"),
    ("kms", "Decrypt"): _with_key("kms:Decrypt"),
    ("kms", "GenerateDataKey"): _with_key("kms:GenerateDataKey"),
    ("kms", "DescribeKey"): _with_key("kms:DescribeKey"),
}
