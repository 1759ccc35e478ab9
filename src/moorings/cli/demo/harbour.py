"""A harbour for patching on a local cloud: the stack deployed, an application in Azure, VMs that servers stand on.

The demo patches there, and so do the journeys of the tests.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from moorings.cli.patch.surroundings import Patched, open_patching
from moorings.clock import Clock
from moorings.clouds.aws import Aws
from moorings.deploy import patching
from moorings.deploy.azure_setup import role_definition
from moorings.deploy.package import function_platform
from moorings.deploy.patching import Deployed, PatchingPlan
from moorings.deploy.steps import Progress, quiet
from moorings.patching.executions import Execution, Runbook
from moorings.patching.fleets import Start
from moorings.patching.standing import Standing

if TYPE_CHECKING:
    from localcloud.azure.entra_applications import Application
    from localcloud.azure.vms import Vm
    from localcloud.cloud import LocalCloud
    from localcloud.machines.machine import Machine

AUDIENCE = "api://AzureADTokenExchange"
START_OF_A_VM = "Microsoft.Compute/virtualMachines/start/action"
# The runbook's pauses are scaled as everything that AWS measures; what the function measures by its own clock is not.
PATIENCE: Mapping[str, Sequence[str]] = {
    "SleepDuration": ["PT5S"],
    "NodeBootTime": ["PT40S"],
    "HealthSettleTime": ["PT15S"],
}
CHECKS = ("systemctl is-active -q web", "test -s /opt/app/version")
# A web service that an update can stop, beside whatever makes the server a managed node.
SERVICE = """mkdir -p /opt/app
echo 1 > /opt/app/version
cat > /etc/systemd/system/web.service <<'UNIT'
[Unit]
Description=What this server is there for
[Service]
ExecStart=/bin/sleep 1000000
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable -q --now web
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Berth:
    """A VM of the local Azure on a simulated server, with the disk that it had at first."""

    machine: "Machine"
    vm: "Vm"
    first_disk: str  # ARM id

    @property
    def name(self) -> str:
        return self.vm.name

    @property
    def node(self) -> str:
        """The managed node's id; empty until the server has registered."""
        return self.machine.node_id


class Harbour:
    """One deployed patching stack and the VMs that it may work on. Threads may share it."""

    def __init__(self, cloud: "LocalCloud", aws: Aws, *, deployed: Deployed, group: str) -> None:
        self.cloud = cloud
        self.aws = aws
        self.deployed = deployed
        self._group = group
        self._berths: dict[str, Berth] = {}  # by the VM's ARM id, in small letters
        self._starts: dict[str, bool | None] = {}  # whether the disk was that of the checkpoint
        self._lock = threading.Lock()
        self.patched: Patched = open_patching(aws, deployed.stack)
        cloud.azure.faults.watch(self._watch)

    # -- VMs

    def berth(self, machine: "Machine", **options: Any) -> Berth:
        """Make a server, which is off, a VM; it boots."""
        vm = self.cloud.azure.vms.create(machine.name, machine=machine, resource_group=self._group, **options)
        made = Berth(machine=machine, vm=vm, first_disk=vm.os_disk_id)
        with self._lock:
            self._berths[vm.id.lower()] = made
        return made

    def equals_checkpoint(self, berth: Berth) -> bool | None:
        """Whether the disk that the VM was last started from by Azure held, byte for byte, the files of its checkpoint
        at that moment. None if nobody but itself has started it."""
        with self._lock:
            return self._starts.get(berth.vm.id.lower())

    def _watch(self, stage: str, action: str, resource: str) -> None:
        """Before a VM starts, while nothing writes to its disk, compare that with the checkpoint."""
        if stage != "before" or action != START_OF_A_VM:
            return
        with self._lock:
            berth = self._berths.get(resource.lower())
        if berth is not None:
            equal = self._compared(berth)
            with self._lock:
                self._starts[resource.lower()] = equal

    def _compared(self, berth: Berth) -> bool | None:
        from localcloud.azure.disk_copy import contents

        azure = self.cloud.azure
        with azure.state.lock:
            snapshots = [
                str(one.id)
                for one in azure.state.snapshots.values()
                if _source_of(one.document).lower() == berth.first_disk.lower()
            ]
        if not snapshots:
            return None
        attached = contents(berth.vm.os_disk_path)
        return any(contents(azure.files_of(each)) == attached for each in snapshots)

    # -- runs

    def start(self, *nodes: str, parameters: Mapping[str, Sequence[str]] | None = None) -> str:
        """Start the runbook on a node, or under rate control on several; the execution's id."""
        given = {**PATIENCE, "HealthCheckCommands": CHECKS, **(parameters or {})}
        start = Start(nodes=nodes, concurrency=len(nodes), errors=len(nodes), rate_controlled=len(nodes) > 1)
        runbook = Runbook(document=self.patched.document, parameters=given)
        return self.patched.automations.start(runbook, start, token=str(uuid4()))

    def standings(self, runs: Mapping[str, str]) -> dict[str, Standing]:
        """How these runs (execution → node) stand: the service's listing and the stack's records, in two calls."""
        latest: dict[str, Execution] = {
            each.id: each for each in self.patched.automations.recent(self.patched.document, most=50 + len(runs))
        }
        records = self.patched.archive.runs(runs)
        return {
            each: Standing(node=node, execution=latest.get(each), run=records.get(each)) for each, node in runs.items()
        }

    def hasten(self, execution: str) -> None:
        """Let the keeper's next run look at a record that it would look at later: a minute of its own clock, which
        nothing scales, counts as over."""
        update = {
            "TableName": self.deployed.outputs["GuardTable"],
            "Key": {"pk": {"S": f"run#{execution}"}},
            "UpdateExpression": "SET #due = :now",
            "ConditionExpression": "attribute_exists(#due)",
            "ExpressionAttributeNames": {"#due": "due"},
            "ExpressionAttributeValues": {":now": {"N": str(int(time.time()))}},
        }
        client = self.aws.client("dynamodb")
        with suppress(client.exceptions.ConditionalCheckFailedException):  # it wants to be looked at no more
            client.update_item(**update)

    def finished(self, execution: str, node: str, *, within: float = 120.0) -> Standing:
        """The standing of a run once it is over and its outcome is recorded; TimeoutError with its standing if not."""
        end = time.monotonic() + within
        while True:
            standing = self.standings({execution: node})[execution]
            if concluded(standing):
                return standing
            if time.monotonic() > end:
                raise TimeoutError(f"{node} after {within:g} s: {standing.status}, {standing.run}")
            time.sleep(0.1)


