"""The verdict on a call: which rights it needs, and whether the caller's role and the resource's own policy give them.

The endpoint calls `authorise` before every operation. The operator (root) may do everything; what a role would have
needed in its place is recorded all the same. Roles and managed nodes need what the table says; for what the table does
not know they are refused, by name.

Sources: IAM User Guide, "Policy evaluation for requests within a single account" and "AWS global condition context
keys"; KMS Developer Guide, "Determining access to AWS KMS keys".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from localcloud.aws.call import Call, Use
from localcloud.aws.iam import actions, denials
from localcloud.aws.iam.directory import WorldDirectory
from localcloud.aws.iam.documents import Policy, PolicyKind
from localcloud.aws.iam.policy import Caller, Context, Values, evaluate
from localcloud.aws.iam.rights.model import Right
from localcloud.aws.iam.roles import Role, find_role
from localcloud.errors import ServiceError
from localcloud.principals import Kind
from localcloud.world import World

_ARN_PARTS = 6


def authorise(call: Call, world: World) -> tuple[Use, ...]:
    """What the caller's own policies were needed for, in the order asked; of the operator, what a role would need.

    Raises ServiceError in the called service's words if a right is missing or the table does not know the operation.
    A call that answers for each resource by itself is not refused: it asks `lacking` what it has to do without.
    What a key policy grants by itself is not in the answer: no identity-based policy was needed for it.
    """
    root = call.principal.kind is Kind.ROOT
    try:
        rights = _required(call, world)
    except KeyError as missing:
        if root:
            return ()  # the operation itself says what is missing
        # The services look at the form of a request before they ask who may send it.
        raise ServiceError("ValidationException", f"{call.operation} needs {missing}") from missing
    if root:
        return tuple(Use(action=right.action, resource=right.resource) for right in rights or ())
    if rights is None:
        raise denials.unlisted(call)
    if (call.service, call.operation) in actions.EACH_BY_ITSELF:
        rights = [right for right in rights if may(call, world, right)]
    return require(call, world, rights)


def require(call: Call, world: World, rights: Sequence[Right]) -> tuple[Use, ...]:
    """The same for given rights: what is asked for beside what the table knows of a call."""
    if call.principal.kind is Kind.ROOT:
        return tuple(Use(action=right.action, resource=right.resource) for right in rights)
    if not rights:
        return ()
    asking = _asking(call, world)
    return tuple(use for right in rights if (use := asking.require(right)))


def may(call: Call, world: World, right: Right) -> bool:
    """Whether the caller has one further right, for calls that go on without the resources that are not allowed."""
    if call.principal.kind is Kind.ROOT:
        return True
    try:
        _asking(call, world).require(right)
    except ServiceError:
        return False
    return True


def lacking(call: Call, world: World) -> list[Right]:
    """Which of the rights that a call needs its caller does not have."""
    return [right for right in _required(call, world) or () if not may(call, world, right)]


def _required(call: Call, world: World) -> list[Right] | None:
    table = actions.NODE_TABLE if call.principal.kind is Kind.NODE else actions.TABLE
    return actions.required(call, WorldDirectory(world, call.region), table=table)


def _asking(call: Call, world: World) -> "_Asking":
    role = find_role(world, call.principal.role_name)
    return _Asking(
        call=call,
        world=world,
        directory=WorldDirectory(world, call.region),
        role=role,
        keys=_call_keys(call, role),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """One caller with one call, asked right by right."""

    call: Call
    world: World
    directory: WorldDirectory
    role: Role | None
    keys: Mapping[str, Values]

    def require(self, right: Right) -> Use | None:
        """What of the caller's own policies `right` needed, if any; raises ServiceError if it is not granted."""
        context = Context(
            action=right.action, resource=right.resource, keys={**self.keys, **_right_keys(self.call, right)}
        )
        guard = self._guard(right)
        granted = guard is not None and self._ask_guard(guard, right, context)
        identity = evaluate(self.role.policies if self.role else (), context)
        if identity.explicit_deny or not (granted or identity.allowed):
            raise denials.denied(self.call, right, by=PolicyKind.IDENTITY, explicit=identity.explicit_deny)
        self._ask_boundary(right, context, needed=not granted)
        if not identity.allowed:
            return None
        return Use(action=right.action, resource=right.resource, policy=identity.policy, statement=identity.statement)

    def _guard(self, right: Right) -> Policy | None:
        """The resource's own policy, where access is impossible without its consent: of a KMS key, of a role."""
        if right.action.startswith("kms:") and not right.resource.endswith(
            "*"
        ):  # a key that is still to be made has none
            policy = self.directory.key_policy(right.resource)
            if policy is None:
                raise denials.no_such_key(self.call, right)
            return policy
        if right.action == "sts:AssumeRole":
            wanted = find_role(self.world, right.resource)
            return wanted.trust if wanted else None
        return None

    def _ask_guard(self, guard: Policy, right: Right, context: Context) -> bool:
        """True if the guard names the caller; False if it leaves the decision to the account's own policies."""
        account = self.call.account
        root = (f"arn:aws:iam::{account}:root",)
        caller = (self.call.principal.arn, *((self.role.arn,) if self.role else ()))
        verdict = evaluate([guard], replace(context, caller=Caller(aws=caller + root)))
        if not verdict.allowed:
            raise denials.denied(self.call, right, by=guard.kind, explicit=verdict.explicit_deny)
        return evaluate([guard], replace(context, caller=Caller(aws=caller))).allowed

    def _ask_boundary(self, right: Right, context: Context, *, needed: bool) -> None:
        if self.role is None or self.role.boundary is None:
            return
        verdict = evaluate([self.role.boundary], context)
        if verdict.explicit_deny or (needed and not verdict.allowed):
            raise denials.denied(self.call, right, by=PolicyKind.BOUNDARY, explicit=verdict.explicit_deny)


