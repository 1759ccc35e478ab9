"""`moorings anchors`: fetched from a mirror on loopback, shown with their ends, bundled by the next deployment."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.attestation.authority import issue
from tests.cli.conftest import Cli
from tests.deploy.publisher import Publisher, der, pem, publishing

from moorings.attestation.authorities import Authority
from moorings.deploy.anchor_sources import ISSUERS, PUBLISHED

NOW = datetime.now(UTC)
FAR = NOW + timedelta(days=3650)
ROOT = issue("Own root", authority=True, begins=NOW - timedelta(days=1), ends=FAR)


@pytest.fixture
def mirror() -> Iterator[Publisher]:
    """It has issuing authorities under the published names, by a root of its own, and no root."""
    with publishing() as made:
        for source in ISSUERS:
            holder = issue(source.name, issuer=ROOT, authority=True, begins=NOW - timedelta(days=1), ends=FAR)
            made.files[f"/pki/{source.file}"] = der(holder)
        yield made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "moorings" / "anchors"


def test_what_a_mirror_has_is_kept_if_it_leads_to_a_trusted_root(
    bare: Cli, home: Path, mirror: Publisher, tmp_path: Path
) -> None:
    """The mirror is not trusted: without the root, which a person gives, nothing of it counts."""
    (tmp_path / "root.pem").write_bytes(pem(ROOT))
    fetched = ("anchors", "update", "--mirror", f"{mirror.url}/pki", "--json")

    alone = bare(*fetched)
    done = bare(*fetched, "--from", str(tmp_path / "root.pem"), "--yes")

    assert alone.code == 5
    assert "there is no root" in alone.err
    assert done.code == 1  # the pinned roots are not there
    assert done.json["directory"] == str(home)
    assert {each["name"] for each in done.json["anchors"]} == {"Own root", *(source.name for source in ISSUERS)}
    assert [each["name"] for each in done.json["missing"]] == [each.name for each in PUBLISHED if each.pin]
    assert Authority(ROOT.certificate).fingerprint in done.err
    assert set(mirror.asked) == {f"/pki/{source.file}" for source in PUBLISHED}
    shown = bare("anchors", "show", "--json")
    assert (shown.code, shown.json["anchors"]) == (0, done.json["anchors"])


def test_nothing_given_and_nothing_fetched_is_no_fault_of_a_cloud(bare: Cli, home: Path) -> None:
    refused = bare("anchors", "update", "--no-fetch")

    assert refused.code == 2
    assert "give files by --from" in refused.err


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere/anchors"])
def test_a_folder_that_cannot_be_written_is_named(bare: Cli, home: Path, tmp_path: Path, place: str) -> None:
    """Another one may be."""
    (tmp_path / "file").touch()
    (tmp_path / "root.pem").write_bytes(pem(ROOT))
    given = ("anchors", "update", "--no-fetch", "--from", str(tmp_path / "root.pem"), "--yes")

    refused = bare(*given, "--directory", str(tmp_path / place))

    assert refused.code == 2, refused.err
    assert f"{tmp_path / place} cannot be written: " in refused.err
    assert "--directory" in refused.err


def test_a_root_from_a_file_needs_a_yes(bare: Cli, home: Path, tmp_path: Path) -> None:
    (tmp_path / "root.der").write_bytes(der(ROOT))
    given = ("anchors", "update", "--no-fetch", "--from", str(tmp_path / "root.der"))

    asked = bare(*given)
    told = bare(*given, "--yes")

    assert asked.code == 2
    assert "this needs a yes: Trust Own root" in asked.err
    assert told.code == 0
    assert Authority(ROOT.certificate).fingerprint in told.out
    assert (home / "roots.pem").read_text().startswith("# Own root")


def test_an_authority_that_ends_soon_is_warned_of(bare: Cli, tmp_path: Path) -> None:
    soon = issue("Own root", authority=True, begins=NOW - timedelta(days=1), ends=NOW + timedelta(days=20))
    (tmp_path / "roots.pem").write_bytes(pem(soon))

    shown = bare("anchors", "show", "--directory", str(tmp_path))

    assert shown.code == 1
    assert f"Own root ends at {NOW + timedelta(days=20):%Y-%m-%d}: moorings anchors update" in shown.out


def test_no_anchors_are_no_success(bare: Cli, home: Path) -> None:
    shown = bare("anchors", "show")

    assert shown.code == 1
    assert f"there are no trust anchors in {home}" in shown.out


def test_a_file_that_is_none_is_named(bare: Cli, home: Path, tmp_path: Path) -> None:
    refused = bare("anchors", "update", "--no-fetch", "--from", str(tmp_path / "gone.pem"))

    assert refused.code == 2
    assert "gone.pem cannot be read" in refused.err


def test_a_deployment_bundles_them_without_being_told(cli: Cli, home: Path) -> None:
    """The directory of `moorings anchors` is where deploy looks; what it cannot use it names."""
    home.mkdir(parents=True)

    refused = cli("patch", "deploy", "--stack-name", "none", "--scope",
                  "/subscriptions/11111111-2222-3333-4444-555555555555", "--dry-run")  # fmt: skip

    assert refused.code == 2
    assert f"{home} holds no trust anchors" in refused.err
