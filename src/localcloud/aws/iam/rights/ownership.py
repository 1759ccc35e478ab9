"""Rights of the calls on roles and policies, on keys, on buckets and on networks.

Sources: Service Authorization Reference, "AWS Identity and Access Management (IAM)", "AWS Key Management Service",
"Amazon S3", "Amazon EC2". CreateVpcEndpoint asks for route53:AssociateVPCWithHostedZone if it is to have private DNS
names. Where EC2 asks for every resource of a call, the ones that a policy can tell apart are asked for here.
"""

from collections.abc import Callable, Mapping, Sequence

from localcloud.aws.call import Call
from localcloud.aws.iam.policy import Values
from localcloud.aws.iam.rights.model import Directory, Entry, Right, arn, partition, request_tags, simple

Named = Callable[[Call], str]


def _iam(kind: str, name: str) -> Named:
    return lambda call: f"arn:{partition(call.region)}:iam::{call.account}:{kind}/{call.params[name]}"


def _role(action: str) -> Entry:
    def rights(call: Call, directory: Directory) -> Sequence[Right]:
        name = str(call.params["RoleName"])
        path = str(call.params.get("Path", "/"))
        made = f"arn:{partition(call.region)}:iam::{call.account}:role{path}{name}"
        keys: dict[str, Values] = request_tags(call.params.get("Tags"))
        if given := call.params.get("PolicyArn"):
            keys["iam:PolicyARN"] = str(given)
        if boundary := call.params.get("PermissionsBoundary"):
            keys["iam:PermissionsBoundary"] = str(boundary)
        needed = [Right(action=action, resource=directory.role_arn(name) or made, keys=keys)]
        if call.operation == "CreateRole" and call.params.get("Tags"):
            needed.append(Right(action="iam:TagRole", resource=made, keys=keys))
        return needed

    return Entry(actions=(action, "iam:TagRole") if action == "iam:CreateRole" else (action,), rights=rights)


def _policy(call: Call) -> str:
    if given := call.params.get("PolicyArn"):
        return str(given)
    path = str(call.params.get("Path", "/"))
    return f"arn:{partition(call.region)}:iam::{call.account}:policy{path}{call.params['PolicyName']}"


def _key(operation: str) -> Entry:
    def rights(call: Call, directory: Directory) -> Sequence[Right]:
        key = str(call.params["KeyId"])
        resource = directory.key_arn(key) or arn(call, "kms", f"key/{key}")
        return [Right(action=f"kms:{operation}", resource=resource)]

    return Entry(actions=(f"kms:{operation}",), rights=rights)


def _create_key(call: Call, _: Directory) -> Sequence[Right]:
    tags = [{"Key": each["TagKey"], "Value": each["TagValue"]} for each in call.params.get("Tags") or ()]
    keys = request_tags(tags)
    needed = [Right(action="kms:CreateKey", keys=keys)]
    # The key is not there yet, so its tags are asked for on any: KMS Developer Guide, "Controlling access to tags".
    return [*needed, Right(action="kms:TagResource", resource=arn(call, "kms", "key/*"), keys=keys)] if tags else needed


def _bucket(call: Call) -> str:
    return f"arn:{partition(call.region)}:s3:::{call.params['Bucket']}"


def _object(call: Call) -> str:
    return f"{_bucket(call)}/{call.params['Key']}"


def _delete_objects(call: Call, _: Directory) -> Sequence[Right]:
    return [
        Right(
            action="s3:DeleteObjectVersion" if each.get("VersionId") else "s3:DeleteObject",
            resource=f"{_bucket(call)}/{each['Key']}",
        )
        for each in call.params["Delete"]["Objects"]
    ]


def _delete_object(call: Call, _: Directory) -> Sequence[Right]:
    action = "s3:DeleteObjectVersion" if call.params.get("VersionId") else "s3:DeleteObject"
    return [Right(action=action, resource=_object(call))]


def _listing(action: str) -> Entry:
    def rights(call: Call, _: Directory) -> Sequence[Right]:
        keys: dict[str, Values] = {"s3:prefix": str(call.params["Prefix"])} if "Prefix" in call.params else {}
        return [Right(action=action, resource=_bucket(call), keys=keys)]

    return Entry(actions=(action,), rights=rights)


def _in_ec2(action: str, *kinds: tuple[str, str]) -> Entry:
    """`kinds`: what the ARN says and the parameter that names it; nothing: what is made has no id yet."""
    tagged = action.startswith("ec2:Create") and action != "ec2:CreateTags"
    further = ("ec2:CreateTags", "route53:AssociateVPCWithHostedZone") if tagged else ()

    def rights(call: Call, _: Directory) -> Sequence[Right]:
        needed = []
        for kind, parameter in kinds:
            given = call.params.get(parameter, ["*"] if not parameter else [])
            ids = [given] if isinstance(given, str) else given
            needed += [Right(action=action, resource=arn(call, "ec2", f"{kind}/{each}")) for each in ids]
        if tagged and call.params.get("TagSpecifications"):
            keys: dict[str, Values] = {"ec2:CreateAction": action.removeprefix("ec2:")}
            needed.append(Right(action="ec2:CreateTags", resource=arn(call, "ec2", f"{kinds[0][0]}/*"), keys=keys))
        if call.params.get("PrivateDnsEnabled") and "VpcEndpoint" in action:
            zone = f"arn:{partition(call.region)}:route53:::hostedzone/*"
            needed.append(Right(action="route53:AssociateVPCWithHostedZone", resource=zone))
        return needed

    return Entry(actions=(action, *further), rights=rights)


