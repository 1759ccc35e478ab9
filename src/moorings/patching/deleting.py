"""What may be deleted, by whom, when: the one rule, pure, asked before every delete."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum

from moorings.patching.model import TAG_EXECUTION, TAG_EXPIRY, TAG_NAME, TAG_PREFIX, TAG_ROLE, TAG_STACK, VmRef

CHECKPOINT = "checkpoint"
REPLACEMENT = "replacement"
FAILED_DISK = "failed-disk"
ROLES = frozenset({CHECKPOINT, REPLACEMENT, FAILED_DISK})
SLOT_OS = "os"


class Deleter(Enum):
    """Who wants to delete."""

    RUN = "run"  # the run itself, when it releases its checkpoint
    KEEPER = "keeper"
    PERSON = "person"  # `patch gc --execution`: named the execution


def may_delete(
    name: str,
    tags: Mapping[str, str],
    *,
    deleter: Deleter,
    execution: str,
    now: datetime,
    over: bool,
    attached: bool,
) -> str:
    """Empty if this resource may be deleted for `execution`; else why not.

    Nothing is deleted but what its tags say is ours: this execution, its own name, a role of ours. The run deletes only
    checkpoints; the keeper only what has expired; both keeper and person only when the execution is over and nothing
    holds the resource.
    """
    role = tags.get(TAG_ROLE, "")
    objections = (
        (tags.get(TAG_EXECUTION) != execution, "its tags name another execution, or none"),
        (tags.get(TAG_NAME, "").lower() != name.lower(), "its tags name another resource, or none: a copy"),
        (role not in ROLES, "its tags name no role of ours"),
        (attached, "a VM holds it"),
        (deleter is Deleter.RUN and role != CHECKPOINT, "a run deletes checkpoints only"),
        (deleter is not Deleter.RUN and not over, "its execution is not over"),
        (deleter is Deleter.PERSON and role == FAILED_DISK, "it is the VM's former disk: only its expiry removes it"),
        (deleter is Deleter.KEEPER, _not_expired(tags, now)),
    )
    return next((why for holds, why in objections if holds and why), "")


def _not_expired(tags: Mapping[str, str], now: datetime) -> str:
    expiry = expiry_of(tags)
    if expiry is None:
        return "it has no expiry"
    return "" if expiry <= now else f"it is kept until {expiry:%Y-%m-%d %H:%M} UTC"


def expiry_of(tags: Mapping[str, str]) -> datetime | None:
    """The expiry that the tags tell; None without one, or if it cannot be read."""
    try:
        return datetime.strptime(tags.get(TAG_EXPIRY, ""), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def expiry_text(moment: datetime) -> str:
    """An expiry as its tag holds it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def resource_name(vm: VmRef, execution: str, lun: int | None) -> str:
    """The name of a run's snapshot or disk: of the VM, the execution and the slot, never of a date; at most 80."""
    readable = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in vm.name)[:32].strip("-")
    return f"{readable or 'vm'}-{execution.replace('-', '')}-{slot_word(lun)}"


def slot_word(lun: int | None) -> str:
    """`os`, or `lun3`."""
    return SLOT_OS if lun is None else f"lun{lun}"


def own_tags(*, name: str, execution: str, role: str, stack: str, copied: Mapping[str, str]) -> dict[str, str]:
    """The tags of a resource that we make: what its source bears (never ours), and whose it is."""
    kept = {key: value for key, value in copied.items() if not key.lower().startswith(TAG_PREFIX)}
    ours = {TAG_EXECUTION: execution, TAG_NAME: name, TAG_ROLE: role, TAG_STACK: stack}
    return {**dict(list(kept.items())[: 50 - len(ours) - 1]), **ours}  # Azure takes 50; one place is for the expiry
