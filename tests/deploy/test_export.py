"""The exported folder: complete, the same every time, and in nobody's way. Its scripts: `test_by_hand.py`."""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from moorings.deploy import export, templates
from moorings.deploy.export import Exported
from moorings.deploy.halves import Half
from moorings.deploy.natives import host_platform
from moorings.deploy.package import FunctionPlatform, Package, build_layer, function_platform
from moorings.errors import Misconfigured, Refused


@cache
def _layer(name: str, *, platform: FunctionPlatform, anchors: Path | None = None) -> Package:
    return build_layer(name, platform=platform, anchors=anchors)


@pytest.fixture(scope="module", autouse=True)
def _one_layer() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(export, "build_layer", _layer)
        yield


def _export(directory: Path, *, halves: tuple[Half, ...] = tuple(Half)) -> Exported:
    return export.export(directory, halves=halves, platform=function_platform(host_platform()))


@pytest.fixture(scope="module")
def folder(_one_layer: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _export(tmp_path_factory.mktemp("exported") / "by-hand").directory


def test_the_same_sources_give_the_same_folder(folder: Path, tmp_path: Path) -> None:
    _export(tmp_path / "again")

    first, second = (_contents(each) for each in (folder, tmp_path / "again"))
    assert first == second


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_checksums_are_those_of_everything_beside_them(folder: Path) -> None:
    lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    listed = {name: digest for digest, name in lines}

    files = _contents(folder)
    del files["SHA256SUMS"]
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_templates_fit_into_a_request_and_know_their_files(folder: Path) -> None:
    for template in folder.rglob("*.yaml"):
        assert template.stat().st_size <= 51_200
    for half in Half:
        found = templates.defaults((folder / half.value / "stack.yaml").read_text())
        for key in {"ArtifactKey", "RunbookKey", "LambdaLayerS3Key"} & found.keys():
            prefix, _, name = found[key].partition("/")
            assert prefix == f"moorings-{half.value}"
            assert (folder / half.value / name).is_file()


def test_whoever_updates_in_the_console_is_told_the_keys_that_it_would_keep(folder: Path) -> None:
    """It shows a stack's own values in place of a template's new defaults."""
    told = (folder / "README.txt").read_text().split("Update in the console")[1]

    for half in Half:
        defaults = templates.defaults((folder / half.value / "stack.yaml").read_text())
        for parameter in {"ArtifactKey", "RunbookKey", "LambdaLayerS3Key"} & defaults.keys():
            assert f"{half.value}: {parameter}\n       {defaults[parameter]}\n" in told


def test_the_readme_is_enough_to_go_on_by(folder: Path) -> None:
    """Whoever has the folder alone learns what a server needs, what Azure needs, and what is missing."""
    told = (folder / "README.txt").read_text().split("What comes next")[1].split("Update in the console")[0]

    for each in (
        "PackageSigningKey=", "/bootstrap/linux | sudo bash", "/bootstrap/windows", "ApiGatewayInvokeURL",
        "FederationClientId=", "FunctionRoleArn", "patching/azure-role.json", "patching/operator-policy.json",
    ):  # fmt: skip
        assert each in told
    assert "TRUST ANCHORS ARE MISSING" in told


def test_the_readmes_line_for_the_signing_key_gives_what_its_parameter_takes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "key.asc").write_text(
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\nmQIN+/=\n-----END PGP PUBLIC KEY BLOCK-----\n"
    )
    (line,) = [each for each in (folder / "README.txt").read_text().splitlines() if "awk" in each]
    shown = line.strip().replace("./deploy.sh enrolment", "printf %s")

    given = subprocess.run(["/bin/sh", "-c", shown], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    pattern = templates.pattern(templates.read(templates.STACK), "PackageSigningKey")
    assert re.fullmatch(pattern, given.removeprefix("PackageSigningKey="))
    assert given.count("\\n") == 5


def test_nothing_is_left_to_fill_in(folder: Path) -> None:
    for name in ("README.txt", "common.sh", "deploy.sh", "remove.sh"):
        assert "@" not in (folder / name).read_text().replace('"$@"', "")


def test_one_half_alone(tmp_path: Path) -> None:
    done = _export(tmp_path / "half", halves=(Half.ENROLMENT,))

    assert not [name for name in done.files if name.startswith("patching")]
    assert "patching" not in (tmp_path / "half" / "README.txt").read_text().replace("moorings-patching", "")


def test_a_directory_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")

    with pytest.raises(Refused, match="is not empty"):
        _export(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_is_not_taken_for_a_directory(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")

    with pytest.raises(Refused, match="mine is a file"):
        _export(tmp_path / "mine")


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_could_not_be_written_whole_is_taken_away_and_can_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, trouble: BaseException
) -> None:
    """Half a folder would be refused the next time, because it is not empty."""
    directory = tmp_path / "by-hand"
    if there:
        directory.mkdir()
    written = []

    def full(path: Path, content: bytes) -> None:
        path.write_text(content[:1].hex())
        written.append(path)
        if len(written) == 5:
            raise trouble

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises((Misconfigured, KeyboardInterrupt)) as failed:
            _export(directory)

    assert "cannot be written: No space left on device" in str(failed.value) or isinstance(trouble, KeyboardInterrupt)
    assert (directory.exists(), list(tmp_path.rglob("by-hand/*"))) == (there, [])
    assert _export(directory).files
