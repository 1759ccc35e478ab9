"""What the service's resource handlers may ask of whoever deploys, beyond the calls that are made here.

`handlers.json` has the permissions of each handler, whole, as the type's published schema lists them; `unless_given`
takes out what a handler calls for the sake of one property alone, unless that property is set. Whatever a handler reads
counts for making and changing too, as CloudFormation reads a resource to settle it and for Fn::GetAtt. Types that are
not in this table ask for what their calls here need.

Source: CloudFormation resource provider schemas (registry), as cfn-lint 1.58 carries them; what each permission is for:
the property's description there, and the Service Authorization Reference of its service.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from localcloud.aws.cloudformation.model import Made
from localcloud.aws.iam.rights.apis import api_arn, tags_arn
from localcloud.aws.iam.rights.model import Right, partition

Properties = Mapping[str, Any]

_PUBLISHED = Path(__file__).with_name("handlers.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One resource: what it was made with, and where."""

    made: Made
    properties: Properties
    account: str
    region: str

    def arn(self, service: str, resource: str, *, regional: bool = True) -> str:
        """The ARN of something in the stack's account."""
        return f"arn:{partition(self.region)}:{service}:{self.region if regional else ''}:{self.account}:{resource}"

    def attribute(self, name: str) -> str:
        return str(self.made.attributes[name])