def concluded(standing: Standing) -> bool:
    """Whether a run is over, and so is what its keeper had to finish."""
    return standing.over and not standing.unfinished and bool(standing.outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How the functions prove themselves to Azure: by federation, or else by a secret in Parameter Store."""

    federated: bool = True
    application: "Application" = field(repr=False)


def build(
    cloud: "LocalCloud",
    aws: Aws,
    *,
    stack: str,
    group: str,
    anchors: Path,
    clock: Clock,
    connection: Connection,
    parameters: Mapping[str, str] | None = None,
    on_progress: Progress = quiet,
) -> Harbour:
    """Deploy patching for a resource group of the local Azure, and let its functions in there.

    `anchors` is a directory for the certificates that the layer takes along.
    """
    azure = cloud.azure
    scope = azure.resource_group(group)
    _write_anchors(cloud, anchors)
    azure.rbac.assign(principal=connection.application.object_id, role=role_definition(stack, (scope,)), scope=scope)
    federation = {
        "FederationTenantId": azure.tenant_id,
        "FederationClientId": connection.application.client_id,
    }
    plan = PatchingPlan(
        stack=stack,
        scopes=(scope,),
        anchors=anchors,
        parameters={
            "AzureResourceManagerUrl": azure.arm_url,
            "AzureAuthorityUrl": azure.authority_url,
            **(federation if connection.federated else {}),
            **(parameters or {}),
        },
    )
    platform = function_platform(cloud.function_platform)
    deployed = patching.deploy(plan, aws=aws, clock=clock, platform=platform, on_progress=on_progress)
    if connection.federated:
        trust(connection.application, aws, deployed)
    else:
        store_secret(connection.application, cloud, deployed.outputs["AzureCredentialParameters"].split(","))
    return Harbour(cloud, aws, deployed=deployed, group=group)


def trust(application: "Application", aws: Aws, deployed: Deployed) -> None:
    """Let Entra take tokens that AWS issues to the stack's two roles for the application."""
    issuer = aws.client("iam").enable_outbound_web_identity_federation()["IssuerIdentifier"]
    for role in (deployed.function_role, deployed.keeper_role):
        application.add_federated(issuer=issuer, subject=role, audience=AUDIENCE)


def store_secret(application: "Application", cloud: "LocalCloud", names: Sequence[str]) -> None:
    """Store tenant, client id and a new secret under these names."""
    values = (cloud.azure.tenant_id, application.client_id, application.add_secret())
    for name, value in zip(names, values, strict=True):
        cloud.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString")


def quicken(cloud: "LocalCloud", *, silence: timedelta) -> None:
    """Let a node without a channel count as offline after `silence`, before scaling; by itself it is 10 minutes."""
    from localcloud.aws.ssm.nodes import ManagedNodes

    cloud.world.part(ManagedNodes).heartbeat_threshold = silence


def _write_anchors(cloud: "LocalCloud", directory: Path) -> None:
    anchors = cloud.azure.anchors
    (directory / "roots.pem").write_bytes(anchors.roots)
    (directory / "issuers.pem").write_bytes(anchors.issuers)
    (directory / "tls.pem").write_bytes(cloud.world.authority.pem)


def _source_of(snapshot: Mapping[str, Any]) -> str:
    return str(snapshot["properties"]["creationData"].get("sourceResourceId", ""))
