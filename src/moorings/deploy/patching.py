"""Patching, deployed and removed: zip, layer, runbook, bucket, stack, in order; and back again.

Every step may be repeated: whoever is interrupted runs the same command once more.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from botocore.exceptions import ClientError

from moorings.clock import Clock
from moorings.clouds.aws import Aws, calling
from moorings.clouds.aws_errors import code_of
from moorings.deploy import runbooks, steps, templates
from moorings.deploy.anchor_store import notices
from moorings.deploy.artifacts import TAGS, key_of
from moorings.deploy.halves import PATCHING_STACK
from moorings.deploy.package import DEFAULT_PLATFORM, FunctionPlatform, Package, build, build_layer
from moorings.deploy.running import executions_of, restores_of
from moorings.deploy.stacks import ChangeSet, Stack, Stacks, StackSpec
from moorings.deploy.steps import Approve, Notice, Progress, Removed, Step, approved, artifacts_of, make, quiet
from moorings.errors import Conflict, Misconfigured, Refused

DEFAULT_STACK = PATCHING_STACK
FUNCTIONS = "patching"
LAYER = "patching-layer"
# Parameters of the stack that the plan has fields for, or that follow from what is built.
_OURS = frozenset(
    {
        "AllowedScopes", "ArtifactBucket", "ArtifactKey", "RunbookKey", "LambdaLayerS3Bucket", "LambdaLayerS3Key",
        "Architecture",
    }
)  # fmt: skip

# Parameter of the stack → what the credential is called below the prefix, unless it is named.
_CREDENTIALS: Mapping[str, str] = {"TenantID": "tenant_id", "ClientID": "client_id", "ClientSecret": "client_secret"}
_WITHOUT_ANCHORS = (
    "no trust anchors were bundled, so no VM can prove which one it is and every run ends UNCHANGED: "
    "`moorings anchors update` fetches them, then deploy again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenLayer:
    """A layer that lies in a bucket already, in place of one that is built."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchingPlan:
    """What is to be deployed. What `parameters` leaves out keeps its value; at first it is the template's default."""

    scopes: tuple[str, ...] = ()  # ARM ids; none leaves those that are deployed
    stack: str = DEFAULT_STACK
    parameters: Mapping[str, str] = field(default_factory=dict)  # further ones of stack.yaml, by name
    anchors: Path | None = None  # directory with the trust anchors for the layer
    layer: GivenLayer | None = None
    artifact_bucket: str = ""  # empty: that of the stack, or one is made
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What stands after a deployment."""

    stack: str
    region: str
    runbook: str
    function: str
    automation_role: str
    function_role: str
    keeper_role: str
    layer: str  # s3://bucket/key
    artifact: str  # s3://bucket/key
    anchors: bool  # whether the layer holds trust anchors
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    package: Package
    layer: Package | None
    runbook: runbooks.RenderedRunbook

    @property
    def notices(self) -> tuple[str, ...]:
        """Each once: function and layer lack byte code for the same reason."""
        built = (self.package, self.layer)
        return tuple(dict.fromkeys(each.notice for each in built if each and each.notice))


def deploy(
    plan: PatchingPlan,
    *,
    aws: Aws,
    clock: Clock,
    platform: FunctionPlatform = DEFAULT_PLATFORM,
    on_progress: Progress = quiet,
    approve: Approve = approved,
) -> Deployed:
    """Deploy or update patching; everything that can be checked is checked before anything is made.

    `approve` sees the plan of CloudFormation before it is carried out; Refused if it says no. Conflict if the runbook's
    name is taken by a document of somebody else. Otherwise raises as `Stacks.plan` and `Stacks.execute` do.
    """
    _check_given(plan)
    told = notices(plan.anchors, now=clock.now()) if plan.anchors else ()
    stacks = Stacks(aws, clock=clock)
    stacks.require_changeable(plan.stack)
    there = stacks.find(plan.stack)
    _check(plan, there, aws)
    built = _build(plan, platform, on_progress)
    artifacts = artifacts_of(there, aws, given=plan.artifact_bucket)
    parts = [each for each in (built.package, built.layer, built.runbook) if each]
    megabytes = sum(len(each.content) for each in parts) / 1e6
    on_progress(Step(f"uploading {megabytes:.1f} MB to {artifacts.bucket}"))
    artifacts.ensure_bucket()
    for each in parts:
        artifacts.store(each, stack=plan.stack)
    spec = _spec(plan, there, built, bucket=artifacts.bucket, platform=platform)
    # Before the plan is approved: whoever deploys from another computer may have others' anchors and layer to lose.
    for text in (*_lost(plan, there), *told):
        on_progress(Notice(text))
    stack = make(spec, stacks, on_progress=on_progress, approve=approve)
    return _deployed(plan, stack, aws, spec.parameters)


def preview(
    plan: PatchingPlan,
    *,
    aws: Aws,
    clock: Clock,
    platform: FunctionPlatform = DEFAULT_PLATFORM,
    on_progress: Progress = quiet,
) -> tuple[ChangeSet, ...]:
    """What `deploy` would change, after the same checks; the plan is dropped again.

    To compare the runbook with that of a stack that stands, CloudFormation has to read it from the bucket: it alone is
    uploaded then. For a new stack nothing is.
    """
    _check_given(plan)
    stacks = Stacks(aws, clock=clock)
    stacks.require_changeable(plan.stack)
    there = stacks.find(plan.stack)
    _check(plan, there, aws)
    built = _build(plan, platform, on_progress)
    artifacts = artifacts_of(there, aws, given=plan.artifact_bucket)
    spec = _spec(plan, there, built, bucket=artifacts.bucket, platform=platform)
    if there is None:
        spec = replace(spec, template=templates.without_includes(spec.template))
    else:
        artifacts.ensure_bucket()
        artifacts.store(built.runbook, stack=plan.stack)
    return steps.preview((spec,), stacks, on_progress=on_progress)


def remove(
    stack: str = DEFAULT_STACK,
    *,
    aws: Aws,
    clock: Clock,
    artifact_bucket: str = "",
    on_progress: Progress = quiet,
) -> Removed:
    """Take patching down: the stack with its runbook, then zips and layers. What stays is said in `kept`.

    Refused while the table is protected from deletion, and while a run is going on or a VM is being put back: without
    function and keeper nobody would start a VM again that a run has stopped. `artifact_bucket` is needed only if a
    bucket was given and the stack is gone already.
    """
    stacks = Stacks(aws, clock=clock)
    found = _require_removable(stack, aws=aws, clock=clock)
    gone = steps.delete(stack, stacks, on_progress=on_progress)
    on_progress(Step("deleting zips, layers and runbooks"))
    artifacts = artifacts_of(found, aws, given=artifact_bucket)
    versions = artifacts.remove(stack=stack)
    return Removed(stacks=tuple(gone), artifacts=versions, bucket=artifacts.remove_empty_bucket(), kept=_kept(found))


def _require_removable(stack: str, *, aws: Aws, clock: Clock) -> Stack | None:
    """The stack, if there is one; Refused if `remove` would refuse it now."""
    found = Stacks(aws, clock=clock).find(stack)
    if found:
        _check_removable(found, aws)
    return found


def removable(stack: str, *, aws: Aws, clock: Clock) -> tuple[str, ...]:
    """The stacks that `remove` would delete now; Refused or Busy if it would be."""
    return (stack,) if _require_removable(stack, aws=aws, clock=clock) else ()


def _check_given(plan: PatchingPlan) -> None:
    """What can be judged without a call."""
    steps.check_parameters(plan.parameters, templates.PATCHING, filled_in=_OURS, room="patching")
    pattern = templates.pattern(_template(), "AllowedScopes")
    bad = [scope for scope in plan.scopes if not re.fullmatch(pattern, scope)]
    if bad:
        raise Misconfigured(
            f"{bad[0]!r} is no Azure scope",
            remedy="write /subscriptions/ID, followed by /resourceGroups/NAME if it is narrower",
        )
    if plan.anchors is not None and plan.layer is not None:
        raise Misconfigured(
            "a given layer brings its own trust anchors", remedy="leave out the layer, or the directory of anchors"
        )


def _check(plan: PatchingPlan, there: Stack | None, aws: Aws) -> None:
    if not plan.scopes and (there is None or "AllowedScopes" not in there.parameters):
        raise Misconfigured(
            "which VMs may be patched has to be said",
            remedy="name at least one Azure scope, such as /subscriptions/ID/resourceGroups/NAME",
        )
    _names(plan, there)
    _check_document(plan, there, aws)


def _names(plan: PatchingPlan, there: Stack | None) -> dict[str, str]:
    """The credentials' names that follow from a new prefix. Misconfigured for a given one that does not lie below it:
    the functions may read nothing else."""
    kept: Mapping[str, str] = there.parameters if there else {}
    value = {**templates.defaults(_template()), **kept, **plan.parameters}
    prefix = value["CredentialPrefix"]
    outside = [name for name in _CREDENTIALS if not value[name].startswith(f"{prefix}/")]
    if given := [name for name in outside if name in plan.parameters]:
        raise Misconfigured(
            f"{', '.join(given)}: no name below {prefix}, and the functions could read no other",
            remedy=f"give names below {prefix}, or another CredentialPrefix",
        )
    return {name: f"{prefix}/{_CREDENTIALS[name]}" for name in outside}


def _check_document(plan: PatchingPlan, there: Stack | None, aws: Aws) -> None:
    kept = there.parameters.get("DocumentName", "") if there else ""
    wanted = plan.parameters.get("DocumentName") or kept or templates.defaults(_template())["DocumentName"]
    if wanted == kept and there and there.outputs.get("AWSSystemsManagerAutomationRunbookName") == kept:
        return
    with calling("ssm:DescribeDocument"):
        try:
            aws.client("ssm").describe_document(Name=wanted)
        except ClientError as error:
            if code_of(error) == "InvalidDocument":
                return
            raise
    raise Conflict(
        f"there is a document {wanted} in this account and Region already, which is not of stack {plan.stack}",
        remedy="give this stack's runbook another name by DocumentName, or delete that document",
    )


def _check_removable(found: Stack, aws: Aws) -> None:
    steps.require_removable(found, guarded=f"guards and records of {found.name} are")
    runbook = found.outputs.get("AWSSystemsManagerAutomationRunbookName", "")
    running = executions_of(runbook, aws=aws) if runbook else []
    if running:
        raise Refused(
            f"{len(running)} runs of {runbook} are going on, such as {running[0]}",
            remedy="wait for them, or stop them with `moorings patch cancel` and give the keeper a few minutes",
        )
    table = found.outputs.get("GuardTable", "")
    restoring = restores_of(table, aws=aws) if table else []
    if restoring:
        raise Refused(
            f"{len(restoring)} VMs are being put back, such as that of run {restoring[0]}",
            remedy=f"wait until the keeper has done it: `moorings patch watch {restoring[0]}`",
        )


def _build(plan: PatchingPlan, platform: FunctionPlatform, on_progress: Progress) -> _Built:
    on_progress(Step("packaging the functions"))
    package = build(FUNCTIONS, platform=platform)
    layer = None
    if plan.layer is None:
        on_progress(Step(f"packaging the layer for {platform}"))
        layer = build_layer(LAYER, platform=platform, anchors=plan.anchors)
    built = _Built(package=package, layer=layer, runbook=runbooks.rendered())
    for text in built.notices:
        on_progress(Notice(text))
    return built


def _spec(
    plan: PatchingPlan, there: Stack | None, built: _Built, *, bucket: str, platform: FunctionPlatform
) -> StackSpec:
    if built.layer:
        layer = GivenLayer(bucket=bucket, key=key_of(built.layer, stack=plan.stack))
    else:
        assert plan.layer is not None, "either built or given"
        layer = plan.layer
    parameters = {
        **({"AllowedScopes": ",".join(plan.scopes)} if plan.scopes else {}),
        **_names(plan, there),
        **plan.parameters,
        "ArtifactBucket": bucket,
        "ArtifactKey": key_of(built.package, stack=plan.stack),
        "RunbookKey": key_of(built.runbook, stack=plan.stack),
        "LambdaLayerS3Bucket": layer.bucket,
        "LambdaLayerS3Key": layer.key,
        "Architecture": platform.machine,
    }
    return StackSpec(name=plan.stack, template=_template(), parameters=parameters, tags={**TAGS, **plan.tags})


def _template() -> str:
    return templates.read(templates.PATCHING)


def _lost(plan: PatchingPlan, there: Stack | None) -> tuple[str, ...]:
    """What the layer that is built will not have."""
    if plan.layer:
        return ()
    kept: Mapping[str, str] = there.parameters if there else {}
    before = GivenLayer(bucket=kept.get("LambdaLayerS3Bucket", ""), key=kept.get("LambdaLayerS3Key", ""))
    theirs = before.key and (before.bucket != kept["ArtifactBucket"] or not before.key.startswith(f"{plan.stack}/"))
    given = f"the layer s3://{before.bucket}/{before.key} gives way to one that is built; name it again to keep it"
    return (*((given,) if theirs else ()), *((_WITHOUT_ANCHORS,) if plan.anchors is None else ()))


def _deployed(plan: PatchingPlan, stack: Stack, aws: Aws, parameters: Mapping[str, str]) -> Deployed:
    return Deployed(
        stack=plan.stack,
        region=aws.region,
        runbook=stack.outputs["AWSSystemsManagerAutomationRunbookName"],
        function=stack.outputs["AzureLambdaFunctionName"],
        automation_role=stack.outputs["AutomationRoleArn"],
        function_role=stack.outputs["FunctionRoleArn"],
        keeper_role=stack.outputs["KeeperRoleArn"],
        layer=f"s3://{parameters['LambdaLayerS3Bucket']}/{parameters['LambdaLayerS3Key']}",
        artifact=f"s3://{parameters['ArtifactBucket']}/{parameters['ArtifactKey']}",
        anchors=plan.anchors is not None,
        outputs=stack.outputs,
    )


def _kept(stack: Stack | None) -> tuple[str, ...]:
    if stack is None:
        return ()
    prefix, mark = stack.outputs.get("CredentialPrefix", ""), stack.outputs.get("StackMark", "")
    kept = [
        f"credentials for Azure below {prefix} in Parameter Store stay, because other stacks may use them: `aws ssm"
        f" get-parameters-by-path --path {prefix} --recursive` names them, `aws ssm delete-parameter --name NAME`"
        " deletes one",
        f"snapshots and disks in Azure that bear the tag moorings-stack={mark} stay: `az resource list --tag"
        f" moorings-stack={mark}` shows them",
    ]
    if stack.outputs.get("OutcomeTopicArn"):
        kept.append(
            "the KMS key of the topic is deleted by AWS after a waiting period of 30 days; until then `aws kms"
            " cancel-key-deletion` brings it back"
        )
    return tuple(kept)
