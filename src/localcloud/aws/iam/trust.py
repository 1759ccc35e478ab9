"""Trust policies: may a service take on a role?

Lambda takes on a function's role, Systems Manager a node role. Both say in whose name they ask, so that a trust policy
can demand its own account. Source: IAM User Guide, "The confused deputy problem".
"""

from collections.abc import Mapping

from localcloud.aws.iam.documents import Policy
from localcloud.aws.iam.policy import Caller, Context, Values, evaluate
from localcloud.aws.iam.roles import find_role
from localcloud.world import World

LAMBDA = "lambda.amazonaws.com"
SSM = "ssm.amazonaws.com"
APIGATEWAY = "apigateway.amazonaws.com"


def may_assume(
    world: World, role: str, service: str, *, source_arn: str = "", keys: Mapping[str, Values] | None = None
) -> bool:
    """Whether `service` (its principal, such as `lambda.amazonaws.com`) may take on `role` (name, with path, or ARN).

    False for a role that does not exist, and for a policy that trusts everybody but does not name the service: whether
    that is enough is not published, so the stricter reading holds here. `source_arn`: the resource in whose name the
    service asks; Systems Manager asks in the name of the account's whole Region, as its user guide's trust policy
    expects.
    """
    found = find_role(world, role)
    if found is None or not _names(found.trust, service):
        return False
    source = source_arn or (f"arn:aws:ssm:{world.region}:{world.account}:*" if service == SSM else "")
    given: dict[str, Values] = {"aws:SourceAccount": world.account, "aws:PrincipalIsAWSService": "true"}
    if source:
        given["aws:SourceArn"] = source
    context = Context(
        action="sts:AssumeRole",
        resource=found.arn,
        caller=Caller(service=service),
        keys={**given, **(keys or {})},
    )
    return evaluate([found.trust], context).allowed


def _names(trust: Policy, service: str) -> bool:
    return any(one.principals is not None and service in one.principals.services for one in trust.statements)
