"""`moorings anchors …`: the authorities whose word for a VM's identity counts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorings.cli.options import Json, Yes, unreadable
from moorings.cli.output import Results, until
from moorings.cli.talk import Talk
from moorings.cli.tree import Noun
from moorings.clock import SystemClock
from moorings.errors import NOT_WELL_EXIT, Invalid
from moorings.settings import deploy_settings

if TYPE_CHECKING:
    from moorings.attestation.authorities import Authority
    from moorings.deploy.anchor_sources import Source
    from moorings.deploy.anchor_store import Held, Updated

app = Noun(
    help="""Trust anchors: whose word for a VM's identity counts.

    They are the authorities of Azure's attested documents; patching's layer brings them along.

    \b
    Examples:
      moorings anchors update
      moorings anchors show
    """
)
COLUMNS = ("FILE", "AUTHORITY", "ENDS", "", "SHA-256")
Directory = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        help="Where they lie; default: MOORINGS_ANCHORS, then moorings/anchors below XDG_CONFIG_HOME.",
        metavar="DIR",
    ),
]


@app.command("update")
def update_anchors(
    *,
    directory: Directory = None,
    given: Annotated[
        list[Path] | None, typer.Option("--from", help="Certificates to add, PEM or DER.", metavar="FILE")
    ] = None,
    fetching: Annotated[
        bool, typer.Option("--fetch/--no-fetch", help="Whether to fetch what the publishers have.")
    ] = True,
    mirror: Annotated[
        str, typer.Option("--mirror", help="Fetch the same files below this URL instead.", metavar="URL")
    ] = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Fetch the authorities of attested documents.

    Kept are those that lead to a pinned root. Roots must equal fingerprints that this version knows; every other
    certificate must lead to a root, whoever delivered it. Another root is added only from a file, after you have
    compared its fingerprint. What has expired is left out. `moorings patch deploy` bundles the directory into its
    layer: deploy again after an update.

    Exit code 1 if something published is missing, or an authority ends within 60 days.

    \b
    Examples:
      moorings anchors update
      moorings anchors update --from corporate-root.pem --no-fetch
    """
    from moorings.deploy.anchor_store import update

    results, talk = Results(as_json=json), Talk()
    place = _place(directory)
    certificates = [each for file in given or () for each in _read(file)]
    try:
        with talk.working(f"updating {place}"):
            done = update(
                place,
                fetch=lambda source: _fetch(source, mirror, talk),
                given=certificates,
                confirm=lambda roots: _confirmed(roots, talk, ask=not yes),
                now=SystemClock().now(),
                **({} if fetching else {"sources": ()}),
            )
    except OSError as error:
        remedy = "name another folder by --directory, or by MOORINGS_ANCHORS"
        raise Invalid(f"{place} cannot be written: {unreadable(error)}", remedy=remedy) from error
    _show(results, place, done.held, done)
    if not done.well:
        raise typer.Exit(NOT_WELL_EXIT)


@app.command("show")
def show(*, directory: Directory = None, json: Json = False) -> None:
    """Show the anchors with fingerprints and ends.

    Exit code 1 if there are none, or one ends within 60 days.

    \b
    Examples:
      moorings anchors show
      moorings anchors show --directory /etc/moorings/anchors --json
    """
    from moorings.deploy.anchor_store import look, warnings

    results = Results(as_json=json)
    place = _place(directory)
    held = look(place, now=SystemClock().now())
    _show(results, place, held)
    if not held or warnings(held):
        raise typer.Exit(NOT_WELL_EXIT)


def _show(results: Results, place: Path, held: Sequence["Held"], done: "Updated | None" = None) -> None:
    from moorings.deploy.anchor_store import warnings

    if results.as_json:
        results.json(_as_json(place, held, done))
        return
    now = SystemClock().now()
    if held:
        results.table(
            COLUMNS,
            [
                (
                    each.file,
                    each.authority.name,
                    f"{each.authority.expires_at:%Y-%m-%d}",
                    until(each.authority.expires_at, now),
                    each.authority.fingerprint,
                )
                for each in held
            ],
        )
    else:
        results.prose(f"there are no trust anchors in {place}: moorings anchors update")
    for sentence in warnings(held):
        results.prose(sentence, style="yellow")
    for missing in done.missing if done else ():
        kept = "the one from before is kept" if missing.kept else "there is none"
        results.prose(f"not fetched: {missing.name} ({kept}): {missing.why}", style="yellow")
    for authority, why in done.dropped if done else ():
        results.prose(f"left out: {authority.name} {why}")


def _as_json(place: Path, held: Sequence["Held"], done: "Updated | None") -> dict[str, Any]:
    from moorings.deploy.anchor_store import warnings

    found: dict[str, Any] = {
        "directory": str(place),
        "anchors": [
            {
                "file": each.file,
                "name": each.authority.name,
                "issuer": each.authority.issuer,
                "expires_at": each.authority.expires_at,
                "life": each.life.value,
                "sha256": each.authority.fingerprint,
                "pinned": each.pinned,
            }
            for each in held
        ],
        "warnings": warnings(held),
    }
    if done is not None:
        found["missing"] = [{"name": each.name, "why": each.why, "kept": each.kept} for each in done.missing]
        found["left_out"] = [{"name": each.name, "why": why} for each, why in done.dropped]
    return found


def _place(directory: Path | None) -> Path:
    return directory or deploy_settings().anchors_home


def _read(file: Path) -> "list[Authority]":
    from moorings.attestation.authorities import read

    try:
        return read(file.read_bytes())
    except (OSError, ValueError) as error:
        raise Invalid(
            f"{file} cannot be read: {unreadable(error)}", remedy="name a file of certificates, PEM or DER"
        ) from error


def _fetch(source: "Source", mirror: str, talk: Talk) -> "Authority":
    from moorings.deploy.anchor_sources import fetch

    talk.now(f"fetching {source.name}")
    with talk.calling(f"fetch {source.name}"):
        return fetch(source, mirror=mirror)


def _confirmed(roots: Sequence["Authority"], talk: Talk, *, ask: bool) -> bool:
    from moorings.deploy.anchor_sources import ROOTS

    for root in roots:
        talk.say(f"{root.name}, until {root.expires_at:%Y-%m-%d}, SHA-256 {root.fingerprint}")
    names = ", ".join(root.name for root in roots)
    known = " and ".join(source.name for source in ROOTS)
    return not ask or talk.ask(f"Trust {names} for attested documents, beside {known}?")
