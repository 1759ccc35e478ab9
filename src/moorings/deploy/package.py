"""The functions' zips and layers: same sources, same digest, on any computer; the digest is the name.

Built from the reviewed manifest alone, with byte code beside the sources where a Python of the function's version is at
hand (two releases of one version may compile differently; all else is the same everywhere). The digest is that of the
zip with nothing compressed, for deflate's output differs between zlib builds. A function's zip stays like that; a layer
is compressed for its way to S3, and bears the name of its content all the same.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from moorings.deploy import bytecode
from moorings.deploy.anchors import anchor_files
from moorings.deploy.imports import find
from moorings.deploy.manifest import Manifest, load, roots
from moorings.deploy.natives import MACHINES, native_files
from moorings.errors import Misconfigured

# Lambda takes 50 MB; 5 MB is the project's own budget, because every start of a function reads it.
LARGEST = 5 * 1024 * 1024
# A layer unpacked; Lambda takes 250 MB with the function's own files.
LARGEST_LAYER = 40 * 1024 * 1024
LAYER_FOLDER = "python/"  # where Lambda's Python looks for modules below /opt
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_PLAIN_FILE = 0o100644
_UNIX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionPlatform:
    """What a zip is built for. `machine` is spelt as Lambda's Architectures are: x86_64 or arm64."""

    python: str
    machine: str

    def __str__(self) -> str:
        return f"{self.python}/{self.machine}"


DEFAULT_PLATFORM = FunctionPlatform(python="python3.13", machine="arm64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A built zip."""

    name: str
    content: bytes = field(repr=False)
    digest: str  # SHA-256 of it uncompressed, hexadecimal
    files: tuple[str, ...]
    platform: FunctionPlatform
    unpacked: int  # bytes
    notice: str = ""  # what whoever builds should know, in a sentence

    @property
    def file_name(self) -> str:
        """What it is called wherever it lies: new content, new name."""
        return f"{self.name}-{self.digest}.zip"


def function_platform(text: str) -> FunctionPlatform:
    """The platform that a setting such as `python3.13/x86_64` names; empty means what the templates run on."""
    if not text:
        return DEFAULT_PLATFORM
    python, _, machine = text.partition("/")
    if not python.startswith("python3.") or machine.lower() not in MACHINES:
        raise Misconfigured(
            f"{text!r} is no function platform",
            remedy="set MOORINGS_FUNCTION_PLATFORM to the runtime and the processor, such as python3.13/arm64",
        )
    return FunctionPlatform(python=python, machine=MACHINES[machine.lower()])


def build(name: str, *, platform: FunctionPlatform = DEFAULT_PLATFORM) -> Package:
    """The functions' zip that the manifest `name` describes.

    Only pure Python goes in, so the processor does not matter. Misconfigured if a dependency is missing, has another
    version, or is not pure, or if the zip outgrows its budget.
    """
    contents = _with_byte_code(_contents(load(name)), platform)
    return _package(name, contents, platform=platform, budget=LARGEST)


def build_layer(name: str, *, platform: FunctionPlatform = DEFAULT_PLATFORM, anchors: Path | None = None) -> Package:
    """The layer that the manifest `name` describes, with native code for the platform, and the trust anchors if given.

    `anchors` is a directory as `anchors.anchor_files` reads it. Misconfigured as in `build`, and if a native file
    cannot be had for the platform.
    """
    manifest = load(name)
    contents = _contents(manifest)
    if anchors is not None:
        contents |= anchor_files(anchors)
    contents = {f"{LAYER_FOLDER}{path}": content for path, content in contents.items()}
    contents = _with_byte_code(contents, platform)
    for dependency in manifest.dependencies:
        native = native_files(dependency, platform=str(platform))
        contents |= {f"{LAYER_FOLDER}{path}": content for path, content in native.items()}
    return _package(name, contents, platform=platform, budget=LARGEST_LAYER, compressed=True)


def _package(
    name: str, contents: Mapping[str, bytes], *, platform: FunctionPlatform, budget: int, compressed: bool = False
) -> Package:
    plain = _zip(contents, zipfile.ZIP_STORED)
    if len(plain) > budget:
        raise Misconfigured(
            f"the {name} zip has {len(plain):,} bytes; its budget is {budget:,}", remedy="take modules out again"
        )
    return Package(
        name=name,
        content=_zip(contents, zipfile.ZIP_DEFLATED) if compressed else plain,
        digest=hashlib.sha256(plain).hexdigest(),
        files=tuple(sorted(contents)),
        platform=platform,
        unpacked=sum(map(len, contents.values())),
        notice="" if any(path.endswith(".pyc") for path in contents) else bytecode.missing(platform.python),
    )


def _with_byte_code(contents: Mapping[str, bytes], platform: FunctionPlatform) -> dict[str, bytes]:
    sources = {path: content for path, content in contents.items() if path.endswith(".py")}
    return {**contents, **bytecode.compiled(sources, python=platform.python)}


def _contents(manifest: Manifest) -> dict[str, bytes]:
    located = roots(manifest)
    contents: dict[str, bytes] = {}
    for module in manifest.modules:
        path = find(module, roots=located)
        if path is None:
            raise _missing(module, manifest)
        contents[_path_in_zip(module, path)] = path.read_bytes()
    for name in manifest.files:
        source = _file(name, located)
        if source is None or not source.is_file():
            raise _missing(name, manifest)
        contents[name] = source.read_bytes()
    return contents


def _file(name: str, located: Mapping[str, Path]) -> Path | None:
    root = located.get(name.partition("/")[0])
    return root.parent / name if root else None


def _missing(what: str, manifest: Manifest) -> Misconfigured:
    return Misconfigured(
        f"{what} of the {manifest.name} manifest is not installed", remedy="install moorings again, completely"
    )


def _path_in_zip(module: str, path: Path) -> str:
    base = module.replace(".", "/")
    return f"{base}/__init__.py" if path.name == "__init__.py" else f"{base}.py"


def _zip(contents: Mapping[str, bytes], compression: int) -> bytes:
    """Sorted names, one fixed time and mode, nothing of this computer."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _PLAIN_FILE << 16
            entry.compress_type = compression
            archive.writestr(entry, contents[name])
    return buffer.getvalue()
