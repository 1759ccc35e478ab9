"""`moorings enrolment pools …`: the configuration document, looked at, checked, and put in force."""

import difflib
import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from moorings.cli import toml
from moorings.cli.options import STACK, DryRun, Json, Profile, Region, StackName, Yes, unreadable
from moorings.cli.output import Results, counted
from moorings.cli.surroundings import Enrolled, open_aws, open_enrolment
from moorings.cli.talk import Talk
from moorings.cli.tree import Noun
from moorings.enrolment import configuration
from moorings.enrolment.fields import written
from moorings.enrolment.model import Pool
from moorings.errors import Invalid, Misconfigured, Refused

app = Noun(
    help="""Pools and rules of enrolment, as one TOML document.

    It is checked before it is in force; what it can say: docs/configuration.md.

    \b
    Examples:
      moorings enrolment pools show > pools.toml
      moorings enrolment pools validate pools.toml
      moorings enrolment pools apply pools.toml --dry-run
    """
)
File = Annotated[Path, typer.Argument(help="The configuration document, TOML; - reads standard input.", metavar="FILE")]
IN_FORCE_AFTER = "in force everywhere within a minute"


@app.command("show")
def show(stack_name: StackName = STACK, json: Json = False, region: Region = "", profile: Profile = "") -> None:
    """Show the configuration in force, as TOML.

    `apply` takes what this prints.

    \b
    Examples:
      moorings enrolment pools show > pools.toml
      moorings enrolment pools show --json
    """
    results, talk = Results(as_json=json), Talk()
    with talk.looking(f"reading the configuration of {stack_name}"):
        document, version = _in_force(open_enrolment(open_aws(region, profile), stack_name, talk=talk))
    if json:
        results.json({"version": version, "configuration": document})
        return
    results.line(f"# {_version(version)} of {stack_name}")
    results.line(toml.written(document).rstrip())


@app.command("validate")
def validate(file: File, json: Json = False) -> None:
    """Check a configuration document; needs no account.

    Every problem is named, with its place. A pool without node_role takes the role of the stack; a rule without vpce
    means the endpoint of the stack.

    \b
    Examples:
      moorings enrolment pools validate pools.toml
      moorings enrolment pools validate - --json < pools.toml
    """
    from moorings.deploy.documents import UNKNOWN_ENDPOINT, UNKNOWN_ROLE, with_node_role

    results = Results(as_json=json)
    checked = configuration.parse(with_node_role(read(file), UNKNOWN_ROLE), version=1, own_vpce=UNKNOWN_ENDPOINT)
    if json:
        results.json({"valid": True, "pools": list(checked.pools), "rules": [rule.name for rule in checked.rules]})
        return
    results.prose(f"{file} holds: {counted(len(checked.pools), 'pool')}, {counted(len(checked.rules), 'rule')}")
    results.table(POOL_COLUMNS, [pool_row(pool) for pool in checked.pools.values()])


@app.command("apply")
def apply(
    file: File,
    *,
    stack_name: StackName = STACK,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    region: Region = "",
    profile: Profile = "",
) -> None:
    """Check a configuration document and put it in force.

    The functions take it up within a minute. Pools whose activations were made under other settings are rotated. A
    document that does not hold changes nothing, and neither does one that somebody else's has overtaken.

    \b
    Examples:
      moorings enrolment pools apply pools.toml
      moorings enrolment pools apply pools.toml --dry-run
    """
    from moorings.deploy.documents import UNKNOWN_ENDPOINT, UNKNOWN_ROLE, with_node_role

    results, talk = Results(as_json=json), Talk()
    given = read(file)
    configuration.parse(with_node_role(given, UNKNOWN_ROLE), version=1, own_vpce=UNKNOWN_ENDPOINT)
    enrolled = open_enrolment(open_aws(region, profile), stack_name, talk=talk)
    old, version = _in_force(enrolled)
    wanted = with_node_role(given, enrolled.stack.outputs["NodeRoleName"])
    changed = old != wanted
    if changed and not json and not (talk.quiet and (yes or dry_run)):
        _show_difference(talk, old, wanted)
    if changed and not dry_run:
        if not (yes or talk.ask(f"Put this in force for {stack_name}?")):
            raise Refused("the configuration was not changed", remedy="answer y, or give --yes")
        version = enrolled.configurations.apply(wanted, replacing=version).version
    _tell_applied(results, changed=changed, dry_run=dry_run, version=version)


def _tell_applied(results: Results, *, changed: bool, dry_run: bool, version: int) -> None:
    if results.as_json:
        results.json({"changed": changed, "dry_run": dry_run, "version": version})
    elif not changed:
        results.prose(f"{_version(version)} is the same already: nothing to change")
    elif dry_run:
        results.prose(f"would replace {_version(version)}")
    else:
        results.prose(f"{_version(version)} is {IN_FORCE_AFTER}")


def read(file: Path) -> dict[str, Any]:
    """The document in a file (or on stdin), unchecked; Invalid if it cannot be read, Misconfigured if it is no TOML."""
    try:
        text = typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {unreadable(error)}", remedy="name a TOML file in UTF-8") from error
    try:
        return configuration.parse_toml(text)
    except Misconfigured as error:
        raise Misconfigured(f"{file}: {error.message}", remedy=error.remedy) from error


POOL_COLUMNS = ("POOL", "MODE", ">LIMIT", "LIFE", "MARGIN", "CLAIM", ">GRANTS/H", "NODE ROLE")


def pool_row(pool: Pool) -> tuple[str, ...]:
    """A pool's settings, as the columns have them."""
    from moorings.deploy.documents import UNKNOWN_ROLE

    spans = (written(pool.life), written(pool.margin), written(pool.claim_window))
    role = "of the stack" if pool.node_role == UNKNOWN_ROLE else pool.node_role
    return (pool.name, pool.mode.value, f"{pool.registration_limit:,}", *spans, f"{pool.grants_per_hour:,}", role)


def _in_force(enrolled: Enrolled) -> tuple[dict[str, Any], int]:
    text, version = enrolled.configurations.document()
    return configuration.parse_json(text), version


def _version(version: int) -> str:
    return f"configuration version {version}" if version else "the stack's own default configuration"


def _show_difference(talk: Talk, old: dict[str, Any], new: dict[str, Any]) -> None:
    # Both in one order of keys: what differs is then what was changed, not how it was written.
    before, after = (toml.written(json_text.loads(json_text.dumps(each, sort_keys=True))) for each in (old, new))
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "in force", "new", lineterm="", n=1)
    for line in lines:
        talk.plain(line, {"+": "green", "-": "red"}.get(line[:1], "dim"))
