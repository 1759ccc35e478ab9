"""DeleteObjects answers for each object by itself: one that the caller may not delete does not keep the others.

Source: S3 API Reference, DeleteObjects ("For each key, Amazon S3 performs a delete operation and returns the result of
that delete, success or failure, in the response"); a denial inside a 200: github.com/boto/boto3/issues/2884.
"""

from collections.abc import Mapping

from localcloud.aws import bucket_policies, motobridge
from localcloud.aws.call import Call, Operation
from localcloud.aws.iam import enforce
from localcloud.wire import Response
from localcloud.world import World


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """DeleteObjects, without the objects that the caller has no right to delete."""

    def delete(call: Call) -> Response:
        # A key of which one version may not be deleted stays with all of them: moto asks by key.
        refused = {right.resource.partition("/")[2] for right in enforce.lacking(call, world)}
        with bucket_policies.refusing(refused):
            return motobridge.pass_on(world, call)

    return {("s3", "DeleteObjects"): delete}
