"""`evidence` and `judge`: what became of the patch command, how the node is now, and what that means."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from moorings.errors import Conflict, MooringsError
from moorings.patching import judging
from moorings.patching.describing import LOOK_AGAIN, require_running
from moorings.patching.model import PATCH_TIME, Evidence, HealthReport, Phase, Run, Verdict
from moorings.patching.observed import UNSENT, CommandResult, CommandState, Node, PatchState, Power
from moorings.patching.outside import Outside
from moorings.patching.ports import AzureRefused
from moorings.patching.told import health_told, is_literal

NEXT_STEP = timedelta(hours=1)
# The runbook's comment on the command that installs, so that it can be found if its id got lost.
INSTALL_COMMENT = "moorings {execution} install"
PLUGINS = {"Linux": "PatchLinux", "Windows": "PatchWindows"}
# Source: Systems Manager, "Understanding command statuses": Pending and Delayed never reached the node.
_RECEIVED = frozenset({"InProgress", "Cancelling"})
ON_OFFER = timedelta(minutes=2)
_RUNNING = frozenset({CommandState.WAITING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Command ids as the runbook passes them; a literal reference means that the step did not run."""

    install: str = ""
    scan: Sequence[str] = ()
    prepatch: Sequence[str] = ()
    health: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look found. `done`: looking again brings nothing more."""

    run: Run
    done: bool
    offline: bool
    note: str


def watch_install(run: Run, outside: Outside, commands: Commands) -> Look:
    """Whether the patch command is over, or the node silent for longer than a boot may take."""
    run = _patching(run, outside)
    result = _install(run, outside, commands)
    node = outside.nodes.node(run.node)
    offline = _silent(run, node, outside.clock.now())
    guest = _guest(run, node, outside) if offline else ""
    since = run.patching_since or outside.clock.now()
    overdue = outside.clock.now() - since > PATCH_TIME
    evidence = replace(run.evidence or Evidence(), **_of_install(run, outside, result, commands, node))
    evidence = replace(evidence, offline=offline, guest=guest, last_ping=node.last_ping if node else None)
    done = result.state not in _RUNNING or offline or overdue
    if evidence != run.evidence:
        run = outside.records.save(replace(run, evidence=evidence))
    return Look(run=run, done=done, offline=offline, note=result.detail or result.state.value)


def gather(run: Run, outside: Outside, commands: Commands) -> Look:
    """The whole evidence as it is now. Done when the node is well, or will not become so by waiting."""
    run = _patching(run, outside)
    now = outside.clock.now()
    run = replace(run, looking_since=run.looking_since or now)
    assert run.looking_since is not None
    result = _install(run, outside, commands)
    node = outside.nodes.node(run.node)
    after = _health(run, outside, commands.health)
    state = outside.nodes.patch_state(run.node)
    offline = after is None and _silent(run, node, now)
    prepatch = _result(run, outside, commands.prepatch)
    evidence = replace(
        run.evidence or Evidence(),
        **_of_install(run, outside, result, commands, node),
        offline=offline,
        guest=_guest(run, node, outside) if offline else "",
        last_ping=node.last_ping if node else None,
        before=run.before,
        after=after,
        prepatch_failed=prepatch is not None and prepatch.state is not CommandState.SUCCESS,
        **_of_patches(run, outside, state, result, prepatch),
    )
    run = outside.records.save(replace(run, evidence=evidence))
    return Look(run=run, done=_settled(run, evidence, now), offline=evidence.offline, note=_note(evidence))


def judge(run: Run, outside: Outside) -> Run:
    """The verdict on the evidence, recorded; asked again, the same."""
    require_running(run)
    if run.judgement is not None:
        return run
    if run.phase is not Phase.PATCHING:
        raise Conflict(f"execution {run.execution} has not patched yet", remedy="gather evidence first")
    judgement = judging.judge(run.evidence or Evidence(before=run.before))
    run = outside.entered(run, Phase.JUDGED, f"{judgement.verdict.value}: {judgement.reason}")
    return outside.records.save(replace(run, judgement=judgement))


def next_of(run: Run) -> str:
    """What the runbook does after the verdict: `release`, `restore` or `keep`."""
    assert run.judgement is not None, "judged before"
    if judging.wants_restore(run.judgement.verdict, run.options.rollback_on):
        return "restore"
    return "release" if run.judgement.verdict in {Verdict.PATCHED, Verdict.UNTOUCHED} else "keep"


def _patching(run: Run, outside: Outside) -> Run:
    require_running(run)
    outside.hold(run, next_step=NEXT_STEP)
    if run.phase is Phase.PATCHING:
        return run
    if run.phase is not Phase.CHECKPOINTED:
        raise Conflict(f"execution {run.execution} has no usable checkpoint", remedy="no patch without a checkpoint")
    run = outside.entered(run, Phase.PATCHING, "patching")
    return outside.records.save(replace(run, look_at=outside.clock.now() + LOOK_AGAIN))


def _install(run: Run, outside: Outside, commands: Commands) -> CommandResult:
    command = commands.install
    if is_literal(command):
        # The step may have sent it all the same, and its answer got lost.
        assert run.patching_since is not None
        comment = INSTALL_COMMENT.format(execution=run.execution)
        command = outside.nodes.find_command(run.node, comment=comment, after=run.patching_since)
    if not command:
        return UNSENT
    return outside.nodes.command(command, run.node, plugin=PLUGINS.get(run.platform, ""))


def _of_install(
    run: Run, outside: Outside, result: CommandResult, commands: Commands, node: Node | None
) -> dict[str, Any]:
    known = run.evidence is not None and run.evidence.install_began
    # Who was heard of since had the command on offer, whatever is known of its delivery.
    heard = bool(node and node.last_ping and run.patching_since and node.last_ping > run.patching_since + ON_OFFER)
    known = known or (heard and result.state is CommandState.WAITING)
    prepatch = (one for one in commands.prepatch if not is_literal(one))
    began = known or _began(result) or any(_began(outside.nodes.command(one, run.node)) for one in prepatch)
    return {
        "install": result.state.value,
        "install_id": result.id,
        "install_detail": result.detail,
        "install_exit": result.exit_code,
        "install_began": began,
    }


def _began(result: CommandResult) -> bool:
    """Whether a command may have done something on the node."""
    if result.state is CommandState.WAITING:
        return result.started_at is not None or result.detail in _RECEIVED
    return result.state in {CommandState.SUCCESS, CommandState.FAILED, CommandState.CUT_OFF}


def _of_patches(
    run: Run, outside: Outside, state: PatchState | None, install: CommandResult, prepatch: CommandResult | None
) -> dict[str, Any]:
    assert run.patching_since is not None
    # All of these are times by the node's clock, which may be wrong: so is the beginning that it reports itself.
    told = [one.started_at for one in (prepatch, install) if one is not None and one.started_at is not None]
    since = min(told, default=run.patching_since)
    # A scan from before the installation's end tells of another node.
    fresh_from = install.ended_at or since
    fresh = (
        state is not None
        and state.operation == "Scan"
        and state.ended_at is not None
        and state.ended_at >= fresh_from - timedelta(seconds=1)  # the service keeps whole seconds
    )
    if state is None or state.ended_at is None or state.ended_at < since - timedelta(seconds=1):
        return {"scan_fresh": False, "installed_now": 0, "pending_reboot": 0, "missing": 0, "failed": 0}
    return {
        "scan_fresh": fresh,
        "installed_now": outside.nodes.installed_since(run.node, since),
        "pending_reboot": state.pending_reboot,
        "missing": state.missing,
        "failed": state.failed,
    }


def _health(run: Run, outside: Outside, ids: Sequence[str]) -> HealthReport | None:
    result = _result(run, outside, ids)
    return None if result is None or result.state is CommandState.WAITING else health_told(result.output)


def _result(run: Run, outside: Outside, ids: Sequence[str]) -> CommandResult | None:
    """Of the one command among them that was sent; None if none was."""
    command = next((one for one in ids if not is_literal(one)), "")
    return outside.nodes.command(command, run.node) if command else None


def _silent(run: Run, node: Node | None, now: datetime) -> bool:
    """Whether the node has been offline for longer than a boot may take. PingStatus alone lags by five minutes."""
    return node is not None and not node.online and now - _heard(run, node) >= run.boot_time


def _heard(run: Run, node: Node) -> datetime:
    return max(moment for moment in (node.last_ping, run.patching_since, run.began_at) if moment is not None)


def _guest(run: Run, node: Node | None, outside: Outside) -> str:
    """What Azure says of a VM whose node is silent. While Azure does not answer either, its fault is raised, so that it
    is asked again, until the node was silent for as long once more."""
    assert run.vm is not None
    try:
        vm = outside.compute(run).vm(run.vm)
    except (AzureRefused, MooringsError):
        if node is None or outside.clock.now() - _heard(run, node) < 2 * run.boot_time:
            raise
        return judging.UNSEEN
    well = vm is not None and vm.is_of(run.vm_guid) and vm.power is Power.RUNNING and vm.guest_ready
    return judging.READY if well else judging.NOT_READY


def _settled(run: Run, evidence: Evidence, now: datetime) -> bool:
    assert run.looking_since is not None
    looking = now - run.looking_since
    if evidence.after is None:
        return evidence.offline or looking >= run.boot_time + run.options.settle_time
    # What the node has reported shows with some delay.
    unreported = evidence.install_began and not evidence.scan_fresh
    if not judging.newly_failing(evidence.before, evidence.after) and not unreported:
        return True
    return looking >= run.options.settle_time


def _note(evidence: Evidence) -> str:
    if evidence.offline:
        return "the node is silent"
    if evidence.after is None:
        return "no answer from the node yet"
    failing = judging.newly_failing(evidence.before, evidence.after)
    return f"{len(failing)} health check(s) fail" if failing else "healthy"