def _call_keys(call: Call, role: Role | None) -> Mapping[str, Values]:
    """The global keys of a call. aws:SourceVpc, SourceVpce and VpcSourceIp are absent: functions run outside a VPC."""
    keys: dict[str, Values] = {
        "aws:CurrentTime": call.now.isoformat(),
        "aws:EpochTime": str(int(call.now.timestamp())),
        # The endpoint listens in the clear on loopback; what it stands for is reached by TLS alone.
        "aws:SecureTransport": "true",
        "aws:RequestedRegion": call.region,
        "aws:SourceIp": call.request.source_ip,
        "aws:PrincipalAccount": call.account,
        "aws:PrincipalIsAWSService": "false",
        "aws:PrincipalType": "AssumedRole",
    }
    if agent := call.request.headers.get("User-Agent"):
        keys["aws:UserAgent"] = agent
    if role:
        keys["aws:PrincipalArn"] = role.arn
        keys["aws:userid"] = f"{role.id}:{call.principal.arn.rsplit('/', 1)[-1]}"
        keys |= {f"aws:PrincipalTag/{key}": value for key, value in role.tags.items()}
    return keys


def _right_keys(call: Call, right: Right) -> Mapping[str, Values]:
    """The keys that go with one right: its own, whose the resource is, and who asks on the caller's behalf."""
    keys: dict[str, Values] = {**right.keys, "aws:ViaAWSService": "true" if right.via else "false"}
    parts = right.resource.split(":", _ARN_PARTS - 1)
    if call.principal.via:
        keys |= dict.fromkeys(("aws:CalledViaFirst", "aws:CalledViaLast", "aws:CalledVia"), call.principal.via)
        keys["aws:ViaAWSService"] = "true"
    keys["aws:ResourceAccount"] = parts[4] if len(parts) == _ARN_PARTS and parts[4] else call.account
    if right.action.startswith("kms:"):
        keys |= {"kms:CallerAccount": call.account, "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        if right.via:
            keys["kms:ViaService"] = f"{right.via}.{call.region}.amazonaws.com"
    return keys
