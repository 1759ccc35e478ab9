"""Patching as an operator deploys it (real templates, zips, layer, runbook), on a local cloud and Azure of its own."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.stand.deployment import Glancing, calls_of
from bench.stand.light_nodes import NODE_ROLE, LightNodes

from localcloud.aws.call import CallRecord
from localcloud.aws.functions.service import Functions
from localcloud.aws.seam import attach
from localcloud.aws.ssm.automation.automations import Automations
from localcloud.azure.calls import ArmCall
from localcloud.azure.choices import Durations
from localcloud.cloud import LocalCloud
from localcloud.principals import Credentials, Kind, Principal
from moorings.clouds.aws import Aws
from moorings.deploy import patching
from moorings.deploy.package import function_platform
from moorings.deploy.patching import Deployed, PatchingPlan
from moorings.patching import codec
from moorings.patching.model import Run

GROUP = "rg-fleet"
NODE_POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
# What the runbook is started with: short pauses, and no patience with nodes that answer at once or never.
PARAMETERS: Mapping[str, list[str]] = {
    "HealthCheckCommands": ["systemctl is-active -q web"],
    "SleepDuration": ["PT2S"],
    "NodeBootTime": ["PT20S"],
    "HealthSettleTime": ["PT1S"],
    "KeepFailedDiskHours": ["0"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchStand:
    """A deployed patching stack, its nodes, and the ways to both that benchmarks need."""

    cloud: LocalCloud
    aws: Aws
    deployed: Deployed
    anchors: Path  # the directory that the layer was built with
    application: str  # object id of who the functions are in Azure
    nodes: LightNodes

    @property
    def table(self) -> str:
        """Name of the table of guards and records."""
        return self.deployed.outputs["GuardTable"]

    @property
    def keeper(self) -> str:
        """Name of the keeper's function."""
        return self.deployed.outputs["KeeperFunctionName"]

    @property
    def engine(self) -> Any:
        """The engine of the stack's Region."""
        return self.cloud.world.part(Automations).engine(self.cloud.world.region)

    def role_session(self, function: str) -> Credentials:
        """Credentials as an environment of this function would have them."""
        role = self.aws.client("lambda").get_function_configuration(FunctionName=function)["Role"].rsplit("/", 1)[-1]
        arn = f"arn:aws:sts::{self.cloud.world.account}:assumed-role/{role}/{function}"
        return self.cloud.world.credentials.issue(Principal(kind=Kind.ROLE, arn=arn, role_name=role, session=function))

    def variables(self, function: str) -> dict[str, str]:
        """The environment variables of a function."""
        found = self.aws.client("lambda").get_function_configuration(FunctionName=function)
        return {**found["Environment"]["Variables"], "AWS_REGION": self.cloud.world.region}

    def start(self, node: str, **parameters: list[str]) -> str:
        """Start the runbook for one node; the execution's id."""
        given = {**PARAMETERS, "InstanceId": [node], **parameters}
        started = self.aws.client("ssm").start_automation_execution(
            DocumentName=self.deployed.runbook, Parameters=given
        )
        return str(started["AutomationExecutionId"])

    def keep(self) -> dict[str, Any]:
        """A run of the keeper, as its schedule would have it."""
        done = self.cloud.world.part(Functions).invoke(self.keeper, b"{}")
        return {"error": done.function_error, **json.loads(done.payload)}

    def record(self, execution: str) -> Run | None:
        """What the stack's table holds of a run."""
        key = {"pk": {"S": f"run#{execution}"}}
        item = self.aws.client("dynamodb").get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")
        return codec.decode(Run, item["body"]["S"]) if item else None

    def calls_of(self, function: str, *, since: int = 0) -> list[CallRecord]:
        """See `deployment.calls_of`."""
        return calls_of(self.cloud, function, since=since)

    def arm_calls(self, *, since: int = 0) -> list[ArmCall]:
        """The calls to Resource Manager that functions made, after the first `since` calls."""
        return [call for call in self.cloud.azure.calls.since(since) if call.principal == self.application]


@contextmanager
def standing(*, scale: float, account: str | None = None, durations: Durations | None = None) -> Iterator[PatchStand]:
    """A new local cloud with patching in it, without nodes yet; everything is gone afterwards."""
    with LocalCloud(scale=scale, account=account) as cloud, tempfile.TemporaryDirectory(prefix="anchors-") as directory:
        if durations is not None:
            cloud.azure.choices.durations = durations
        session = cloud.session()
        attach(session, cloud.world.endpoint.dispatch)
        aws = Aws(region=cloud.world.region, session=session)
        anchors = _anchors(cloud, Path(directory))
        scope = cloud.azure.resource_group(GROUP)
        plan = PatchingPlan(
            stack="fleet",
            scopes=(scope,),
            anchors=anchors,
            parameters={
                "AzureResourceManagerUrl": cloud.azure.arm_url,
                "AzureAuthorityUrl": cloud.azure.authority_url,
                "LogLevel": "WARNING",
            },
        )
        platform = function_platform(cloud.function_platform)
        deployed = patching.deploy(plan, aws=aws, clock=Glancing(), platform=platform)
        application = _connect(cloud, aws, scope, deployed.outputs["CredentialPrefix"])
        _node_role(aws)
        yield PatchStand(
            cloud=cloud,
            aws=aws,
            deployed=deployed,
            anchors=anchors,
            application=application,
            nodes=LightNodes(cloud.world, group=GROUP),
        )


def _anchors(cloud: LocalCloud, directory: Path) -> Path:
    directory.joinpath("roots.pem").write_bytes(cloud.azure.anchors.roots)
    directory.joinpath("issuers.pem").write_bytes(cloud.azure.anchors.issuers)
    directory.joinpath("tls.pem").write_bytes(cloud.world.authority.pem)
    return directory


def _connect(cloud: LocalCloud, aws: Aws, scope: str, prefix: str) -> str:
    """An application with a secret and the product's own role; the object id."""
    azure = cloud.azure
    application = azure.entra.application("moorings")
    role = json.loads(files("moorings.patching").joinpath("azure-role.json").read_text())
    azure.rbac.assign(principal=application.object_id, role={**role, "AssignableScopes": [scope]}, scope=scope)
    secret = application.add_secret()
    values = {"client_id": application.client_id, "tenant_id": azure.tenant_id, "client_secret": secret}
    for name, value in values.items():
        aws.client("ssm").put_parameter(Name=f"{prefix}/{name}", Value=value, Type="SecureString")
    return application.object_id


def _node_role(aws: Aws) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    aws.client("iam").create_role(RoleName=NODE_ROLE, AssumeRolePolicyDocument=document)
    aws.client("iam").attach_role_policy(RoleName=NODE_ROLE, PolicyArn=NODE_POLICY)


def without_keeper(stand: PatchStand) -> None:
    """Take the keeper off its schedule: whoever counts its runs starts them by hand."""
    events = stand.aws.client("events")
    for rule in events.list_rules()["Rules"]:
        if rule.get("ScheduleExpression"):
            events.disable_rule(Name=rule["Name"])


SHORT = timedelta(seconds=4)
BRIEF = Durations(
    snapshot=SHORT, update=SHORT, start=SHORT, power_off=SHORT, skip_shutdown=SHORT, deallocate=SHORT, disk=SHORT
)
"""Operations of Azure that are over soon, for runs whose calls alone matter."""
