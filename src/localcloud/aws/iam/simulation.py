"""SimulatePrincipalPolicy: the local cloud's own evaluator, asked about a role without a call being made.

Only what is told apart by policies that hang on the role, and by its boundary, is simulated: resource-based policies
that a request brings along are refused by name. Source: IAM API Reference, SimulatePrincipalPolicy.
"""

from collections.abc import Mapping
from typing import Any

from localcloud.aws.call import Call, Operation
from localcloud.aws.iam.documents import parse
from localcloud.aws.iam.policy import Context, Decision, evaluate
from localcloud.aws.iam.roles import Role, find_role
from localcloud.errors import ServiceError
from localcloud.world import World

_ONLY_IDENTITY = ("ResourcePolicy", "ResourceOwner", "CallerArn", "PermissionsBoundaryPolicyInputList")


class Simulation:
    """Answers SimulatePrincipalPolicy."""

    def __init__(self, world: World) -> None:
        self._world = world

    def simulate_principal_policy(self, call: Call) -> Mapping[str, Any]:
        """Each action on each resource, in the order asked; all on one page."""
        params = call.params
        if given := next((name for name in _ONLY_IDENTITY if params.get(name)), None):
            raise ServiceError("InvalidInput", f"the local cloud simulates no {given}")
        arn = str(params["PolicySourceArn"])
        role = find_role(self._world, arn) if ":role/" in arn else None
        if role is None or role.arn != arn:
            raise ServiceError("NoSuchEntity", f"The entity with ARN {arn} cannot be found.", status=404)
        more = [parse(str(each), name="PolicyInputList") for each in params.get("PolicyInputList", ())]
        keys = {
            str(each["ContextKeyName"]): list(each["ContextKeyValues"]) for each in params.get("ContextEntries", ())
        }
        contexts = [
            Context(action=str(action), resource=str(resource), keys=keys)
            for action in params["ActionNames"]
            for resource in params.get("ResourceArns") or ("*",)
        ]
        results = [_result(each, _decision(role, [*role.policies, *more], each)) for each in contexts]
        return {"EvaluationResults": results, "IsTruncated": False}


def _decision(role: Role, policies: list[Any], context: Context) -> Decision:
    identity = evaluate(policies, context)
    if not identity.allowed or role.boundary is None:
        return identity
    boundary = evaluate([role.boundary], context)
    return identity if boundary.allowed else boundary


def _result(context: Context, decision: Decision) -> Mapping[str, Any]:
    denied = "explicitDeny" if decision.explicit_deny else "implicitDeny"
    return {
        "EvalActionName": context.action,
        "EvalResourceName": context.resource,
        "EvalDecision": "allowed" if decision.allowed else denied,
        "MatchedStatements": [{"SourcePolicyId": decision.policy}] if decision.policy else [],
        "MissingContextValues": [],
    }


def operations(world: World) -> Mapping[tuple[str, str], Operation]:
    """IAM's operations of this module."""
    return {("iam", "SimulatePrincipalPolicy"): world.part(Simulation).simulate_principal_policy}
