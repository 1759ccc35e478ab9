"""The manifests say what zips and layers need, no more and no less."""

import re
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from moorings.deploy import manifest as manifests
from moorings.deploy.imports import follow
from moorings.deploy.manifest import MANIFESTS, Dependency, load, needed, roots
from moorings.errors import Misconfigured

LOCK = Path(__file__).parents[2] / "requirements" / "local.txt"
ALL = sorted(path.stem for path in MANIFESTS.glob("*.toml"))


@pytest.mark.parametrize("name", ALL)
def test_the_modules_are_those_that_the_handlers_import(name: str) -> None:
    """If this fails, run `python -m moorings.deploy.manifest NAME` and review the difference."""
    manifest = load(name)

    assert needed(manifest) == list(manifest.modules)


@pytest.mark.parametrize("name", ALL)
def test_whatever_is_imported_is_shipped_brought_by_the_runtime_or_left_out_for_a_reason(name: str) -> None:
    manifest = load(name)

    found = follow(manifest.modules, roots=roots(manifest))

    assert found.outside == manifest.runtime | set(manifest.absent) | _of_layer(manifest.layer)
    assert all(manifest.absent.values())


def _of_layer(name: str) -> set[str]:
    """The top-level names that a layer brings and functions import from it."""
    return {entry.partition(".")[0] for entry in load(name).entries} if name else set()


def test_what_the_functions_import_from_their_layer_is_in_it() -> None:
    manifest = load("patching")
    ours = [module for module in manifest.modules if module.startswith("moorings")]
    layer = load(manifest.layer)
    both = {**roots(layer), **roots(manifest)}

    reached = follow(ours, roots=both).modules

    assert not [each for each in reached if each not in {*manifest.modules, *layer.modules}]


@pytest.mark.parametrize("name", ALL)
def test_every_shipped_module_belongs_to_a_reviewed_distribution(name: str) -> None:
    manifest = load(name)
    reviewed = {
        str(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for dependency in manifest.dependencies
        for file in metadata.distribution(dependency.name).files or ()
    }

    assert not [each for each in manifest.modules if not each.startswith("moorings") and each not in reviewed]


def test_our_own_modules_import_nothing_that_is_left_out() -> None:
    manifest = load("enrolment")
    ours = [module for module in manifest.modules if module.startswith("moorings")]

    outside = follow(ours, roots={"moorings": manifests.SOURCES}).outside

    assert outside <= manifest.runtime | {"aws_lambda_powertools"}


def test_the_functions_hold_no_part_of_the_command_line() -> None:
    modules = load("enrolment").modules

    assert not [module for module in modules if module.startswith(("moorings.cli", "moorings.deploy"))]


@pytest.mark.parametrize("name", ALL)
def test_dependencies_are_those_of_the_lock(name: str) -> None:
    locked = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    locked = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in locked.items()}

    for dependency in load(name).dependencies:
        assert locked[re.sub(r"[-_.]+", "-", dependency.name).lower()] == dependency.version


def _with(dependency: Dependency) -> Any:
    return replace(load("enrolment"), dependencies=(dependency,))


def test_another_version_of_a_dependency_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"reviewed with jmespath==0\.0\.1, but") as refused:
        roots(_with(Dependency(name="jmespath", version="0.0.1", packages=("jmespath",))))

    assert refused.value.remedy == "pip install jmespath==0.0.1"


def test_a_missing_dependency_is_refused() -> None:
    with pytest.raises(Misconfigured, match="is not installed"):
        roots(_with(Dependency(name="no-such-thing", version="1", packages=("no_such_thing",))))


def test_native_code_is_refused() -> None:
    version = metadata.version("MarkupSafe")

    with pytest.raises(Misconfigured, match="holds native code"):
        roots(_with(Dependency(name="MarkupSafe", version=version, packages=("markupsafe",))))
