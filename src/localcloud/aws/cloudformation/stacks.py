"""All stacks of a world, and the operations on them: checks first, then the engine in a thread of its own.

As in the service, a call that starts an operation answers at once; DescribeStacks and the events tell the rest.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from localcloud.aws.cloudformation.clients import RegionalClients, ServiceClients
from localcloud.aws.cloudformation.engine import Engine
from localcloud.aws.cloudformation.functions import Resolver, check_rules
from localcloud.aws.cloudformation.model import ChangeSet, Stack, Wanted
from localcloud.aws.cloudformation.parameters import usable
from localcloud.aws.cloudformation.plan import Plan, capabilities_needed, changes, fingerprint, planned
from localcloud.aws.cloudformation.registry import registry
from localcloud.aws.cloudformation.template import Template, invalid
from localcloud.errors import ServiceError
from localcloud.principals import Principal
from localcloud.world import World

log = logging.getLogger(__name__)

NO_UPDATES = "No updates are to be performed."
NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
UPDATABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
CLOSING_SECONDS = 10.0


class Stacks:
    """The stacks of one account in all its Regions; threads may share it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.RLock()
        self._stacks: dict[str, dict[str, Stack]] = {}
        self._clients = ServiceClients(world)
        self._threads: list[threading.Thread] = []

    def close(self) -> None:
        """Wait for operations under way, so that none outlives the world."""
        for thread in self._threads:
            thread.join(CLOSING_SECONDS)

    def settle(self) -> None:
        """Return once no operation is under way (for tests and demos that need not poll)."""
        for thread in list(self._threads):
            thread.join()

    def client(self, service: str, region: str, caller: Principal) -> Any:
        """A client with the rights of `caller` (to read templates from S3)."""
        return self._clients.client(service, region, caller)

    def all(self, region: str) -> list[Stack]:
        """Every stack, deleted ones too, newest first."""
        with self._lock:
            return list(reversed(self._stacks.get(region, {}).values()))

    def find(self, region: str, name: str, *, verb: str = "") -> Stack:
        """The stack of a name or id; a deleted one only by its id. Raises the service's ValidationError."""
        for stack in self.all(region):
            if name == stack.id or (name == stack.name and stack.deleted is None):
                return stack
        # The service words it in these two ways, by operation.
        raise invalid(f"Stack [{name}] does not exist" if verb else f"Stack with id {name} does not exist")

    def pseudo(self, region: str, name: str, stack_id: str) -> dict[str, Any]:
        """The pseudo parameters of a stack."""
        return {
            "AWS::AccountId": self._world.account,
            "AWS::Region": region,
            "AWS::StackName": name,
            "AWS::StackId": stack_id,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NotificationARNs": [],
        }

    def plan(self, region: str, name: str, stack_id: str, wanted: Wanted) -> Plan:
        """The checked plan of `wanted`: rules, conditions, capabilities."""
        pseudo = self.pseudo(region, name, stack_id)
        check_rules(wanted.template, Resolver(wanted.template, usable(wanted.template, wanted.values), pseudo))
        made = planned(wanted, pseudo)
        _check_capabilities(made)
        return made

    def begin_create(
        self, region: str, name: str, wanted: Wanted, *, caller: Principal, on_failure: str, protected: bool, token: str
    ) -> Stack:
        """Start making a new stack."""
        with self._lock:
            stack = self._new(region, name, wanted)
            stack.on_failure, stack.protected, stack.token = on_failure, protected, token
            plan = self.plan(region, name, stack.id, wanted)
            self._stacks.setdefault(region, {})[stack.id] = stack
            self._start_create(region, stack, plan, caller)
        return stack

    def _start_create(self, region: str, stack: Stack, plan: Plan, caller: Principal) -> None:
        stack.note(at=self._world.clock.now(), status="CREATE_IN_PROGRESS", reason="User Initiated")
        engine = self._engine(region, caller)
        self._run(lambda: engine.create(stack, plan, claim_exports=self._claimer(region)), stack)

    def begin_update(self, region: str, stack: Stack, wanted: Wanted, *, caller: Principal, token: str) -> None:
        """Start updating a stack."""
        with self._lock:
            _check_updatable(stack)
            plan = self.plan(region, stack.name, stack.id, wanted)
            if fingerprint(plan) == fingerprint(planned(stack.wanted, plan.pseudo)):
                raise invalid(NO_UPDATES)
            self._start_update(region, stack, plan, caller, token)

    def _start_update(self, region: str, stack: Stack, plan: Plan, caller: Principal, token: str) -> None:
        stack.token = token
        stack.updated = self._world.clock.now()
        stack.note(at=stack.updated, status="UPDATE_IN_PROGRESS", reason="User Initiated")
        engine = self._engine(region, caller)
        self._run(lambda: engine.update(stack, plan, claim_exports=self._claimer(region)), stack)

    def begin_delete(self, region: str, stack: Stack, *, caller: Principal, retain: frozenset[str], token: str) -> None:
        """Start removing a stack; one that is being removed or is gone is left alone.

        A stack that is being made takes it too: nothing further is made, and what was made goes.
        """
        with self._lock, stack.turning:
            if stack.status in {"DELETE_IN_PROGRESS", "DELETE_COMPLETE"}:
                return
            if stack.protected:
                raise invalid(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
            if stack.is_busy and stack.status != "CREATE_IN_PROGRESS":
                raise invalid(f"Stack [{stack.id}] cannot be deleted while in status {stack.status}")
            if retain and stack.status != "DELETE_FAILED":
                raise invalid(
                    f"Invalid operation on stack [{stack.id}]. RetainResources is only for DELETE_FAILED stacks"
                )
            self._check_exports_unused(region, stack)
            stack.change_sets.clear()
            stack.token = token
            stack.note(at=self._world.clock.now(), status="DELETE_IN_PROGRESS", reason="User Initiated")
            engine = self._engine(region, caller)
            self._run(lambda: engine.delete(stack, retain=retain), stack)

    def add_change_set(
        self, region: str, stack_name: str, wanted: Wanted, *, name: str, kind: str, description: str
    ) -> tuple[Stack, ChangeSet]:
        """Work out what `wanted` would change; a CREATE one makes the stack in REVIEW_IN_PROGRESS."""
        with self._lock:
            if kind == "CREATE":
                stack = self._reviewed(region, stack_name, wanted, change_set=name)
            else:
                stack = self.find(region, stack_name)
                _check_updatable(stack)
            if name in stack.change_sets:
                raise ServiceError(
                    "AlreadyExistsException",
                    f"ChangeSet {name} cannot be created due to a mismatch with existing attribute Template",
                    status=400,
                )
            plan = self.plan(region, stack.name, stack.id, wanted)
            found = changes(stack, plan, registry(), imports=lambda export: self.exported(region, export))
            same = kind == "UPDATE" and fingerprint(plan) == fingerprint(planned(stack.wanted, plan.pseudo))
            made = ChangeSet(
                id=self._arn(region, "changeSet", name),
                name=name,
                kind=kind,
                wanted=wanted,
                description=description,
                created=self._world.clock.now(),
                changes=found,
                status="FAILED" if same else "CREATE_COMPLETE",
                reason=NO_CHANGES if same else "",
                execution="UNAVAILABLE" if same else "AVAILABLE",
            )
            stack.change_sets[name] = made
            return stack, made

    def execute(
        self, region: str, stack: Stack, change_set: ChangeSet, *, caller: Principal, on_failure: str, token: str
    ) -> None:
        """Carry out a change set; the others of the stack are dropped, as the service does."""
        with self._lock:
            if change_set.execution != "AVAILABLE":
                raise ServiceError(
                    "InvalidChangeSetStatus",
                    f"ChangeSet [{change_set.id}] cannot be executed in its current status of [{change_set.status}]",
                    status=400,
                )
            if change_set.kind == "UPDATE":
                _check_updatable(stack)
            plan = self.plan(region, stack.name, stack.id, change_set.wanted)
            change_set.execution = "EXECUTE_COMPLETE"
            stack.change_sets.clear()
            if change_set.kind == "UPDATE":
                self._start_update(region, stack, plan, caller, token)
                return
            stack.token, stack.on_failure, stack.wanted = token, on_failure, change_set.wanted
            self._start_create(region, stack, plan, caller)

    def exports(self, region: str) -> Iterator[tuple[Stack, str, str]]:
        """Every export of the Region: stack, name, value."""
        for stack in self.all(region):
            for output in stack.outputs if stack.deleted is None else []:
                if "ExportName" in output:
                    yield stack, output["ExportName"], output["OutputValue"]

    def exported(self, region: str, name: str) -> str:
        """The value of an export. Raises ValidationError if no stack exports it."""
        for _, exported, value in self.exports(region):
            if exported == name:
                return value
        raise invalid(f"No export named {name} found.")

    def importers(self, region: str, name: str) -> list[str]:
        """Names of the stacks that import an export."""
        return [stack.name for stack in self.all(region) if stack.deleted is None and name in stack.imports]

    def exists(self, region: str, kind: str, value: str, caller: Principal) -> bool:
        """Whether a parameter's AWS-specific value exists; kinds without a check are taken as given."""
        checks: dict[str, Callable[[Any], Any]] = {
            "AWS::EC2::VPC::Id": lambda ec2: ec2.describe_vpcs(VpcIds=[value]),
            "AWS::EC2::Subnet::Id": lambda ec2: ec2.describe_subnets(SubnetIds=[value]),
            "AWS::EC2::SecurityGroup::Id": lambda ec2: ec2.describe_security_groups(GroupIds=[value]),
        }
        if kind not in checks:
            return True
        ec2 = self.client("ec2", region, caller)
        try:
            checks[kind](ec2)
        except ec2.exceptions.ClientError:
            return False
        return True

    def _new(self, region: str, name: str, wanted: Wanted) -> Stack:
        existing = [stack for stack in self.all(region) if stack.name == name and stack.deleted is None]
        if existing:
            raise ServiceError("AlreadyExistsException", f"Stack [{name}] already exists", status=400)
        return Stack(id=self._arn(region, "stack", name), name=name, wanted=wanted, created=self._world.clock.now())

    def _reviewed(self, region: str, name: str, wanted: Wanted, *, change_set: str) -> Stack:
        for stack in self.all(region):
            if stack.name == name and stack.deleted is None and stack.status == "REVIEW_IN_PROGRESS":
                return stack
        empty = Wanted(template=Template(text="{}"), values={}, tags={})
        try:
            stack = self._new(region, name, empty)
        except ServiceError as error:
            raise invalid(
                f"Stack [{name}] already exists and cannot be created with the changeSet [{change_set}]"
            ) from error
        self.plan(region, name, stack.id, wanted)
        stack.note(at=self._world.clock.now(), status="REVIEW_IN_PROGRESS", reason="User Initiated")
        self._stacks.setdefault(region, {})[stack.id] = stack
        return stack

    def _arn(self, region: str, kind: str, name: str) -> str:
        return f"arn:aws:cloudformation:{region}:{self._world.account}:{kind}/{name}/{uuid.uuid4()}"

    def _engine(self, region: str, caller: Principal) -> Engine:
        return Engine(
            registry=registry(),
            clients=RegionalClients(self._clients, self._world, region, caller),
            clock=self._world.clock,
            account=self._world.account,
            region=region,
            imports=lambda name: self.exported(region, name),
        )

    def _run(self, work: Callable[[], None], stack: Stack) -> None:
        """Start an operation under the lock that its status was set under; it begins once the one before has ended."""
        before = stack.operation

        def run() -> None:
            if before is not None:  # still at work only if it is a creation that a deletion cuts short
                before.join()
            try:
                work()
            except Exception as error:  # the outermost door of an operation: a bug of ours must not leave it running
                log.exception("the operation on stack %s failed", stack.name)
                stack.note(
                    at=self._world.clock.now(), status=_broken(stack.status), reason=f"internal failure: {error!r}"
                )

        thread = threading.Thread(target=run, name=f"cloudformation-{stack.name}", daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()]
        self._threads.append(thread)
        stack.operation = thread
        thread.start()

    def _claimer(self, region: str) -> Callable[[Stack], None]:
        def claim(stack: Stack) -> None:
            mine = {output["ExportName"] for output in stack.outputs if "ExportName" in output}
            for other, name, _ in self.exports(region):
                if other is not stack and name in mine:
                    raise invalid(f"Export with name {name} is already exported by stack {other.name}")

        return claim

    def _check_exports_unused(self, region: str, stack: Stack) -> None:
        for owner, name, _ in list(self.exports(region)):
            users = self.importers(region, name) if owner is stack else []
            if users:
                raise invalid(f"Export {name} cannot be deleted as it is in use by {', '.join(users)}")


def _broken(status: str) -> str:
    verb = status.partition("_IN_PROGRESS")[0].removesuffix("_COMPLETE_CLEANUP")
    return "UPDATE_ROLLBACK_FAILED" if verb == "UPDATE" else f"{verb}_FAILED"


def _busy(stack: Stack) -> ServiceError:
    return invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def _check_updatable(stack: Stack) -> None:
    if stack.status not in UPDATABLE:
        raise _busy(stack)


def _check_capabilities(plan: Plan) -> None:
    needed, _ = capabilities_needed(plan, registry())
    given = set(plan.wanted.capabilities)
    if "CAPABILITY_NAMED_IAM" in given:
        given.add("CAPABILITY_IAM")
    missing = needed - given
    if missing:
        named = "CAPABILITY_NAMED_IAM" if "CAPABILITY_NAMED_IAM" in missing else "CAPABILITY_IAM"
        raise ServiceError("InsufficientCapabilitiesException", f"Requires capabilities : [{named}]", status=400)
