"""Trust anchors: fetched from publishers on loopback, held to pins and signatures, written whole or not at all."""

import stat
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.attestation.authority import NOW, chain, document, issue, text
from tests.deploy.publisher import Publisher, pem, publishing

from moorings.attestation.anchors import Anchors
from moorings.attestation.authorities import NEAR_END, Authority, Life, read
from moorings.attestation.azure import verify
from moorings.deploy.anchor_sources import ISSUERS, LARGEST, PUBLISHED, ROOTS, Source, fetch
from moorings.deploy.anchor_store import ISSUERS_FILE, ROOTS_FILE, TLS_FILE, Updated, look, notices, update, warnings
from moorings.deploy.anchors import FILES, anchor_files
from moorings.errors import CloudFault, Invalid, Refused

ROOT, ISSUING, LEAF = chain()


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publishing() as made:
        yield made


@pytest.fixture
def sources(publisher: Publisher) -> tuple[Source, ...]:
    return publisher.publish("root", ROOT, pin=True), publisher.publish("Test issuing CA", ISSUING)


def _update(directory: Path, sources: Sequence[Source], **options: Any) -> Updated:
    options = {"fetch": fetch, "confirm": lambda _roots: False, "now": NOW} | options
    return update(directory, sources=sources, **options)


def _files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


# -- what is published


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_the_pins_are_those_of_the_web_at_large() -> None:
    """certifi has the same certificates under the same names: nobody has to take our word for a root."""
    bundle = x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes())
    by_name = {Authority(each).name: each.fingerprint(hashes.SHA256()).hex() for each in bundle}

    assert {source.name: source.pin for source in ROOTS}.items() <= by_name.items()
    assert not [source for source in ISSUERS if source.pin]


def test_publishers_are_asked_by_https_first_and_nobody_else_is() -> None:
    hosts = {address.split("/")[2] for source in PUBLISHED for address in source.addresses}

    assert hosts == {"cacerts.digicert.com", "www.microsoft.com", "caissuers.microsoft.com"}
    assert all(source.addresses[0].startswith("https://") for source in PUBLISHED)
    assert len({source.name for source in PUBLISHED}) == len(PUBLISHED) == 15


# -- fetching


def test_a_mirror_is_asked_for_the_same_files(publisher: Publisher) -> None:
    publisher.files["/pki/Test%20CA.crt"] = pem(ISSUING)
    source = Source(name="Test CA", addresses=("https://www.microsoft.com/pkiops/certs/Test%20CA.crt",))

    assert fetch(source, mirror=f"{publisher.url}/pki/").name == "Test issuing CA"
    assert publisher.asked == ["/pki/Test%20CA.crt"]


def test_the_second_address_is_asked_where_the_first_has_nothing(publisher: Publisher) -> None:
    there = publisher.publish("there", ISSUING)
    source = Source(name="two", addresses=(f"{publisher.url}/gone.crt", *there.addresses))

    assert fetch(source).name == "Test issuing CA"


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "404 Not Found"), (b"<html>no</html>", "error parsing"), (b"x" * (LARGEST + 1), "longer than any")],
)
def test_what_is_no_certificate_is_told(publisher: Publisher, content: bytes | None, told: str) -> None:
    if content is not None:
        publisher.files["/a.crt"] = content

    with pytest.raises(CloudFault, match=told):
        fetch(Source(name="a", addresses=(f"{publisher.url}/a.crt",)))


def test_only_the_web_is_asked(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(pem(ROOT))
    publisher.moved["/a.crt"] = (tmp_path / "root.pem").as_uri()

    for address in ((tmp_path / "root.pem").as_uri(), f"{publisher.url}/a.crt"):
        with pytest.raises(CloudFault):
            fetch(Source(name="a", addresses=(address,)))


def test_a_root_is_the_pinned_one_to_the_byte(publisher: Publisher) -> None:
    source = publisher.publish("root", ROOT, pin=True)
    other = issue("Test root", authority=True, key_name="another")
    publisher.publish("root", other)

    with pytest.raises(Invalid, match="holds another certificate than root"):
        fetch(source)


# -- updating


def test_an_update_makes_a_directory_that_verifies_documents(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    directory = tmp_path / "config" / "anchors"

    done = _update(directory, sources)

    assert done.well
    assert [(each.file, each.authority.name, each.life) for each in done.held] == [
        (ROOTS_FILE, "Test root", Life.GOOD),
        (ISSUERS_FILE, "Test issuing CA", Life.GOOD),
    ]
    files = _files(directory)
    anchors = Anchors.from_pem(roots=files[ROOTS_FILE], issuers=files[ISSUERS_FILE])
    assert verify(text(document()), nonce="0123456789abcdef0123456789abcdef", anchors=anchors, now=NOW)
    assert set(anchor_files(directory)) == {f"moorings_anchors/{each}" for each in ("__init__.py", *files)}
    assert {ROOTS_FILE, ISSUERS_FILE, TLS_FILE} == set(FILES)
    assert {stat.S_IMODE((directory / name).stat().st_mode) for name in files} == {0o644}


def test_updating_again_changes_nothing(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    _update(tmp_path, sources)
    before = _files(tmp_path)

    assert _update(tmp_path, sources).well
    assert _files(tmp_path) == before


def test_what_cannot_be_fetched_is_kept_and_told(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    _update(tmp_path, sources)
    gone = Source(name="Test issuing CA", addresses=("http://127.0.0.1:1/x.crt",))
    never = Source(name="New CA", addresses=("http://127.0.0.1:1/y.crt",))

    done = _update(tmp_path, (sources[0], gone))
    worse = _update(tmp_path, (sources[0], gone, never))

    assert done.well
    assert [(each.name, each.kept) for each in done.missing] == [("Test issuing CA", True)]
    assert [(each.name, each.kept) for each in worse.missing] == [("Test issuing CA", True), ("New CA", False)]
    assert not worse.well
    assert len(look(tmp_path, now=NOW)) == 2


def test_without_any_root_nothing_is_written(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    with pytest.raises(Invalid, match="there is no root"):
        _update(tmp_path / "none", sources[1:])

    assert not (tmp_path / "none").exists()


def test_a_published_authority_that_leads_nowhere_is_left_out(tmp_path: Path, publisher: Publisher) -> None:
    """Whoever answers in a publisher's place cannot slip an authority in."""
    root = publisher.publish("root", ROOT, pin=True)
    stranger = publisher.publish("stranger", issue("Stranger", issuer=issue("Evil", authority=True), authority=True))
    evil = publisher.publish("evil", issue("Evil", authority=True))

    done = _update(tmp_path, (root, stranger, evil))

    assert [each.authority.name for each in done.held] == ["Test root"]
    assert [(each.name, why) for each, why in done.dropped] == [("Stranger", "leads to no trusted root")]


def test_another_root_is_added_once_it_is_confirmed(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    own = issue("Own root", authority=True)
    below = issue("Own CA", issuer=own, authority=True)
    given = read(pem(below, own))
    asked: list[str] = []

    def confirm(roots: Sequence[Authority]) -> bool:
        asked.extend(each.fingerprint for each in roots)
        return len(asked) > 1

    with pytest.raises(Refused):
        _update(tmp_path, sources, given=given, confirm=confirm)
    assert not list(tmp_path.iterdir())

    done = _update(tmp_path, sources, given=given, confirm=confirm)
    assert asked == [Authority(own.certificate).fingerprint] * 2
    assert {each.authority.name for each in done.held} == {"Test root", "Own root", "Test issuing CA", "Own CA"}
    # Once it is there it is not asked about again, and stays.
    assert {each.authority.name for each in _update(tmp_path, sources).held} >= {"Own root", "Own CA"}
    assert _update(tmp_path, sources, given=given, confirm=lambda _roots: False).well


@pytest.mark.parametrize("given", [LEAF, issue("Lost", issuer=issue("Nobody", authority=True), authority=True)])
def test_a_given_certificate_that_leads_nowhere_is_refused(
    tmp_path: Path, sources: tuple[Source, ...], given: Any
) -> None:
    with pytest.raises(Invalid, match=r"leads to no trusted root|is no authority"):
        _update(tmp_path, sources, given=read(pem(given)))

    assert not list(tmp_path.iterdir())


def test_what_has_expired_leaves_and_what_ends_soon_is_told(tmp_path: Path, publisher: Publisher) -> None:
    ends = NOW + NEAR_END + timedelta(days=10)
    holder = issue("Root", authority=True, ends=NOW + timedelta(days=3650))
    root = publisher.publish("root", holder, pin=True)
    soon = publisher.publish("Soon", issue("Soon", issuer=holder, authority=True, ends=ends))
    _update(tmp_path, (root, soon))

    assert not notices(tmp_path, now=NOW)
    later = ends - timedelta(days=5)
    assert notices(tmp_path, now=later) == [f"trust anchors: Soon ends at {ends:%Y-%m-%d}: moorings anchors update"]
    assert not _update(tmp_path, (root, soon), now=later).well
    after = ends + timedelta(days=1)
    assert warnings(look(tmp_path, now=after)) == [f"Soon is expired ({ends:%Y-%m-%d})"]
    done = _update(tmp_path, (root, soon), now=after)
    assert [each.authority.name for each in done.held] == ["Root"]
    assert [(each.name, why) for each, why in done.dropped] == [("Soon", f"expired at {ends:%Y-%m-%d}")]


def test_expired_roots_alone_are_told_as_what_they_are(tmp_path: Path) -> None:
    (tmp_path / ROOTS_FILE).write_bytes(pem(ROOT))

    assert "holds no root that is valid" in notices(tmp_path, now=NOW + timedelta(days=5000))[0]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, sources: tuple[Source, ...]) -> None:
    (tmp_path / ISSUERS_FILE).write_text("no certificate")

    with pytest.raises(Invalid, match=ISSUERS_FILE):
        _update(tmp_path, sources)


def test_an_interrupted_write_leaves_the_former_file(
    tmp_path: Path, sources: tuple[Source, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    _update(tmp_path, sources)
    before = _files(tmp_path)

    def broken(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        _update(tmp_path, sources, given=read(pem(issue("More", issuer=ROOT, authority=True))))

    assert _files(tmp_path) == before
