"""Byte code in the zips: really used, the same wherever it is made, and missed aloud."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import moorings
from localcloud.cloud import LocalCloud
from moorings.deploy import bytecode
from moorings.deploy.natives import host_platform
from moorings.deploy.package import build, function_platform
from moorings.errors import Misconfigured

PYTHON, _, _ = host_platform().partition("/")
ABSENT = "python3.99"
HANDLER = "def handler(event, context):\n    return {!r}\n"
SOURCES = Path(moorings.__file__).parents[1]


def _zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_every_module_of_a_zip_has_its_byte_code_beside_it() -> None:
    package = build("enrolment", platform=function_platform(host_platform()))
    modules = {path for path in package.files if path.endswith(".py")}

    expected = {
        str(Path(path).parent / "__pycache__" / f"{Path(path).stem}.{sys.implementation.cache_tag}.pyc")
        for path in modules
    }

    assert {path for path in package.files if path.endswith(".pyc")} == expected
    assert not package.notice


def test_without_the_functions_python_the_zip_is_built_and_says_what_is_missing() -> None:
    package = build("enrolment", platform=function_platform(f"{ABSENT}/x86_64"))

    assert not [path for path in package.files if path.endswith(".pyc")]
    assert package.notice.startswith(f"no byte code for {ABSENT}")


def test_an_environment_runs_the_byte_code_and_never_looks_at_the_source() -> None:
    """The two differ here, so what is answered tells which was run."""
    made = bytecode.compiled({"app.py": HANDLER.format("byte code").encode()}, python=PYTHON)
    code = _zipped({"app.py": HANDLER.format("source").encode(), **made})
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    with LocalCloud() as cloud:
        role = cloud.client("iam").create_role(RoleName="app", AssumeRolePolicyDocument=document)["Role"]["Arn"]
        cloud.client("lambda").create_function(
            FunctionName="app", Runtime="python3.13", Role=role, Handler="app.handler", Code={"ZipFile": code}
        )

        done = cloud.functions.invoke("app", b"{}")

    assert json.loads(done.payload) == "byte code"


@pytest.mark.parametrize("seed", ["0", "1"])
def test_other_processes_and_places_make_the_same_bytes(tmp_path: Path, seed: str) -> None:
    """Byte code holds references and sets, whose order and form may follow a process's history, and names of files."""
    elsewhere = tmp_path / "site"
    shutil.copytree(SOURCES / "moorings", elsewhere / "moorings", ignore=shutil.ignore_patterns("__pycache__"))
    script = (
        "import asyncio, json, xml.dom\n"  # a process with another history
        "import moorings.deploy.package as package\n"
        f"built = package.build('enrolment', platform=package.function_platform({host_platform()!r}))\n"
        "print(json.dumps([package.__file__, built.digest]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(elsewhere), "PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=120, check=True, cwd=tmp_path,
    )  # fmt: skip

    file, digest = json.loads(done.stdout)

    assert Path(file).is_relative_to(elsewhere)
    assert digest == build("enrolment", platform=function_platform(host_platform())).digest


def test_no_path_of_this_computer_is_in_the_zip() -> None:
    content = build("enrolment", platform=function_platform(host_platform())).content

    assert str(SOURCES).encode() not in content


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Which Python is at hand is remembered in a process; forget it before and after."""
    bytecode._interpreter.cache_clear()
    yield
    bytecode._interpreter.cache_clear()


@pytest.mark.usefixtures("forgetful")
def test_a_python_on_the_path_serves_if_it_is_of_that_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = tmp_path / ABSENT
    answers.write_text("#!/bin/sh\nprintf 'cpython-399\\n'\n")
    answers.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert bytecode._interpreter(ABSENT) == str(answers)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("lie", ["printf 'cpython-311\\n'", "exit 1", "printf 'pypy39-399\\n'"])
def test_a_name_on_the_path_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str) -> None:
    other = tmp_path / ABSENT
    other.write_text(f"#!/bin/sh\n{lie}\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert bytecode.compiled({"a.py": b""}, python=ABSENT) == {}


def test_a_source_that_does_not_compile_is_refused() -> None:
    with pytest.raises(Misconfigured, match="SyntaxError"):
        bytecode.compiled({"broken.py": b"def"}, python=PYTHON)
