"""Servers without gpgv: rpm checks the signature within the package; on Debian, apt-get brings gpgv.

What rpm says is recorded: of 4.18 as it ran here, of 4.11 and 6 as their manuals and tests print it.
"""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.enrolment.bootstrap import rig
from tests.enrolment.bootstrap.api import Api, package_files, script_path
from tests.enrolment.bootstrap.conftest import PACKAGE, Authority, Signer
from tests.enrolment.bootstrap.rig import Run, Server

FOLDER = "/mirror/linux_amd64"
# For rpmkeys: says /rig/before until a key is in its private database, then /rig/after; the last line is its exit code.
RPMKEYS = r"""
for word in "$@"; do
  case $word in
    _dbpath\ *) database=${word#* } ;;
    *.rpm) file=$word ;;
    --import) importing=yes ;;
    /*.asc) key=$word ;;
  esac
done
[[ $database == /var/lib/moorings/work.* ]] || exit 64
if [[ ${importing-} ]]; then
  [[ ! -e /rig/no-import ]] || exit 1
  /real/cat "$key" >>/rig/imported
  : >"$database/imported"
  exit
fi
said=/rig/before
[[ ! -e $database/imported ]] || said=/rig/after
mapfile -t lines <$said
echo "$file:"
printf '    %s\n' "${lines[@]:0:${#lines[@]}-1}"
exit "${lines[-1]}"
"""
DIGESTS = ["Header SHA256 digest: OK", "Header SHA1 digest: OK", "Payload SHA256 digest: OK"]
HEADER = "Header V4 RSA/SHA512 Signature, key ID 1affc8f6"
WHOLE = "V4 RSA/SHA512 Signature, key ID 1affc8f6"
SIX = "Header OpenPGP V4 RSA/SHA256 signature, key fingerprint: 36f612dcf27f7d1a48a835e4dbfcf71c6d9f90a6"
MISSING = ["Header DSA signature: NOTFOUND", "RSA signature: NOTFOUND", "DSA signature: NOTFOUND"]
OLD_DIGESTS = ["Header SHA1 digest: OK (5cd9874c510b67b44483f9e382a1649ef7743bac)", "MD5 digest: OK (137ca1d8b35c)"]
UNSIGNED = (["Header RSA signature: NOTFOUND", *MISSING, *DIGESTS, "MD5 digest: OK"], 1)
UNKNOWN = ([f"{HEADER}: NOKEY", *MISSING, *DIGESTS, "MD5 digest: OK"], 1)
GOOD = ([f"{HEADER}: OK", *DIGESTS, "MD5 digest: OK"], 0)

Said = tuple[list[str], int]


@pytest.fixture
def rocky(tmp_path: Path, authority: Authority, publisher: Signer, api: Api) -> Server:
    """A server of the RPM family with neither gpgv nor gpg; its package source has no detached signature."""
    if rig.missing():
        pytest.skip(rig.missing())
    server = Server(tmp_path / "rocky", system="rocky", ca=authority.pem)
    server.imitate("uname", "[[ $1 == -m ]] && echo x86_64 || echo web-01")
    server.remove_command("gpgv")
    server.add_command("rpmkeys")
    server.imitate("rpmkeys", RPMKEYS)
    api.files = package_files(PACKAGE, None, folder=FOLDER, kind="rpm")
    return server


def _says(server: Server, before: Said, after: Said) -> None:
    for name, (lines, code) in {"before": before, "after": after}.items():
        server.write(f"rig/{name}", "\n".join([*lines, str(code)]) + "\n")


def _refused(run: Run, api: Api, code: int) -> None:
    assert run.code == code, run.err
    assert not run.called("rpm", "-U"), "nothing may be installed"
    assert not api.asked, "no slot may be spent"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(UNKNOWN, GOOD, id="4.18"),
        pytest.param(
            ([f"{HEADER}: NOKEY", *DIGESTS, f"{WHOLE}: NOKEY", "MD5 digest: OK"], 1),
            ([f"{HEADER}: OK", *DIGESTS, f"{WHOLE}: OK", "MD5 digest: OK"], 0),
            id="4.14 to 4.18, header and payload signed",
        ),
        pytest.param(
            ([f"{HEADER}: NOKEY", OLD_DIGESTS[0], f"{WHOLE}: NOKEY", OLD_DIGESTS[1]], 1),
            ([f"{HEADER}: OK", OLD_DIGESTS[0], f"{WHOLE}: OK", OLD_DIGESTS[1]], 0),
            id="4.11",
        ),
        pytest.param(([f"{SIX}: NOKEY", *DIGESTS], 1), ([f"{SIX}: OK", *DIGESTS], 0), id="6"),
    ],
)
def test_rpm_verifies_where_there_is_no_gpgv(
    rocky: Server, api: Api, script: str, publisher: Signer, before: Said, after: Said
) -> None:
    _says(rocky, before, after)

    run = rocky.run(script)

    assert run.code == 0, run.err
    assert rocky.read("rig/imported").strip() == publisher.public_key.strip()
    assert api.fetched == [f"{FOLDER}/amazon-ssm-agent.rpm"]
    assert rocky.read("rig/installed").strip() == "rpm"
    assert all("_pkgverify_level all" in command for command in run.called("rpmkeys"))


