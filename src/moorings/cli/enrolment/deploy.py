"""`moorings enrolment deploy`: from options to a plan, the plan shown, carried out, and its result."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moorings.cli import halves
from moorings.cli.enrolment import pools
from moorings.cli.options import (
    STACK,
    DryRun,
    Json,
    Profile,
    Region,
    StackName,
    Yes,
    checked_stack_name,
    pairs,
    unreadable,
)
from moorings.cli.output import Results
from moorings.cli.surroundings import open_aws
from moorings.cli.talk import Talk
from moorings.clock import SystemClock
from moorings.deploy.halves import Half
from moorings.errors import Invalid

if TYPE_CHECKING:
    from moorings.clouds.aws import Aws
    from moorings.deploy.enrolment import ExistingEndpoint, NewEndpoint
    from moorings.deploy.stacks import Stack

Text = str | None
Choice = bool | None


def deploy(
    *,
    vpc: Annotated[Text, typer.Option("--vpc", help="VPC to make the endpoint in.", metavar="VPC")] = None,
    subnet: Annotated[
        list[str] | None, typer.Option("--subnet", help="Subnet of it; give one per zone.", metavar="SUBNET")
    ] = None,
    cidr: Annotated[
        Text, typer.Option("--cidr", help="Addresses of the servers: may open 443.", metavar="CIDR")
    ] = None,
    private_dns: Annotated[
        Choice, typer.Option("--private-dns/--no-private-dns", help="Whether the endpoint answers for the plain names.")
    ] = None,
    vpc_endpoint: Annotated[
        Text, typer.Option("--vpc-endpoint", help="An execute-api endpoint that is there already.", metavar="VPCE")
    ] = None,
    allow_network_proof: Annotated[
        Choice,
        typer.Option(
            "--allow-network-proof/--no-allow-network-proof",
            help="Whether the network position is proof enough; without, rules that rest on it admit nobody.",
        ),
    ] = None,
    source_cidr: Annotated[
        list[str] | None, typer.Option("--source-cidr", help="Addresses that count as proof.", metavar="CIDR")
    ] = None,
    pools_file: Annotated[
        Path | None, typer.Option("--pools", help="Configuration document to put in force.", metavar="FILE")
    ] = None,
    signing_key: Annotated[
        Path | None, typer.Option("--signing-key", help="Key that signs the packages, armoured.", metavar="FILE")
    ] = None,
    kms_key: Annotated[
        Text, typer.Option("--kms-key", help="KMS key for the codes; default: makes one.", metavar="ID")
    ] = None,
    deletion_protection: Annotated[
        Choice, typer.Option("--deletion-protection/--no-deletion-protection", help="Guard the ledger.")
    ] = None,
    alarm_topic: Annotated[Text, typer.Option("--alarm-topic", help="SNS topic of the alarms.", metavar="ARN")] = None,
    artifact_bucket: Annotated[
        str, typer.Option("--artifact-bucket", help="Bucket for the zip; default: makes one.", metavar="NAME")
    ] = "",
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", help="Any further template parameter.", metavar="NAME=VALUE")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Tag of the stacks.", metavar="KEY=VALUE")] = None,
    stack_name: StackName = STACK,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Deploy or update enrolment.

    First the VPC endpoint (unless one is given), then API, functions, ledger and keeper. Shows CloudFormation's plan,
    asks, then tells every event. What is not given stays as it is deployed, or as the template's default is. A bad
    configuration document is refused before anything is made.

    \b
    Examples:
      moorings enrolment deploy --vpc vpc-0a1b2c3d --subnet subnet-0a --subnet subnet-0b \\
        --cidr 10.0.0.0/8 --allow-network-proof
      moorings enrolment deploy --vpc-endpoint vpce-0123456789abcdef0 --allow-network-proof \\
        --pools pools.toml --parameter ApiConcurrency=50
    """
    from moorings.deploy.enrolment import EnrolmentPlan

    results, talk = Results(as_json=json), Talk()
    aws, name = open_aws(region, profile), checked_stack_name(stack_name)
    dedicated = {
        "AllowedSourceCidrs": ",".join(source_cidr) if source_cidr else None,
        "PackageSigningKey": _one_line(signing_key) if signing_key else None,
        "KmsKeyId": kms_key,
        "DeletionProtection": None if deletion_protection is None else ("yes" if deletion_protection else "no"),
        "AlarmTopicArn": alarm_topic,
    }
    with talk.looking(f"looking at {name}"):
        there = _There.look(aws, name)
    plan = EnrolmentPlan(
        stack=name,
        endpoint=_endpoint(there, vpc=vpc, subnets=subnet, cidr=cidr, private_dns=private_dns, given=vpc_endpoint),
        allow_network_proof=_network_proof(allow_network_proof, there.stack),
        parameters=pairs(parameter, option="--parameter")
        | {key: each for key, each in dedicated.items() if each is not None},
        configuration=pools.read(pools_file) if pools_file else None,
        artifact_bucket=artifact_bucket,
        tags=pairs(tag, option="--tag"),
    )
    halves.deploy_one(Half.ENROLMENT, plan, aws, results, talk, yes=yes, dry_run=dry_run)


