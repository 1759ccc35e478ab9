"""`moorings patch deploy|remove`: from options to a plan, the plan shown, carried out, and its result."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moorings.cli import halves
from moorings.cli.options import (
    PATCH_STACK,
    DryRun,
    Json,
    LeftBucket,
    PatchStackName,
    Profile,
    Region,
    Yes,
    checked_stack_name,
    pairs,
)
from moorings.cli.output import Results
from moorings.cli.surroundings import open_aws
from moorings.cli.talk import Talk
from moorings.deploy.halves import Half
from moorings.errors import Invalid
from moorings.settings import deploy_settings

if TYPE_CHECKING:
    from moorings.deploy.patching import GivenLayer

Text = str | None
Choice = bool | None


class Told(Enum):
    """Which outcomes a topic of the stack is told."""

    NO = "no"
    WRONG = "wrong"
    ALL = "all"


def deploy(
    *,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="Azure scope whose VMs may be patched; give one or more.", metavar="ARM_ID"),
    ] = None,
    federation_tenant: Annotated[
        Text, typer.Option("--federation-tenant", help="Entra tenant of the federated application.", metavar="ID")
    ] = None,
    federation_client: Annotated[
        Text, typer.Option("--federation-client", help="Its client id: then no secret is needed.", metavar="ID")
    ] = None,
    credential_prefix: Annotated[
        Text,
        typer.Option("--credential-prefix", help="Where credentials lie in Parameter Store.", metavar="PATH"),
    ] = None,
    kms_key: Annotated[
        Text, typer.Option("--kms-key", help="KMS key that encrypts them, if not SSM's own.", metavar="ID")
    ] = None,
    document_name: Annotated[Text, typer.Option("--document-name", help="Name of the runbook.", metavar="NAME")] = None,
    outcome_topic: Annotated[
        Told | None, typer.Option("--outcome-topic", help="Make an SNS topic that is told of runs.")
    ] = None,
    alarm_topic: Annotated[Text, typer.Option("--alarm-topic", help="SNS topic of the alarms.", metavar="ARN")] = None,
    anchors: Annotated[
        Path | None,
        typer.Option("--anchors", help="Trust anchors to bundle; default: those of `moorings anchors`.", metavar="DIR"),
    ] = None,
    layer: Annotated[
        Text, typer.Option("--layer", help="A layer that is there already: s3://BUCKET/KEY.", metavar="URI")
    ] = None,
    deletion_protection: Annotated[
        Choice, typer.Option("--deletion-protection/--no-deletion-protection", help="Guard guards and records.")
    ] = None,
    artifact_bucket: Annotated[
        str, typer.Option("--artifact-bucket", help="Bucket for zips and runbook; default: makes one.", metavar="NAME")
    ] = "",
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", help="Any further template parameter.", metavar="NAME=VALUE")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Tag of the stack.", metavar="KEY=VALUE")] = None,
    stack_name: PatchStackName = PATCH_STACK,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Deploy or update patching.

    That is the runbook, its function with the Azure modules, and the keeper. Shows CloudFormation's plan, asks, then
    tells every event. What is not given stays as it is deployed, or as the template's default is. VMs outside of the
    scopes are never touched.

    \b
    Examples:
      moorings patch deploy --scope /subscriptions/ID/resourceGroups/web
      moorings patch deploy --federation-tenant TENANT --federation-client CLIENT \\
        --scope /subscriptions/ID --outcome-topic wrong
    """
    from moorings.deploy.patching import PatchingPlan

    results, talk = Results(as_json=json), Talk()
    aws, name = open_aws(region, profile), checked_stack_name(stack_name)
    dedicated = {
        "FederationTenantId": federation_tenant,
        "FederationClientId": federation_client,
        "CredentialPrefix": credential_prefix,
        "CredentialKmsKeyId": kms_key,
        "DocumentName": document_name,
        "OutcomeTopic": outcome_topic.value if outcome_topic else None,
        "AlarmTopicArn": alarm_topic,
        "DeletionProtection": None if deletion_protection is None else ("yes" if deletion_protection else "no"),
    }
    given_layer = _layer(layer)
    plan = PatchingPlan(
        stack=name,
        scopes=tuple(scope or ()),
        parameters=pairs(parameter, option="--parameter")
        | {key: each for key, each in dedicated.items() if each is not None},
        anchors=anchors or (None if given_layer else deploy_settings().anchors),
        layer=given_layer,
        artifact_bucket=artifact_bucket,
        tags=pairs(tag, option="--tag"),
    )
    halves.deploy_one(Half.PATCHING, plan, aws, results, talk, yes=yes, dry_run=dry_run)


def remove(
    *,
    stack_name: PatchStackName = PATCH_STACK,
    artifact_bucket: LeftBucket = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Take patching down, and say what stays.

    Its stack goes, with the runbook, zips and layers. Refused while a run is going on: without the functions nobody
    would start a VM again that it has stopped.

    \b
    Examples:
      moorings patch remove
      moorings patch remove --stack-name moorings-test --yes
    """
    results, talk = Results(as_json=json), Talk()
    aws, name = open_aws(region, profile), checked_stack_name(stack_name)
    halves.remove_one(Half.PATCHING, name, aws, results, talk, bucket=artifact_bucket, yes=yes, dry_run=dry_run)


def _layer(uri: Text) -> "GivenLayer | None":
    from moorings.deploy.patching import GivenLayer

    if uri is None:
        return None
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise Invalid(f"--layer {uri!r} is no place of an object", remedy="write --layer s3://BUCKET/KEY")
    return GivenLayer(bucket=bucket, key=key)
