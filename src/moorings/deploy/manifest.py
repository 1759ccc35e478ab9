"""Manifests: what each functions' zip and each layer holds, as a reviewed file that a test holds to the imports.

`python -m moorings.deploy.manifest enrolment` writes the list of modules anew after a change of imports; the difference
is then reviewed like any other.
"""

import importlib.metadata
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import moorings
from moorings.deploy.imports import follow
from moorings.errors import Misconfigured

SOURCES = Path(moorings.__file__).parent
MANIFESTS = Path(__file__).parent / "manifests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """Where the native files for one platform come from, and what they must be."""

    file: str
    sha256: str
    native: Mapping[str, str]  # path in the wheel → SHA-256 of the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """A distribution of which a zip holds modules, at the one version that was reviewed."""

    name: str
    version: str
    packages: tuple[str, ...]  # its top-level names
    whole: bool = False  # all its modules go in: native code imports what no source shows
    # Modules of it that are compiled and go in, as paths without their endings; None: it has to be pure Python.
    native: tuple[str, ...] | None = None
    wheels: Mapping[str, Wheel] = field(default_factory=dict)  # platform, such as python3.13/arm64 → its wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one zip holds."""

    name: str
    entries: tuple[str, ...]  # modules with a handler; of a layer, what functions import from it
    modules: tuple[str, ...]
    files: tuple[str, ...]  # what is not Python, as paths in the zip
    dependencies: tuple[Dependency, ...]
    runtime: frozenset[str]  # top-level names that the function's runtime brings
    absent: Mapping[str, str]  # top-level names that are imported somewhere but not shipped → why that is right
    layer: str = ""  # the manifest of the layer that stands beside it


def load(name: str) -> Manifest:
    """The manifest of one zip, such as `enrolment`."""
    table = tomllib.loads((MANIFESTS / f"{name}.toml").read_text(encoding="utf-8"))
    return Manifest(
        name=name,
        entries=tuple(table["entries"]),
        modules=tuple(table["modules"]),
        files=tuple(table["files"]),
        dependencies=tuple(_dependency(entry) for entry in table["dependency"]),
        runtime=frozenset(table["runtime"]),
        absent=dict(table["absent"]),
        layer=table.get("layer", ""),
    )


def _dependency(entry: Mapping[str, Any]) -> Dependency:
    return Dependency(
        name=entry["name"],
        version=entry["version"],
        packages=tuple(entry["packages"]),
        whole=entry.get("whole", False),
        native=tuple(entry["native"]) if "native" in entry else None,
        wheels={
            platform: Wheel(file=each["file"], sha256=each["sha256"], native=dict(each["native"]))
            for platform, each in entry.get("wheels", {}).items()
        },
    )


def roots(manifest: Manifest) -> dict[str, Path]:
    """Where each top-level name of the zip lies on this computer.

    Misconfigured if a dependency is missing, has another version than the reviewed one, or holds native code of which
    the manifest does not know: what is built for this computer's platform would not run on the function's.
    """
    found = {"moorings": SOURCES}
    for dependency in manifest.dependencies:
        distribution = installed(dependency)
        found |= {package: _location(distribution, package) for package in dependency.packages}
    return found


def needed(manifest: Manifest) -> list[str]:
    """The modules that belong into the zip, found anew: what the entries import, and whole packages."""
    located = roots(manifest)
    whole = {package for each in manifest.dependencies if each.whole for package in each.packages}
    entries = [*manifest.entries, *(module for package in whole for module in _modules(package, located[package]))]
    return sorted(follow(entries, roots=located).modules)


def _modules(package: str, place: Path) -> Iterable[str]:
    for path in place.rglob("*.py"):
        *parents, last = path.relative_to(place).with_suffix("").parts
        yield ".".join([package, *parents, *([] if last == "__init__" else [last])])


def installed(dependency: Dependency) -> importlib.metadata.Distribution:
    """The distribution as it is installed here; Misconfigured as `roots` says."""
    wanted = f"{dependency.name}=={dependency.version}"
    try:
        distribution = importlib.metadata.distribution(dependency.name)
    except importlib.metadata.PackageNotFoundError as error:
        raise Misconfigured(
            f"the functions need {wanted}, which is not installed", remedy=f"pip install {wanted}"
        ) from error
    if distribution.version != dependency.version:
        raise Misconfigured(
            f"the functions are reviewed with {wanted}, but {distribution.version} is installed",
            remedy=f"pip install {wanted}",
        )
    if dependency.native is None and not _is_pure(distribution):
        raise Misconfigured(
            f"{wanted} holds native code, which would not run on the function's platform",
            remedy="leave it out of the functions, or name its compiled modules and wheels in the manifest",
        )
    return distribution


def _is_pure(distribution: importlib.metadata.Distribution) -> bool:
    wheel = (distribution.read_text("WHEEL") or "").splitlines()
    tags = [line.partition(":")[2].strip() for line in wheel if line.startswith("Tag:")]
    pure = any(line.lower().replace(" ", "") == "root-is-purelib:true" for line in wheel)
    return pure and bool(tags) and all(tag.endswith("-none-any") for tag in tags)


def _location(distribution: importlib.metadata.Distribution, package: str) -> Path:
    directory = Path(str(distribution.locate_file(package)))
    return directory if directory.is_dir() else directory.with_suffix(".py")


def write_modules(name: str) -> None:
    """Write the manifest's list of modules anew, from the imports of its entries."""
    modules = needed(load(name))
    path = MANIFESTS / f"{name}.toml"
    head, _, rest = path.read_text(encoding="utf-8").partition("modules = [\n")
    _, _, tail = rest.partition("]\n")
    listed = "".join(f'  "{module}",\n' for module in modules)
    path.write_text(f"{head}modules = [\n{listed}]\n{tail}", encoding="utf-8")


if __name__ == "__main__":
    write_modules(sys.argv[1])