def _tagging(action: str) -> Entry:
    kinds = {"sg": "security-group", "vpce": "vpc-endpoint", "vpc": "vpc", "subnet": "subnet"}

    def rights(call: Call, _: Directory) -> Sequence[Right]:
        named = [(kinds.get(str(each).partition("-")[0], "*"), each) for each in call.params["Resources"]]
        return [Right(action=action, resource=arn(call, "ec2", f"{kind}/{each}")) for kind, each in named]

    return Entry(actions=(action,), rights=rights)


_ROLE_CALLS = (
    "AttachRolePolicy", "CreateRole", "DeleteRole", "DeleteRolePermissionsBoundary", "DeleteRolePolicy",
    "DetachRolePolicy", "GetRole", "GetRolePolicy", "ListAttachedRolePolicies", "ListRolePolicies", "ListRoleTags",
    "PutRolePermissionsBoundary", "PutRolePolicy", "TagRole", "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole",
)  # fmt: skip
_POLICY_CALLS = (
    "CreatePolicy", "CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion", "GetPolicy", "GetPolicyVersion",
    "ListEntitiesForPolicy", "ListPolicyVersions",
)  # fmt: skip
_KEY_CALLS = (
    "DisableKey", "DisableKeyRotation", "EnableKey", "EnableKeyRotation", "GetKeyPolicy", "GetKeyRotationStatus",
    "ListResourceTags", "PutKeyPolicy", "ScheduleKeyDeletion", "TagResource", "UntagResource", "UpdateKeyDescription",
)  # fmt: skip
_BUCKET_CALLS: Mapping[str, str] = {
    "CreateBucket": "CreateBucket",
    "DeleteBucket": "DeleteBucket",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketVersioning": "GetBucketVersioning",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketPolicy": "PutBucketPolicy",
    "PutBucketTagging": "PutBucketTagging",
    "PutBucketVersioning": "PutBucketVersioning",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
}
_EC2_LOOKS = (
    "DescribeInstances", "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcAttribute", "DescribeVpcEndpoints",
    "DescribeVpcs",
)  # fmt: skip
_GROUP_RULES = (
    "AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "DeleteSecurityGroup",
    "RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress",
)  # fmt: skip

ENTRIES: Mapping[tuple[str, str], Entry] = {
    **{("iam", each): _role(f"iam:{each}") for each in _ROLE_CALLS},
    **{("iam", each): simple(f"iam:{each}", _policy) for each in _POLICY_CALLS},
    **{("iam", each): simple(f"iam:{each}") for each in ("ListPolicies", "ListRoles")},
    ("kms", "CreateKey"): Entry(actions=("kms:CreateKey", "kms:TagResource"), rights=_create_key),
    **{("kms", each): _key(each) for each in _KEY_CALLS},
    **{("s3", each): simple(f"s3:{action}", _bucket) for each, action in _BUCKET_CALLS.items()},
    ("s3", "ListObjectVersions"): _listing("s3:ListBucketVersions"),
    ("s3", "DeleteObjects"): Entry(actions=("s3:DeleteObject", "s3:DeleteObjectVersion"), rights=_delete_objects),
    ("s3", "DeleteObject"): Entry(actions=("s3:DeleteObject", "s3:DeleteObjectVersion"), rights=_delete_object),
    **{("ec2", each): simple(f"ec2:{each}") for each in _EC2_LOOKS},
    ("ec2", "CreateSecurityGroup"): _in_ec2("ec2:CreateSecurityGroup", ("security-group", ""), ("vpc", "VpcId")),
    **{("ec2", each): _in_ec2(f"ec2:{each}", ("security-group", "GroupId")) for each in _GROUP_RULES},
    ("ec2", "CreateVpcEndpoint"): _in_ec2(
        "ec2:CreateVpcEndpoint",
        ("vpc-endpoint", ""),
        ("vpc", "VpcId"),
        ("subnet", "SubnetIds"),
        ("security-group", "SecurityGroupIds"),
    ),
    ("ec2", "ModifyVpcEndpoint"): _in_ec2(
        "ec2:ModifyVpcEndpoint",
        ("vpc-endpoint", "VpcEndpointId"),
        ("subnet", "AddSubnetIds"),
        ("security-group", "AddSecurityGroupIds"),
    ),
    ("ec2", "DeleteVpcEndpoints"): _in_ec2("ec2:DeleteVpcEndpoints", ("vpc-endpoint", "VpcEndpointIds")),
    ("ec2", "CreateTags"): _tagging("ec2:CreateTags"),
    ("ec2", "DeleteTags"): _tagging("ec2:DeleteTags"),
}