class _There:
    """What is deployed already under a name."""

    def __init__(self, stack: "Stack | None", endpoint: "Stack | None") -> None:
        self.stack = stack
        self.endpoint = endpoint

    @property
    def has_its_own(self) -> bool:
        """Whether requests come through the endpoint of the stack beside: one that was left for another stands, too."""
        made = self.endpoint.outputs.get("VpcEndpoint") if self.endpoint else None
        return bool(self.stack and made and made == self.stack.parameters["VpcEndpointForApiGateway"])

    @classmethod
    def look(cls, aws: "Aws", name: str) -> "_There":
        from moorings.deploy.enrolment import endpoint_stack
        from moorings.deploy.stacks import Stacks

        stacks = Stacks(aws, clock=SystemClock())
        return cls(stacks.find(name), stacks.find(endpoint_stack(name)))


def _endpoint(
    there: _There,
    *,
    vpc: Text,
    subnets: Sequence[str] | None,
    cidr: Text,
    private_dns: Choice,
    given: Text,
) -> "NewEndpoint | ExistingEndpoint":
    """A given endpoint, a new one, or the one that is deployed."""
    from moorings.deploy.enrolment import ExistingEndpoint, NewEndpoint

    makes = vpc or subnets or cidr or private_dns is not None
    if given and makes:
        raise Invalid("--vpc-endpoint names an endpoint, the other options make one", remedy="give one or the other")
    if given:
        return ExistingEndpoint(id=given)
    kept: Mapping[str, str] = there.endpoint.parameters if there.endpoint else {}
    if not makes and there.stack and not there.has_its_own:
        return ExistingEndpoint(id=there.stack.parameters["VpcEndpointForApiGateway"])
    wanted = NewEndpoint(
        vpc_id=vpc or kept.get("VpcIdForApiGateway", ""),
        subnet_ids=tuple(subnets or filter(None, kept.get("SubnetsForVpcEndpoint", "").split(","))),
        allowed_cidr=cidr or kept.get("AllowedIPRange", ""),
        private_dns=kept.get("PrivateDns", "yes") == "yes" if private_dns is None else private_dns,
    )
    missing = [
        option
        for option, value in (
            ("--vpc", wanted.vpc_id),
            ("--subnet", wanted.subnet_ids),
            ("--cidr", wanted.allowed_cidr),
        )
        if not value
    ]
    if missing:
        raise Invalid(
            f"the VPC endpoint needs {', '.join(missing)}",
            remedy="name the VPC, its subnets and the servers' addresses, or an existing endpoint by --vpc-endpoint",
        )
    return wanted


def _network_proof(choice: Choice, stack: "Stack | None") -> bool:
    if choice is not None:
        return choice
    if stack is None:
        raise Invalid(
            "whether the network position alone is proof enough has to be said",
            remedy="give --allow-network-proof or --no-allow-network-proof",
        )
    return stack.parameters.get("AllowNetworkProof") == "yes"


def _one_line(file: Path) -> str:
    """An armoured key as the template takes it: one line, \\n for each line break."""
    try:
        return "\\n".join(file.read_text(encoding="ascii").strip().splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {unreadable(error)}", remedy="name an armoured OpenPGP key") from error
