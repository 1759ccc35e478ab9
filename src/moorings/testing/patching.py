"""Patching, deployed to a local cloud and let into a resource group of the local Azure."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from moorings.cli.demo.harbour import PATIENCE, Connection, build
from moorings.clouds.aws import Aws
from moorings.deploy.patching import Deployed
from moorings.testing.runs import Parameters, Run, Runbooks
from moorings.testing.vms import GROUP, AzureVm
from moorings.testing.waiting import FAILURES_ONLY

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud

__tracebackhide__ = FAILURES_ONLY
STACK = "moorings-testing"
SECONDS = 180.0
# A check that fails here fails for good, or until a service has started: on a simulated server a matter of moments.
SETTLE = {"HealthSettleTime": ["PT5S"]}


class _BriefClock:
    """Real time with short waits: the emulated CloudFormation is done after a moment."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, duration: timedelta) -> None:
        time.sleep(min(duration.total_seconds(), 0.02))


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchingStack:
    """Deployed patching. What it stands on is `deployed`."""

    cloud: "LocalCloud"
    deployed: Deployed

    @property
    def document(self) -> str:
        """The runbook's name in this account."""
        return self.deployed.runbook

    def run(self, vm: AzureVm, parameters: Parameters | None = None, *, within: float = SECONDS) -> Run:
        """Patch a VM of the resource group; the run when it is over. `parameters`: the runbook's, as its page tells;
        what it waits for is shorter than there, unless it is given.

        The outcome is `run.output("Report.Outcome")`.
        """
        given: Parameters = {"InstanceId": vm.node.id, **PATIENCE, **SETTLE, **(parameters or {})}
        return Runbooks(self.cloud).document(self.document, given, within=within)


def deployed(cloud: "LocalCloud", *, anchors: Path) -> PatchingStack:
    """Deploy it, with federation to Azure. `anchors`: an empty directory for certificates."""
    aws = Aws(region=cloud.world.region, session=cloud.session())
    connection = Connection(application=cloud.azure.entra.application(STACK))
    made = build(cloud, aws, stack=STACK, group=GROUP, anchors=anchors, clock=_BriefClock(), connection=connection)
    return PatchingStack(cloud=cloud, deployed=made.deployed)
