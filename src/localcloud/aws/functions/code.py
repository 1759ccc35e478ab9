"""Files that environments run from: an interpreter that sees nothing of ours, the runtime's packages, code and layers.

Lambda's paths become directories of this host: /var/task, /opt and /var/runtime. The interpreter is the host's own
Python in a virtual environment without packages, so neither this project's sources nor its dependencies can be imported
by accident: the zip has to stand on its own, with boto3 and the runtime interface client beside it as in Lambda.

Unlike /var/task of Lambda the code is writable, so Python keeps its byte code: the first environment of a code package
compiles what it imports, the later ones do not.
"""

import hashlib
import importlib.metadata
import io
import re
import shutil
import stat
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

from localcloud.errors import CannotRun, ServiceError

UNZIPPED_LIMIT = 262_144_000  # bytes, code and layers together
# What Lambda's Python runtimes hold besides the standard library.
RUNTIME_DISTRIBUTIONS = ("awslambdaric", "boto3")
_REQUIRED_NAME = re.compile(r"[A-Za-z0-9._-]+")


class Files:
    """The directories under `root`; each code package and set of layers is unpacked once. Threads may share it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._ready = False

    @property
    def interpreter(self) -> Path:
        """Python with the standard library and no installed package."""
        return self._root / "python" / "bin" / "python"

    @property
    def runtime(self) -> Path:
        """Lambda's /var/runtime: boto3, the runtime interface client and what these two require."""
        return self._root / "runtime"

    def prepare(self) -> None:
        """Make interpreter and runtime, once."""
        with self._lock:
            if self._ready:
                return
            _make_interpreter(self._root / "python")
            self.runtime.mkdir(parents=True)
            for distribution in _required(RUNTIME_DISTRIBUTIONS):
                _link_packages(distribution, self.runtime)
            self._ready = True

    def task(self, package: bytes) -> Path:
        """Lambda's /var/task for a code package."""
        return self._unpacked("task", (package,))

    def layers(self, packages: tuple[bytes, ...]) -> Path:
        """Lambda's /opt for these layers; a later one overwrites the files of an earlier one."""
        return self._unpacked("opt", packages)

    def _unpacked(self, kind: str, packages: tuple[bytes, ...]) -> Path:
        digest = hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in packages)).hexdigest()
        place = self._root / kind / digest[:32]
        with self._lock:
            if not place.is_dir():
                half = place.with_suffix(".half")
                half.mkdir(parents=True)
                try:
                    for package in packages:
                        unpack(package, half)
                except BaseException:
                    shutil.rmtree(half)
                    raise
                half.rename(place)
        return place


def unpack(package: bytes, place: Path) -> None:
    """Unpack a zip as Lambda does, permissions included; raises ServiceError InvalidZipFileException if it cannot."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(package))
    except zipfile.BadZipFile as error:
        raise ServiceError(
            "InvalidZipFileException", f"Lambda could not unzip the deployment package: {error}", status=502
        ) from error
    with archive:
        if sum(entry.file_size for entry in archive.infolist()) > UNZIPPED_LIMIT:
            message = f"Unzipped size must be smaller than {UNZIPPED_LIMIT} bytes"
            raise ServiceError("InvalidParameterValueException", message)
        for entry in archive.infolist():
            target = Path(archive.extract(entry, place))
            mode = stat.S_IMODE(entry.external_attr >> 16)
            target.chmod(mode | (0o755 if target.is_dir() else 0o644))


def _make_interpreter(place: Path) -> None:
    """A virtual environment by hand: `venv` would take longer and copy more."""
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (place / "bin").mkdir(parents=True)
    (place / "lib" / version / "site-packages").mkdir(parents=True)
    (place / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    (place / "bin" / "python").symlink_to(base)


def _required(names: tuple[str, ...]) -> Iterator[importlib.metadata.Distribution]:
    """These distributions and everything they require, each once."""
    seen: set[str] = set()
    waiting = [(name, True) for name in names]
    while waiting:
        name, must = waiting.pop()
        if name.lower() in seen:
            continue
        seen.add(name.lower())
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError as error:
            if not must:  # required on other platforms or Python versions only
                continue
            raise CannotRun(f"the package {name} is missing; install moorings[local]") from error
        yield distribution
        for requirement in distribution.requires or ():
            match = _REQUIRED_NAME.match(requirement)
            if match and "extra ==" not in requirement:
                waiting.append((match.group(), ";" not in requirement))


def _link_packages(distribution: importlib.metadata.Distribution, place: Path) -> None:
    tops = {file.parts[0] for file in distribution.files or () if file.parts[0] not in {"..", "__pycache__"}}
    for top in tops:
        link = place / top
        if not link.is_symlink():
            link.symlink_to(Path(str(distribution.locate_file(top))).resolve())
