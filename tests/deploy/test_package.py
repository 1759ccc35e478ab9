"""The zip: the same bytes every time, small, and complete."""

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

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
RUNTIME = ("boto3", "botocore", "jmespath", "s3transfer", "urllib3", "dateutil", "six.py")


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


def _in_the_zip(tmp_path: Path, script: str, **environment: str) -> Any:
    """What `script` prints, as JSON, run with the zip and the runtime alone: a module that the zip lacks is missed."""
    with zipfile.ZipFile(io.BytesIO(build("enrolment").content)) as archive:
        archive.extractall(tmp_path / "task")
    (tmp_path / "runtime").mkdir()
    installed = Path(boto3.__file__).parents[1]
    for name in RUNTIME:
        (tmp_path / "runtime" / name).symlink_to(installed / name)
    paths = f"import json, sys; sys.path[:0] = [{str(tmp_path / 'task')!r}, {str(tmp_path / 'runtime')!r}]\n"
    variables = {
        "POWERTOOLS_SERVICE_NAME": "enrolment",
        "POWERTOOLS_METRICS_NAMESPACE": "Moorings",
        "HOME": str(tmp_path),
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", paths + script],
        capture_output=True, text=True, timeout=60, check=False, env=variables, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_handlers_load_from_the_zip_with_the_runtime_alone(tmp_path: Path) -> None:
    script = """
import moorings.enrolment.function, moorings.enrolment.keeper
from moorings.enrolment.bootstrap import render
settings = render.ScriptSettings(url="https://api.example/x", region="eu-west-1")
print(json.dumps([moorings.enrolment.function.__file__, len(render.linux(settings)), len(render.windows(settings))]))
"""
    module, linux, windows = _in_the_zip(tmp_path, script)

    assert Path(module).is_relative_to(tmp_path / "task")
    assert min(linux, windows) > 1000


@pytest.mark.parametrize("handler", ["function", "keeper"])
def test_a_starting_environment_makes_its_clients_before_the_first_request(tmp_path: Path, handler: str) -> None:
    """With botocore alone: boto3 would make the start longer for nothing."""
    script = f"""
from moorings.enrolment import {handler}
print(json.dumps([{handler}._enrolment.cache_info().currsize, "boto3" in sys.modules]))
"""
    settings = ("TABLE", "STACK", "CODE_PREFIX", "KMS_KEY", "KEEPER", "API_URL", "VPCE", "DEFAULT_CONFIGURATION")
    variables = {f"MOORINGS_{name}": name.lower() for name in settings}

    made, with_boto3 = _in_the_zip(
        tmp_path, script, AWS_REGION="eu-west-1", AWS_LAMBDA_FUNCTION_NAME="api", **variables
    )

    assert made == 1
    assert not with_boto3


def test_a_platform_is_read_as_people_and_hosts_write_it() -> None:
    assert function_platform("") == DEFAULT_PLATFORM
    assert function_platform("python3.13/aarch64") == FunctionPlatform(python="python3.13", machine="arm64")
    assert function_platform("python3.11/x86_64").machine == "x86_64"


@pytest.mark.parametrize("text", ["arm64", "python3.13", "python3.13/sparc", "nodejs22.x/arm64"])
def test_another_platform_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="is no function platform"):
        function_platform(text)