def test_gpgv_is_preferred(rocky: Server, api: Api, script: str, publisher: Signer) -> None:
    rocky.add_command("gpgv")
    api.files = package_files(PACKAGE, publisher.sign(PACKAGE), folder=FOLDER, kind="rpm")

    run = rocky.run(script)

    assert run.code == 0, run.err
    assert not run.called("rpmkeys")


REFUSED: dict[str, tuple[Said, Said]] = {
    "by another key": (UNKNOWN, UNKNOWN),
    "digests alone, though rpm is content": (UNKNOWN, ([*DIGESTS, "MD5 digest: OK"], 0)),
    "header signed, payload not covered": (UNKNOWN, ([f"{HEADER}: OK", *DIGESTS[:2], "MD5 digest: OK"], 0)),
    "payload changed": (UNKNOWN, ([f"{HEADER}: OK", *DIGESTS[:2], "Payload SHA256 digest: BAD (Expected a != b)"], 1)),
    "rpm fails": (UNKNOWN, (GOOD[0], 1)),
    "an unknown verdict": (UNKNOWN, ([*GOOD[0], f"{WHOLE}: NOTTRUSTED"], 0)),
    "a second signature by somebody else": (UNKNOWN, ([*GOOD[0], f"{WHOLE}: NOKEY"], 0)),
    "verdict in another place": (UNKNOWN, ([*DIGESTS, f"Summary {HEADER}: OK really"], 0)),
    "not a package": (([], 1), ([], 1)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_rpms_word_counts_only_if_all_of_it_is_signed_by_the_key(
    rocky: Server, api: Api, script: str, name: str
) -> None:
    _says(rocky, *REFUSED[name])

    run = rocky.run(script)

    _refused(run, api, 15)
    assert "not signed by the given key" in run.err


@pytest.mark.parametrize("unsigned", [UNSIGNED, (OLD_DIGESTS, 0)], ids=["4.18", "4.11"])
def test_a_package_without_a_signature_within_needs_gpgv(rocky: Server, api: Api, script: str, unsigned: Said) -> None:
    _says(rocky, unsigned, unsigned)

    run = rocky.run(script)

    _refused(run, api, 12)
    assert "install gnupg2 (Red Hat) or gpg2 (SUSE)" in run.err


def test_an_rpm_that_trusts_more_than_our_key_is_not_asked(rocky: Server, api: Api, script: str) -> None:
    """The private database is empty: whoever finds the signature good has another key."""
    _says(rocky, GOOD, GOOD)

    _refused(rocky.run(script), api, 12)


def test_a_key_that_rpm_does_not_take_needs_gpgv(rocky: Server, api: Api, script: str) -> None:
    _says(rocky, UNKNOWN, GOOD)
    rocky.write("rig/no-import", "")

    run = rocky.run(script)

    _refused(run, api, 12)
    assert "gnupg2" in run.err


def test_without_rpmkeys_the_package_to_install_is_named(rocky: Server, api: Api, script: str) -> None:
    rocky.remove_command("rpmkeys")

    run = rocky.run(script)

    _refused(run, api, 12)
    assert "gnupg2" in run.err
    assert not api.fetched


def test_an_expired_key_is_refused_although_rpm_takes_it(
    rocky: Server, api: Api, script: str, signers: dict[str, Signer]
) -> None:
    """As recorded of 4.18: it imports the key and finds the signature good."""
    _says(rocky, UNKNOWN, GOOD)

    run = rocky.run(script, environment={"MOORINGS_SIGNING_KEY": signers["expired"].public_key})

    _refused(run, api, 15)
    assert "the signing key has expired" in run.err
    assert not rocky.has("rig/imported")


def test_of_two_keys_the_one_that_is_valid_is_used(
    rocky: Server, api: Api, script: str, signers: dict[str, Signer], publisher: Signer
) -> None:
    _says(rocky, UNKNOWN, GOOD)
    both = signers["expired"].public_key + "\n" + publisher.public_key.replace("\n", "\r\n")

    assert rocky.run(script, environment={"MOORINGS_SIGNING_KEY": both}).code == 0
    assert rocky.read("rig/imported").strip() == publisher.public_key.strip()


APT_GET = r"""
[[ $DEBIAN_FRONTEND == noninteractive ]] || exit 64
case $* in
  *' update') : >/rig/lists ;;
  *' install '*' gpgv')
    if [[ ! -e /rig/lists ]]; then echo 'E: Unable to locate package gpgv'; exit 100; fi
    [[ -e /rig/useless ]] || /real/cp /usr/bin/curl /usr/bin/gpgv ;;
  *) exit 64 ;;
esac"""


@pytest.fixture
def trixie(server: Server) -> Server:
    """Debian 13: apt-get, and no gpgv."""
    server.remove_command("gpgv")
    server.add_command("apt-get")
    server.imitate("apt-get", APT_GET)
    return server


@pytest.mark.parametrize(("lists", "calls"), [(True, 1), (False, 3)], ids=["lists there", "no lists yet"])
def test_on_debian_apt_get_brings_gpgv(trixie: Server, api: Api, script: str, lists: bool, calls: int) -> None:
    if lists:
        trixie.write("rig/lists", "")

    run = trixie.run(script)

    assert run.code == 0, run.err
    assert run.called("gpgv")
    asked = run.called("apt-get")
    assert len(asked) == calls
    assert asked[-1][-5:] == ("install", "--yes", "--no-install-recommends", "--no-remove", "gpgv")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("echo 'E: Could not resolve host'; exit 100", "Could not resolve host"),
        ("exit 0", "still not there"),
    ],
)
def test_where_apt_get_does_not_bring_it_gpgv_is_named(
    trixie: Server, api: Api, script: str, body: str, why: str
) -> None:
    trixie.imitate("apt-get", body)

    run = trixie.run(script)

    assert run.code == 12
    assert why in run.err
    assert run.err.endswith("install gpgv\n")
    assert not api.fetched


