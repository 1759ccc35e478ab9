"""The layer of the patching functions: complete, small, for the right processor, with the anchors it is given."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from moorings.deploy import natives
from moorings.deploy.anchors import FILES
from moorings.deploy.manifest import Dependency, Wheel, load
from moorings.deploy.natives import host_platform, native_files
from moorings.deploy.package import LARGEST_LAYER, Package, build_layer, function_platform
from moorings.errors import Misconfigured

LAYER = "patching-layer"
HERE = function_platform(host_platform())
# What the runtime of a Python function brings of what the layer needs.
RUNTIME = ("urllib3",)
PUBLIC_SAMPLE = 38.9e6  # bytes of the public sample's layer
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def layer() -> Package:
    return build_layer(LAYER, platform=HERE)


def test_the_same_sources_give_the_same_bytes(layer: Package) -> None:
    again = build_layer(LAYER, platform=HERE)

    assert again.content == layer.content
    assert again.file_name == layer.file_name == f"{LAYER}-{layer.digest}.zip"


def test_the_name_is_that_of_the_content_however_it_is_compressed(layer: Package) -> None:
    plain = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(layer.content)) as packed, zipfile.ZipFile(plain, "w") as unpacked:
        for entry in packed.infolist():
            stored = zipfile.ZipInfo(entry.filename, date_time=entry.date_time)
            stored.create_system, stored.external_attr = entry.create_system, entry.external_attr
            unpacked.writestr(stored, packed.read(entry.filename))

    assert hashlib.sha256(plain.getvalue()).hexdigest() == layer.digest


def test_it_is_a_fraction_of_the_public_samples(layer: Package) -> None:
    assert len(layer.content) < PUBLIC_SAMPLE / 4
    assert layer.unpacked < LARGEST_LAYER


def test_everything_lies_where_lambda_looks_for_modules(layer: Package) -> None:
    assert all(path.startswith("python/") for path in layer.files)


def test_the_native_files_are_the_reviewed_ones_and_no_others(layer: Package) -> None:
    native = [path for path in layer.files if ".so" in path]

    assert len(native) == 2
    assert {path.partition(".")[0] for path in native} == {
        "python/_cffi_backend",
        "python/cryptography/hazmat/bindings/_rust",
    }


def test_it_holds_nothing_of_ours_and_nothing_that_the_runtime_brings(layer: Package) -> None:
    tops = {path.split("/")[1] for path in layer.files}

    assert not tops & {"moorings", "moorings_anchors", "boto3", "botocore", "urllib3"}


def _alone(tmp_path: Path, package: Package, script: str) -> Any:
    """What `script` prints, as JSON, run with the layer and the runtime alone: a module that it lacks is missed."""
    with zipfile.ZipFile(io.BytesIO(package.content)) as archive:
        archive.extractall(tmp_path / "opt")
    (tmp_path / "runtime").mkdir()
    for name in RUNTIME:
        (tmp_path / "runtime" / name).symlink_to(Path(boto3.__file__).parents[1] / name)
    paths = f"import json, sys; sys.path[:0] = [{str(tmp_path / 'opt/python')!r}, {str(tmp_path / 'runtime')!r}]\n"
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-B", "-W", "error", "-c", paths + script],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path, env={"HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_the_functions_need_works_with_the_layer_and_the_runtime_alone(tmp_path: Path, layer: Package) -> None:
    """Clients are made, a request gets as far as the transport, certificates are read, tokens signed and verified."""
    script = """
import datetime
import jwt
from asn1crypto import cms, x509
from azure.core.credentials import AccessToken
from azure.core.exceptions import ServiceRequestError
from azure.identity import ClientAssertionCredential, ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient, models
from cryptography import x509 as certificates
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

class Known:
    def get_token(self, *scopes, **options):
        return AccessToken("token", 99999999999)

tenant = "11111111-1111-1111-1111-111111111111"
ClientSecretCredential(tenant, "client", "secret")
ClientAssertionCredential(tenant, "client", lambda: "assertion")
compute = ComputeManagementClient(Known(), tenant, base_url="https://127.0.0.1:1", retry_total=0)
try:
    compute.virtual_machines.get("group", "vm")
    reached = True
except ServiceRequestError:
    reached = False
key = rsa.generate_private_key(65537, 2048)
name = certificates.Name([certificates.NameAttribute(certificates.NameOID.COMMON_NAME, "a")])
now = datetime.datetime.now(datetime.timezone.utc)
made = certificates.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
made = made.sign(key, hashes.SHA256())
signed = pkcs7.PKCS7SignatureBuilder().set_data(b"data").add_signer(made, key, hashes.SHA256())
content = cms.ContentInfo.load(signed.sign(Encoding.DER, []))
token = jwt.encode({"sub": "a"}, key, algorithm="RS256")
print(json.dumps({
    "reached": reached,
    "signers": len(content["content"]["signer_infos"]),
    "subject": x509.Certificate.load(made.public_bytes(Encoding.DER)).subject.native,
    "claims": jwt.decode(token, key.public_key(), algorithms=["RS256"]),
    "model": models.Snapshot(location="westeurope").as_dict(),
    "compiled": [name for name, each in sys.modules.items() if (getattr(each, "__file__", "") or "").endswith(".so")
                 and "opt" in each.__file__],
}))
"""
    told = _alone(tmp_path, layer, script)

    assert told == {
        "reached": False,
        "signers": 1,
        "subject": {"common_name": "a"},
        "claims": {"sub": "a"},
        "model": {"location": "westeurope"},
        "compiled": ["_cffi_backend", "cryptography.hazmat.bindings._rust"],
    }


def _anchors(directory: Path, **contents: str) -> Path:
    directory.mkdir(exist_ok=True)
    for name, content in contents.items():
        (directory / f"{name}.pem").write_text(content)
    return directory


def test_anchors_become_a_package_that_functions_can_read(tmp_path: Path, layer: Package) -> None:
    given = _anchors(tmp_path / "anchors", roots=CERTIFICATE, tls=CERTIFICATE)
    (given / "notes.txt").write_text("not ours")

    package = build_layer(LAYER, platform=HERE, anchors=given)

    script = """
