"""The zip: the same bytes every time, small, and complete."""

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import boto3
import pytest

from moorings.deploy import manifest as manifests
from moorings.deploy.package import (
    DEFAULT_PLATFORM,
    LARGEST,
    FunctionPlatform,
    build,
    function_platform,
)
from moorings.errors import Misconfigured

# What the runtime of a Python function brings: boto3 and what it stands on.
RUNTIME = ("boto3", "botocore", "s3transfer", "urllib3", "dateutil", "six.py")


def test_the_same_sources_give_the_same_bytes() -> None:
    first, second = build("enrolment"), build("enrolment")

    assert first.content == second.content
    assert first.digest == hashlib.sha256(first.content).hexdigest()
    assert first.file_name == f"enrolment-{first.digest}.zip"


def test_times_and_modes_of_the_sources_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "moorings"
    for path in manifests.SOURCES.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            target = copy / path.relative_to(manifests.SOURCES)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            target.chmod(0o600)
            os.utime(target, (0, 0))
    here = build("enrolment").digest
    monkeypatch.setattr(manifests, "SOURCES", copy)
    monkeypatch.setattr("moorings.deploy.package.SOURCES", copy)

    assert build("enrolment").digest == here


def test_names_are_sorted_times_fixed_and_files_readable() -> None:
    with zipfile.ZipFile(io.BytesIO(build("enrolment").content)) as archive:
        entries = archive.infolist()

    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}


def test_the_zip_is_small_and_holds_the_bootstrap_scripts() -> None:
    package = build("enrolment")

    assert len(package.content) <= LARGEST
    assert {"moorings/enrolment/bootstrap/linux.sh", "moorings/enrolment/bootstrap/windows.ps1"} <= set(package.files)


def test_the_handlers_load_from_the_zip_with_the_runtime_alone(tmp_path: Path) -> None:
    """Nothing of this environment but boto3 is in sight, so a module that the zip lacks is missed here."""
    with zipfile.ZipFile(io.BytesIO(build("enrolment").content)) as archive:
        archive.extractall(tmp_path / "task")
    (tmp_path / "runtime").mkdir()
    installed = Path(boto3.__file__).parents[1]
    for name in RUNTIME:
        (tmp_path / "runtime" / name).symlink_to(installed / name)
    script = f"""
import sys
sys.path[:0] = [{str(tmp_path / "task")!r}, {str(tmp_path / "runtime")!r}]
import moorings.enrolment.function, moorings.enrolment.keeper, json
from moorings.enrolment.bootstrap import render
settings = render.ScriptSettings(url="https://api.example/x", region="eu-west-1")
print(json.dumps([moorings.enrolment.function.__file__, len(render.linux(settings)), len(render.windows(settings))]))
"""
    environment = {"POWERTOOLS_SERVICE_NAME": "enrolment", "POWERTOOLS_METRICS_NAMESPACE": "Moorings"}
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", script],
        capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    module, linux, windows = json.loads(done.stdout)
    assert Path(module).is_relative_to(tmp_path / "task")
    assert min(linux, windows) > 1000


def test_a_platform_is_read_as_people_and_hosts_write_it() -> None:
    assert function_platform("") == DEFAULT_PLATFORM
    assert function_platform("python3.13/aarch64") == FunctionPlatform(python="python3.13", machine="arm64")
    assert function_platform("python3.11/x86_64").machine == "x86_64"


@pytest.mark.parametrize("text", ["arm64", "python3.13", "python3.13/sparc", "nodejs22.x/arm64"])
def test_another_platform_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="is no function platform"):
        function_platform(text)
