"""`moorings enrolment …`: deploy it, look at it, rotate a pool, take it down."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorings.cli import enrolment_text, pools
from moorings.cli.enrolment_deploy import deploy
from moorings.cli.options import STACK, DryRun, Json, Profile, Region, StackName, Yes, checked_stack_name
from moorings.cli.output import Results
from moorings.cli.progress import DeployProgress
from moorings.cli.surroundings import open_aws, open_enrolment
from moorings.cli.talk import Talk
from moorings.cli.tree import Noun
from moorings.clock import SystemClock
from moorings.errors import Refused

if TYPE_CHECKING:
    from moorings.clouds.aws import Aws

app = Noun(
    help="""The private API that gives servers their activation.

    A server asks for it at first boot, and becomes a managed node.

    \b
    Examples:
      moorings enrolment status
      moorings enrolment pools show > pools.toml
      moorings enrolment rotate default --dry-run
    """
)
app.command("deploy")(deploy)
app.add_typer(pools.app, name="pools")


@app.command("status")
def status(stack_name: StackName = STACK, json: Json = False, region: Region = "", profile: Profile = "") -> None:
    """Show every pool with its activations.

    Slots issued and registered, what is current, standby, draining, and when it expires. Never a code.

    \b
    Examples:
      moorings enrolment status
      moorings enrolment status --json
    """
    results, talk = Results(as_json=json), Talk()
    aws = open_aws(region, profile)
    with talk.looking(f"looking at {stack_name}"):
        enrolled = open_enrolment(aws, stack_name, talk=talk)
        overview = enrolled.oversight.overview()
    if json:
        results.json(enrolment_text.status_json(enrolled.stack, overview, region=aws.region))
    else:
        enrolment_text.show_status(results, enrolled.stack, overview, region=aws.region)


@app.command("grants")
def grants(
    *,
    pool: Annotated[str, typer.Option("--pool", help="Only of this pool.", metavar="POOL")] = "",
    most: Annotated[int, typer.Option("--most", help="How many, newest first.", metavar="N", min=1, max=10_000)] = 20,
    stack_name: StackName = STACK,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Show who was granted a slot lately.

    Told is which request key got a slot of which activation, when; keys are shown as hashes. The ledger keeps a grant
    some hours longer than it can be repeated; older ones are in the function's log. Plain requests (GET /) leave no
    grant here.

    \b
    Examples:
      moorings enrolment grants
      moorings enrolment grants --pool default --most 100 --json
    """
    results, talk = Results(as_json=json), Talk()
    with talk.looking(f"reading the grants of {stack_name}"):
        enrolled = open_enrolment(open_aws(region, profile), stack_name, talk=talk)
        found = enrolled.oversight.grants(pool=pool, most=most)
    if json:
        results.json({"grants": [enrolment_text.grant_json(grant) for grant in found]})
    elif not found:
        talk.say("no grants" + (f" of pool {pool}" if pool else ""))
    else:
        enrolment_text.show_grants(results, found, now=SystemClock().now())


@app.command("rotate")
def rotate(
    pool: Annotated[str, typer.Argument(help="Name of a shared pool.", metavar="POOL")],
    *,
    stack_name: StackName = STACK,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Retire a pool's current activation now.

    The standby takes over, and the keeper prepares the next one. Rotation happens by itself before an activation runs
    out or expires. By hand it helps if a code may have leaked. Servers that were granted a slot can still register
    until the claim window is over; then the old activation is deleted. To stop them at once, delete it: aws ssm
    delete-activation --activation-id ID.

    \b
    Examples:
      moorings enrolment rotate default
      moorings enrolment rotate default --dry-run --json
    """
    results, talk = Results(as_json=json), Talk()
    oversight = open_enrolment(open_aws(region, profile), stack_name, talk=talk).oversight
    planned = oversight.plan_rotation(pool)
    if planned.retired and not (yes or dry_run):
        successor = f"standby {planned.current} takes over" if planned.current else "there is no standby to take over"
        if not talk.ask(f"Retire {planned.retired} of pool {pool} ({successor})?"):
            raise Refused(f"pool {pool} was not rotated", remedy="answer y, or give --yes")
    done = planned if dry_run else oversight.rotate(pool)
    if json:
        results.json(enrolment_text.rotation_json(done, dry_run=dry_run))
    else:
        enrolment_text.show_rotation(results, done, dry_run=dry_run)


@app.command("remove")
def remove(
    *,
    stack_name: StackName = STACK,
    artifact_bucket: Annotated[
        str,
        typer.Option("--artifact-bucket", help="Only needed if one was given and the stack is gone.", metavar="NAME"),
    ] = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Take enrolment down, and say what stays.

    Its stacks go, with activations, codes and zips. Registered nodes stay registered. What an interrupted removal left
    behind is found by running it again.

    \b
    Examples:
      moorings enrolment remove
      moorings enrolment remove --stack-name moorings-test --yes
    """
    from moorings.deploy import enrolment as deployment

    results, talk = Results(as_json=json), Talk()
    aws = open_aws(region, profile)
    if dry_run:
        _show_removal(results, checked_stack_name(stack_name), aws)
        return
    if not yes and not talk.ask(
        f"Delete {stack_name} in account {aws.account}, {aws.region}, with all its activations?"
    ):
        raise Refused("nothing was removed", remedy="answer y, or give --yes")
    with talk.working(f"removing {stack_name}"):
        removed = deployment.remove(
            checked_stack_name(stack_name),
            aws=aws,
            clock=SystemClock(),
            artifact_bucket=artifact_bucket,
            on_progress=DeployProgress(talk),
        )
    if json:
        results.json(enrolment_text.removed_json(removed))
    else:
        enrolment_text.show_removed(results, removed)


def _show_removal(results: Results, name: str, aws: "Aws") -> None:
    from moorings.deploy.enrolment import endpoint_stack
    from moorings.deploy.stacks import Stacks

    stacks = Stacks(aws, clock=SystemClock())
    found = [each for each in (name, endpoint_stack(name)) if stacks.find(each)]
    answer: dict[str, Any] = {"dry_run": True, "stacks": found}
    if results.as_json:
        results.json(answer)
    elif found:
        results.prose(f"would delete: {', '.join(found)}, then every activation, code and zip of {name}")
    else:
        results.prose(f"there is no stack {name}; would look for activations, codes and zips that it left")
