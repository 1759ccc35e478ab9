"""What all rooms' deployments share: how they tell what happens, and how one stack is planned, approved and made."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from moorings.clouds.aws import Aws
from moorings.deploy import constraints, templates
from moorings.deploy.artifacts import Artifacts
from moorings.deploy.stacks import ChangeSet, Stack, StackEvent, Stacks, StackSpec, require_deletable
from moorings.errors import Misconfigured, Refused


@dataclass(frozen=True, slots=True)
class Step:
    """Something that begins now, in words."""

    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know about what was done, in a sentence; it stays on the screen."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was taken down, and what was not."""

    stacks: tuple[str, ...]
    artifacts: int  # versions of zips, layers and runbooks
    bucket: bool  # whether the bucket went as well
    kept: tuple[str, ...]  # sentences: what stays, and how to remove that


Progress = Callable[[Step | Notice | StackEvent], None]
Approve = Callable[[ChangeSet], bool]


def quiet(_progress: Step | Notice | StackEvent) -> None:
    """For callers that do not watch."""


def approved(_planned: ChangeSet) -> bool:
    """For callers that need no look at the plan."""
    return True


def make(spec: StackSpec, stacks: Stacks, *, on_progress: Progress, approve: Approve) -> Stack:
    """Plan one stack, have the plan approved, carry it out. Refused if it is not approved; else as `Stacks` raises."""
    on_progress(Step(f"planning stack {spec.name}"))
    planned = stacks.plan(spec, on_event=on_progress)
    if planned.changes:
        _have_approved(planned, stacks, approve)
    text = f"{len(planned.changes)} changes" if planned.changes else "nothing to change"
    on_progress(Step(f"stack {spec.name}: {text}"))
    with _going_on(spec.name, on_progress):
        return stacks.execute(planned, on_event=on_progress)


def delete(stack: str, stacks: Stacks, *, on_progress: Progress) -> list[str]:
    """Delete one stack; its name, or nothing if there is none. Raises as `Stacks.delete`."""
    on_progress(Step(f"deleting stack {stack}"))
    with _going_on(stack, on_progress):
        return [stack] if stacks.delete(stack, on_event=on_progress) else []


@contextmanager
def _going_on(stack: str, on_progress: Progress) -> Iterator[None]:
    """Around what CloudFormation does with a stack: whoever stops watching is told that it does not stop with that."""
    try:
        yield
    except KeyboardInterrupt:
        on_progress(Notice(f"CloudFormation goes on with stack {stack}; run the command again once it has settled"))
        raise


def _have_approved(planned: ChangeSet, stacks: Stacks, approve: Approve) -> None:
    agreed = False
    try:
        agreed = approve(planned)
    finally:
        if not agreed:  # Ctrl-C is an answer too
            stacks.drop(planned)
    if not agreed:
        raise Refused(f"the plan of stack {planned.stack} was not approved", remedy="nothing of it was changed")


def preview(specs: Iterable[StackSpec], stacks: Stacks, *, on_progress: Progress) -> tuple[ChangeSet, ...]:
    """What would change, planned and dropped again."""
    planned = []
    for spec in specs:
        on_progress(Step(f"planning stack {spec.name}"))
        planned.append(stacks.plan(spec, on_event=on_progress, make_way=False))
        if planned[-1].changes:
            stacks.drop(planned[-1])
    return tuple(planned)


def artifacts_of(there: Stack | None, aws: Aws, *, given: str) -> Artifacts:
    """The bucket that is named; else the one that the stack has its zips from; else that of the account and Region."""
    return Artifacts(aws, bucket=given or (there.parameters.get("ArtifactBucket", "") if there else ""))


def require_removable(found: Stack, *, guarded: str) -> None:
    """Refused or Busy if a room's stack cannot be removed now; `guarded` is what DeletionProtection keeps, and a verb.

    A stack that is half deleted takes no update that could lift the protection: there CloudFormation tries, and the
    table itself says whether it is protected.
    """
    require_deletable(found)
    if found.parameters.get("DeletionProtection") == "yes" and found.status != "DELETE_FAILED":
        raise Refused(
            f"{guarded} protected from deletion", remedy="deploy with DeletionProtection=no, then remove again"
        )


def check_parameters(given: Mapping[str, str], template: str, *, filled_in: frozenset[str], room: str) -> None:
    """Misconfigured for a parameter that the template does not have, that deploying fills in itself, or whose value it
    does not take."""
    text = templates.read(template)
    known = templates.parameter_names(text)
    unknown = sorted(set(given) - known | set(given) & filled_in)
    if unknown:
        raise Misconfigured(
            f"{', '.join(unknown)} cannot be given: no parameter of the {room} stack, or one that deploy fills in",
            remedy=f"give some of {', '.join(sorted(known - filled_in))}",
        )
    constraints.require_fitting(text, given)
