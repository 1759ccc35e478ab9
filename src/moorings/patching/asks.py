"""What the runbook sends, checked: each value is somebody's parameter, or a reference that stayed literal."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from moorings.errors import Invalid
from moorings.patching.checking import CheckAsk
from moorings.patching.describing import DescribeAsk
from moorings.patching.model import (
    SETTLE_TIME,
    CredentialNames,
    Options,
    RollbackOn,
    execution_id,
    vm_ref,
)
from moorings.patching.told import is_literal
from moorings.patching.watching import Commands

Event = Mapping[str, Any]

_NODE = re.compile(r"mi-[0-9a-f]{17}")
# Source: AWS-RunPatchBaseline, which takes no bucket without a key, and says so only once it is sent.
_BASELINE = re.compile(r"https://[^/ ]+/[^ ]+|s3://[^/ ]+/[^ ]*[^/ ]")
_DURATION = re.compile(r"PT(?:(\d{1,3})H)?(?:(\d{1,4})M)?(?:(\d{1,5})S)?")
LONGEST_HOURS = 24 * 365
SHORTEST_BOOT, LONGEST_BOOT = timedelta(seconds=5), timedelta(hours=2)
LONGEST_SETTLE = timedelta(hours=1)
# The runbook's parameters by the members of the event, where they are not alike but for the first letter.
_PARAMETERS = {"bootTime": "NodeBootTime", "settleTime": "HealthSettleTime"}


def execution_of(event: Event) -> str:
    """The automation execution that asks."""
    return execution_id(_text(event, "execution"))


def node_of(event: Event) -> str:
    """The managed node."""
    node = _text(event, "node")
    if not _NODE.fullmatch(node):
        raise Invalid(
            f"InstanceId {node[:40]!r} is no hybrid managed node", remedy="give the id of a node, such as mi-0…"
        )
    return node


def fence_of(event: Event) -> int | None:
    """The fencing number that the run's steps carry; None if its VM was never described."""
    value = event.get("fence")
    if isinstance(value, bool) or value is None or (isinstance(value, str) and is_literal(value)):
        return None
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"fence {str(value)[:40]!r} is no number", remedy="pass {{ DescribeVM.Fence }}") from error


def describe_ask(event: Event) -> DescribeAsk:
    """The first call, with everything that the starter chose. Invalid, in the words of the runbook's parameters."""
    return DescribeAsk(
        execution=execution_of(event),
        node=node_of(event),
        commands=command_ids(event, "commands"),
        options=_options(event),
        credentials=_credentials(event),
    )


def check_ask(event: Event) -> CheckAsk:
    """What a person wants checked: a VM by its ARM id, and, if they like, the node that should be on it."""
    told = _text(event, "vm", "")
    ref = vm_ref(told)
    if ref is None:
        raise Invalid(
            f"{told[:200]!r} is no id of a VM in Azure",
            remedy="give /subscriptions/ID/resourceGroups/NAME/providers/Microsoft.Compute/virtualMachines/NAME",
        )
    return CheckAsk(
        vm=ref,
        node=node_of(event) if event.get("node") else "",
        data_disks=flag(event, "snapshotDataDisks"),
        credentials=_credentials(event),
    )


def commands_of(event: Event) -> Commands:
    """The ids of the commands whose results are the evidence."""
    return Commands(
        install=next(iter(command_ids(event, "install")), ""),
        scan=command_ids(event, "scan"),
        prepatch=command_ids(event, "prepatch"),
        health=command_ids(event, "health"),
    )


def command_ids(event: Event, name: str) -> tuple[str, ...]:
    """The command ids of a member that holds one or several; literal references are left out."""
    value = event.get(name)
    found = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return tuple(str(one) for one in found if one is not None and not is_literal(str(one)))


def flag(event: Event, name: str) -> bool:
    """A truth value; absent means no. Runbooks pass booleans as such or as text."""
    value = event.get(name, False)
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"true", "false"}:
        return word == "true"
    raise Invalid(f"{_parameter(name)} is {str(value)[:40]!r}, no truth value", remedy="give true or false")


