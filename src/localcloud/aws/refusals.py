"""What of moto answers wrongly, or was never looked at, and nothing here fills: refused by name."""

from collections.abc import Mapping

from localcloud.aws import motobridge
from localcloud.errors import ServiceError

_NO_BASELINES = "what a node lacks follows from the node itself, no patch baseline is looked at"

REFUSED: Mapping[tuple[str, str], str] = {
    ("ssm", "CreatePatchBaseline"): _NO_BASELINES,
    ("ssm", "DeletePatchBaseline"): _NO_BASELINES,
    ("ssm", "DescribePatchBaselines"): _NO_BASELINES,
    ("ssm", "GetPatchBaselineForPatchGroup"): _NO_BASELINES,
    ("ssm", "RegisterPatchBaselineForPatchGroup"): _NO_BASELINES,
    ("ssm", "DeregisterPatchBaselineForPatchGroup"): _NO_BASELINES,
    ("ssm", "ModifyDocumentPermission"): "documents cannot be shared",
    ("ssm", "DescribeDocumentPermission"): "documents cannot be shared",
    ("dynamodb", "TransactWriteItems"): "moto's never conflict",
    ("dynamodb", "TransactGetItems"): "moto's never conflict",
    ("dynamodb", "ExecuteTransaction"): "moto's never conflict",
    ("cloudformation", "DetectStackDrift"): "nothing looks for drift",
    ("cloudformation", "DetectStackResourceDrift"): "nothing looks for drift",
    ("cloudformation", "DescribeStackDriftDetectionStatus"): "nothing looks for drift",
    ("iam", "SimulateCustomPolicy"): "moto has no policy evaluation",
    ("iam", "CreateAccessKey"): "users have no keys here; the operator and roles have",
    ("sts", "AssumeRole"): "only functions and managed nodes take on roles here",
    ("sts", "AssumeRoleWithSAML"): "the local cloud knows no identity provider",
    ("sts", "AssumeRoleWithWebIdentity"): "the local cloud knows no identity provider",
    ("sts", "GetFederationToken"): "the local cloud knows no federated users",
    ("sts", "GetSessionToken"): "moto's keys open nothing here",
    ("ec2", "RunInstances"): "moto's servers never boot; the local cloud's machines do",
    ("lambda", "CreateEventSourceMapping"): "nobody reads the source",
    ("lambda", "UpdateEventSourceMapping"): "nobody reads the source",
    ("lambda", "CreateFunctionUrlConfig"): "nobody answers at the URL",
    ("logs", "PutMetricFilter"): "moto's never count anything",
    ("logs", "PutSubscriptionFilter"): "nobody delivers the lines",
    ("ssm", "RegisterTaskWithMaintenanceWindow"): "no task ever runs",
    ("s3", "PutBucketNotificationConfiguration"): "nobody is notified",
}
# What of moto was looked at; of all its other services much is only pretended, or asks for Docker or the internet.
SERVICES = frozenset(
    """
    apigateway cloudformation cloudwatch dynamodb ec2 events iam kms lambda logs resourcegroupstaggingapi s3
    secretsmanager sns sqs ssm sts
    """.split()  # noqa: SIM905 - as below
)

# moto's S3 takes an unknown sub-resource for a listing or an object, so only what it really has is let through.
_S3_OPERATIONS = frozenset(
    """
    AbortMultipartUpload CompleteMultipartUpload CopyObject CreateBucket CreateMultipartUpload DeleteBucket
    DeleteBucketCors DeleteBucketEncryption DeleteBucketLifecycle DeleteBucketOwnershipControls DeleteBucketPolicy
    DeleteBucketTagging DeleteObject DeleteObjects DeleteObjectTagging DeletePublicAccessBlock GetBucketAcl
    GetBucketCors GetBucketEncryption GetBucketLifecycleConfiguration GetBucketLocation GetBucketLogging
    GetBucketNotificationConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketTagging GetBucketVersioning
    GetObject GetObjectAcl GetObjectAttributes GetObjectTagging GetPublicAccessBlock HeadBucket HeadObject ListBuckets
    ListMultipartUploads ListObjects ListObjectsV2 ListObjectVersions ListParts PutBucketAcl PutBucketCors
    PutBucketEncryption PutBucketLifecycleConfiguration PutBucketLogging PutBucketOwnershipControls PutBucketPolicy
    PutBucketTagging PutBucketVersioning PutObject PutObjectAcl PutObjectTagging PutPublicAccessBlock UploadPart
    UploadPartCopy
    """.split()  # noqa: SIM905 - fifty quoted names read worse
)


def require_moto(service: str, operation: str) -> None:
    """Raise the loud refusal if moto, which is about to be asked, cannot do this or would only pretend to."""
    why = REFUSED.get((service, operation))
    if why is not None:
        raise ServiceError(
            motobridge.NOT_IMPLEMENTED, f"the local cloud does not implement {service}:{operation}: {why}", status=501
        )
    if service not in SERVICES or (service == "s3" and operation not in _S3_OPERATIONS):
        raise motobridge.not_implemented(service, operation)