def test_apt_get_is_not_asked_where_gpgv_is(server: Server, api: Api, script: str) -> None:
    server.add_command("apt-get")
    server.imitate("apt-get", APT_GET)

    assert not server.run(script).called("apt-get")


def _gpg(home: Path, *arguments: str) -> bytes:
    command = ["gpg", "--batch", "--quiet", "--homedir", str(home), "--passphrase", "", "--pinentry-mode", "loopback"]
    return subprocess.run([*command, *arguments], check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def alive() -> Callable[[bytes], bool]:
    """The script's own look into a key."""
    text = script_path().read_text()
    begin, end = text.index("  alive() {"), text.index("  install_package() {")

    def asked(key: bytes) -> bool:
        program = f'set -Eeuo pipefail\n{text[begin:end]}\nalive "$(</dev/stdin)"'
        given = base64.b64encode(key)
        ended = subprocess.run(["bash", "-c", program], input=given, capture_output=True, check=False)
        assert not ended.stderr, ended.stderr
        return ended.returncode == 0

    return asked


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of gpg."""
    if rig.missing():
        pytest.skip(rig.missing())
    folder = tmp_path_factory.mktemp("g")
    folder.chmod(0o700)
    return folder


def test_a_key_counts_as_valid_as_long_as_its_newest_self_signature_says(
    home: Path, alive: Callable[[bytes], bool]
) -> None:
    made = ["--faked-system-time", "20250101T000000"]
    _gpg(home, *made, "--quick-generate-key", "one <one@example.test>", "ed25519", "sign", "1d")
    expired = _gpg(home, "--export")
    fingerprint = _gpg(home, "--list-keys", "--with-colons").decode().split("fpr:::::::::")[1].split(":")[0]
    _gpg(home, *made, "--quick-add-uid", "one", "two <two@example.test>")
    _gpg(home, "--quick-set-expire", fingerprint, "50y")
    extended = _gpg(home, "--export")
    (home / "revocation").write_bytes(
        (home / f"openpgp-revocs.d/{fingerprint}.rev").read_bytes().replace(b":-----BEGIN", b"-----BEGIN")
    )
    _gpg(home, "--import", str(home / "revocation"))
    revoked = _gpg(home, "--export")
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, capture_output=True)

    assert [alive(key) for key in (expired, extended, revoked)] == [False, True, False]
    assert not alive(expired + extended)
    assert not alive(extended[:40])
    assert not alive(b"")