def _options(event: Event) -> Options:
    operation = _text(event, "operation", "Install")
    if operation not in {"Install", "Scan"}:
        raise Invalid(f"Operation is {operation[:40]!r}, which there is not", remedy="give Install or Scan")
    word = _text(event, "rollbackOn", RollbackOn.BAD.value)
    if word not in {choice.value for choice in RollbackOn}:
        raise Invalid(f"RollbackOn is {word[:40]!r}, which there is not", remedy="give Bad, BadOrUnknown or Never")
    snapshot, restore = flag(event, "snapshotDataDisks"), flag(event, "restoreDataDisks")
    if restore and not snapshot:
        raise Invalid(
            "RestoreDataDisks is true, SnapshotDataDisks is not: there would be nothing to put them back from",
            remedy="set both, or neither",
        )
    _baseline(event)
    boot = _duration(event, "bootTime")
    if boot is not None and not SHORTEST_BOOT <= boot <= LONGEST_BOOT:
        raise Invalid(f"NodeBootTime is {_told(boot)}, out of range", remedy="give between PT5S and PT2H")
    settle = _duration(event, "settleTime")
    if settle is not None and settle > LONGEST_SETTLE:
        raise Invalid(f"HealthSettleTime is {_told(settle)}, out of range", remedy="give at most PT1H")
    return Options(
        operation=operation,
        snapshot_data_disks=snapshot,
        restore_data_disks=restore,
        rollback_on=RollbackOn(word),
        keep_snapshot_hours=_hours(event, "keepSnapshotHours", 0),
        keep_failed_disk_hours=_hours(event, "keepFailedDiskHours", 168),
        dry_run=flag(event, "dryRun"),
        boot_time=boot,
        settle_time=SETTLE_TIME if settle is None else settle,
    )


def _baseline(event: Event) -> None:
    """Refuse what AWS-RunPatchBaseline would refuse, before there is a checkpoint for it."""
    url = _text(event, "baselineOverride", "")
    if url and not _BASELINE.fullmatch(url):
        raise Invalid(
            f"BaselineOverride is {url[:100]!r}, no address of a file",
            remedy="give https://HOST/PATH or s3://BUCKET/KEY, as for AWS-RunPatchBaseline",
        )


def _credentials(event: Event) -> CredentialNames:
    """Names that are given win over the stack's federation; all three or none."""
    names = CredentialNames(
        client=_parameter_name(event, "clientid"),
        tenant=_parameter_name(event, "tenantid"),
        secret=_parameter_name(event, "clientsecret"),
    )
    given = [bool(names.client), bool(names.tenant), bool(names.secret)]
    if any(given) and not all(given):
        raise Invalid(
            "clientid, tenantid and clientsecret are names of parameters: give all three or none; "
            f"{_which(names)} without a name",
            remedy="name the missing ones, or none; moorings azure connect stores them, and names them as the stack "
            "does",
        )
    return names


def _parameter_name(event: Event, member: str) -> str:
    """The name of a parameter, empty if none was given. What cannot be one is not repeated: whoever took the member for
    the value's place has put a secret there."""
    name = _text(event, member, "")
    if name and not name.startswith("/"):
        raise Invalid(
            f"{member} does not begin with a slash, as the names of parameters do; what it holds is not shown here",
            remedy="give the parameter's name: moorings azure connect stores the values. If it is a secret, renew it: "
            "Systems Manager keeps what a run was started with",
        )
    return name


def _text(event: Event, name: str, default: str | None = None) -> str:
    value = event.get(name, default)
    if not isinstance(value, str) or (default is None and is_literal(value)):
        raise Invalid(f"the event lacks {name}", remedy="start the function by the runbook, not by hand")
    return default if default is not None and is_literal(value) else value


def _hours(event: Event, name: str, default: int) -> int:
    value = event.get(name, default)
    try:
        hours = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"{_parameter(name)} is {str(value)[:40]!r}, no number", remedy="give whole hours") from error
    if not 0 <= hours <= LONGEST_HOURS:
        raise Invalid(
            f"{_parameter(name)} is {str(hours)[:40]}, out of range", remedy=f"give between 0 and {LONGEST_HOURS} hours"
        )
    return hours


def _duration(event: Event, name: str) -> timedelta | None:
    """None if nobody gave one."""
    value = event.get(name)
    if value is None or (isinstance(value, str) and is_literal(value)):
        return None
    match = _DURATION.fullmatch(str(value))
    if match is None or not any(match.groups()):
        raise Invalid(
            f"{_parameter(name)} is {str(value)[:40]!r}, no duration", remedy="give a duration such as PT15M or PT30S"
        )
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _parameter(name: str) -> str:
    """What whoever started the run calls a member of the event."""
    return _PARAMETERS.get(name) or name[:1].upper() + name[1:]


def _which(names: CredentialNames) -> str:
    given = {"clientid": names.client, "tenantid": names.tenant, "clientsecret": names.secret}
    missing = [name for name, value in given.items() if not value]
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'}"


def _told(duration: timedelta) -> str:
    return f"{duration.total_seconds():,.0f} s"
