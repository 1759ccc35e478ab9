"""`describe`: which VM is behind the node, proved; and everything that speaks against touching it, before it is."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from moorings.errors import CloudFault, Conflict, Invalid, Misconfigured, MooringsError, Refused
from moorings.patching import refusals
from moorings.patching.model import CredentialNames, Options, Phase, Run, VmRef, nonce_of, vm_ref
from moorings.patching.observed import CommandState, Disk, Node, Vm
from moorings.patching.outside import Outside
from moorings.patching.ports import AzureRefused, Compute, Overtaken
from moorings.patching.refusals import Objection, one_text
from moorings.patching.told import is_literal, vm_told

UNTIL_CHECKPOINT = timedelta(minutes=45)
LOOK_AGAIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAsk:
    """What the runbook asks. `commands` are the ids of the Extract steps; one of them is a literal reference."""

    execution: str
    node: str
    commands: tuple[str, ...]
    options: Options
    credentials: CredentialNames = field(default_factory=CredentialNames)


class _Objected(Exception):
    """Ends the description: the VM is left alone."""

    def __init__(self, objection: Objection) -> None:
        super().__init__(objection.reason)
        self.objection = objection


def refuse(execution: str, node: str, why: MooringsError, outside: Outside) -> Run:
    """The record of a run whose options nobody can make sense of: the VM is left alone, and its report says why.
    Asked again, it answers the same record."""
    known = outside.records.load(execution)
    if known is not None:
        return known
    return _recorded(
        _left_alone(
            Run(execution=execution, node=node, began_at=outside.clock.now()),
            Objection(why.message, why.remedy),
            outside,
        ),
        outside,
    )


def describe(ask: DescribeAsk, outside: Outside) -> Run:
    """The record of the run, with a refusal or with the guard taken. Asked again, it answers the same record.

    CloudFault or Busy if a cloud did not answer: nothing was touched, ask again.
    """
    known = outside.records.load(ask.execution)
    if known is not None:
        return known
    run = Run(
        execution=ask.execution,
        node=ask.node,
        began_at=outside.clock.now(),
        options=ask.options,
        credentials=ask.credentials,
    )
    try:
        run = _identified(run, ask, outside)
    except _Objected as refused:
        run = _left_alone(run, refused.objection, outside)
    try:
        return _recorded(run, outside)
    except Overtaken:
        outside.give_up_unless_needed(run)
        raise


def _left_alone(run: Run, objection: Objection, outside: Outside) -> Run:
    run = replace(run, refusal=objection.reason, remedy=objection.remedy)
    return outside.noted(run, f"left alone: {objection.reason}")


def _recorded(run: Run, outside: Outside) -> Run:
    return outside.records.save(replace(run, look_at=outside.clock.now() + LOOK_AGAIN))


def _identified(run: Run, ask: DescribeAsk, outside: Outside) -> Run:
    node = outside.nodes.node(ask.node)
    _object(refusals.node_objection(node, ask.node))
    assert node is not None
    ref, subscription, guid = _proved(ask, node, outside)
    run = replace(run, platform=node.platform, vm=ref, vm_guid=guid)
    _object(refusals.identity_objection(node, ref, subscription=subscription, guid=guid))
    _object(refusals.scope_objection(ref, outside.scopes))
    _look_at_vm(run, outside)
    fence = _take_guard(run, ref, outside)
    return outside.entered(
        replace(run, fence=fence), Phase.DESCRIBED, f"VM {ref.name} in {ref.group}, proved by itself"
    )


def _proved(ask: DescribeAsk, node: Node, outside: Outside) -> tuple[VmRef, str, str]:
    """The VM that the node names, and the subscription and GUID that it proves."""
    output = _extracted(ask, node, outside)
    told = vm_told(output)
    ref = vm_ref(told.resource_id)
    if ref is None or not told.attested:
        raise _Objected(
            Objection(
                "no answer from the instance metadata service of Azure",
                "is it an Azure VM? If it is: http://169.254.169.254 must be reachable from it, without a proxy",
            )
        )
    if told.environment and told.environment.lower() != outside.environment.lower():
        raise _Objected(
            Objection(
                f"the VM is in {told.environment}, this stack is for {outside.environment}", "use that cloud's stack"
            )
        )
    try:
        subscription, guid = outside.documents.verify(
            told.attested, nonce=nonce_of(ask.execution), now=outside.clock.now()
        )
    except (Refused, Misconfigured) as error:
        raise _Objected(Objection(f"its attested document is not accepted: {error.message}", error.remedy)) from error
    return ref, subscription, guid


def _extracted(ask: DescribeAsk, node: Node, outside: Outside) -> str:
    command = next((one for one in ask.commands if not is_literal(one)), "")
    if not command:
        raise _Objected(Objection("the step that asks the VM for its identity did not run", "look at the run's steps"))
    result = outside.nodes.command(command, node.id)
    if result.state is CommandState.SUCCESS:
        return result.output
    if result.state is CommandState.WAITING:
        raise CloudFault("the command's result is not there yet", call="ssm:GetCommandInvocation")
    raise _Objected(
        Objection(
            f"the node did not tell its VM's identity: the command {result.state.value}"
            + (f" ({result.detail})" if result.detail else ""),
            "look at the command's output in Systems Manager, Run Command",
        )
    )


def _look_at_vm(run: Run, outside: Outside) -> None:
    """Everything about the VM that Azure can tell beforehand. Raises _Objected."""
    assert run.vm is not None
    try:
        compute = outside.compute(run)
        missing = _missing(compute, run.vm)
        _object(refusals.rights_objection(missing, run.vm.group_id))
        vm = compute.vm(run.vm)
        if vm is None:
            raise _Objected(
                Objection(f"Azure has no VM {run.vm.id}", "its name is what the VM says of itself: look there")
            )
        disks = disks_to_snapshot(compute, vm, run.options)
        found = refusals.vm_objections(vm, run.vm_guid, disks, compute.locks(run.vm), run.options)
    except AzureRefused as refused:
        raise _Objected(
            Objection(f"Azure refuses: {refused}", "moorings azure check tells which right is missing")
        ) from refused
    except (Invalid, Misconfigured, Refused) as error:
        raise _Objected(Objection(error.message, error.remedy)) from error
    if found:
        raise _Objected(Objection(*one_text(found)))


def _missing(compute: Compute, vm: VmRef) -> list[str]:
    return compute.missing_actions(vm.id, refusals.VM_ACTIONS) + compute.missing_actions(
        vm.group_id, refusals.DISK_ACTIONS
    )


def disks_to_snapshot(compute: Compute, vm: Vm, options: Options) -> list[Disk | None]:
    """The disks that a run with these options would take snapshots of; None for one that Azure does not show."""
    if options.operation == "Scan" or vm.ephemeral or not vm.os_disk.disk_id:
        return []
    wanted = [vm.os_disk, *(vm.data_disks if options.snapshot_data_disks else ())]
    return [compute.disk(attached.disk_id) for attached in wanted]


def _take_guard(run: Run, ref: VmRef, outside: Outside) -> int:
    now = outside.clock.now()
    seen = outside.guards.of(ref)
    if seen is not None and seen.owner == run.execution:
        return seen.fence  # by a former try of this call, which may still run: one run has one number
    if seen is not None and seen.owner:
        # Whoever is late is not over: only the service knows whether an execution is.
        if seen.until > now or not outside.executions.over(seen.owner):
            raise _Objected(_in_progress(seen.owner))
        if _unfinished(seen.owner, outside):
            raise _Objected(_in_progress(seen.owner))
    taken = outside.guards.take(ref, owner=run.execution, until=now + UNTIL_CHECKPOINT, seen=seen)
    taken = taken or outside.guards.of(ref)
    if taken is None or not taken.owner:
        raise _Objected(Objection("another run has just worked on this VM", "start it again"))
    if taken.owner != run.execution:
        raise _Objected(_in_progress(taken.owner))
    return taken.fence


def _unfinished(execution: str, outside: Outside) -> bool:
    """Whether the keeper still restores the VM for an execution that is over."""
    run = outside.records.load(execution)
    return run is not None and run.phase is Phase.RESTORING


def _in_progress(who: str) -> Objection:
    return Objection(f"another run works on this VM: {who}", f"wait for it: moorings patch status {who}")


def _object(objection: Objection | None) -> None:
    if objection is not None:
        raise _Objected(objection)


def require_running(run: Run) -> None:
    """Conflict if the run was refused: then no later step may do anything."""
    if run.refusal or run.vm is None or not run.fence:
        raise Conflict(f"execution {run.execution} left its VM alone: {run.refusal}", remedy=run.remedy)