Resources = Callable[[Site], tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """Where the permissions of one type's handlers are asked for, and which of them are not."""

    own: Resources  # the resource itself
    unless_given: Mapping[str, str] = field(default_factory=dict)  # property → actions; "" is never given
    elsewhere: Mapping[str, Resources] = field(default_factory=dict)  # action → on what else it is asked for


@cache
def published() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Type → handler (create, read, update, delete) → its permissions, as published."""
    found: dict[str, dict[str, list[str]]] = json.loads(_PUBLISHED.read_text(encoding="utf-8"))
    return found


def rights(type_name: str, handler: str, site: Site) -> list[Right]:
    """What a handler (create, update, delete) of one resource asks for; nothing for a type that is not in the table."""
    found = TABLE.get(type_name)
    if found is None:
        return []
    listed = published()[type_name]
    asked = [*listed.get(handler, ()), *(listed.get("read", ()) if handler != "delete" else ())]
    spared = {
        action
        for name, actions in found.unless_given.items()
        if not _given(site.properties, name)
        for action in actions.split()
    }
    return [
        Right(action=action, resource=resource, keys=_keys(action, site))
        for action in dict.fromkeys(asked)
        if action not in spared
        for resource in found.elsewhere.get(action, found.own)(site)
    ]


def _given(value: Any, name: str) -> bool:
    """Whether a property of that name is set, at any depth."""
    if isinstance(value, Mapping):
        return bool(value.get(name)) or any(_given(each, name) for each in value.values())
    return isinstance(value, list) and any(_given(each, name) for each in value)


def _keys(action: str, site: Site) -> dict[str, str]:
    if action == "iam:PassRole":
        service = "lambda" if "Runtime" in site.properties else "apigateway"
        return {"iam:PassedToService": f"{service}.amazonaws.com"}
    return {}


def _anything(_: Site) -> tuple[str, ...]:
    return ("*",)


def _looks(service: str, *names: str) -> dict[str, Resources]:
    """Actions that know no resource."""
    return {f"{service}:{name}": _anything for name in names}


def _attribute(name: str) -> Resources:
    return lambda site: (site.attribute(name),)


def _id(site: Site) -> tuple[str, ...]:
    return (site.made.id,)


def _roles(site: Site) -> tuple[str, ...]:
    given = site.properties.get("Role") or site.properties.get("CloudWatchRoleArn")
    return (str(given),) if given else ()


def _code(site: Site) -> tuple[str, ...]:
    content = site.properties.get("Code") or site.properties.get("Content") or {}
    if "S3Bucket" not in content:
        return ()
    return (f"arn:{partition(site.region)}:s3:::{content['S3Bucket']}/{content['S3Key']}",)


def _layers(site: Site) -> tuple[str, ...]:
    return tuple(map(str, site.properties.get("Layers", ())))


def _in_api(kind: str) -> Resources:
    def found(site: Site) -> tuple[str, ...]:
        return (api_arn(site.region, f"/restapis/{site.properties['RestApiId']}/{kind}/{site.made.id}"),)

    return found


def _apis(site: Site) -> tuple[str, ...]:
    return (api_arn(site.region, f"/restapis/{site.made.id}"),)


def _tags_of_api(site: Site) -> tuple[str, ...]:
    return (*_apis(site), tags_arn(site.region, f"/restapis/{site.made.id}"))


def _tags_of_stage(site: Site) -> tuple[str, ...]:
    path = f"/restapis/{site.properties['RestApiId']}/stages/{site.made.id}"
    return (api_arn(site.region, path), tags_arn(site.region, path))


def _log_group(site: Site) -> tuple[str, ...]:
    return (site.attribute("Arn").removesuffix(":*"),)


def _function(site: Site) -> tuple[str, ...]:
    name = str(site.properties["FunctionName"])
    return (name if name.startswith("arn:") else site.arn("lambda", f"function:{name}"),)


_UNLESS_GIVEN_TO_A_FUNCTION = {
    "VpcConfig": ("ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcs ec2:DescribeNetworkInterfaces"),
    "FileSystemConfigs": "elasticfilesystem:DescribeMountTargets s3files:ListMountTargets",
    "KmsKeyArn": "kms:CreateGrant kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey",
    "S3ObjectVersion": "s3:GetObjectVersion",  # of Code; the templates name no version
    "CodeSigningConfigArn": (
        "lambda:GetCodeSigningConfig lambda:PutFunctionCodeSigningConfig lambda:DeleteFunctionCodeSigningConfig"
    ),
    "RuntimeManagementConfig": "lambda:PutRuntimeManagementConfig lambda:AssociateRuntimeAlias",
    "RecursiveLoop": "lambda:PutFunctionRecursionConfig",
    "FunctionScalingConfig": "lambda:PutFunctionScalingConfig lambda:GetFunctionScalingConfig",
    "CapacityProviderConfig": "lambda:PassCapacityProvider",
    "PublishToLatestPublished": "lambda:PublishVersion",
    "Layers": "lambda:GetLayerVersion",
}
_EC2_LOOKS = (
    "DescribeInstances", "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcEndpoints", "DescribeVpcs",
)  # fmt: skip

TABLE: Mapping[str, Handlers] = {
    "AWS::ApiGateway::Account": Handlers(
        own=lambda site: (api_arn(site.region, "/account"),),
        elsewhere={"iam:GetRole": _roles, "iam:PassRole": _roles},
    ),
    "AWS::ApiGateway::Deployment": Handlers(
        own=_in_api("deployments"),
    ),
    "AWS::ApiGateway::GatewayResponse": Handlers(
        own=_in_api("gatewayresponses"),
    ),
    "AWS::ApiGateway::Method": Handlers(
        own=_in_api("resources"),
        unless_given={"Credentials": "iam:PassRole"},  # of Integration; nothing here has any
    ),
    "AWS::ApiGateway::Resource": Handlers(
        own=_in_api("resources"),
    ),
    "AWS::ApiGateway::RestApi": Handlers(
        own=_apis,
        unless_given={"BodyS3Location": "s3:GetObject", "Body": "iam:PassRole"},
        elsewhere={"apigateway:PUT": _tags_of_api, "apigateway:DELETE": _tags_of_api},
    ),
    "AWS::ApiGateway::Stage": Handlers(
        own=_in_api("stages"),
        elsewhere={"apigateway:PUT": _tags_of_stage, "apigateway:DELETE": _tags_of_stage},
    ),
    "AWS::CloudWatch::Alarm": Handlers(
        own=_attribute("Arn"),
    ),
    "AWS::CloudWatch::Dashboard": Handlers(
        own=lambda site: (site.arn("cloudwatch", f"dashboard/{site.made.id}", regional=False),),
    ),
    "AWS::DynamoDB::Table": Handlers(
        own=_attribute("Arn"),
        unless_given={
            "ContributorInsightsSpecification": "dynamodb:UpdateContributorInsights",
            "ImportSourceSpecification": (
                "dynamodb:DescribeImport dynamodb:ImportTable logs:CreateLogGroup logs:CreateLogStream"
                " logs:DescribeLogGroups logs:DescribeLogStreams logs:PutLogEvents logs:PutRetentionPolicy s3:GetObject"
                " s3:GetObjectMetadata s3:ListBucket"
            ),
            "KinesisStreamSpecification": (
                "dynamodb:EnableKinesisStreamingDestination dynamodb:DisableKinesisStreamingDestination"
                " dynamodb:UpdateKinesisStreamingDestination kinesis:DescribeStream kinesis:PutRecords"
            ),
            "ResourcePolicy": "dynamodb:PutResourcePolicy dynamodb:DeleteResourcePolicy",
            "": (  # for replicas in other Regions, which no property of this type asks for
                "dynamodb:CreateTableReplica dynamodb:AssociateTableReplica dynamodb:Scan dynamodb:Query"
                " dynamodb:UpdateItem dynamodb:PutItem dynamodb:GetItem dynamodb:DeleteItem dynamodb:BatchWriteItem"
                " iam:CreateServiceLinkedRole"
            ),
            # Of SSESpecification: a key of one's own. The managed one lets everybody in through DynamoDB.
            "KMSMasterKeyId": (
                "kms:CreateGrant kms:Decrypt kms:DescribeKey kms:ListAliases kms:Encrypt kms:RevokeGrant"
            ),
        },
    ),
    "AWS::EC2::SecurityGroup": Handlers(
        own=lambda site: (site.arn("ec2", f"security-group/{site.made.id}"),),
        elsewhere=_looks("ec2", *_EC2_LOOKS),
    ),
    "AWS::EC2::VPCEndpoint": Handlers(
        own=lambda site: (site.arn("ec2", f"vpc-endpoint/{site.made.id}"),),
        unless_given={
            "ServiceNetworkArn": (
                "vpc-lattice:CreateServiceNetworkVpcEndpointAssociation"
                " vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation"
            ),
            "ServiceRegion": "vpce:AllowMultiRegion",
        },
        elsewhere=_looks("ec2", *_EC2_LOOKS),
    ),
    "AWS::Events::Rule": Handlers(
        own=_attribute("Arn"),
        unless_given={"RoleArn": "iam:PassRole"},
    ),
    "AWS::IAM::ManagedPolicy": Handlers(
        own=_id,
        unless_given={
            "Groups": "iam:AttachGroupPolicy iam:DetachGroupPolicy",
            "Users": "iam:AttachUserPolicy iam:DetachUserPolicy",
            "Roles": "iam:AttachRolePolicy iam:DetachRolePolicy",
        },
    ),
    "AWS::IAM::Role": Handlers(
        own=_attribute("Arn"),
        unless_given={
            "PermissionsBoundary": "iam:DeleteRolePermissionsBoundary iam:PutRolePermissionsBoundary",
            # Asked for policy by policy, with the policy's ARN, by the calls that are made here.
            "": "iam:AttachRolePolicy iam:DetachRolePolicy",
        },
    ),
    "AWS::KMS::Key": Handlers(
        own=_attribute("Arn"),
        unless_given={"Enabled": "kms:DisableKey kms:EnableKey", "RotationPeriodInDays": "kms:DisableKeyRotation"},
        elsewhere=_looks("kms", "CreateKey"),
    ),
    "AWS::Lambda::Function": Handlers(
        own=_attribute("Arn"),
        unless_given=_UNLESS_GIVEN_TO_A_FUNCTION,
        elsewhere={"iam:PassRole": _roles, "s3:GetObject": _code, "lambda:GetLayerVersion": _layers},
    ),
    "AWS::Lambda::LayerVersion": Handlers(
        own=_id,
        unless_given={"S3ObjectVersion": "s3:GetObjectVersion"},  # of Content
        elsewhere={
            "s3:GetObject": _code,
            "lambda:PublishLayerVersion": lambda site: (site.made.id.rpartition(":")[0],),
        },
    ),
    "AWS::Lambda::Permission": Handlers(own=_function),
    "AWS::Logs::LogGroup": Handlers(
        own=_log_group,
        unless_given={
            "KmsKeyId": "logs:AssociateKmsKey logs:DisassociateKmsKey",
            "DataProtectionPolicy": (
                "logs:PutDataProtectionPolicy logs:DeleteDataProtectionPolicy logs:CreateLogDelivery"
                " s3:REST.PUT.OBJECT firehose:TagDeliveryStream"
            ),
            "ResourcePolicyDocument": "logs:PutResourcePolicy logs:DeleteResourcePolicy",
            "FieldIndexPolicies": "logs:PutIndexPolicy logs:DeleteIndexPolicy",
            "DeletionProtectionEnabled": "logs:PutLogGroupDeletionProtection",
            "BearerTokenAuthenticationEnabled": "logs:PutBearerTokenAuthentication",
            "": "logs:DeleteRetentionPolicy",  # called here when the property goes, and only then
        },
        elsewhere=_looks("logs", "DescribeLogGroups", "DescribeResourcePolicies"),
    ),
    "AWS::SNS::Topic": Handlers(
        own=_id,
        unless_given={
            "Subscription": "sns:Subscribe sns:Unsubscribe",
            "DataProtectionPolicy": "sns:PutDataProtectionPolicy",
            "DeliveryStatusLogging": "iam:GetRole iam:PassRole",
        },
    ),
    "AWS::SNS::TopicPolicy": Handlers(
        own=lambda site: tuple(map(str, site.properties["Topics"])),
    ),
    "AWS::SSM::Document": Handlers(
        own=lambda site: (site.arn("ssm", f"document/{site.made.id}"),),
        unless_given={"Attachments": "s3:GetObject iam:PassRole"},
    ),
}
