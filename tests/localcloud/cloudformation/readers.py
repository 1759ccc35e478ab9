"""Reads back from the services what a template asked for, in the template's own terms; one reader per resource type."""

import json
from collections.abc import Callable, Mapping
from typing import Any

Clients = Callable[[str], Any]
Read = Mapping[str, Any]


def _tags(pairs: list[dict[str, str]], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{"Key": one[key], "Value": one[value]} for one in pairs]


def _tag_map(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def function(clients: Clients, name: str, asked: Read) -> Read:
    client = clients("lambda")
    found = client.get_function(FunctionName=name)
    kept = found["Configuration"]
    return {
        **{key: kept.get(key) for key in ("Handler", "Runtime", "Role", "Timeout", "MemorySize", "Description")},
        **{key: kept.get(key) for key in ("Environment", "Architectures", "LoggingConfig", "PackageType")},
        "FunctionName": kept["FunctionName"],
        "Layers": [one["Arn"] for one in kept["Layers"]],
        "TracingConfig": kept["TracingConfig"],
        "EphemeralStorage": kept["EphemeralStorage"],
        "KmsKeyArn": kept.get("KMSKeyArn"),
        "ReservedConcurrentExecutions": found.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
        "Tags": _tag_map(found.get("Tags", {})),
        "Code": asked["Code"] if kept["CodeSize"] > 0 else None,
    }


def layer(clients: Clients, arn: str, asked: Read) -> Read:
    name, _, version = arn.rpartition(":")
    kept = clients("lambda").get_layer_version(LayerName=name, VersionNumber=int(version))
    names = ("CompatibleRuntimes", "CompatibleArchitectures", "Description", "LicenseInfo")
    return {
        **{key: kept.get(key) for key in names},
        "LayerName": kept["LayerArn"].rsplit(":", 1)[1],
        "Content": asked["Content"] if kept["Content"]["CodeSize"] > 0 else None,
    }


def permission(clients: Clients, statement_id: str, asked: Read) -> Read:
    policy = json.loads(clients("lambda").get_policy(FunctionName=asked["FunctionName"])["Policy"])
    kept = next(one for one in policy["Statement"] if one["Sid"] == statement_id)
    conditions = kept.get("Condition", {})
    return {
        "FunctionName": kept["Resource"].rsplit(":", 1)[1],
        "Action": kept["Action"],
        "Principal": kept["Principal"]["Service"],
        "SourceArn": conditions.get("ArnLike", {}).get("AWS:SourceArn"),
        "SourceAccount": conditions.get("StringEquals", {}).get("AWS:SourceAccount"),
    }


def invoke_config(clients: Clients, _: str, asked: Read) -> Read:
    kept = clients("lambda").get_function_event_invoke_config(FunctionName=asked["FunctionName"])
    names = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds")
    name = kept["FunctionArn"].split(":")[6]
    return {**{key: kept[key] for key in names}, "FunctionName": name, "Qualifier": "$LATEST"}


def table(clients: Clients, name: str, asked: Read) -> Read:
    client = clients("dynamodb")
    kept = client.describe_table(TableName=name)["Table"]
    expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    encryption = kept.get("SSEDescription", {})
    indexes = [
        {key: one[key] for key in ("IndexName", "KeySchema", "Projection")}
        for one in kept.get("GlobalSecondaryIndexes", [])
    ]
    return {
        **{key: kept[key] for key in ("TableName", "KeySchema", "AttributeDefinitions", "DeletionProtectionEnabled")},
        "BillingMode": kept.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "GlobalSecondaryIndexes": indexes,
        "ProvisionedThroughput": {
            key: kept["ProvisionedThroughput"][key] for key in ("ReadCapacityUnits", "WriteCapacityUnits")
        },
        "TimeToLiveSpecification": {
            "AttributeName": expiry.get("AttributeName", "expires"),
            "Enabled": expiry["TimeToLiveStatus"] == "ENABLED",
        },
        "PointInTimeRecoverySpecification": {
            "PointInTimeRecoveryEnabled": recovery["PointInTimeRecoveryStatus"] == "ENABLED",
            **(
                {"RecoveryPeriodInDays": recovery["RecoveryPeriodInDays"]} if "RecoveryPeriodInDays" in recovery else {}
            ),
        },
        "SSESpecification": {
            "SSEEnabled": encryption.get("Status") == "ENABLED",
            "SSEType": encryption.get("SSEType"),
            "KMSMasterKeyId": encryption.get("KMSMasterKeyArn"),
        },
        "Tags": _tags(client.list_tags_of_resource(ResourceArn=kept["TableArn"])["Tags"]),
    }


def log_group(clients: Clients, name: str, asked: Read) -> Read:
    client = clients("logs")
    (kept,) = client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    arn = kept["arn"].removesuffix(":*")
    return {
        "LogGroupName": kept["logGroupName"],
        "RetentionInDays": kept.get("retentionInDays"),
        "KmsKeyId": kept.get("kmsKeyId"),
        "Tags": _tag_map(client.list_tags_for_resource(resourceArn=arn)["tags"]),
    }


def role(clients: Clients, name: str, asked: Read) -> Read:
    client = clients("iam")
    kept = client.get_role(RoleName=name)["Role"]
    inline = client.list_role_policies(RoleName=name)["PolicyNames"]
    own = {one["PolicyName"] for one in asked.get("Policies", [])}
    return {
        **{key: kept.get(key) for key in ("RoleName", "Path", "Description", "MaxSessionDuration")},
        "AssumeRolePolicyDocument": kept["AssumeRolePolicyDocument"],
        "PermissionsBoundary": kept.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "ManagedPolicyArns": [
            one["PolicyArn"] for one in client.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        ],
        "Policies": [
            {
                "PolicyName": one,
                "PolicyDocument": client.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"],
            }
            for one in inline
            if one in own
        ],
        "Tags": _tags(kept.get("Tags", [])),
    }


def policy(clients: Clients, _: str, asked: Read) -> Read:
    (holder,) = asked["Roles"]
    kept = clients("iam").get_role_policy(RoleName=holder, PolicyName=asked["PolicyName"])
    return {"PolicyName": kept["PolicyName"], "PolicyDocument": kept["PolicyDocument"], "Roles": [kept["RoleName"]]}


def managed_policy(clients: Clients, arn: str, asked: Read) -> Read:
    client = clients("iam")
    kept = client.get_policy(PolicyArn=arn)["Policy"]
    version = client.get_policy_version(PolicyArn=arn, VersionId=kept["DefaultVersionId"])["PolicyVersion"]
    return {
        "ManagedPolicyName": kept["PolicyName"],
        "Path": kept["Path"],
        "Description": kept.get("Description"),
        "PolicyDocument": version["Document"],
        "Roles": [one["RoleName"] for one in client.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"]],
    }


def key(clients: Clients, key_id: str, asked: Read) -> Read:
    client = clients("kms")
    kept = client.describe_key(KeyId=key_id)["KeyMetadata"]
    return {
        **{name: kept[name] for name in ("Description", "Enabled", "KeySpec", "KeyUsage")},
        "EnableKeyRotation": client.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"],
        "KeyPolicy": json.loads(client.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"]),
        "PendingWindowInDays": asked.get("PendingWindowInDays"),  # counts when the key goes; tested there
        "Tags": _tags(client.list_resource_tags(KeyId=key_id)["Tags"], "TagKey", "TagValue"),
    }


def alias(clients: Clients, name: str, asked: Read) -> Read:
    kept = next(one for one in clients("kms").list_aliases()["Aliases"] if one["AliasName"] == name)
    return {"AliasName": kept["AliasName"], "TargetKeyId": kept["TargetKeyId"]}


def rule(clients: Clients, name: str, asked: Read) -> Read:
    client = clients("events")
    kept = client.describe_rule(Name=name)
    return {
        **{item: kept.get(item) for item in ("Name", "Description", "ScheduleExpression", "State", "EventBusName")},
        "EventPattern": json.loads(kept.get("EventPattern", "{}")),
        "Targets": client.list_targets_by_rule(Rule=name)["Targets"],
        "Tags": _tags(client.list_tags_for_resource(ResourceARN=kept["Arn"])["Tags"]),
    }


def alarm(clients: Clients, name: str, asked: Read) -> Read:
    client = clients("cloudwatch")
    (kept,) = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return {**kept, "Tags": _tags(client.list_tags_for_resource(ResourceARN=kept["AlarmArn"])["Tags"])}


def dashboard(clients: Clients, name: str, asked: Read) -> Read:
    return dict(clients("cloudwatch").get_dashboard(DashboardName=name))


def topic(clients: Clients, arn: str, asked: Read) -> Read:
    client = clients("sns")
    kept = client.get_topic_attributes(TopicArn=arn)["Attributes"]
    return {
        "TopicName": arn.rsplit(":", 1)[1],
        "DisplayName": kept["DisplayName"],
        "KmsMasterKeyId": kept["KmsMasterKeyId"],
        "Tags": _tags(client.list_tags_for_resource(ResourceArn=arn)["Tags"]),
    }


def topic_policy(clients: Clients, _: str, asked: Read) -> Read:
    (arn,) = asked["Topics"]
    kept = clients("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    return {"PolicyDocument": json.loads(kept["Policy"]), "Topics": [kept["TopicArn"]]}


def subscription(clients: Clients, arn: str, asked: Read) -> Read:
    return dict(clients("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"])


def bucket(clients: Clients, name: str, asked: Read) -> Read:
    client = clients("s3")
    encryption = client.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    lifecycle = client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    return {
        "BucketName": name,
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {
                    "BucketKeyEnabled": one["BucketKeyEnabled"],
                    "ServerSideEncryptionByDefault": one["ApplyServerSideEncryptionByDefault"],
                }
                for one in encryption
            ]
        },
        "PublicAccessBlockConfiguration": client.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"],
        "VersioningConfiguration": {"Status": client.get_bucket_versioning(Bucket=name)["Status"]},
        "OwnershipControls": {"Rules": client.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]},
        "LifecycleConfiguration": {
            "Rules": [
                {
                    "Id": one["ID"],
                    "Status": one["Status"],
                    **({"Prefix": one["Filter"]["Prefix"]} if one["Filter"]["Prefix"] else {}),
                    "ExpirationInDays": one["Expiration"]["Days"],
                    "NoncurrentVersionExpiration": one["NoncurrentVersionExpiration"],
                    "AbortIncompleteMultipartUpload": one["AbortIncompleteMultipartUpload"],
                }
                for one in lifecycle
            ]
        },
        "Tags": _tags(client.get_bucket_tagging(Bucket=name)["TagSet"]),
    }


def bucket_policy(clients: Clients, name: str, asked: Read) -> Read:
    return {"Bucket": name, "PolicyDocument": json.loads(clients("s3").get_bucket_policy(Bucket=name)["Policy"])}


def parameter(clients: Clients, name: str, asked: Read) -> Read:
    client = clients("ssm")
    kept = client.get_parameter(Name=name)["Parameter"]
    filters = [{"Key": "Name", "Values": [name]}]
    (described,) = client.describe_parameters(ParameterFilters=filters)["Parameters"]
    tags = client.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    return {
        **{item: kept[item] for item in ("Name", "Type", "Value")},
        **{item: described.get(item) for item in ("Description", "AllowedPattern", "Tier")},
        "Tags": {one["Key"]: one["Value"] for one in tags},
    }


def document(clients: Clients, name: str, asked: Read) -> Read:
    client = clients("ssm")
    kept = client.describe_document(Name=name)["Document"]
    stored = client.get_document(Name=name, DocumentFormat=kept["DocumentFormat"])
    tags = client.list_tags_for_resource(ResourceType="Document", ResourceId=name)["TagList"]
    return {
        **{item: kept.get(item) for item in ("Name", "DocumentType", "DocumentFormat", "TargetType", "VersionName")},
        "Content": stored["Content"],
        "Attachments": asked["Attachments"] if stored["AttachmentsContent"][0]["Name"] == "f.zip" else None,
        "UpdateMethod": asked["UpdateMethod"],  # what CloudFormation does; no document knows it
        "Tags": _tags(tags),
    }


def vpc(clients: Clients, vpc_id: str, asked: Read) -> Read:
    client = clients("ec2")
    (kept,) = client.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]

    def attribute(name: str) -> bool:
        answer = client.describe_vpc_attribute(VpcId=vpc_id, Attribute=name[0].lower() + name[1:])
        return bool(answer[name]["Value"])

    switches = {name: attribute(name) for name in ("EnableDnsSupport", "EnableDnsHostnames")}
    return {"CidrBlock": kept["CidrBlock"], **switches, "Tags": _tags(kept["Tags"])}


