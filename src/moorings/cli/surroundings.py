"""Where a command works: the account and Region, and a deployed stack in it, put together from its outputs.

Whatever loads an SDK is imported where it is used: help and completion need none of it.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from moorings.cli.options import checked_stack_name
from moorings.cli.talk import Talk
from moorings.clock import SystemClock
from moorings.errors import Conflict, Misconfigured
from moorings.settings import deploy_settings

if TYPE_CHECKING:
    from moorings.clouds.aws import Aws
    from moorings.clouds.aws_calls import Call
    from moorings.deploy.stacks import Stack
    from moorings.enrolment.aws import StoredConfigurations
    from moorings.enrolment.oversight import Oversight
    from moorings.nodes.aws import SsmFleet

_DEFAULT_CONFIGURATION = "MOORINGS_DEFAULT_CONFIGURATION"


def open_aws(region: str, profile: str) -> "Aws":
    """The account that the surroundings show, in the Region asked for.

    Misconfigured if no Region is named anywhere, or nobody is signed in: asked at once (of STS, which everybody may
    call), so that no later call has to be explained by it.
    """
    aws = aws_at(region_of(region, profile), profile)
    assert aws.account, "asking raises unless somebody is signed in"
    return aws


def aws_at(region: str, profile: str = "") -> "Aws":
    """AWS in a Region, without having asked who we are; with --verbose, every call is told as it ends."""
    from moorings.clouds.aws import Aws

    talk = Talk()
    return Aws(region=region, profile=profile, on_call=lambda call: talk.trace(_told(call)))


def _told(call: "Call") -> str:
    outcome = " ".join(str(part) for part in (call.status or "no answer", call.error) if part)
    retries = f"  after {call.retries} retries" if call.retries else ""
    request = f"  request {call.request_id}" if call.request_id else ""
    return f"{call.name}  {outcome}  {call.seconds:.2f} s{retries}{request}"


def region_of(region: str, profile: str) -> str:
    """The Region asked for, else that of the surroundings, else that of the profile; Misconfigured if none is named."""
    return region or deploy_settings().region or _region_of_profile(profile)


def fleet_of(aws: "Aws") -> "SsmFleet":
    """The managed nodes of an account and Region."""
    from moorings.nodes.aws import SsmFleet

    return SsmFleet(client=aws.client("ssm"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A deployed enrolment stack."""

    aws: "Aws"
    stack: "Stack"
    oversight: "Oversight"
    configurations: "StoredConfigurations"


def open_enrolment(aws: "Aws", name: str, *, talk: Talk) -> Enrolled:
    """The enrolment stack of that name; Misconfigured if there is none, Conflict if it does not stand."""
    from moorings.deploy.stacks import Stacks
    from moorings.enrolment.aws import LambdaKeeper, SsmActivations
    from moorings.enrolment.dynamodb import DynamoLedger
    from moorings.enrolment.grants import DynamoGrants
    from moorings.enrolment.oversight import Oversight

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


def _configurations(aws: "Aws", stack: "Stack") -> "StoredConfigurations":
    """Until one is stored, the functions work with the stack's own default, which only they are told."""
    from moorings.clouds.aws import calling
    from moorings.deploy.documents import stored_in

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
    from moorings.clouds.aws import session_of

    region = session_of(profile=profile).region_name
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
