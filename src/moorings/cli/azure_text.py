"""How Azure's set-up, connection and check look: as text for people, as objects for `--json`. Calls nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from moorings.cli.output import Results, counted
from moorings.cli.terminal import clean

if TYPE_CHECKING:
    from moorings.deploy.azure_connection import Connection, Credentials
    from moorings.deploy.azure_setup import FederatedSetup

_STYLES = {"ok": "green", "wrong": "bold red", "unknown": "yellow"}


def show_setup(results: Results, setup: "FederatedSetup") -> None:
    """What `connect --federated` prints: the values, then a shell script."""
    if results.as_json:
        results.json(asdict(setup))
        return
    issuer = setup.issuer or "none yet: this AWS account issues no web identities; the first command switches it on"
    rows = [
        ("issuer", issuer),
        *((f"subject ({who})", arn) for who, arn in setup.subjects.items()),
        ("audience", setup.audience),
        *(("scope", scope) for scope in setup.scopes),
    ]
    results.table(("FEDERATION", ""), rows)
    results.line()
    results.prose("Run these in one shell, signed in to Azure (az login) and AWS:")
    for command in setup.commands:
        results.line()
        results.line(f"# {command.purpose}", style="dim")
        results.line(command.line)


def show_connected(
    results: Results,
    connection: "Connection",
    credentials: "Credentials",
    overwritten: Sequence[str],
    *,
    verified: bool,
    dry_run: bool,
) -> None:
    """What `connect` prints: names, never values."""
    names = {"tenant": connection.tenant, "client": connection.client, "secret": connection.secret}
    answer = {
        "stack": connection.stack,
        "parameters": names,
        "kind": "secret" if credentials.expires_at is None else "certificate",
        "expires_at": credentials.expires_at,
        "kms_key": connection.kms_key or "alias/aws/ssm",
        "verified": verified,
        "overwritten": list(overwritten),
        "dry_run": dry_run,
    }
    if results.as_json:
        results.json(answer)
        return
    rows = [(what, name, "overwritten" if name in overwritten else "new") for what, name in names.items()]
    results.table(("WOULD STORE" if dry_run else "STORED", "PARAMETER", ""), rows)
    if credentials.expires_at is not None:
        results.prose(f"the certificate expires at {credentials.expires_at:%Y-%m-%d}: store the next one before")
    if connection.federated:
        results.prose("this stack has a federation: runs use these parameters only if they name them")
    results.line()
    results.prose("See whether a run could work on a VM:")
    results.line("  moorings azure check --vm ARM_ID", style="bold")


def show_check(results: Results, vm: str, answer: Mapping[str, Any]) -> None:
    """What `check` prints: every finding, then what to do."""
    findings: list[Mapping[str, str]] = answer["Findings"]
    if results.as_json:
        results.json({"vm": vm, "well": answer["Well"], "findings": findings})
        return
    rows = [(_state(each["state"]), each["subject"], each["what"]) for each in findings]
    results.table(("", "CHECKED", "FOUND"), rows)
    wrong = [each for each in findings if each["state"] == "wrong"]
    results.line()
    if not wrong:
        results.prose("a run could patch this VM, and put it back", style="green")
        return
    results.prose(f"{counted(len(wrong), 'finding')} would be in a run's way", style="bold red")
    for remedy in dict.fromkeys(each["remedy"] for each in wrong if each["remedy"]):
        results.prose(f"  {remedy}")


def _state(word: str) -> Text:
    return Text(clean(word), style=_STYLES.get(word, ""))
