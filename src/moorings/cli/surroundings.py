"""Where a command works: the account and Region, and a deployed stack in it, put together from its outputs."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import ProfileNotFound

from moorings.cli.options import checked_stack_name
from moorings.cli.talk import Talk
from moorings.clock import SystemClock
from moorings.clouds.aws import Aws, calling
from moorings.deploy.documents import stored_in
from moorings.deploy.stacks import Stack, Stacks
from moorings.enrolment.aws import LambdaKeeper, SsmActivations, StoredConfigurations
from moorings.enrolment.dynamodb import DynamoLedger
from moorings.enrolment.grants import DynamoGrants
from moorings.enrolment.oversight import Oversight
from moorings.errors import Conflict, Misconfigured
from moorings.nodes.aws import SsmFleet
from moorings.settings import deploy_settings

_DEFAULT_CONFIGURATION = "MOORINGS_DEFAULT_CONFIGURATION"


def open_aws(region: str, profile: str) -> Aws:
    """The account that the surroundings show, in the Region asked for.

    Misconfigured if no Region is named anywhere, or nobody is signed in: asked at once (of STS, which everybody may
    call), so that no later call has to be explained by it.
    """
    aws = Aws(region=region_of(region, profile), profile=profile)
    assert aws.account, "asking raises unless somebody is signed in"
    return aws


def region_of(region: str, profile: str) -> str:
    """The Region asked for, else that of the surroundings, else that of the profile; Misconfigured if none is named."""
    return region or deploy_settings().region or _region_of_profile(profile)


def fleet_of(aws: Aws) -> SsmFleet:
    """The managed nodes of an account and Region."""
    return SsmFleet(client=aws.client("ssm"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A deployed enrolment stack."""

    aws: Aws
    stack: Stack
    oversight: Oversight
    configurations: StoredConfigurations


def open_enrolment(aws: Aws, name: str, *, talk: Talk) -> Enrolled:
    """The enrolment stack of that name; Misconfigured if there is none, Conflict if it does not stand."""
    clock = SystemClock()
    stack = Stacks(aws, clock=clock).find(checked_stack_name(name))
    if stack is not None and "LedgerTable" not in stack.outputs:
        raise Conflict(
            f"stack {name} in {aws.region} is {stack.status} and shows no outputs of enrolment",
            remedy="wait until it stands, deploy it again, or name another by --stack-name",
        )
    if stack is None:
        raise Misconfigured(
            f"there is no enrolment stack {name} in {aws.region}",
            remedy="make it with `moorings enrolment deploy`, or name another by --stack-name and --region",
        )
    outputs, dynamodb, ssm = stack.outputs, aws.client("dynamodb"), aws.client("ssm")
    configurations = _configurations(aws, stack)
    oversight = Oversight(
        configurations=configurations,
        ledger=DynamoLedger(client=dynamodb, once=lambda: dynamodb, table=outputs["LedgerTable"]),
        activations=SsmActivations(client=ssm, once=lambda: ssm, stack=outputs["StackMark"]),
        grant_book=DynamoGrants(client=dynamodb, table=outputs["LedgerTable"]),
        keeper=LambdaKeeper(
            client=cache(lambda: aws.client("lambda")), function=outputs["KeeperFunctionName"], journal=_Said(talk)
        ),
        clock=clock,
    )
    return Enrolled(aws=aws, stack=stack, oversight=oversight, configurations=configurations)


def _configurations(aws: Aws, stack: Stack) -> StoredConfigurations:
    """Until one is stored, the functions work with the stack's own default, which only they are told."""
    clock = SystemClock()
    stored = stored_in(stack, aws=aws, clock=clock)
    if stored.document()[1]:
        return stored
    with calling("lambda:GetFunctionConfiguration"):
        described: dict[str, Any] = aws.client("lambda").get_function_configuration(
            FunctionName=stack.outputs["ApiFunctionName"]
        )
    default = str(described.get("Environment", {}).get("Variables", {}).get(_DEFAULT_CONFIGURATION, ""))
    return stored_in(stack, aws=aws, clock=clock, default=default)


def _region_of_profile(profile: str) -> str:
    try:
        region = boto3.Session(profile_name=profile or None).region_name
    except ProfileNotFound as error:
        raise Misconfigured(str(error), remedy="name a profile that `aws configure list-profiles` shows") from error
    if not region:
        raise Misconfigured("no AWS Region is set", remedy="give --region, or set AWS_REGION")
    return str(region)


class _Said:
    """The `Journal` port for a command: what went wrong on the way is said, metrics are the functions' business."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def record(self, event: str, **facts: object) -> None:
        """See `ports.Journal.record`."""
        told = ", ".join(f"{name} {value}" for name, value in facts.items())
        self._talk.say(f"{event.replace('_', ' ')}: {told}")

    def count(self, metric: str, value: float = 1) -> None:
        """See `ports.Journal.count`."""

    def measure(self, metric: str, value: float) -> None:
        """See `ports.Journal.measure`."""
