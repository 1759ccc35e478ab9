"""`moorings azure …`: give patching its way into Azure, and see whether it would work on a VM."""

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorings.cli import azure_text
from moorings.cli.options import PATCH_STACK, DryRun, Json, PatchStackName, Profile, Region, Yes
from moorings.cli.output import Results
from moorings.cli.patch.surroundings import NODE_ID, Patched, open_patching
from moorings.cli.surroundings import open_aws
from moorings.cli.talk import Talk
from moorings.cli.tree import Noun
from moorings.clock import SystemClock
from moorings.errors import NOT_WELL_EXIT, Invalid, Refused
from moorings.patching.model import vm_ref
from moorings.settings import deploy_settings

if TYPE_CHECKING:
    from moorings.deploy.azure_connection import Connection, Credentials

app = Noun(
    help="""Patching's way into Azure: set it up, try it on a VM.

    \b
    Examples:
      moorings azure connect --federated
      moorings azure check --vm /subscriptions/ID/resourceGroups/web/providers/Microsoft.Compute/virtualMachines/web-1
    """
)
MOST_STDIN = 64 * 1024


class Way(Enum):
    """How a run gets into Azure."""

    FEDERATION = "federation"
    PARAMETERS = "parameters"


@app.command("connect")
def connect(
    *,
    tenant_id: Annotated[str, typer.Option("--tenant-id", help="Entra tenant of the application.", metavar="ID")] = "",
    client_id: Annotated[str, typer.Option("--client-id", help="The application's client id.", metavar="ID")] = "",
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Read the client secret from stdin; default: ask for it.")
    ] = False,
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", help="Certificate with its key (PEM), in place of a secret.", metavar="FILE"),
    ] = None,
    federated: Annotated[
        bool, typer.Option("--federated", help="Store nothing; print how to set up the federation.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Get a token with the credentials before storing them.")
    ] = True,
    stack_name: PatchStackName = PATCH_STACK,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Give patching its way into Azure.

    Stores an application's credentials, or prints the set-up that needs none.

    Tenant id, client id and secret become SecureStrings under the stack's CredentialPrefix, by the names that its
    runbook has as defaults. They are proved first, by getting a token. A secret is asked for without showing it, or
    read from stdin; it is never an argument.

    With --federated nothing is stored: the application then trusts the roles of the stack's functions, and there is no
    secret to keep or to renew. Printed is a shell script for somebody who may make applications and roles.

    \b
    Examples:
      moorings azure connect --federated
      moorings azure connect --tenant-id TENANT --client-id CLIENT
      moorings azure connect --tenant-id TENANT --client-id CLIENT --secret-stdin --yes < secret.txt
    """
    from moorings.deploy import azure_connection as connecting
    from moorings.deploy.azure_setup import federated_setup

    results, talk = Results(as_json=json), Talk()
    if federated and (tenant_id or client_id or secret_stdin or certificate):
        raise Invalid("--federated stores nothing", remedy="leave the other options out")
    if secret_stdin and certificate:
        raise Invalid("--secret-stdin and --certificate are two credentials", remedy="give one of them")
    aws = open_aws(region, profile)
    stack = open_patching(aws, stack_name).stack
    if federated:
        with talk.looking(f"looking at {stack_name}"):
            setup = federated_setup(stack, aws, profile=profile)
        azure_text.show_setup(results, setup)
        return
    connection = connecting.connection_of(stack)
    credentials = _credentials(talk, tenant_id, client_id, certificate, from_stdin=secret_stdin)
    if verify:
        with talk.working("getting a token from Entra"), talk.calling("entra:token"):
            connecting.prove(credentials, connection, tls_bundle=_tls_bundle())
    there = connecting.stored_already(connection, aws)
    if there and not (yes or dry_run) and not talk.ask(f"Overwrite {', '.join(there)}?"):
        raise Refused("nothing was stored", remedy="answer y, or give --yes")
    if not dry_run:
        connecting.store(credentials, connection, aws)
    azure_text.show_connected(results, connection, credentials, there, verified=verify, dry_run=dry_run)


@app.command("check")
def check(
    vm: Annotated[str, typer.Option("--vm", help="ARM id of a VM.", metavar="ARM_ID")],
    *,
    node: Annotated[str, typer.Option("--node", help="The managed node on it: looked at too.", metavar="mi-ID")] = "",
    data_disks: Annotated[
        bool, typer.Option("--data-disks", help="As for runs that take snapshots of data disks.")
    ] = False,
    use: Annotated[
        Way | None, typer.Option("--use", help="Credentials; default: those that runs use by default.")
    ] = None,
    stack_name: PatchStackName = PATCH_STACK,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Check whether a run could patch a VM.

    And put it back: credentials, every right by name, locks, scope, disks. The stack's own function looks, with the
    identity and the settings that a run would have; nothing is changed. You need lambda:InvokeFunction on it, and
    nothing in Azure. Exit code 1 if anything would be in a run's way.

    \b
    Examples:
      moorings azure check --vm /subscriptions/ID/resourceGroups/web/providers/Microsoft.Compute/virtualMachines/web-1
      moorings azure check --vm ARM_ID --node mi-0123456789abcdef0 --json
    """
    results, talk = Results(as_json=json), Talk()
    if vm_ref(vm) is None:
        raise Invalid(
            f"{vm[:200]!r} is no id of a VM in Azure", remedy="az vm show --resource-group G --name N --query id"
        )
    if node and not NODE_ID.fullmatch(node):
        raise Invalid(f"{node!r} is no id of a managed node", remedy="ids look like mi-0123456789abcdef0")
    patched = open_patching(open_aws(region, profile), stack_name)
    event = {"call": "check", "vm": vm, "node": node, "snapshotDataDisks": data_disks, **_names(patched, use)}
    with talk.working(f"asking the function of {stack_name}"):
        answer = patched.ask_function(event)
    azure_text.show_check(results, vm, answer)
    if not answer["Well"]:
        raise typer.Exit(NOT_WELL_EXIT)


def _credentials(
    talk: Talk, tenant_id: str, client_id: str, certificate: Path | None, *, from_stdin: bool
) -> "Credentials":
    from moorings.deploy import azure_connection as connecting

    missing = [name for name, value in (("--tenant-id", tenant_id), ("--client-id", client_id)) if not value]
    if missing:
        raise Invalid(
            f"{' and '.join(missing)} must be given", remedy="Entra shows both with the application; or --federated"
        )
    if certificate:
        return connecting.with_certificate(
            tenant_id=tenant_id, client_id=client_id, file=certificate, now=SystemClock().now()
        )
    secret = sys.stdin.read(MOST_STDIN) if from_stdin else talk.secret("client secret")
    return connecting.with_secret(tenant_id=tenant_id, client_id=client_id, secret=secret)


def _names(patched: Patched, use: Way | None) -> dict[str, Any]:
    """The names of parameters that the run is given, as the runbook's defaults have them."""
    from moorings.deploy import azure_connection as connecting

    connection: Connection = connecting.connection_of(patched.stack)
    by_default = Way.FEDERATION if connection.federated else Way.PARAMETERS
    if (use or by_default) is Way.FEDERATION:
        return {}
    return {"tenantid": connection.tenant, "clientid": connection.client, "clientsecret": connection.secret}


def _tls_bundle() -> Path | None:
    """Authorities of an Azure that the usual roots do not know, such as the local one: as the functions trust them."""
    anchors = deploy_settings().anchors
    bundle = anchors / "tls.pem" if anchors else None
    return bundle if bundle and bundle.is_file() else None
