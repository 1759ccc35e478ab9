"""`moorings enrolment …`: deploy it, look at it, rotate a pool, take it down."""

from typing import Annotated

import typer

from moorings.cli import halves
from moorings.cli.enrolment import pools
from moorings.cli.enrolment import text as enrolment_text
from moorings.cli.enrolment.deploy import deploy
from moorings.cli.options import STACK, DryRun, Json, LeftBucket, Profile, Region, StackName, Yes, checked_stack_name
from moorings.cli.output import Results
from moorings.cli.surroundings import open_aws, open_enrolment
from moorings.cli.talk import Talk
from moorings.cli.tree import Noun
from moorings.clock import SystemClock
from moorings.deploy.halves import Half
from moorings.errors import Refused

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
    artifact_bucket: LeftBucket = "",
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
    results, talk = Results(as_json=json), Talk()
    aws, name = open_aws(region, profile), checked_stack_name(stack_name)
    halves.remove_one(Half.ENROLMENT, name, aws, results, talk, bucket=artifact_bucket, yes=yes, dry_run=dry_run)
