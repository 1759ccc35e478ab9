"""How patching's values look: as text for people, as objects for `--json`. Nothing here calls anything."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from moorings.cli.output import Results, counted
from moorings.deploy.halves import PATCHING_STACK

if TYPE_CHECKING:
    from moorings.deploy.patching import Deployed
    from moorings.deploy.steps import Removed


def deployed_json(deployed: "Deployed") -> dict[str, Any]:
    """What `deploy --json` prints."""
    return {**asdict(deployed), "outputs": dict(deployed.outputs)}


def show_deployed(results: Results, deployed: "Deployed") -> None:
    """What `deploy` prints."""
    place = f" --stack-name {deployed.stack}" if deployed.stack != PATCHING_STACK else ""
    rows = [
        ("stack", f"{deployed.stack} in {deployed.region}"),
        ("runbook", deployed.runbook),
        ("function", deployed.function),
        ("role of runs", deployed.automation_role),
        ("roles for Azure to trust", deployed.function_role),
        ("", deployed.keeper_role),
        ("trust anchors", "bundled" if deployed.anchors else "none, or the given layer's own"),
        ("dashboard", deployed.outputs.get("DashboardName", "")),
    ]
    results.table(("DEPLOYED", ""), rows)
    results.line()
    results.prose("A node is patched with")
    results.line(f"  moorings patch run mi-…{place}", style="bold")
    results.prose("or, without Moorings, with")
    results.line(
        f"  aws ssm start-automation-execution --document-name {deployed.runbook} --parameters InstanceId=mi-…",
        style="bold",
    )


def removed_json(removed: "Removed") -> dict[str, Any]:
    """What `remove --json` prints."""
    return asdict(removed)


def show_removed(results: Results, removed: "Removed") -> None:
    """What `remove` prints."""
    stored = counted(removed.artifacts, "stored object")
    results.prose(
        f"removed: {', '.join(removed.stacks) or 'no stack'}; {stored}{', the bucket' if removed.bucket else ''}"
    )
    for sentence in removed.kept:
        results.prose(f"stays: {sentence}")