from importlib.resources import files
print(json.dumps(sorted(each.name for each in files("moorings_anchors").iterdir() if each.name.endswith(".pem"))))
"""
    assert _alone(tmp_path, package, script) == ["roots.pem", "tls.pem"]
    assert package.digest != layer.digest
    assert not [path for path in package.files if "notes" in path]


@pytest.mark.parametrize("content", ["", "no certificate", CERTIFICATE + "-----BEGIN PRIVATE KEY-----\n"])
def test_what_is_no_list_of_certificates_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(Misconfigured, match=r"roots\.pem does not hold certificates"):
        build_layer(LAYER, platform=HERE, anchors=_anchors(tmp_path, roots=content))


def test_a_directory_without_anchors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="holds no trust anchors") as refused:
        build_layer(LAYER, platform=HERE, anchors=tmp_path)

    assert all(name in refused.value.remedy for name in FILES)


def _native(name: str, **changed: Any) -> Dependency:
    (found,) = [each for each in load(LAYER).dependencies if each.name == name]
    return replace(found, **changed)


def test_both_processors_of_lambda_have_their_reviewed_wheels() -> None:
    for dependency in load(LAYER).dependencies:
        if dependency.native:
            assert set(dependency.wheels) == {"python3.13/x86_64", "python3.13/arm64"}
            for platform, wheel in dependency.wheels.items():
                machine = "aarch64" if platform.endswith("arm64") else "x86_64"
                assert wheel.file.endswith(f"{machine}.whl")
                assert {len(digest) for digest in (wheel.sha256, *wheel.native.values())} == {64}
                assert sorted(path.partition(".")[0] for path in wheel.native) == sorted(dependency.native)


def test_another_platform_than_this_hosts_needs_a_reviewed_wheel() -> None:
    with pytest.raises(Misconfigured, match=r"no wheel of cffi .* is reviewed for python3\.99/arm64") as refused:
        native_files(_native("cffi"), platform="python3.99/arm64")

    assert refused.value.remedy == "build for one of python3.13/arm64, python3.13/x86_64"


def _wheel(directory: Path, content: bytes) -> Wheel:
    """A wheel with one native file, where pip finds it without any index."""
    path = directory / "cffi-2.1.1-cp313-cp313-manylinux2014_aarch64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_cffi_backend.so", content)
        archive.writestr("cffi-2.1.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: cffi\nVersion: 2.1.1\n")
        archive.writestr("cffi-2.1.1.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr("cffi-2.1.1.dist-info/RECORD", "")
    return Wheel(
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        native={"_cffi_backend.so": hashlib.sha256(b"native").hexdigest()},
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in place of every index of packages."""
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", str(tmp_path)), ("CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(f"PIP_{name}", value)
    return tmp_path


def test_a_wheel_that_is_not_installed_here_is_fetched_by_pip(index: Path) -> None:
    cffi = _native("cffi", wheels={"python3.13/arm64": _wheel(index, b"native")})

    assert native_files(cffi, platform="python3.13/arm64") == {"_cffi_backend.so": b"native"}


def test_a_wheel_with_another_digest_is_refused(index: Path) -> None:
    wheel = replace(_wheel(index, b"native"), sha256="0" * 64)

    with pytest.raises(Misconfigured, match="cannot be had"):
        native_files(_native("cffi", wheels={"python3.13/arm64": wheel}), platform="python3.13/arm64")


def test_a_file_that_is_not_the_reviewed_one_is_refused(index: Path) -> None:
    wheel = _wheel(index, b"changed")

    with pytest.raises(Misconfigured, match="is not the reviewed one"):
        native_files(_native("cffi", wheels={"python3.13/arm64": wheel}), platform="python3.13/arm64")


def test_a_pip_that_does_not_answer_is_told(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(natives, "_FETCH_LIMIT", 0.0)

    with pytest.raises(Misconfigured, match="no answer within 0 s"):
        native_files(
            _native("cffi", wheels={"python3.13/arm64": _wheel(index, b"native")}), platform="python3.13/arm64"
        )


def test_the_installed_file_is_taken_if_it_is_the_reviewed_one() -> None:
    here = native_files(_native("cryptography"), platform=host_platform())
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in here.items()}
    wheel = Wheel(file="never-fetched.whl", sha256="0" * 64, native=digests)

    assert (
        native_files(_native("cryptography", wheels={"python3.13/arm64": wheel}), platform="python3.13/arm64") == here
    )
