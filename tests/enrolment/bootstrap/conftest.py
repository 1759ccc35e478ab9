"""Servers, the API they talk to, and the keys that sign packages."""

import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from tests.enrolment.bootstrap import rig
from tests.enrolment.bootstrap.api import REGION, Api, package_files, serve

from moorings.enrolment.bootstrap import render

PACKAGE = b"an agent's package, as the publisher made it"


@dataclass(frozen=True)
class Authority:
    """A certificate authority that servers trust, and a TLS context with its certificate for loopback."""

    pem: bytes
    tls: ssl.SSLContext


class Signer:
    """An OpenPGP key: its armoured public half, and detached signatures by it."""

    def __init__(self, home: Path, *, name: str, made: str = "") -> None:
        self._home = home / name
        self._home.mkdir(mode=0o700)
        self._made = ["--faked-system-time", made] if made else []
        life = "1d" if made else "never"
        self._gpg("--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.test>", "ed25519", "sign", life)
        self.public_key = self._gpg("--armor", "--export").decode()

    def sign(self, content: bytes) -> bytes:
        return self._gpg("--detach-sign", given=content)

    def stop(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=False, capture_output=True)

    def _gpg(self, *arguments: str, given: bytes = b"") -> bytes:
        command = ["gpg", "--batch", "--quiet", "--homedir", str(self._home), *self._made, *arguments]
        return subprocess.run(command, input=given, check=True, capture_output=True).stdout


@pytest.fixture(scope="session")
def authority() -> Authority:
    ca = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "api.example.test").configure_cert(tls)
    return Authority(pem=ca.cert_pem.bytes(), tls=tls)


@pytest.fixture(scope="session")
def signers() -> Iterator[dict[str, Signer]]:
    if rig.missing():
        pytest.skip(rig.missing())
    home = Path(tempfile.mkdtemp(prefix="gpg", dir="/tmp"))  # short: the sockets of gpg's agent have short names only
    made = {name: Signer(home, name=name) for name in ("publisher", "stranger")}
    made["expired"] = Signer(home, name="expired", made="20250101T000000")
    yield made
    for signer in made.values():
        signer.stop()
    # The agent may take its own sockets away at the same moment.
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def publisher(signers: dict[str, Signer]) -> Signer:
    return signers["publisher"]


@pytest.fixture
def api(authority: Authority, publisher: Signer) -> Iterator[Api]:
    with serve(authority.tls) as served:
        served.files |= package_files(PACKAGE, publisher.sign(PACKAGE))
        yield served


@pytest.fixture
def server(tmp_path: Path, authority: Authority) -> rig.Server:
    """A fresh Debian server without an agent."""
    if rig.missing():
        pytest.skip(rig.missing())
    return rig.Server(tmp_path / "server", ca=authority.pem)


@pytest.fixture
def script(api: Api, publisher: Signer) -> str:
    """The Linux script as the API serves it."""
    settings = render.ScriptSettings(
        url=api.url, region=REGION, packages=api.packages, signing_key=publisher.public_key, pool=""
    )
    return render.linux(settings)
