"""Enrolment, deployed and removed: zip, bucket, endpoint stack, API stack, configuration, in order; and back again.

Every step may be repeated: whoever is interrupted runs the same command once more.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from moorings.clock import Clock
from moorings.clouds.aws import Aws, calling
from moorings.deploy import constraints, steps, templates
from moorings.deploy.artifacts import TAGS, key_of
from moorings.deploy.documents import (
    UNKNOWN_ENDPOINT,
    UNKNOWN_ROLE,
    check_given,
    check_stored,
    stored_in,
    with_node_role,
)
from moorings.deploy.halves import ENROLMENT_STACK
from moorings.deploy.leftovers import sweep
from moorings.deploy.package import DEFAULT_PLATFORM, FunctionPlatform, build
from moorings.deploy.stacks import ChangeSet, Stack, Stacks, StackSpec, require_deletable
from moorings.deploy.steps import Approve, Notice, Progress, Step, approved, artifacts_of, make, quiet
from moorings.enrolment import configuration
from moorings.errors import Misconfigured, MooringsError

DEFAULT_STACK = ENROLMENT_STACK
# Parameters of the stack that the plan has fields for, or that follow from the zip.
_OURS = frozenset({"VpcEndpointForApiGateway", "AllowNetworkProof", "ArtifactBucket", "ArtifactKey", "Architecture"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEndpoint:
    """A VPC endpoint to be made, in a stack of its own beside the API's."""

    vpc_id: str
    subnet_ids: tuple[str, ...]
    allowed_cidr: str  # who may open 443
    private_dns: bool = True  # False: servers use the endpoint's own host name of the API


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingEndpoint:
    """An execute-api VPC endpoint that the VPC has already."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentPlan:
    """What is to be deployed. What `parameters` leaves out keeps its value; at first it is the template's default."""

    endpoint: NewEndpoint | ExistingEndpoint
    allow_network_proof: bool  # an explicit choice: whether the network position alone is proof enough
    stack: str = DEFAULT_STACK
    parameters: Mapping[str, str] = field(default_factory=dict)  # further ones of stack.yaml, by name
    configuration: Mapping[str, Any] | None = None  # the document; None leaves what is stored
    artifact_bucket: str = ""  # empty: that of the stack, or one is made
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What stands after a deployment."""

    stack: str
    region: str
    api_url: str
    vpc_endpoint: str
    endpoint_stack: str  # empty: the endpoint is not ours
    node_role: str
    artifact: str  # s3://bucket/key
    configuration_version: int  # 0: the stack's own default
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed(steps.Removed):
    """What was taken down, and what was not."""

    activations: int
    codes: int


def endpoint_stack(stack: str) -> str:
    """The name of the stack that holds the endpoint of an enrolment stack."""
    return f"{stack}-endpoint"


def deploy(
    plan: EnrolmentPlan,
    *,
    aws: Aws,
    clock: Clock,
    platform: FunctionPlatform = DEFAULT_PLATFORM,
    on_progress: Progress = quiet,
    approve: Approve = approved,
) -> Deployed:
    """Deploy or update enrolment; everything that can be checked is checked before anything is made.

    `approve` sees each plan of CloudFormation before it is carried out; Refused if it says no. Otherwise raises as
    `Stacks.plan` and `Stacks.execute` do.
    """
    _check(plan)
    stacks = Stacks(aws, clock=clock)
    _require_changeable(plan, stacks)
    expected = _expected_endpoint(plan, stacks)
    _check_way_in(plan, expected, stacks, aws, clock)
    on_progress(Step("packaging the functions"))
    package = build("enrolment", platform=platform)
    if package.notice:
        on_progress(Notice(package.notice))
    artifacts = artifacts_of(stacks.find(plan.stack), aws, given=plan.artifact_bucket)
    on_progress(Step(f"uploading {len(package.content) / 1e6:.1f} MB to {artifacts.bucket}"))
    artifacts.ensure_bucket()
    key = artifacts.store(package, stack=plan.stack)
    endpoint = _endpoint(plan, stacks, on_progress, approve)
    if endpoint != expected:
        _check_way_in(plan, endpoint, stacks, aws, clock)
    spec = _stack_spec(plan, endpoint, aws, bucket=artifacts.bucket, key=key, platform=platform)
    try:
        stack = make(spec, stacks, on_progress=on_progress, approve=approve)
    except (MooringsError, KeyboardInterrupt):
        if expected == UNKNOWN_ENDPOINT:  # made now, and paid for by the hour
            beside = endpoint_stack(plan.stack)
            on_progress(Notice(f"stack {beside} stands: deploy again to go on, or remove {plan.stack}, and it goes"))
        raise
    version = _configure(plan, stack, aws, clock, on_progress)
    return Deployed(
        stack=plan.stack,
        region=aws.region,
        api_url=stack.outputs["ApiGatewayInvokeURL"],
        vpc_endpoint=endpoint,
        endpoint_stack=endpoint_stack(plan.stack) if isinstance(plan.endpoint, NewEndpoint) else "",
        node_role=stack.outputs["NodeRoleName"],
        artifact=f"s3://{artifacts.bucket}/{key}",
        configuration_version=version,
        outputs=stack.outputs,
    )


def preview(
    plan: EnrolmentPlan,
    *,
    aws: Aws,
    clock: Clock,
    platform: FunctionPlatform = DEFAULT_PLATFORM,
    on_progress: Progress = quiet,
) -> tuple[ChangeSet, ...]:
    """What `deploy` would change, after the same checks; nothing is uploaded, and the plans are dropped again.

    CloudFormation may show a stack that it only planned for a moment, as REVIEW_IN_PROGRESS.
    """
    _check(plan)
    stacks = Stacks(aws, clock=clock)
    _require_changeable(plan, stacks)
    bucket = artifacts_of(stacks.find(plan.stack), aws, given=plan.artifact_bucket).bucket
    endpoint = _expected_endpoint(plan, stacks)
    _check_way_in(plan, endpoint, stacks, aws, clock)
    on_progress(Step("packaging the functions"))
    key = key_of(build("enrolment", platform=platform), stack=plan.stack)
    specs = [_endpoint_spec(plan, plan.endpoint)] if isinstance(plan.endpoint, NewEndpoint) else []
    specs.append(_stack_spec(plan, endpoint, aws, bucket=bucket, key=key, platform=platform))
    return steps.preview(specs, stacks, on_progress=on_progress)


def remove(
    stack: str = DEFAULT_STACK, *, aws: Aws, clock: Clock, artifact_bucket: str = "", on_progress: Progress = quiet
) -> Removed:
    """Take enrolment down: stacks, activations, codes, zips. What stays is said in `kept`.

    The stacks go first, so that nothing creates an activation while they are deleted; what an interrupted removal left
    is found by the stack's name the next time. `artifact_bucket` is needed only if a bucket was given and the stack is
    gone already. Refused while the ledger is protected from deletion.
    """
    stacks = Stacks(aws, clock=clock)
    found = _require_removable(stack, aws=aws, clock=clock)
    gone = steps.delete(stack, stacks, on_progress=on_progress)
    shared = _users_of_endpoint(stacks.find(endpoint_stack(stack)), aws)
    if not shared:
        gone += steps.delete(endpoint_stack(stack), stacks, on_progress=on_progress)
    on_progress(Step("deleting activations and their codes"))
    swept = sweep(stack, aws=aws, on_progress=lambda text: on_progress(Step(text)))
    on_progress(Step("deleting the functions' zips"))
    artifacts = artifacts_of(found, aws, given=artifact_bucket)
    versions = artifacts.remove(stack=stack)
    return Removed(
        stacks=tuple(gone),
        activations=swept.activations,
        codes=swept.codes,
        artifacts=versions,
        bucket=artifacts.remove_empty_bucket(),
        kept=(*(_kept(found) if gone or swept.activations or swept.codes else ()), *_kept_endpoint(stack, shared)),
    )


def removable(stack: str, *, aws: Aws, clock: Clock) -> tuple[str, ...]:
    """The stacks that `remove` would delete now; Refused or Busy if it would be."""
    found = _require_removable(stack, aws=aws, clock=clock)
    beside = Stacks(aws, clock=clock).find(endpoint_stack(stack))
    mine = found.outputs.get("ApiId", "") if found else ""
    goes = beside is not None and not _users_of_endpoint(beside, aws, but=mine)
    return (*((stack,) if found else ()), *((endpoint_stack(stack),) if goes else ()))


def _require_removable(stack: str, *, aws: Aws, clock: Clock) -> Stack | None:
    """The stack, if there is one; Refused if `remove` would refuse it now."""
    stacks = Stacks(aws, clock=clock)
    found = stacks.find(stack)
    if found:
        steps.require_removable(found, guarded=f"the ledger of {stack} is")
    require_deletable(stacks.find(endpoint_stack(stack)))
    return found


def _check(plan: EnrolmentPlan) -> None:
    steps.check_parameters(plan.parameters, templates.STACK, filled_in=_OURS, room="enrolment")
    if isinstance(plan.endpoint, NewEndpoint):
        endpoint = _endpoint_spec(plan, plan.endpoint)
        constraints.require_fitting(endpoint.template, endpoint.parameters)
    else:
        given = {"VpcEndpointForApiGateway": plan.endpoint.id}
        constraints.require_fitting(templates.read(templates.STACK), given)
    for cidr in filter(None, plan.parameters.get("AllowedSourceCidrs", "").split(",")):
        try:
            ip_network(cidr)
        except ValueError as error:
            raise Misconfigured(
                f"AllowedSourceCidrs: {error}", remedy="write address ranges such as 10.0.0.0/8"
            ) from error
    if plan.configuration is not None:
        filled = with_node_role(plan.configuration, UNKNOWN_ROLE)
        configuration.parse(filled, version=1)


def _require_changeable(plan: EnrolmentPlan, stacks: Stacks) -> None:
    """Before anything is packaged or uploaded: raises if a stack of the plan could not be changed after that."""
    stacks.require_changeable(plan.stack)
    if isinstance(plan.endpoint, NewEndpoint):
        stacks.require_changeable(endpoint_stack(plan.stack))


def _check_way_in(plan: EnrolmentPlan, endpoint: str, stacks: Stacks, aws: Aws, clock: Clock) -> None:
    """Refuse what would turn every server away once requests come through `endpoint`."""
    if plan.configuration is not None:
        if plan.allow_network_proof:
            check_given(plan.configuration, endpoint=endpoint)
        return
    stack = stacks.find(plan.stack)
    if stack is not None and "LedgerTable" in stack.outputs:
        check_stored(stack, endpoint=endpoint, network_proof=plan.allow_network_proof, aws=aws, clock=clock)


def _expected_endpoint(plan: EnrolmentPlan, stacks: Stacks) -> str:
    """The endpoint as far as it is known before its stack is made or changed."""
    if isinstance(plan.endpoint, ExistingEndpoint):
        return plan.endpoint.id
    made = stacks.find(endpoint_stack(plan.stack))
    return made.outputs.get("VpcEndpoint", UNKNOWN_ENDPOINT) if made else UNKNOWN_ENDPOINT


def _endpoint(plan: EnrolmentPlan, stacks: Stacks, on_progress: Progress, approve: Approve) -> str:
    if isinstance(plan.endpoint, ExistingEndpoint):
        return plan.endpoint.id
    spec = _endpoint_spec(plan, plan.endpoint)
    return make(spec, stacks, on_progress=on_progress, approve=approve).outputs["VpcEndpoint"]


def _endpoint_spec(plan: EnrolmentPlan, endpoint: NewEndpoint) -> StackSpec:
    return StackSpec(
        name=endpoint_stack(plan.stack),
        template=templates.read(templates.ENDPOINT),
        parameters={
            "VpcIdForApiGateway": endpoint.vpc_id,
            "SubnetsForVpcEndpoint": ",".join(endpoint.subnet_ids),
            "AllowedIPRange": endpoint.allowed_cidr,
            "PrivateDns": _yes_no(endpoint.private_dns),
        },
        tags={**TAGS, **plan.tags},
    )


def _stack_spec(
    plan: EnrolmentPlan, endpoint: str, aws: Aws, *, bucket: str, key: str, platform: FunctionPlatform
) -> StackSpec:
    parameters = {
        **_parameters(plan, endpoint, aws),
        "ArtifactBucket": bucket,
        "ArtifactKey": key,
        "Architecture": platform.machine,
    }
    template = templates.with_deployment(templates.read(templates.STACK), parameters)
    return StackSpec(name=plan.stack, template=template, parameters=parameters, tags={**TAGS, **plan.tags})


def _parameters(plan: EnrolmentPlan, endpoint: str, aws: Aws) -> dict[str, str]:
    parameters = {
        "VpcEndpointForApiGateway": endpoint,
        "AllowNetworkProof": _yes_no(plan.allow_network_proof),
    }
    if isinstance(plan.endpoint, NewEndpoint) and not plan.endpoint.private_dns:
        # With private names either style works, so the one that was chosen stays: servers have it in their images.
        parameters["InvokeUrlStyle"] = "endpoint-host"
    if not plan.parameters.keys() & {"CloudwatchLogRoleArn", "CreateApiGatewayLoggingRole"}:
        # Where the account lets API Gateway log already, the API logs; where not, that is the operator's decision.
        with calling("apigateway:GET"):
            parameters["CloudwatchLogRoleArn"] = aws.client("apigateway").get_account().get("cloudwatchRoleArn", "")
    return {**parameters, **plan.parameters}


def _configure(plan: EnrolmentPlan, stack: Stack, aws: Aws, clock: Clock, on_progress: Progress) -> int:
    """Put the given document in force unless it is already; the version that is in force."""
    stored = stored_in(stack, aws=aws, clock=clock)
    text, version = stored.document()
    if plan.configuration is None:
        return version
    wanted = with_node_role(plan.configuration, stack.outputs["NodeRoleName"])
    if text and json.loads(text) == wanted:
        return version
    on_progress(Step("storing the configuration"))
    return stored.apply(wanted, replacing=version).version


def _kept(stack: Stack | None) -> tuple[str, ...]:
    kept = [
        "managed nodes stay registered, but those with the stack's own role lose their connection: "
        "`moorings nodes list` shows them, `moorings nodes deregister ID` removes one"
    ]
    if stack is None:
        return tuple(kept)
    if not stack.parameters.get("KmsKeyId"):
        kept.append(
            f"KMS key {stack.outputs.get('KmsKeyArn', 'of the stack')} is deleted by AWS after a waiting period of"
            " 30 days; until then `aws kms cancel-key-deletion` brings it back"
        )
    if stack.parameters.get("CreateApiGatewayLoggingRole") == "yes":
        kept.append(
            "API Gateway's account-wide logging role stays, because other APIs may log with it: `aws apigateway"
            " get-account` names it"
        )
    return tuple(kept)


def _users_of_endpoint(endpoint: Stack | None, aws: Aws, *, but: str = "") -> list[str]:
    """The names of the APIs that are reached through the endpoint of this stack, `but` for the one of that id."""
    if endpoint is None:
        return []
    vpce = endpoint.outputs.get("VpcEndpoint", "")
    with calling("apigateway:GET"):
        pages = aws.client("apigateway").get_paginator("get_rest_apis").paginate()
        apis = [api for page in pages for api in page["items"] if api["id"] != but]
    return [api["name"] for api in apis if vpce in api.get("endpointConfiguration", {}).get("vpcEndpointIds", [])]


def _kept_endpoint(stack: str, users: list[str]) -> tuple[str, ...]:
    if not users:
        return ()
    return (
        f"stack {endpoint_stack(stack)} stays, because {', '.join(users)} is reached through its VPC endpoint; remove"
        f" {stack} again after that",
    )


def _yes_no(choice: bool) -> str:
    return "yes" if choice else "no"
