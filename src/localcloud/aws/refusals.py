"""Operations of moto that answer wrongly and that nothing here fills: refused by name, so that nobody trusts them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from localcloud.aws.call import Call, Operation
from localcloud.errors import ServiceError

if TYPE_CHECKING:
    from localcloud.world import World

REFUSED: Mapping[tuple[str, str], str] = {
    ("ssm", "SendCommand"): "moto's always succeeds, without any node",
    ("ssm", "GetCommandInvocation"): "there are no commands",
    ("ssm", "ListCommands"): "there are no commands",
    ("ssm", "ListCommandInvocations"): "there are no commands",
    ("dynamodb", "TransactWriteItems"): "moto's never conflict",
    ("dynamodb", "TransactGetItems"): "moto's never conflict",
    ("cloudformation", "DetectStackDrift"): "nothing looks for drift",
    ("cloudformation", "DetectStackResourceDrift"): "nothing looks for drift",
    ("cloudformation", "DescribeStackDriftDetectionStatus"): "nothing looks for drift",
    ("iam", "SimulatePrincipalPolicy"): "moto has no policy evaluation",
    ("iam", "SimulateCustomPolicy"): "moto has no policy evaluation",
    ("iam", "CreateAccessKey"): "users have no keys here; the operator and roles have",
    ("sts", "GetWebIdentityToken"): "the local cloud issues no web identities",
    ("sts", "AssumeRoleWithSAML"): "the local cloud knows no identity provider",
    ("sts", "AssumeRoleWithWebIdentity"): "the local cloud knows no identity provider",
    ("sts", "GetFederationToken"): "the local cloud knows no federated users",
}


def operations(_: "World") -> Mapping[tuple[str, str], Operation]:
    """A refusal for each operation of the table."""
    return {key: _refusal(*key, why) for key, why in REFUSED.items()}


def _refusal(service: str, operation: str, why: str) -> Operation:
    def refuse(_: Call) -> NoReturn:
        raise ServiceError(
            "NotImplementedByLocalCloud", f"the local cloud does not implement {service}:{operation}: {why}", status=501
        )

    return refuse
