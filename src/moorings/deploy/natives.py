"""Compiled files of a layer: those of the function's platform, whatever computer builds it.

For the platforms of Lambda the manifest names the reviewed wheel and the digest of each file in it. If the same file is
installed here it is taken as it is, else pip fetches that wheel, from wherever it is set up to. For another platform (a
local cloud announces that of its own host) only what is installed on this very host will do.
"""

import hashlib
import importlib.machinery
import importlib.metadata
import platform as host
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from moorings.deploy.manifest import Dependency, Wheel, installed
from moorings.errors import Misconfigured

# How hosts and wheels call a processor → how Lambda's Architectures do.
MACHINES: Mapping[str, str] = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
_WHEEL_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
# Lambda's python3.13 runs on Amazon Linux 2023, whose glibc is 2.34.
_GLIBC = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
_FETCH_LIMIT = 300.0  # seconds


def native_files(dependency: Dependency, *, platform: str) -> dict[str, bytes]:
    """The compiled files of a dependency for a platform such as python3.13/arm64, by their path in the zip.

    Misconfigured if no wheel is reviewed for a platform that is not this host's, or the wheel cannot be had.
    """
    if not dependency.native:
        return {}
    wheel = dependency.wheels.get(platform)
    if wheel is None:
        return _of_this_host(dependency, platform)
    here = _installed_like(wheel, installed(dependency))
    return _of_wheel(dependency, wheel, platform=platform) if here is None else here


def _of_this_host(dependency: Dependency, platform: str) -> dict[str, bytes]:
    if platform != host_platform():
        raise Misconfigured(
            f"no wheel of {dependency.name} {dependency.version} is reviewed for {platform}",
            remedy=f"build for one of {', '.join(sorted(dependency.wheels))}",
        )
    distribution = installed(dependency)
    found = {}
    for module in dependency.native or ():
        # In the order in which Python itself prefers them.
        names = [f"{module}{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES]
        path = next((path for path in names if Path(str(distribution.locate_file(path))).is_file()), None)
        if path is None:
            raise Misconfigured(
                f"{module} of {dependency.name} {dependency.version} is not installed",
                remedy=f"pip install --force-reinstall {dependency.name}=={dependency.version}",
            )
        found[path] = Path(str(distribution.locate_file(path))).read_bytes()
    return found


def host_platform() -> str:
    """What this host would run, spelt as platforms are."""
    machine = host.machine().lower()
    return f"python{sys.version_info.major}.{sys.version_info.minor}/{MACHINES.get(machine, machine)}"


def _installed_like(wheel: Wheel, distribution: importlib.metadata.Distribution) -> dict[str, bytes] | None:
    """The installed files, if they are those of the wheel."""
    found = {}
    for path, digest in wheel.native.items():
        here = Path(str(distribution.locate_file(path)))
        content = here.read_bytes() if here.is_file() else b""
        if hashlib.sha256(content).hexdigest() != digest:
            return None
        found[path] = content
    return found


def _of_wheel(dependency: Dependency, wheel: Wheel, *, platform: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as directory:
        _fetch(dependency, wheel, platform=platform, into=Path(directory))
        with zipfile.ZipFile(Path(directory) / wheel.file) as archive:
            found = {path: archive.read(path) for path in wheel.native}
    for path, content in found.items():
        if hashlib.sha256(content).hexdigest() != wheel.native[path]:
            raise Misconfigured(f"{path} of {wheel.file} is not the reviewed one", remedy="install moorings again")
    return found


def _fetch(dependency: Dependency, wheel: Wheel, *, platform: str, into: Path) -> None:
    """Have pip fetch exactly that wheel: the digest decides, whatever the index offers."""
    requirement = f"{dependency.name}=={dependency.version} --hash=sha256:{wheel.sha256}\n"
    listed = into / "requirements.txt"
    listed.write_text(requirement, encoding="utf-8")
    python, _, machine = platform.partition("/")
    version = python.removeprefix("python")
    tags = [f"{glibc}_{_WHEEL_MACHINES[machine]}" for glibc in _GLIBC]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--only-binary=:all:", "--require-hashes", "--requirement", str(listed), "--dest", str(into),
        "--implementation=cp", f"--python-version={version}", f"--abi=cp{version.replace('.', '')}", "--abi=abi3",
        *(f"--platform={tag}" for tag in tags),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_LIMIT, check=False)
        reason = "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
    except subprocess.TimeoutExpired:
        reason = f"no answer within {_FETCH_LIMIT:.0f} s"
    if not reason and not (into / wheel.file).is_file():
        reason = f"pip brought {', '.join(sorted(path.name for path in into.glob('*.whl'))) or 'nothing'}"
    if reason:
        raise Misconfigured(
            f"{wheel.file} for the layer cannot be had: {reason}",
            remedy="run it where pip reaches its index, or set pip up for your own (PIP_INDEX_URL)",
        )
