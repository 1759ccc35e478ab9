"""The functions' zip: same sources, same bytes, on any computer; its digest is its name.

Built from the reviewed manifest alone. Nothing is compressed: deflate's output differs between zlib builds, which would
give one source two digests, and a function of this size starts no later for it.
"""

import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from moorings.deploy.imports import find
from moorings.deploy.manifest import SOURCES, Manifest, load, roots
from moorings.errors import Misconfigured

# Lambda takes 50 MB; 5 MB is the project's own budget, because every start of a function reads it.
LARGEST = 5 * 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_PLAIN_FILE = 0o100644
_UNIX = 3

_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionPlatform:
    """What a zip is built for. `machine` is spelt as Lambda's Architectures are: x86_64 or arm64."""

    python: str
    machine: str


DEFAULT_PLATFORM = FunctionPlatform(python="python3.13", machine="arm64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A built zip."""

    name: str
    content: bytes = field(repr=False)
    digest: str  # SHA-256, hexadecimal
    files: tuple[str, ...]
    platform: FunctionPlatform

    @property
    def file_name(self) -> str:
        """What it is called wherever it lies: new content, new name."""
        return f"{self.name}-{self.digest}.zip"


def function_platform(text: str) -> FunctionPlatform:
    """The platform that a setting such as `python3.13/x86_64` names; empty means what the templates run on."""
    if not text:
        return DEFAULT_PLATFORM
    python, _, machine = text.partition("/")
    if not python.startswith("python3.") or machine.lower() not in _MACHINES:
        raise Misconfigured(
            f"{text!r} is no function platform",
            remedy="set MOORINGS_FUNCTION_PLATFORM to the runtime and the processor, such as python3.13/arm64",
        )
    return FunctionPlatform(python=python, machine=_MACHINES[machine.lower()])


def build(name: str, *, platform: FunctionPlatform = DEFAULT_PLATFORM) -> Package:
    """The zip that the manifest `name` describes.

    Only pure Python goes in, so the bytes are the same for every platform. Misconfigured if a dependency is missing,
    has another version, or is not pure, or if the zip outgrows its budget.
    """
    manifest = load(name)
    contents = _contents(manifest)
    content = _zip(contents)
    if len(content) > LARGEST:
        raise Misconfigured(
            f"the {name} zip has {len(content):,} bytes; its budget is {LARGEST:,}", remedy="take modules out again"
        )
    return Package(
        name=name,
        content=content,
        digest=hashlib.sha256(content).hexdigest(),
        files=tuple(sorted(contents)),
        platform=platform,
    )


def _contents(manifest: Manifest) -> dict[str, bytes]:
    located = roots(manifest)
    contents: dict[str, bytes] = {}
    for module in manifest.modules:
        path = find(module, roots=located)
        if path is None:
            raise _missing(module, manifest)
        contents[_path_in_zip(module, path)] = path.read_bytes()
    for name in manifest.files:
        source = SOURCES.parent / name
        if not source.is_file():
            raise _missing(name, manifest)
        contents[name] = source.read_bytes()
    return contents


def _missing(what: str, manifest: Manifest) -> Misconfigured:
    return Misconfigured(
        f"{what} of the {manifest.name} manifest is not installed", remedy="install moorings again, completely"
    )


def _path_in_zip(module: str, path: Path) -> str:
    base = module.replace(".", "/")
    return f"{base}/__init__.py" if path.name == "__init__.py" else f"{base}.py"


def _zip(contents: dict[str, bytes]) -> bytes:
    """Sorted names, one fixed time and mode, nothing of this computer."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _PLAIN_FILE << 16
            archive.writestr(entry, contents[name])
    return buffer.getvalue()
