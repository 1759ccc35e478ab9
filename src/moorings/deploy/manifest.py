"""Manifests: what each functions' zip holds, as a reviewed file that a test holds to the imports.

`python -m moorings.deploy.manifest enrolment` writes the list of modules anew after a change of imports; the difference
is then reviewed like any other.
"""

import importlib.metadata
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import moorings
from moorings.deploy.imports import follow
from moorings.errors import Misconfigured

SOURCES = Path(moorings.__file__).parent
MANIFESTS = Path(__file__).parent / "manifests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """A distribution of which a zip holds modules, at the one version that was reviewed."""

    name: str
    version: str
    packages: tuple[str, ...]  # its top-level names


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one zip holds."""

    name: str
    entries: tuple[str, ...]  # modules with a handler
    modules: tuple[str, ...]
    files: tuple[str, ...]  # what is not Python, as paths in the zip
    dependencies: tuple[Dependency, ...]
    runtime: frozenset[str]  # top-level names that the function's runtime brings
    absent: Mapping[str, str]  # top-level names that are imported somewhere but not shipped → why that is right


def load(name: str) -> Manifest:
    """The manifest of one zip, such as `enrolment`."""
    table = tomllib.loads((MANIFESTS / f"{name}.toml").read_text(encoding="utf-8"))
    return Manifest(
        name=name,
        entries=tuple(table["entries"]),
        modules=tuple(table["modules"]),
        files=tuple(table["files"]),
        dependencies=tuple(
            Dependency(name=entry["name"], version=entry["version"], packages=tuple(entry["packages"]))
            for entry in table["dependency"]
        ),
        runtime=frozenset(table["runtime"]),
        absent=dict(table["absent"]),
    )


def roots(manifest: Manifest) -> dict[str, Path]:
    """Where each top-level name of the zip lies on this computer.

    Misconfigured if a dependency is missing, has another version than the reviewed one, or holds native code: one that
    is built for this computer's platform would not run on the function's.
    """
    found = {"moorings": SOURCES}
    for dependency in manifest.dependencies:
        found |= _installed(dependency)
    return found


def _installed(dependency: Dependency) -> dict[str, Path]:
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
    if not _is_pure(distribution):
        raise Misconfigured(
            f"{wanted} holds native code, which would not run on the function's platform",
            remedy="leave it out of the functions; only pure Python can be packaged",
        )
    return {package: _location(distribution, package) for package in dependency.packages}


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
    manifest = load(name)
    modules = sorted(follow(manifest.entries, roots=roots(manifest)).modules)
    path = MANIFESTS / f"{name}.toml"
    head, _, rest = path.read_text(encoding="utf-8").partition("modules = [\n")
    _, _, tail = rest.partition("]\n")
    listed = "".join(f'  "{module}",\n' for module in modules)
    path.write_text(f"{head}modules = [\n{listed}]\n{tail}", encoding="utf-8")


if __name__ == "__main__":
    write_modules(sys.argv[1])
