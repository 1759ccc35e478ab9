"""`moorings local …`: the local cloud in the foreground, and what to export to work with it."""

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from moorings.cli import automation
from moorings.cli.options import Json, unreadable
from moorings.cli.output import Results
from moorings.cli.signals import stop_politely, undisturbed, wait_for_the_end
from moorings.cli.talk import Talk
from moorings.cli.tree import Noun
from moorings.errors import Misconfigured

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud

app = Noun(
    help="""An AWS account of your own on this computer.

    It answers on loopback only, and is forgotten when it ends. Needs moorings[local].

    \b
    Examples:
      moorings local up
      moorings local automation validate restart.yaml
    """
)
DEFAULT_REGION = "us-east-1"
PLATFORM = "MOORINGS_FUNCTION_PLATFORM"
# Variables of whoever is at this computer that lead to an account, to credentials, or to a stack of theirs: by their
# beginnings, and those that hosts in Azure have for managed identities.
THEIRS = (
    "AWS_",
    "AZURE_",
    "ARM_",
    "MOORINGS_",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IMDS_ENDPOINT",
    "MSI_ENDPOINT",
)
NOBODY = "http://127.0.0.1:1"  # nothing listens there


app.add_typer(automation.app, name="automation")


@app.command("up")
def up(
    *,
    port: Annotated[
        int, typer.Option("--port", help="Port of the AWS endpoint; 0: a free one.", metavar="PORT", min=0, max=65_535)
    ] = 0,
    scale: Annotated[
        float,
        typer.Option(
            "--scale",
            help="Time scale of emulated durations: 0.01 makes 5 minutes 3 seconds.",
            metavar="FACTOR",
            max=1.0,
        ),
    ] = 1.0,
    region: Annotated[str, typer.Option("--region", help="Region of the account.", metavar="REGION")] = DEFAULT_REGION,
    json: Json = False,
) -> None:
    """Start a local cloud and stay until Ctrl-C.

    Prints what to export for it. moorings, the AWS CLI and every AWS SDK work with it like with AWS: only these
    variables differ. Nothing leaves this computer, and nothing is left behind.

    \b
    Examples:
      moorings local up
      moorings local up --port 4566 --scale 0.01 --json
    """
    results, talk = Results(as_json=json), Talk()
    if not scale > 0:
        raise Misconfigured(f"--scale {scale} is no time scale", remedy="give a number above 0, at most 1")
    with running(talk, port=port, scale=scale, region=region) as cloud:
        variables = environment(cloud)
        if json:
            results.json(
                {
                    "endpoint": cloud.endpoint_url,
                    "account": cloud.world.account,
                    "region": region,
                    "ca_file": str(cloud.ca_file),
                    "environment": variables,
                }
            )
        else:
            for line in exports(variables):
                results.line(line)
        talk.say("in another terminal, export these; then for example: aws ec2 describe-vpcs; moorings nodes list")
        talk.say("Ctrl-C stops the local cloud and forgets all of it")
        wait_for_the_end()
    talk.say("local cloud stopped", mark="done")


@contextmanager
def running(talk: Talk, *, port: int = 0, scale: float = 1.0, region: str = DEFAULT_REGION) -> Iterator["LocalCloud"]:
    """A local cloud while the block runs; what this host lacks for it is Misconfigured."""
    try:
        from localcloud.cloud import LocalCloud
        from localcloud.errors import CannotRun
    except ImportError as error:
        raise Misconfigured(
            f"the local cloud is not installed: {error}", remedy="install it with: pip install 'moorings[local]'"
        ) from error
    try:
        with talk.working("starting the local cloud"):
            cloud = LocalCloud(port=port, scale=scale, region=region)
            stop_politely()
            try:
                cloud.start()
            except OSError as error:
                raise Misconfigured(
                    f"port {port} cannot be had: {unreadable(error)}", remedy="give another --port, or 0 for a free one"
                ) from error
        talk.say(f"local cloud: account {cloud.world.account}, {region}, {cloud.endpoint_url}", mark="done")
        try:
            yield cloud
        finally:
            with undisturbed(), talk.working("stopping the local cloud"):
                cloud.stop()
    except CannotRun as error:
        raise Misconfigured(error.fact, remedy=error.remedy) from error


def environment(cloud: "LocalCloud") -> dict[str, str]:
    """What moorings, the AWS CLI and SDKs need in their environment to work with `cloud`."""
    return {**cloud.environment(), PLATFORM: cloud.function_platform}


def exports(variables: Mapping[str, str]) -> list[str]:
    """The same as lines for a shell."""
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


@contextmanager
def only_this_cloud(cloud: "LocalCloud") -> Iterator[None]:
    """For this process, `cloud` is AWS: whatever leads to an account of the user's is put aside until the block ends.

    Profiles, files, roles and metadata services of both clouds are shut out too: SDKs look for them in turn.
    """
    ours = {**environment(cloud), **_shut(cloud)}
    before = {name: value for name, value in os.environ.items() if name in ours or name.startswith(THEIRS)}
    for name in before:
        del os.environ[name]
    os.environ.update(ours)
    restore = _forget_default_session()
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
        os.environ.update(before)
        restore()


def _shut(cloud: "LocalCloud") -> dict[str, str]:
    return {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AZURE_CONFIG_DIR": str(cloud.world.state_dir / "no-azure-profile"),
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",  # neither tools that are signed in nor managed identities
        "AZURE_POD_IDENTITY_AUTHORITY_HOST": NOBODY,  # where SDKs ask for the metadata service's tokens
    }


def _forget_default_session() -> Callable[[], None]:
    """Let `boto3.client` read the environment anew; returns what puts the old default session back."""
    import boto3

    old, boto3.DEFAULT_SESSION = boto3.DEFAULT_SESSION, None

    def restore() -> None:
        boto3.DEFAULT_SESSION = old

    return restore
