"""The key that signs the local packages: made by the real gpg, thrown away with the local cloud."""

import os
import subprocess
import tempfile
from pathlib import Path

from localcloud.errors import CannotRun

USER = "Local cloud packages <local@example.invalid>"
# gpg-agent's socket must fit into a Unix address.
MAX_HOME_LENGTH = 80
SHORT = Path("/dev/shm")  # noqa: S108 - only a private folder in it is used


def home_below(folder: Path) -> Path:
    """Where a key can live: in `folder`, or, if that is too long a path, in a new folder of a short one."""
    home = folder / "gpg"
    if len(str(home)) <= MAX_HOME_LENGTH or not os.access(SHORT, os.W_OK):
        return home
    return Path(tempfile.mkdtemp(prefix="localcloud-gpg-", dir=SHORT))


class SigningKey:
    """An OpenPGP key pair without a passphrase, in a home of its own."""

    def __init__(self, home: Path) -> None:
        if len(str(home)) > MAX_HOME_LENGTH:
            raise CannotRun(f"{home} is too long a path for gpg's socket", remedy="set TMPDIR to a shorter one")
        self._home = home
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # RSA, as the real publisher's: every OpenPGP tool reads it.
        self._gpg("--passphrase", "", "--quick-generate-key", USER, "rsa2048", "sign", "never")
        self.public_key = self._gpg("--armor", "--export", USER).decode()

    def sign(self, content: bytes) -> bytes:
        """A detached binary signature."""
        return self._gpg("--detach-sign", "--output", "-", standard_input=content)

    def close(self) -> None:
        """End the agent process that gpg started."""
        subprocess.run(
            ["gpgconf", "--homedir", str(self._home), "--kill", "all"], check=False, capture_output=True, timeout=10
        )

    def _gpg(self, *arguments: str, standard_input: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback"]
        done = subprocess.run(
            [*command, *arguments], input=standard_input, capture_output=True, check=False, timeout=60
        )
        if done.returncode != 0:
            raise CannotRun(f"gpg cannot sign the local packages: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout
