"""`report`: how a run ended, told to everyone who should know, and what it leaves behind marked with an expiry.

Each part of it may be repeated; what fails is done again by the keeper.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from moorings.errors import MooringsError
from moorings.patching import judging
from moorings.patching.checkpointing import release
from moorings.patching.deleting import FAILED_DISK, expiry_text
from moorings.patching.model import (
    TAG_EXECUTION,
    TAG_EXPIRY,
    TAG_NAME,
    TAG_ROLE,
    TAG_STACK,
    Conclusion,
    Outcome,
    Phase,
    Run,
)
from moorings.patching.observed import Disk, Resource, same_id
from moorings.patching.outside import Outside
from moorings.patching.ports import AzureRefused, Compute
from moorings.patching.restoring import set_of

# A delete that was begun is over by then, or has failed.
GONE_BY = timedelta(minutes=5)
TRY_AGAIN = timedelta(minutes=2)


def report(run: Run, outside: Outside, *, install_began: bool, scanned: bool = False, reason: str = "") -> Run:
    """The run with its conclusion, announced, its leftovers marked, its guard given up. Never raises MooringsError.

    A restore that has not ended keeps its guard and stays in its phase: the keeper goes on with it, and tells everyone
    what came of it. `reason`: what the runbook knows of a run without a record of its own.
    """
    if run.phase is Phase.OVER:
        return run
    if reason and not run.refusal and run.fence == 0:
        run = replace(run, refusal=reason, remedy="look at the run's steps in Systems Manager, Automation")
    conclusion = judging.conclude(run, install_began=install_began, scanned=scanned)
    told = run.announced and run.conclusion == conclusion
    run = replace(run, conclusion=conclusion, announced=told, unfiled=bool(run.vm_guid) and not told)
    unfinished = run.restore is not None and not run.restore.ended
    if unfinished:
        return _try(run, outside, "record", lambda one: outside.records.save(replace(one, look_at=outside.clock.now())))
    if conclusion.outcome is Outcome.UNCHANGED:
        run = _try(run, outside, "release", lambda one: release(one, outside, over=True))
    _count(conclusion, outside)
    return _closed(complete(run, outside), outside)


def complete(run: Run, outside: Outside) -> Run:
    """Do what the report of a concluded run still owes: marks, news, guard. `look_at` is set if some of it failed, so
    that the keeper does it again. Not saved yet."""
    assert run.conclusion is not None
    conclusion = run.conclusion
    run = replace(run, look_at=None)
    if run.leftovers and run.expires_at is None:
        run = _try(run, outside, "leftovers", lambda one: _marked(one, conclusion, outside))
    # Each by itself: what one of them cannot take must not be told to the other again and again.
    if not run.announced:
        run = _try(run, outside, "announcement", lambda one: _announced(one, outside))
    if run.unfiled:
        run = _try(run, outside, "compliance", lambda one: _filed(one, outside))
    # Before the record is closed: a guard that outlived it would be held until its time is over.
    return _try(run, outside, "guard", lambda one: _given_up(one, outside))


def _given_up(run: Run, outside: Outside) -> Run:
    if run.vm is not None and run.fence:
        outside.guards.release(run.vm, owner=run.execution, fence=run.fence)
    return run


def _closed(run: Run, outside: Outside) -> Run:
    now = outside.clock.now()
    assert run.conclusion is not None
    ended = outside.entered(run, Phase.OVER, f"{run.conclusion.outcome.value}: {run.conclusion.reason}")
    gone_by = max(now + GONE_BY, run.expires_at) if run.leftovers and run.expires_at else None
    look_at = min((moment for moment in (run.look_at, gone_by) if moment is not None), default=None)
    return _try(replace(ended, look_at=look_at), outside, "record", outside.records.save)


def _count(conclusion: Conclusion, outside: Outside) -> None:
    """For the alarms: once, whoever else can be told."""
    outside.journal.count(f"Outcome{conclusion.outcome.name.title().replace('_', '')}")
    if conclusion.wrong:
        outside.journal.count("Wrong")


def _announced(run: Run, outside: Outside) -> Run:
    outside.news.announce(run)
    return replace(run, announced=True)


def _filed(run: Run, outside: Outside) -> Run:
    outside.nodes.report_compliance(run.node, run)
    return replace(run, unfiled=False)


def _marked(run: Run, conclusion: Conclusion, outside: Outside) -> Run:
    """The leftovers that still exist, with the expiry that this outcome gives them; none for what a person decides."""
    if not run.leftovers:
        return run
    compute, now = outside.compute(run), outside.clock.now()
    being_made = _being_made(run)
    left: list[str] = []
    dates: list[datetime] = []
    for resource_id, former in _candidates(run, conclusion):
        if resource_id in run.released:
            # On its way out. The keeper looks whether it has gone, and marks it if it has not.
            left.append(resource_id)
            dates.append(now)
            continue
        resource = look(compute, resource_id)
        if resource is None and resource_id in being_made:
            left.append(resource_id)
            dates.append(now)
            continue
        if resource is None or (isinstance(resource, Disk) and _in_use(run, resource)):
            continue
        left.append(resource_id)
        expiry = _expiry(run, conclusion, now, former=former)
        if expiry is not None:
            dates.append(expiry)
            mark(run, resource, expiry, compute, outside, former=former)
    return replace(run, leftovers=tuple(left), expires_at=min(dates, default=None))


def _being_made(run: Run) -> frozenset[str]:
    """Snapshots that may still appear: the run was cancelled while a call of it took them, and nobody stops a call."""
    if run.checkpoint_failure:
        return frozenset()
    return frozenset(entry.snapshot_id for entry in run.checkpoint if not entry.begun)


def _candidates(run: Run, conclusion: Conclusion) -> list[tuple[str, bool]]:
    """What may still be there, and whether it is a disk that the VM had before us."""
    found = [(resource_id, False) for resource_id in run.leftovers]
    if conclusion.outcome is Outcome.ROLLED_BACK:
        found += [(entry.source_id, True) for entry in set_of(run)]
    return found


def _expiry(run: Run, conclusion: Conclusion, now: datetime, *, former: bool) -> datetime | None:
    if conclusion.outcome in {Outcome.ROLLBACK_FAILED, Outcome.UNDECIDED}:
        return None
    hours = run.options.keep_failed_disk_hours if former else run.options.keep_snapshot_hours
    return now + timedelta(hours=hours)


def mark(
    run: Run, resource: Resource, expiry: datetime, compute: Compute, outside: Outside, *, former: bool = False
) -> None:
    """Write the expiry into a leftover's tags; a disk that the VM had before us gets all of ours."""
    tags = dict(resource.tags)
    if former:
        ours = {TAG_EXECUTION: run.execution, TAG_NAME: resource.name, TAG_ROLE: FAILED_DISK, TAG_STACK: outside.stack}
        tags.update(ours)
    try:
        compute.tag(resource.id, {**tags, TAG_EXPIRY: expiry_text(expiry)})
    except AzureRefused as refused:
        # It may be on its way out, and then takes no tags.
        outside.journal.record("not_marked", resource=resource.id, why=str(refused))


def look(compute: Compute, resource_id: str) -> Resource | None:
    """A snapshot or disk of ours; None if it is gone."""
    return compute.snapshot(resource_id) if "/snapshots/" in resource_id.lower() else compute.disk(resource_id)


def _in_use(run: Run, disk: Disk) -> bool:
    return run.vm is not None and same_id(disk.managed_by, run.vm.id)


def _try(run: Run, outside: Outside, what: str, part: Callable[[Run], Run]) -> Run:
    """`part` of the report; if it fails the run goes on without, and the keeper does it again."""
    try:
        return part(run)
    except (MooringsError, AzureRefused) as error:
        outside.journal.record("report_incomplete", execution=run.execution, part=what, error=str(error))
        outside.journal.count("ReportIncomplete")
        return replace(run, look_at=outside.clock.now() + TRY_AGAIN)
