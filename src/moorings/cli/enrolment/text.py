"""How enrolment's values look: as text for people, as objects for `--json`. Nothing here calls anything."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from moorings.cli.output import Results, ago, counted, until
from moorings.enrolment.model import Grant, Mode, Pool
from moorings.enrolment.oversight import Overview, Part, PoolStatus, Rotation, Standing

if TYPE_CHECKING:
    from moorings.deploy.enrolment import Deployed, Removed
    from moorings.deploy.stacks import Stack

KEY_SHOWN = 12  # characters of a key's hash: enough to tell keys apart
_STYLES = {Part.CURRENT: "green", Part.STANDBY: "cyan", Part.DRAINING: "dim", Part.UNKNOWN: "yellow"}


def status_json(stack: "Stack", overview: Overview, *, region: str) -> dict[str, Any]:
    """What `status --json` prints."""
    return {
        "stack": stack.name,
        "region": region,
        "status": stack.status,
        "api_url": stack.outputs.get("ApiGatewayInvokeURL", ""),
        "configuration_version": overview.configuration.version,
        "pools": [_pool_json(status) for status in overview.pools],
    }


def _pool_json(status: PoolStatus) -> dict[str, Any]:
    current = next(iter(status.part(Part.CURRENT)), None)
    standby = next(iter(status.part(Part.STANDBY)), None)
    rest = (Part.DRAINING, Part.SINGLE_USE, Part.UNKNOWN)
    return {
        "pool": status.name,
        "configured": status.pool is not None,
        "mode": status.pool.mode.value if status.pool else "",
        "node_role": status.pool.node_role if status.pool else "",
        "slots_left": status.slots_left,
        "granted_this_hour": status.granted_this_hour,
        "grants_per_hour": status.pool.grants_per_hour if status.pool else 0,
        "current": _standing_json(current) if current else None,
        "standby": _standing_json(standby) if standby else None,
        **{part.value.replace("-", "_"): [_standing_json(each) for each in status.part(part)] for part in rest},
    }


def _standing_json(each: Standing) -> dict[str, Any]:
    return {
        "activation": each.id,
        "issued": each.issued,
        "limit": each.limit,
        "registered": each.registered,
        "expires_at": each.expires_at,
        "deleted_at": each.deleted_at,
    }


def show_status(results: Results, stack: "Stack", overview: Overview, *, region: str) -> None:
    """What `status` prints."""
    version = overview.configuration.version
    source = f"configuration version {version}" if version else "the stack's own default configuration"
    results.prose(f"{stack.name} · {region} · {stack.status} · {source}", style="bold")
    results.line(stack.outputs.get("ApiGatewayInvokeURL", ""))
    for status in overview.pools:
        results.line()
        results.prose(_heading(status), style="bold")
        if status.activations:
            rows = [_standing_row(each, overview.at) for each in status.activations]
            results.table(("ACTIVATION", "STATE", ">ISSUED", ">REGISTERED", "ENDS"), rows)
        else:
            results.prose("no activation yet: the first request makes one" if status.pool else "nothing left")


def _heading(status: PoolStatus) -> str:
    pool = status.pool
    if pool is None:
        return f"{status.name}: no longer configured, being put away"
    text = f"{status.name}: {pool.mode.value}, role {pool.node_role}, {_hour(status, pool)}"
    return f"{text}, {status.slots_left:,} slots left" if pool.mode is Mode.SHARED else text


def _hour(status: PoolStatus, pool: Pool) -> str:
    return f"{status.granted_this_hour:,} of {pool.grants_per_hour:,} grants this hour"


def _standing_row(each: Standing, now: datetime) -> Iterable[str | Text]:
    limit = f"/{each.limit:,}" if each.limit else ""
    registered = "gone" if each.registered is None else f"{each.registered:,}"
    ends = until(each.deleted_at or each.expires_at, now)
    return (each.id, Text(each.part.value, _STYLES.get(each.part, "")), f"{each.issued:,}{limit}", registered, ends)


def grant_json(grant: Grant) -> dict[str, Any]:
    """A grant in `grants --json`."""
    return {
        "pool": grant.pool,
        "key_hash": grant.key_hash,
        "activation": grant.activation_id,
        "granted_at": grant.granted_at,
        "activation_expires_at": grant.expires_at,
    }


def show_grants(results: Results, grants: Iterable[Grant], *, now: datetime) -> None:
    """What `grants` prints."""
    rows = [
        (ago(grant.granted_at, now), grant.pool, grant.key_hash[:KEY_SHOWN], grant.activation_id) for grant in grants
    ]
    results.table(("GRANTED", "POOL", "KEY HASH", "ACTIVATION"), rows)


def rotation_json(rotation: Rotation, *, dry_run: bool) -> dict[str, Any]:
    """What `rotate --json` prints."""
    return {**asdict(rotation), "rotated": bool(rotation.retired) and not dry_run, "dry_run": dry_run}


def show_rotation(results: Results, rotation: Rotation, *, dry_run: bool) -> None:
    """What `rotate` prints."""
    would = "would be " if dry_run else ""
    if not rotation.retired:
        asked = "would be" if dry_run else "is"
        results.prose(f"pool {rotation.pool} has no activation to retire; the keeper {asked} asked for one")
        return
    results.prose(
        f"{rotation.retired}  {would}retired; granted slots may register until {rotation.drained_until:%H:%M} UTC"
    )
    if rotation.current:
        results.prose(f"{rotation.current}  {would}current; the keeper prepares the next standby")
    else:
        results.prose("there was no standby: the keeper or the next request makes the new activation")


def deployed_json(deployed: "Deployed") -> dict[str, Any]:
    """What `deploy --json` prints."""
    return {**asdict(deployed), "outputs": dict(deployed.outputs)}


def show_deployed(results: Results, deployed: "Deployed") -> None:
    """What `deploy` prints."""
    version = deployed.configuration_version
    rows = [
        ("stack", f"{deployed.stack} in {deployed.region}"),
        ("API", deployed.api_url),
        ("VPC endpoint", deployed.vpc_endpoint),
        ("node role", deployed.node_role),
        ("configuration", f"version {version}" if version else "the stack's own default"),
        ("dashboard", deployed.outputs.get("DashboardName", "")),
    ]
    results.table(("DEPLOYED", ""), rows)
    results.line()
    results.prose("Servers enrol at first boot with")
    results.line(f"  curl -fsS --retry 9 --proto =https {deployed.api_url}/bootstrap/linux | sudo bash", style="bold")


def removed_json(removed: "Removed") -> dict[str, Any]:
    """What `remove --json` prints."""
    return asdict(removed)


def show_removed(results: Results, removed: "Removed") -> None:
    """What `remove` prints."""
    amounts = ((removed.activations, "activation"), (removed.codes, "code"), (removed.artifacts, "zip"))
    counts = ", ".join(counted(number, word) for number, word in amounts)
    results.prose(
        f"removed: {', '.join(removed.stacks) or 'no stack'}; {counts}{', the bucket' if removed.bucket else ''}"
    )
    for sentence in removed.kept:
        results.prose(f"stays: {sentence}")