def subnet(clients: Clients, subnet_id: str, asked: Read) -> Read:
    (kept,) = clients("ec2").describe_subnets(SubnetIds=[subnet_id])["Subnets"]
    return {**kept, "Tags": _tags(kept["Tags"])}


def _rules(permissions: list[dict[str, Any]], peer: str) -> list[dict[str, Any]]:
    found = []
    for one in permissions:
        base = {name: one[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in one}
        for block in one.get("IpRanges", []):
            found.append({**base, **block})
        for group in one.get("UserIdGroupPairs", []):
            described = {"Description": group["Description"]} if "Description" in group else {}
            found.append({**base, peer: group["GroupId"], **described})
    return found


def security_group(clients: Clients, group_id: str, asked: Read) -> Read:
    (kept,) = clients("ec2").describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    ingress = _rules(kept["IpPermissions"], "SourceSecurityGroupId")
    egress = _rules(kept["IpPermissionsEgress"], "DestinationSecurityGroupId")
    return {
        "GroupDescription": kept["Description"],
        "GroupName": kept["GroupName"],
        "VpcId": kept["VpcId"],
        "SecurityGroupIngress": [one for one in asked.get("SecurityGroupIngress", []) if one in ingress],
        "SecurityGroupEgress": [one for one in asked.get("SecurityGroupEgress", []) if one in egress],
        "Tags": _tags(kept["Tags"]),
    }


def _one_rule(clients: Clients, asked: Read, side: str, peer: str) -> Read:
    (kept,) = clients("ec2").describe_security_groups(GroupIds=[asked["GroupId"]])["SecurityGroups"]
    wanted = {name: value for name, value in asked.items() if name != "GroupId"}
    return {**next(one for one in _rules(kept[side], peer) if one == wanted), "GroupId": kept["GroupId"]}


def ingress(clients: Clients, _: str, asked: Read) -> Read:
    return _one_rule(clients, asked, "IpPermissions", "SourceSecurityGroupId")


def egress(clients: Clients, _: str, asked: Read) -> Read:
    return _one_rule(clients, asked, "IpPermissionsEgress", "DestinationSecurityGroupId")


def vpc_endpoint(clients: Clients, endpoint_id: str, asked: Read) -> Read:
    (kept,) = clients("ec2").describe_vpc_endpoints(VpcEndpointIds=[endpoint_id])["VpcEndpoints"]
    return {
        **{name: kept[name] for name in ("VpcEndpointType", "ServiceName", "VpcId", "SubnetIds", "PrivateDnsEnabled")},
        "SecurityGroupIds": [one["GroupId"] for one in kept["Groups"]],
        "PolicyDocument": json.loads(kept["PolicyDocument"]),
        "Tags": _tags(kept["Tags"]),
    }


def rest_api(clients: Clients, api_id: str, asked: Read) -> Read:
    kept = clients("apigateway").get_rest_api(restApiId=api_id)
    arn = json.loads(kept["policy"])["Statement"][0]["Resource"]
    arn = (arn if isinstance(arn, str) else arn[0]).removesuffix("/*")
    policy_text = kept["policy"].replace(arn, "execute-api:")
    return {
        "Name": kept["name"],
        "Description": kept.get("description"),
        "Policy": _with_single_resources(json.loads(policy_text)),
        "EndpointConfiguration": {
            "Types": kept["endpointConfiguration"]["types"],
            "VpcEndpointIds": kept["endpointConfiguration"]["vpcEndpointIds"],
        },
        "DisableExecuteApiEndpoint": kept["disableExecuteApiEndpoint"],
        "BinaryMediaTypes": kept.get("binaryMediaTypes"),
        "Tags": _tag_map(kept["tags"]),
    }


def _with_single_resources(document: dict[str, Any]) -> dict[str, Any]:
    for one in document["Statement"]:
        if isinstance(one["Resource"], list) and len(one["Resource"]) == 1:
            (one["Resource"],) = one["Resource"]
    return document


def path(clients: Clients, resource_id: str, asked: Read) -> Read:
    kept = clients("apigateway").get_resource(restApiId=asked["RestApiId"], resourceId=resource_id)
    return {"RestApiId": asked["RestApiId"], "ParentId": kept["parentId"], "PathPart": kept["pathPart"]}


def method(clients: Clients, _: str, asked: Read) -> Read:
    names = {"restApiId": "RestApiId", "resourceId": "ResourceId", "httpMethod": "HttpMethod"}
    kept = clients("apigateway").get_method(**{name: asked[given] for name, given in names.items()})
    integration = kept["methodIntegration"]
    return {
        "RestApiId": asked["RestApiId"],
        "ResourceId": asked["ResourceId"],
        "HttpMethod": kept["httpMethod"],
        "AuthorizationType": kept["authorizationType"],
        "Integration": {
            "Type": integration["type"],
            "IntegrationHttpMethod": integration["httpMethod"],
            "Uri": integration["uri"],
            "TimeoutInMillis": integration["timeoutInMillis"],
        },
    }


def deployment(clients: Clients, deployment_id: str, asked: Read) -> Read:
    kept = clients("apigateway").get_deployment(restApiId=asked["RestApiId"], deploymentId=deployment_id)
    return {"RestApiId": asked["RestApiId"], "Description": kept.get("description")}


def stage(clients: Clients, name: str, asked: Read) -> Read:
    kept = clients("apigateway").get_stage(restApiId=asked["RestApiId"], stageName=name)
    (setting,) = kept["methodSettings"].items()
    return {
        "RestApiId": asked["RestApiId"],
        "StageName": kept["stageName"],
        "DeploymentId": kept["deploymentId"],
        "Description": kept.get("description"),
        "TracingEnabled": kept["tracingEnabled"],
        "Variables": kept["variables"],
        "AccessLogSetting": {
            "DestinationArn": kept["accessLogSettings"]["destinationArn"] + ":*",
            "Format": kept["accessLogSettings"]["format"],
        },
        "MethodSettings": [
            {
                "ResourcePath": "/" + setting[0].split("/")[0],
                "HttpMethod": setting[0].split("/")[1],
                "ThrottlingRateLimit": setting[1]["throttlingRateLimit"],
                "ThrottlingBurstLimit": setting[1]["throttlingBurstLimit"],
                "LoggingLevel": setting[1]["loggingLevel"],
                "MetricsEnabled": setting[1]["metricsEnabled"],
                "DataTraceEnabled": setting[1]["dataTraceEnabled"],
            }
        ],
        "Tags": _tag_map(kept["tags"]),
    }


def gateway_response(clients: Clients, _: str, asked: Read) -> Read:
    kept = clients("apigateway").get_gateway_response(restApiId=asked["RestApiId"], responseType=asked["ResponseType"])
    return {
        "RestApiId": asked["RestApiId"],
        "ResponseType": kept["responseType"],
        "StatusCode": kept["statusCode"],
        "ResponseParameters": kept["responseParameters"],
        "ResponseTemplates": kept["responseTemplates"],
    }


def account(clients: Clients, _: str, asked: Read) -> Read:
    return {"CloudWatchRoleArn": clients("apigateway").get_account()["cloudwatchRoleArn"]}


READERS: Mapping[str, Callable[[Clients, str, Read], Read]] = {
    "AWS::ApiGateway::Account": account,
    "AWS::ApiGateway::Deployment": deployment,
    "AWS::ApiGateway::GatewayResponse": gateway_response,
    "AWS::ApiGateway::Method": method,
    "AWS::ApiGateway::Resource": path,
    "AWS::ApiGateway::RestApi": rest_api,
    "AWS::ApiGateway::Stage": stage,
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::CloudWatch::Dashboard": dashboard,
    "AWS::DynamoDB::Table": table,
    "AWS::EC2::SecurityGroup": security_group,
    "AWS::EC2::SecurityGroupEgress": egress,
    "AWS::EC2::SecurityGroupIngress": ingress,
    "AWS::EC2::Subnet": subnet,
    "AWS::EC2::VPC": vpc,
    "AWS::EC2::VPCEndpoint": vpc_endpoint,
    "AWS::Events::Rule": rule,
    "AWS::IAM::ManagedPolicy": managed_policy,
    "AWS::IAM::Policy": policy,
    "AWS::IAM::Role": role,
    "AWS::KMS::Alias": alias,
    "AWS::KMS::Key": key,
    "AWS::Lambda::EventInvokeConfig": invoke_config,
    "AWS::Lambda::Function": function,
    "AWS::Lambda::LayerVersion": layer,
    "AWS::Lambda::Permission": permission,
    "AWS::Logs::LogGroup": log_group,
    "AWS::S3::Bucket": bucket,
    "AWS::S3::BucketPolicy": bucket_policy,
    "AWS::SNS::Subscription": subscription,
    "AWS::SNS::Topic": topic,
    "AWS::SNS::TopicPolicy": topic_policy,
    "AWS::SSM::Document": document,
    "AWS::SSM::Parameter": parameter,
}
