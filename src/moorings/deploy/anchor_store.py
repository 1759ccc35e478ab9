"""The operator's directory of trust anchors: looked at, brought up to date, written so that it is never half new."""

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from moorings.attestation.authorities import Authority, Life, distinct, linked, read
from moorings.deploy.anchor_sources import PUBLISHED, ROOTS, Source
from moorings.errors import CloudFault, Invalid, MooringsError, Refused

ROOTS_FILE, ISSUERS_FILE, TLS_FILE = "roots.pem", "issuers.pem", "tls.pem"
MODE = 0o644
_UPDATE = "moorings anchors update"

Fetch = Callable[[Source], Authority]
Confirm = Callable[[Sequence[Authority]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One authority in the directory."""

    file: str
    authority: Authority
    life: Life
    pinned: bool  # whether it is a root that this version knows by its fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A published authority that could not be fetched. `kept`: one of that name is there from before."""

    name: str
    why: str
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """The directory after an update."""

    held: tuple[Held, ...]
    missing: tuple[Missing, ...]
    dropped: tuple[tuple[Authority, str], ...]  # what was there or given, and why it is not any more

    @property
    def well(self) -> bool:
        """Whether everything published is there, and nothing of it ends soon."""
        return all(each.kept for each in self.missing) and not warnings(self.held)


def look(directory: Path, *, now: datetime) -> tuple[Held, ...]:
    """What the directory holds, roots first; nothing if it is not there. Invalid if a file cannot be read."""
    return tuple(
        _held(name, authority, now)
        for name in (ROOTS_FILE, ISSUERS_FILE, TLS_FILE)
        for authority in _read(directory / name)
    )


def warnings(held: Iterable[Held]) -> list[str]:
    """A sentence for each authority that has expired or soon will, with what it means."""
    sentences = []
    for each in held:
        if each.life is Life.ENDING:
            sentences.append(f"{each.authority.name} ends at {each.authority.expires_at:%Y-%m-%d}: {_UPDATE}")
        elif each.life is not Life.GOOD:
            sentences.append(f"{each.authority.name} is {each.life.value} ({each.authority.expires_at:%Y-%m-%d})")
    return sentences


def notices(directory: Path, *, now: datetime) -> list[str]:
    """What whoever deploys this directory should know; empty if all is well."""
    held = look(directory, now=now)
    if held and not any(each.file == ROOTS_FILE and each.life is not Life.EXPIRED for each in held):
        return [f"{directory} holds no root that is valid, so no VM can prove which one it is: {_UPDATE}"]
    return [f"trust anchors: {sentence}" for sentence in warnings(held)]


def update(
    directory: Path,
    *,
    fetch: Fetch,
    given: Sequence[Authority] = (),
    confirm: Confirm,
    now: datetime,
    sources: Sequence[Source] = PUBLISHED,
) -> Updated:
    """Bring the directory up to date with `sources` and what is `given`. All files are checked before one is written.

    `confirm` is asked about roots that are neither pinned nor there already; Refused if it says no. Invalid if a given
    certificate is no authority, or leads nowhere, or no root is there at all. CloudFault if nothing could be had.
    """
    before = look(directory, now=now)
    fetched, missing = _fetched(sources, fetch)
    pins = {source.pin for source in (*ROOTS, *sources) if source.pin}
    roots = distinct(
        [
            *(each.authority for each in before if each.file == ROOTS_FILE and each.life is not Life.EXPIRED),
            *(each for each in fetched if each.fingerprint in pins),
        ]
    )
    roots += _confirmed([each for each in given if each.self_signed], roots, pins, confirm, now)
    if not roots:
        if not missing:
            raise Invalid("there is no root: none was given, and none was fetched", remedy="give files by --from")
        whys = "; ".join(f"{name}: {why}" for name, why in missing)
        raise CloudFault(f"there is no root: {whys}", call="anchors:Fetch", remedy="give files by --from")
    others = [each for each in (*fetched, *given) if not each.self_signed]
    kept = [each.authority for each in before if each.file == ISSUERS_FILE]
    issuers, dropped = linked(distinct([*kept, *others]), roots, now=now)
    if wrong := [(each, why) for each, why in dropped if each in given]:
        raise Invalid(
            f"{wrong[0][0].name} {wrong[0][1]}", remedy="give its root as well, or leave it out; nothing was changed"
        )
    _write(directory, {ISSUERS_FILE: issuers, ROOTS_FILE: roots})
    names = {each.name for each in (*roots, *issuers)}
    return Updated(
        held=look(directory, now=now),
        missing=tuple(Missing(name=name, why=why, kept=name in names) for name, why in missing),
        dropped=tuple(dropped),
    )


def _fetched(sources: Sequence[Source], fetch: Fetch) -> tuple[list[Authority], list[tuple[str, str]]]:
    found, missing = [], []
    for source in sources:
        try:
            found.append(fetch(source))
        except MooringsError as error:
            missing.append((source.name, error.message))
    return found, missing


def _confirmed(
    given: Sequence[Authority], known: Sequence[Authority], pins: set[str], confirm: Confirm, now: datetime
) -> list[Authority]:
    there = {each.fingerprint for each in known}
    new = [each for each in distinct(given) if each.fingerprint not in there]
    for each in new:
        if not each.may_sign or each.life(now) in {Life.EXPIRED, Life.FUTURE}:
            raise Invalid(f"{each.name} is no authority that is valid now", remedy="leave it out; nothing was changed")
    asked = [each for each in new if each.fingerprint not in pins]
    if asked and not confirm(asked):
        raise Refused("no root was added, and nothing was changed", remedy="compare the fingerprints, then answer y")
    return new


def _held(file: str, authority: Authority, now: datetime) -> Held:
    pinned = authority.fingerprint in {source.pin for source in ROOTS}
    return Held(file=file, authority=authority, life=authority.life(now), pinned=pinned)


def _read(path: Path) -> list[Authority]:
    if not path.is_file():
        return []
    try:
        content = path.read_bytes()
        return read(content) if content.strip() else []
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} cannot be read: {error}", remedy=f"mend or delete it, then {_UPDATE}") from error


def _write(directory: Path, files: dict[str, list[Authority]]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, authorities in files.items():
        content = b"".join(
            f"# {each.name}, until {each.expires_at:%Y-%m-%d}\n".encode("ascii", errors="replace")
            + each.certificate.public_bytes(Encoding.PEM)
            for each in authorities
        )
        descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=f".{name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), MODE)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(directory / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
